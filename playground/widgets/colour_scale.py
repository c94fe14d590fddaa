"""From what was measured at a token to the index of the style it is drawn in."""

from __future__ import annotations

import math
from enum import IntEnum, StrEnum
from typing import Final

from playground.domain.tokens import Token
from playground.domain.what_if import Verdict

LEVELS: Final = 32
"""Steps of the scale: 0 is the most surprising token, `LEVELS - 1` the calmest."""

FLOOR_PROBABILITY: Final = 0.001
"""At this probability and below the scale is at its surprising end."""
CEILING_BITS: Final = 8.0
"""At this entropy and above the scale is at its surprising end."""
CEILING_RANK: Final = 1000
"""At this rank and beyond the scale is at its surprising end."""

# Most tokens sit near the calm end, so that end gets more than its linear share of the levels.
_SPREAD: Final = 0.7


class ColourMode(StrEnum):
    """What the colour of a token tells."""

    PROBABILITY = "probability"
    ENTROPY = "entropy"
    RANK = "rank"
    OFF = "off"


class TokenStyle(IntEnum):
    """Indexes of the styles that follow the scale's `LEVELS` in a palette."""

    PLAIN = LEVELS
    """A token nothing was measured for, or any token when colours are off."""
    USER = LEVELS + 1
    HEADING_USER = LEVELS + 2
    HEADING_MODEL = LEVELS + 3
    MARK = LEVELS + 4
    """A place in the text where something changed, e.g. a parameter."""
    CUT = LEVELS + 5
    """A token that belongs to a stop string and not to the reply."""
    SPECIAL = LEVELS + 6
    """The name of a special token, which is not part of the text."""
    NOTE = LEVELS + 7
    """A remark of ours, e.g. why a reply ended."""
    THINKING = LEVELS + 8
    """What a model thought before it answered."""
    AGREES = LEVELS + 9
    """A token of a stretch that another reply has as well."""
    DIFFERS = LEVELS + 10
    """A token that only this reply has."""
    DIVERGED = LEVELS + 11
    """The place from which on a reply is another than those beside it."""
    STAYS = LEVELS + 12
    """A token that would come again for certain under other parameters."""
    OPEN = LEVELS + 13
    """One that could come again, or another."""
    GONE = LEVELS + 14
    """One that could not come."""
    UNSURE = LEVELS + 15
    """One of which that cannot be known."""


VERDICT_STYLES: Final = {
    Verdict.CERTAIN: TokenStyle.STAYS,
    Verdict.POSSIBLE: TokenStyle.OPEN,
    Verdict.IMPOSSIBLE: TokenStyle.GONE,
    Verdict.UNSURE: TokenStyle.UNSURE,
}
GUESSED: Final = 64
"""Added to the style of a token that was guessed ahead: the same colours, underlined."""
PALETTE_SIZE: Final = GUESSED + TokenStyle.PLAIN + 1
"""Styles of the scale and the named ones; behind them, from `GUESSED` on, those of guessed tokens."""


def level_of_probability(p: float | None) -> int:
    """Level for a probability from 0 to 1; PLAIN when it is unknown, or no number."""
    if p is None or math.isnan(p):
        return TokenStyle.PLAIN
    if p <= FLOOR_PROBABILITY:
        return 0
    return _level(math.log(min(p, 1.0)) / math.log(FLOOR_PROBABILITY))


def level_of_entropy(bits: float | None) -> int:
    """Level for an entropy in bits; PLAIN when it is unknown, or no number."""
    return TokenStyle.PLAIN if bits is None or math.isnan(bits) else _level(bits / CEILING_BITS)


def level_of_rank(rank: int | None) -> int:
    """Level for a rank counted from 1; PLAIN when it is unknown."""
    return TokenStyle.PLAIN if rank is None else _level(math.log(max(rank, 1)) / math.log(CEILING_RANK))


def level_of_token(token: Token, mode: ColourMode) -> int:
    """Style index of a token; in probability mode it is the model's own probability that counts.

    A chunk, as a server sends text, is no token: whatever was measured about it, no colour is right for all of it.
    """
    if token.chunk:
        return TokenStyle.PLAIN
    match mode:
        case ColourMode.PROBABILITY:
            return level_of_probability(None if token.logprob is None else math.exp(min(token.logprob, 0.0)))
        case ColourMode.ENTROPY:
            return level_of_entropy(token.entropy)
        case ColourMode.RANK:
            return level_of_rank(token.rank)
        case ColourMode.OFF:
            return TokenStyle.PLAIN


def _level(surprise: float) -> int:
    """Level for a surprise from 0 (none) to 1 (as large as the scale goes)."""
    share: float = min(max(surprise, 0.0), 1.0) ** _SPREAD
    return round((LEVELS - 1) * (1.0 - share))
