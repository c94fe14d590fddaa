"""How one candidate is drawn: its text, two probabilities, and what a person or a sampler did to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from playground.domain.biases import BAN
from playground.domain.display import visible_piece
from playground.domain.tokens import Candidate, Token
from playground.widgets.bars import bar, fit, percent, probability, stage_label, thin_bar

SIGNS = 3
"""Cells in front of a piece: the digit that takes it, whether it was chosen, what a person did to it."""
BANNING_STAGE = stage_label("logit_bias")
"""It removes nothing but what is banned."""
ROW_PARTS = ("digit", "piece", "chosen", "bar", "after", "cut", "mark", "bent")


class Columns(NamedTuple):
    """Widths in cells; 0 leaves a column out."""

    piece: int
    raw_bar: int
    raw: int
    after_bar: int
    after: int


def columns(width: int) -> Columns:
    """How a row of `width` cells is divided.

    The bar of the second probability goes first, then that of the first one, at last the second figure.
    """
    raw, after = 7, 8 if width < 40 else 10
    rest = width - SIGNS - raw - after
    if rest < 6:
        return Columns(max(1, width - SIGNS - raw), 0, raw, 0, 0)
    piece = min(20, max(min(9, rest), rest * 3 // 5))
    if width < 47:
        return Columns(piece, rest - piece, raw, 0, after)
    first = (rest - piece) * 3 // 5
    return Columns(piece, first, raw, rest - piece - first, after)


def chosen_index(token: Token) -> int:
    """Which of its candidates a token became; -1 when it is not among them."""
    piece = token.special.encode() or token.piece
    for index, candidate in enumerate(token.top):
        if candidate.id == token.id if token.id is not None else candidate.piece == piece:
            return index
    return -1


def digit_of(index: int) -> str:
    """The digit that takes the candidate at this index; a space from the eleventh on."""
    return str((index + 1) % 10) if index < 10 else " "


class Row(NamedTuple):
    """Everything a row is drawn from, the cursor aside."""

    candidate: Candidate
    chosen: bool
    cut: str
    """The stage that removed it; empty when it is left."""
    bias: float = 0.0
    """What a person adds to its logit."""
    digit: str = " "
    """The key that takes it."""


def candidate_row(row: Row, width: int, parts: Mapping[str, Style]) -> Strip:
    """A row of `width` cells; `parts` has a style for each of `ROW_PARTS`."""
    candidate, chosen, cut, bias, digit = row
    cut = "banned" if cut == BANNING_STAGE else cut
    cols = columns(width)
    text = parts["chosen"] if chosen else parts["cut"] if cut else parts["piece"]
    raw = probability(candidate.logprob)
    bent = f" {bias:+g}" if bias and bias != BAN and cols.piece > 9 else ""
    segments = [
        Segment(digit, parts["digit"]),
        Segment("▸" if chosen else " ", parts["mark"]),
        Segment("✗" if bias == BAN else "↑" if bias > 0 else "↓" if bias < 0 else " ", parts["bent"]),
        Segment(fit(visible_piece(candidate.piece), cols.piece - 1 - len(bent)), text),
        Segment(f"{bent} ", parts["bent"]),
        Segment(bar(raw or 0.0, cols.raw_bar), parts["cut" if cut else "bar"]),
        Segment(percent(raw, cols.raw), text),
    ]
    if cols.after_bar:
        segments.append(Segment(" " + thin_bar(candidate.prob or 0.0, cols.after_bar - 1), parts["after"]))
    if cols.after:
        after = fit(cut, cols.after - 1).strip().rjust(cols.after) if cut else percent(candidate.prob, cols.after)
        segments.append(Segment(after, parts["cut" if cut else "after"]))
    return Strip(segments).adjust_cell_length(width, parts["piece"])
