"""The columns of figures beside the tree of branches, as many as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from rich.segment import Segment
from rich.style import Style

from playground.domain.branch_rows import BranchRow, logprob_text
from playground.domain.branches import Likelihood
from playground.widgets.bars import UNKNOWN, fit, probability, thin_bar

GAP: Final = 2
"""Cells before each column."""
_LEAST_TEXT: Final = 29
_CONTINUED: Final = "»"
_BAR: Final = 6
_WHOLE: Final = "log-prob, whole reply"
_OWN: Final = "from fork"


class Column(NamedTuple):
    """A figure of each branch."""

    title: str
    width: int
    rank: int
    """The lowest get room first."""
    text: Callable[[BranchRow], str]
    right: bool = True
    group: str = ""
    """What it is about, with the columns beside it that say the same."""


def _figure(one: Likelihood, text: str) -> str:
    """A message alone has no figures; a reply whose figures nobody knows has a dash."""
    return text or (UNKNOWN if one.tokens else "")


def _sum(one: Likelihood) -> str:
    return _figure(one, logprob_text(one.logprob))


def _each(one: Likelihood) -> str:
    return _figure(one, logprob_text(one.per_token))


def _bar(row: BranchRow) -> str:
    share = probability(row.whole.per_token)
    return "" if share is None else thin_bar(share, _BAR)


def _own(figure: Callable[[Likelihood], str]) -> Callable[[BranchRow], str]:
    """A figure from the fork on, for what is a fork: of anything else it is that of the whole."""
    return lambda row: figure(row.likelihood) if row.forked else ""


_COLUMNS: Final = (
    Column("began as", 10, 1, lambda row: f"{row.how}{_CONTINUED if row.continued_at else ''}", right=False),
    Column("sum", 9, 0, lambda row: _sum(row.whole), group=_WHOLE),
    Column("/token", 6, 3, lambda row: _each(row.whole), group=_WHOLE),
    Column("", _BAR, 8, _bar, right=False, group=_WHOLE),
    Column("tokens", 6, 2, lambda row: f"{row.whole.tokens:,}" if row.whole.tokens else "", group=_WHOLE),
    Column("sum", 9, 4, _own(_sum), group=_OWN),
    Column("/token", 6, 6, _own(_each), group=_OWN),
    Column("ended by", 12, 5, lambda row: row.ending, right=False),
    Column("model", 16, 7, lambda row: row.model, right=False),
)


def columns_for(width: int) -> list[Column]:
    """The columns there is room for beside the text, the most telling first."""
    room, kept = width - 3 - max(_LEAST_TEXT, width * 3 // 10), set()
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


def groups_of(columns: Sequence[Column], style: Style) -> list[Segment]:
    """What the columns are about, each group over its own."""
    cells = []
    for name, group in groupby(columns, key=lambda column: column.group):
        width = sum(column.width + GAP for column in group) - GAP
        cells.append(Segment(" " * GAP + fit(name, width).rstrip().rjust(width), style))
    return cells
