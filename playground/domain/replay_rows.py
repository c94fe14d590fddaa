"""What two runs of a request thought where they part, side by side: rows of text for a screen or a terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from playground.domain.display import display_line, display_text, visible_piece
from playground.domain.repeating import Difference
from playground.domain.tokens import Candidate, Token, join_text

_UNKNOWN: Final = "–"
_TAIL: Final = 60
"""Characters of the common text that are shown."""
_AFTER: Final = 100
"""And of what follows in either run."""
_Key = int | bytes
"""Names a candidate: its id in the vocabulary, its bytes where a server tells no id."""


class CandidateRow(NamedTuple):
    """One candidate as it stood in both runs. Figures are texts, "–" where a run does not tell."""

    token: str
    """In which nothing is invisible."""
    then: tuple[str, str]
    """Log-probability, and chance after all samplers ("cut" where one removed it), when it was written."""
    now: tuple[str, str]
    change: str
    """Of the log-probability."""
    was_chosen: bool = False
    is_chosen: bool = False


HEAD: Final = CandidateRow("candidate", ("logprob", "chance"), ("logprob", "chance"), "change")


class Parting(NamedTuple):
    """The text around the first difference, on one line each."""

    before: str
    """The end of what both runs have."""
    then: str
    """How it went on when it was written."""
    now: str


def candidate_rows(difference: Difference) -> list[CandidateRow]:
    """The candidates of both runs, what was likeliest in either one first; none where neither run tells any."""
    then, now = _candidates(difference.before), _candidates(difference.now)

    def likely(key: _Key) -> float:
        figures = [one.logprob for one in (then.get(key), now.get(key)) if one is not None and one.logprob is not None]
        return max(figures, default=-math.inf)

    was, is_now = _chosen(difference.before), _chosen(difference.now)
    return [
        CandidateRow(
            token=visible_piece((then.get(key) or now[key]).piece),
            then=_figures(then.get(key)),
            now=_figures(now.get(key)),
            change=_change(then.get(key), now.get(key)),
            was_chosen=key == was,
            is_chosen=key == is_now,
        )
        for key in sorted({**then, **now}, key=likely, reverse=True)
    ]


def parting(
    before: Sequence[Token], now: Sequence[Token], difference: Difference, given: int, given_text: str = ""
) -> Parting:
    """The text where two runs part.

    Args:
        before: What was kept.
        now: What came this time.
        difference: The first place where they differ.
        given: How many tokens stood before the first of either run.
        given_text: And what they say: both runs have it.
    """
    at = difference.index - given
    # A server may cut the same text into other pieces: what both have ends at another index in each run.
    there = now.index(difference.now) if difference.now in now else len(now)
    common = given_text + join_text([token.piece for token in before[:at]])
    tail = display_line(common)
    return Parting(
        before=f"…{tail[-_TAIL:]}" if len(tail) > _TAIL else tail or "(nothing: it is the first token)",
        then=_begins(before[at:]),
        now=_begins(now[there:]),
    )


def _begins(tokens: Sequence[Token]) -> str:
    if not tokens:
        return "(the end)"
    text = tokens[0].special + join_text([token.piece for token in tokens])
    shown = display_text(text[:_AFTER]).replace("\n", "↵").replace("\t", "→")
    return f"{shown}…" if len(text) > _AFTER else shown


def _chosen(token: Token | None) -> _Key | None:
    if token is None:
        return None
    return (token.special.encode() or token.piece) if token.id is None else token.id


def _candidates(token: Token | None) -> dict[_Key, Candidate]:
    if token is None or (not token.top and token.logprob is None):
        return {}
    piece = token.special.encode() or token.piece
    every = (*token.top, Candidate(token.id, piece, token.logprob, token.prob, bool(token.special)))
    found: dict[_Key, Candidate] = {}
    for one in every:
        found.setdefault(one.piece if one.id is None else one.id, one)
    return found


def _figures(one: Candidate | None) -> tuple[str, str]:
    if one is None:
        return _UNKNOWN, _UNKNOWN
    return (
        _UNKNOWN if one.logprob is None else f"{one.logprob:.5f}",
        _UNKNOWN if one.prob is None else f"{one.prob:.2%}" if one.prob else "cut",
    )


def _change(then: Candidate | None, now: Candidate | None) -> str:
    if then is None or now is None or then.logprob is None or now.logprob is None:
        return _UNKNOWN
    return f"{now.logprob - then.logprob:+.1e}"
