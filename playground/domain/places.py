"""Where in a reply to look: tokens at which the model was undecided, chose low, hardly chose, or was turned.

What is telling is decided here, with the reason in words; how one gets there is the screen's business.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from playground.domain.display import display_line, visible_piece
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Mark, Turn

LEAST_BITS: Final = 2.0
"""Entropy from which on a token can be telling: as undecided as between four equally likely tokens."""
TOP_SHARE: Final = 0.1
"""Of a reply's tokens, only this share with the highest entropy counts: what is usual in a reply tells nothing."""
LOW_RANK: Final = 4
"""From this rank on a choice is a low one: the first three are what one expects of sampling."""
NEAR: Final = 1.25
"""Two tokens tie when neither is more than this many times as likely as the other."""
LEAST_TIE: Final = 0.1
"""Least chance (0 to 1) of both in a tie. Where all are less likely than that, many nearly tie: that is entropy."""


class Kind(StrEnum):
    """What makes a token worth a look."""

    ENTROPY = "entropy"
    RANK = "rank"
    TIE = "tie"
    CHANGE = "change"


ANY: Final = "any"
"""In place of a kind: all of them."""

_NONE: Final = {
    Kind.ENTROPY: (
        f"No token here is undecided: none has an entropy of {LEAST_BITS:g} bits or more.",
        "The model gave no entropy with these tokens.",
    ),
    Kind.RANK: (
        f"Every token here was among the {LOW_RANK - 1} likeliest of its place.",
        "The model gave no ranks and no candidates with these tokens.",
    ),
    Kind.TIE: ("No token here hardly beat another one.", "The model gave no candidates with these tokens."),
    Kind.CHANGE: ("No parameter changed in these replies.", "No parameter changed in these replies."),
}


class Place(NamedTuple):
    """A telling token of a reply."""

    at: int
    """Index of the token in the reply."""
    reasons: tuple[tuple[Kind, str], ...]
    """What makes it telling: of what kind it is, and the same in a few words."""

    def is_of(self, kind: str) -> bool:
        """True for a token of this kind, and for any token with ANY."""
        return kind == ANY or any(own == kind for own, _ in self.reasons)

    def why(self, first: str = "any") -> str:
        """All reasons in words, those of the kind that was asked for first."""
        return " · ".join(why for _, why in sorted(self.reasons, key=lambda reason: reason[0] != first))


class Found(NamedTuple):
    """Where to go."""

    turn: int
    """Id of the reply's turn."""
    place: Place
    number: int
    """Which of all such places it is, from 1."""
    total: int
    wrapped: bool
    """True when the search went over the end, or the beginning, of the conversation."""


def places_of(tokens: Sequence[Token], marks: Iterable[Mark] = ()) -> list[Place]:
    """All telling tokens of a reply, in their order. Costs a look at each token, a few microseconds.

    A chunk, as a server sends text, is no token: nothing of it is telling but a change of parameters.
    """
    undecided = undecided_from(tokens)
    changes: dict[int, list[str]] = {}
    for mark in marks:
        changes.setdefault(mark.at, []).append(display_line(mark.text))
    places: list[Place] = []
    for index, token in enumerate(tokens):
        reasons = [] if token.chunk else _reasons(token, undecided)
        if index in changes:
            reasons.append((Kind.CHANGE, f"changed here: {', '.join(changes[index])}"))
        if reasons:
            places.append(Place(index, tuple(reasons)))
    return places


def undecided_from(tokens: Iterable[Token]) -> float:
    """Entropy in bits from which on a token of this reply is undecided: its upper decile, LEAST_BITS at least."""
    known = sorted(token.entropy for token in tokens if token.entropy is not None and not token.chunk)
    if not known:
        return LEAST_BITS
    return max(LEAST_BITS, known[len(known) - max(1, round(TOP_SHARE * len(known)))])


def _reasons(token: Token, undecided: float) -> list[tuple[Kind, str]]:
    found: list[tuple[Kind, str]] = []
    if token.entropy is not None and token.entropy >= undecided:
        found.append((Kind.ENTROPY, f"undecided: {token.entropy:.1f} bits"))
    low = token.rank if token.rank is not None else rank_at_least(token)
    if low is not None and low >= LOW_RANK:
        found.append((Kind.RANK, f"low choice: {'' if token.rank is not None else 'at best '}{_ordinal(low)}"))
    rival = tie(token)
    if rival is not None:
        found.append((Kind.TIE, f"near tie with {_quoted(rival)}"))
    return found


def rank_at_least(token: Token) -> int | None:
    """The best rank the token can have by the candidates that came with it; None where none came."""
    if token.logprob is None or not token.top:
        return None
    above = [one for one in token.top if one.logprob is not None and one.logprob > token.logprob]
    return 1 + len(above)


