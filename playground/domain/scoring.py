"""How likely a model finds a text, and how two models differ about it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

import msgspec

from playground.domain.errors import BadInput
from playground.domain.messages import Prompt
from playground.domain.tokens import Token

_LN2: Final = math.log(2)
_FLOOR: Final = 1e-9
"""Mass below this is rounding: sums of float32 carry no more."""


class KeepRows(msgspec.Struct, frozen=True, kw_only=True):
    """Where a first view leaves its distributions for a second one, and how much room they may take."""

    path: str
    """A file that is not there yet, in a folder of its owner's alone."""
    most_bytes: int
    """Keep nothing when all of them would take more."""
    spare_bytes: int
    """Keep nothing when less would be left on the disk."""


class ScoreRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be scored: a prompt by itself, or a reply behind a prompt."""

    prompt: Prompt
    parse_special: bool = True
    """Whether the names of control tokens in a `RawPrompt` stand for them; a conversation's always do."""
    reply_ids: tuple[int, ...] = ()
    reply_text: str = ""
    """A reply as text, for one that another model wrote; goes behind `reply_ids`."""
    only_reply: bool = False
    """Leave the prompt's own tokens out; where its computation is cached, it costs nothing then."""
    top: int = 10
    """How many candidates are kept for each token."""
    ids: tuple[int, ...] = ()
    """The very tokens to score, e.g. as another model had them: prompt and reply are then looked at no more."""
    context: int = 0
    """How many of `ids` at the start are only read, and not reported on."""
    most: int = 0
    """Take no more tokens than this from the start, those of the prompt included; 0: all."""
    keep: KeepRows | None = None
    """Keep the whole distribution before each token."""
    against: str = ""
    """A file that another model's score of the same tokens has left: tell the divergence from it."""


class Score(msgspec.Struct, frozen=True, kw_only=True, tag="score"):
    """A text as a model sees it. All sums are over the tokens that have a log-probability."""

    tokens: tuple[Token, ...]
    """`prob` and `stages` are empty: no sampler has any part in this. The very first token of a text has no
    log-probability, since nothing stands before it."""
    scored: int
    """Tokens with a log-probability."""
    total_logprob: float
    """Sum of their log-probabilities, natural log."""
    bytes_scored: int
    """Bytes of text that these tokens stand for; a control token stands for none."""
    model: str = ""
    recomputed: bool = False
    """True when a prompt before the scored part was computed again, because this model's memory cannot be shared."""
    note: str = ""
    divergences: tuple[float | None, ...] = ()
    """For each token, how far this model's distribution is from the one in `ScoreRequest.against`: the
    Kullback-Leibler divergence over the whole vocabulary, in bits. Empty when that is not known."""
    no_rows: str = ""
    """In a few words why distributions were not kept, or not compared; empty when nothing is missing."""

    @property
    def mean_logprob(self) -> float | None:
        """Mean log-probability a token, natural log; None when nothing could be scored."""
        return self.total_logprob / self.scored if self.scored else None

    @property
    def mean_surprisal(self) -> float | None:
        """Mean surprisal in bits a token; None when nothing could be scored."""
        return -self.total_logprob / _LN2 / self.scored if self.scored else None

    @property
    def perplexity(self) -> float | None:
        """Exponential of the mean negative log-probability a token; None when nothing could be scored."""
        return math.exp(min(700.0, -self.total_logprob / self.scored)) if self.scored else None

    @property
    def bits_per_byte(self) -> float | None:
        """Surprisal in bits of all scored tokens by the bytes they stand for: comparable across tokenizers."""
        return -self.total_logprob / _LN2 / self.bytes_scored if self.bytes_scored else None


def sum_up(
    tokens: Iterable[Token],
    *,
    model: str = "",
    recomputed: bool = False,
    note: str = "",
    divergences: tuple[float | None, ...] = (),
    no_rows: str = "",
) -> Score:
    """A score with its sums."""
    kept = tuple(tokens)
    scored = [(token.logprob, len(token.piece)) for token in kept if token.logprob is not None]
    return Score(
        tokens=kept,
        scored=len(scored),
        total_logprob=math.fsum(logprob for logprob, _ in scored),
        bytes_scored=sum(size for _, size in scored),
        model=model,
        recomputed=recomputed,
        note=note,
        divergences=divergences,
        no_rows=no_rows,
    )


