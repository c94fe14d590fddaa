"""The columns of figures beside the tree of branches, as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from rich.segment import Segment
from rich.style import Style

from playground.domain.branch_rows import BranchRow, logprob_text
from playground.widgets.bars import UNKNOWN, fit, probability, thin_bar

GAP: Final = 2
"""Cells before each column."""
_LEAST_TEXT: Final = 30
_CONTINUED: Final = "»"
_BAR: Final = 6


class Column(NamedTuple):
    """A figure of each branch."""

    title: str
    width: int
    rank: int
    """The lowest get room first."""
    text: Callable[[BranchRow], str]
    right: bool = True


def _figure(row: BranchRow, text: str) -> str:
    """A message alone has no figures; a reply whose figures nobody knows has a dash."""
    return text or (UNKNOWN if row.likelihood.tokens else "")


def _bar(row: BranchRow) -> str:
    share = probability(row.likelihood.per_token)
    return "" if share is None else thin_bar(share, _BAR)


_COLUMNS: Final = (
    Column("began as", 11, 1, lambda row: f"{row.how}{' ' + _CONTINUED if row.continued_at else ''}", right=False),
    Column("log-prob", 9, 0, lambda row: _figure(row, logprob_text(row.likelihood.logprob))),
    Column("/token", 6, 3, lambda row: _figure(row, logprob_text(row.likelihood.per_token))),
    Column("", _BAR, 6, _bar, right=False),
    Column("tokens", 6, 2, lambda row: f"{row.likelihood.tokens:,}" if row.likelihood.tokens else ""),
    Column("ended by", 12, 4, lambda row: row.ending, right=False),
    Column("model", 16, 5, lambda row: row.model, right=False),
)


def columns_for(width: int) -> list[Column]:
    """The columns there is room for beside the text, the most telling first."""
    room, kept = width - 3 - max(_LEAST_TEXT, width * 2 // 5), set()
    for column in sorted(_COLUMNS, key=lambda column: column.rank):
        if column.width + GAP > room:
            break
        kept.add(column)
        room -= column.width + GAP
    return [column for column in _COLUMNS if column in kept]


def cells_of(columns: Sequence[Column], texts: Sequence[str], style: Style) -> list[Segment]:
    """A text for each column, in its width."""
    cells = []
    for column, text in zip(columns, texts, strict=True):
        cell = fit(text, column.width)
        cells.append(Segment(" " * GAP + (cell.rstrip().rjust(column.width) if column.right else cell), style))
    return cells