def tie(token: Token) -> Candidate | None:
    """The candidate that was as likely as the token, but for a factor of NEAR; None without one.

    It is the chance after the samplers that counts. Where they left one token alone, or nobody told what they left,
    it is the model's own probability: that is what greedy decides by.
    """
    drawn = token.prob if token.prob is not None and token.prob < 1.0 else None
    chosen, chance = (drawn, _after) if drawn is not None else (_exp(token.logprob), _before)
    if chosen is None or chosen < LEAST_TIE:
        return None
    rival = _best_other(token, chance)
    share = chance(rival) if rival is not None else None
    near = share is not None and share >= LEAST_TIE and 1 / NEAR <= share / chosen <= NEAR
    return rival if near else None


def _best_other(token: Token, chance: Callable[[Candidate], float | None]) -> Candidate | None:
    own = False
    best: tuple[float, Candidate] | None = None
    for candidate in token.top:
        if not own and _is(candidate, token):
            own = True
            continue
        value = chance(candidate)
        if value is not None and (best is None or value > best[0]):
            best = value, candidate
    return best[1] if best is not None else None


def _is(candidate: Candidate, token: Token) -> bool:
    if candidate.id is not None and token.id is not None:
        return candidate.id == token.id
    return candidate.piece == (token.special.encode() if token.special else token.piece)


def _after(candidate: Candidate) -> float | None:
    return candidate.prob


def _before(candidate: Candidate) -> float | None:
    return _exp(candidate.logprob)


def _exp(logprob: float | None) -> float | None:
    return None if logprob is None else math.exp(min(0.0, logprob))


def _quoted(candidate: Candidate) -> str:
    shown = visible_piece(candidate.piece)
    return f"‘{shown if len(shown) <= 16 else shown[:15] + '…'}’"


def _ordinal(number: int) -> str:
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


class PlaceIndex:
    """The places of several replies; a reply that did not grow since the last look costs nothing."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[tuple[int, int, int], list[Place]]] = {}

    def of(self, turn: Turn, shown: int | None = None) -> list[Place]:
        """Places among the first `shown` tokens of a turn, by default all."""
        count = len(turn.tokens) if shown is None else min(shown, len(turn.tokens))
        newest = id(turn.tokens[count - 1]) if count else 0
        state = (count, newest, len(turn.marks))
        known = self._known.get(turn.id)
        if known is None or known[0] != state:
            known = self._known[turn.id] = state, places_of(turn.tokens[:count], turn.marks)
        return known[1]


def find(
    places: Mapping[int, Sequence[Place]], kind: str, step: int, start: tuple[int, int] | None, *, at: bool = False
) -> Found | None:
    """The next telling token of a conversation, or the one before; over its end it goes on at the other one.

    Args:
        places: By turn id, in the order of the conversation.
        kind: A `Kind`, or ANY.
        step: 1 for the next, -1 for the one before.
        start: Turn id and index of the token to go from; None: from outside, so that the first (or last) is found.
        at: Whether the token at `start` itself may be the answer.

    Returns:
        None when there is none in the whole conversation.
    """
    order = {turn: number for number, turn in enumerate(places)}
    wanted = [
        (order[turn], place.at, turn, place) for turn, found in places.items() for place in found if place.is_of(kind)
    ]
    if not wanted:
        return None
    from_here = (order.get(start[0], len(order)), start[1]) if start is not None else None
    if from_here is None:
        number = 0 if step > 0 else len(wanted) - 1
        wrapped = False
    else:
        ahead = [
            number
            for number, (turn, index, _, _) in enumerate(wanted)
            if (((turn, index) > from_here) if step > 0 else ((turn, index) < from_here))
            or (at and (turn, index) == from_here)
        ]
        wrapped = not ahead
        number = (ahead[0] if step > 0 else ahead[-1]) if ahead else (0 if step > 0 else len(wanted) - 1)
    _, _, turn_id, place = wanted[number]
    return Found(turn_id, place, number + 1, len(wanted), wrapped)


def why_none(tokens: Iterable[Token], kind: str) -> str:
    """A sentence for a conversation in which no token of this kind was found.

    Args:
        tokens: All tokens of the conversation.
        kind: A `Kind`, or ANY.
    """
    seen = False
    known = dict.fromkeys(Kind, False)
    for token in tokens:
        seen = True
        if token.chunk:
            continue
        known[Kind.ENTROPY] = known[Kind.ENTROPY] or token.entropy is not None
        known[Kind.RANK] = known[Kind.RANK] or token.rank is not None or rank_at_least(token) is not None
        known[Kind.TIE] = known[Kind.TIE] or len(token.top) > 1
    if not seen:
        return "There is no reply yet."
    if kind != ANY:
        told, untold = _NONE[Kind(kind)]
        return told if known[Kind(kind)] or kind == Kind.CHANGE else untold
    if not any(known.values()):
        return "The model gave no figures with these tokens, and no parameter changed."
    return "No token stands out here: none is undecided, a low choice or a near tie, and no parameter changed."