class ScoreDifference(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One token under two models; differences are the second less the first."""

    index: int
    id: int | None
    piece: bytes
    logprob: float | None
    """Difference of the log-probabilities, natural log."""
    rank: int | None
    """Difference of the ranks: above 0, the second model puts the token further down."""
    kl_kept: float | None
    """Kullback-Leibler divergence of the second from the first in bits, sum of p log2(p/q), over the candidates that
    both have kept and one bucket for all the rest. A lower bound of the divergence over the whole vocabulary."""
    kept_mass: float | None
    """How much of the first model's probability those candidates hold: near 1 the bound is tight."""
    kl: float | None = None
    """The divergence over the whole vocabulary, in bits; None when only the bound is known."""

    @property
    def bits(self) -> float | None:
        """Difference of the log-probabilities in bits."""
        return None if self.logprob is None else self.logprob / _LN2

    @property
    def kl_text(self) -> str:
        """The divergence in bits for a person; a bound begins with ≥. Empty when nothing is known."""
        return _divergence_text(self.kl, self.kl_kept, 4)


class ScoreComparison(msgspec.Struct, frozen=True, kw_only=True):
    """The same tokens under two models, quantisations or KV cache types."""

    first: str
    second: str
    tokens: tuple[ScoreDifference, ...]
    mean_logprob: float | None
    """Mean difference of the log-probabilities, second less first."""
    mean_kl_kept: float | None
    """Mean of `kl_kept`, in bits a token."""
    same_best: float | None
    """Share of the positions at which both find the same token the most likely."""
    mean_kl: float | None = None
    """Mean divergence over the whole vocabulary, in bits a token; None when only the bound is known."""
    why_bound: str = ""
    """In a few words why only the bound is known; empty when the divergence is."""

    @property
    def mean_bits(self) -> float | None:
        """Mean difference of the log-probabilities in bits, second less first."""
        return None if self.mean_logprob is None else self.mean_logprob / _LN2

    @property
    def kl_text(self) -> str:
        """The mean divergence in bits for a person; a bound begins with ≥. Empty when nothing is known."""
        return _divergence_text(self.mean_kl, self.mean_kl_kept, 4)


def _divergence_text(whole: float | None, bound: float | None, digits: int) -> str:
    if whole is not None:
        return f"{whole:.{digits}f}"
    return "" if bound is None else f"≥ {bound:.{digits}f}"


def surprises(score: Score, count: int) -> list[Token]:
    """The tokens that the model found the least likely, the least likely first."""
    known = [token for token in score.tokens if token.logprob is not None]
    return sorted(known, key=lambda token: (token.logprob, token.index))[:count]


def largest_differences(comparison: ScoreComparison, count: int) -> list[ScoreDifference]:
    """The tokens about which two models differ the most, by the size of the difference, the largest first."""
    known = [one for one in comparison.tokens if one.logprob]
    return sorted(known, key=lambda one: (-abs(one.logprob or 0.0), one.index))[:count]


def compare_scores(first: Score, second: Score) -> ScoreComparison:
    """Compare two scores token by token.

    Raises BadInput when the tokens differ: then the models split texts differently, or the texts are not the same.
    """
    ids = [(token.id, token.piece, token.special) for token in first.tokens]
    if ids != [(token.id, token.piece, token.special) for token in second.tokens]:
        raise BadInput(
            "The two scores are not of the same tokens.",
            "Compare models that share a tokenizer, on the same text. Across tokenizers, compare bits per byte.",
        )
    pairs = list(zip(first.tokens, second.tokens, strict=True))
    whole = second.divergences or (None,) * len(pairs)
    differences = tuple(_difference(a, b, kl) for (a, b), kl in zip(pairs, whole, strict=True))
    best = [a.top[0].id == b.top[0].id for a, b in pairs if a.top and b.top]
    return ScoreComparison(
        first=first.model,
        second=second.model,
        tokens=differences,
        mean_logprob=_mean(one.logprob for one in differences),
        mean_kl_kept=_mean(one.kl_kept for one in differences),
        same_best=sum(best) / len(best) if best else None,
        mean_kl=_mean(one.kl for one in differences),
        why_bound="" if second.divergences else first.no_rows or second.no_rows,
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _difference(a: Token, b: Token, whole: float | None) -> ScoreDifference:
    kl, mass = kl_kept(a, b)
    return ScoreDifference(
        index=a.index,
        id=a.id,
        piece=a.piece,
        logprob=None if a.logprob is None or b.logprob is None else b.logprob - a.logprob,
        rank=None if a.rank is None or b.rank is None else b.rank - a.rank,
        kl_kept=kl,
        kept_mass=mass,
        kl=whole,
    )


def kl_kept(a: Token, b: Token) -> tuple[float | None, float | None]:
    """Divergence of `b` from `a` in bits over what both kept, the rest as one bucket; and the mass `a` has there.

    By the data processing inequality, putting tokens into one bucket never makes the divergence larger.
    """
    other = {candidate.id: candidate.logprob for candidate in b.top}
    shared = [
        (candidate.logprob, other[candidate.id])
        for candidate in a.top
        if candidate.id is not None and candidate.id in other
    ]
    known = [(p, q) for p, q in shared if p is not None and q is not None]
    if not a.top or not b.top:
        return None, None
    terms = [math.exp(p) * (p - q) for p, q in known if p > -math.inf]
    mass = math.fsum(math.exp(p) for p, _ in known)
    rest, other_rest = 1.0 - mass, 1.0 - math.fsum(math.exp(q) for _, q in known)
    if rest > _FLOOR and rest != other_rest:
        terms.append(rest * math.log(rest / max(other_rest, _FLOOR)))
    return max(0.0, math.fsum(terms) / _LN2), min(1.0, mass)
