"""What the numbers of a conversation can be at all. A file from elsewhere may hold any."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from playground.domain.models import LoadOptions
from playground.domain.params import check_ranges
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Token
from playground.domain.watching import Watched

_MOST: Final = 2.0**53
"""Beyond it not every whole number is a float of its own; nothing that is counted or measured here comes near."""
_ROUNDING: Final = 0.001
"""By how much a sum of 32-bit probabilities may miss 1."""
_COARSE: Final = 1.0
"""By how much a logarithm may be above 0: servers that compute with 8 or 16 bits send such ones, and they are kept."""


class _Range(NamedTuple):
    """The lowest and the highest value."""

    low: float
    high: float
    words: str
    without_limit: bool = False
    """True where minus infinity is a value: the logarithm of no chance at all."""

    def holds(self, value: float) -> bool:
        """True for a value in the range; never for one that is no number."""
        return self.low <= value <= self.high or (self.without_limit and value == -math.inf)


_COUNT: Final = _Range(0, _MOST, "0 or more, up to 2^53")
_SHARE: Final = _Range(-_ROUNDING, 1 + _ROUNDING, "0 to 1")
_RANGES: Final = {
    "logprob": _Range(-_MOST, _COARSE, "0 or less", without_limit=True),
    "rank": _Range(1, _MOST, "1 or more, up to 2^53"),
    "entropy": _Range(-_ROUNDING, _MOST, "0 or more, up to 2^53"),
    "cut_by": _Range(-1, _MOST, "-1 or more, up to 2^53"),
    "attempts": _Range(1, _MOST, "1 or more, up to 2^53"),
    **dict.fromkeys(("prob", "mass", "before", "after"), _SHARE),
}
"""By the name of a field; what is not here is a count or a measure, which is never below 0."""
_LOADING: Final = _Range(-_MOST, _MOST, "-2^53 to 2^53")


def check_numbers(value: Any, name: str = "", ranges: _Range | None = None) -> None:
    """Go through a struct and all that is in it. Raises ValueError naming the first number that cannot be.

    Sampling parameters have ranges of their own: BadInput names one that is out of them.
    """
    match value:
        case bool() | str() | bytes() | None:
            return
        case int() | float():
            _check(name, value, ranges or _RANGES.get(name, _COUNT))
        case SamplingParams():
            check_ranges(value)
        case Token():
            check_tokens((value,))
        case msgspec.Struct():
            inside = _LOADING if isinstance(value, LoadOptions) else ranges
            for field in value.__struct_fields__:
                check_numbers(getattr(value, field), field, inside)
        case dict():
            for key, one in value.items():
                check_numbers(one, str(key), ranges)
        case tuple() | list() | set() | frozenset():
            for one in value:
                check_numbers(one, name, ranges)


def check_tokens(tokens: Iterable[Token]) -> None:
    """The same for tokens, of which there are many: each of their numbers is looked at where it stands."""
    logprob, share, whole, cut = _RANGES["logprob"], _SHARE, _COUNT, _RANGES["cut_by"]
    for token in tokens:
        _check("index", token.index, whole)
        _check("id", token.id, whole)
        _check("logprob", token.logprob, logprob)
        _check("prob", token.prob, share)
        _check("rank", token.rank, _RANGES["rank"])
        _check("entropy", token.entropy, _RANGES["entropy"])
        _check("time_ms", token.time_ms, whole)
        for candidate in token.top:
            if not _is_likely(candidate):
                _check("id", candidate.id, whole)
                _check("logprob", candidate.logprob, logprob)
                _check("prob", candidate.prob, share)
                _check("cut_by", candidate.cut_by, cut)
        for stage in token.stages:
            _check("candidates", stage.candidates, whole)
            _check("mass", stage.mass, share)
        for watched in token.watched:
            _check_watched(watched)


def _is_likely(candidate: Candidate) -> bool:
    """True for figures that are surely in their ranges: there are ten times as many of these as of all others."""
    number, logprob, prob = candidate.id, candidate.logprob, candidate.prob
    return (
        (number is None or 0 <= number < _MOST)
        and (logprob is None or -1e9 < logprob <= 0.0)
        and (prob is None or 0.0 <= prob <= 1.0)
        and -1 <= candidate.cut_by < _MOST
    )


def _check_watched(watched: Watched) -> None:
    _check("id", watched.id, _COUNT)
    _check("before", watched.before, _SHARE)
    _check("after", watched.after, _SHARE)
    _check("cut_by", watched.cut_by, _RANGES["cut_by"])


def _check(name: str, value: float | None, allowed: _Range) -> None:
    if value is None or allowed.holds(value):
        return
    shown = f"{value:g}" if isinstance(value, float) else f"{value}"
    raise ValueError(f"{name or 'a number'} is {shown}, which cannot be: it is {allowed.words}")
