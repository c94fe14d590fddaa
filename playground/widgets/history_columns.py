"""Replies of the history as cells: which columns there is room for, and what stands in them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from rich.cells import cell_len

from playground.domain.display import display_line
from playground.domain.history import Entry
from playground.domain.moments import local_time
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.status_bar import dollars

GAP: Final = 2
MIN_TEXT: Final = 24
"""Cells that the prompt needs at the least."""
_AMPLE_TEXT: Final = 44
"""Cells that it gets before columns that matter less get any."""
_LESS: Final = 3
"""The rank from which on they do."""
TODAY: Final = 5
"""Cells of a time of today."""
_ARROW: Final = " → "
_LEAST_PART: Final = 8
"""Cells below which the beginning of a prompt or a reply says nothing."""
_ENDS: Final = {
    "": "… open",
    "stop": "end",
    "length": "length",
    "stop_string": "string",
    "context": "context",
    "cancelled": "stopped",
    "content_filter": "filtered",
    "tool_use": "tool",
    "failed": "✗ failed",
}
"""Why a reply ended, in a word."""


class Column(NamedTuple):
    """One column beside the prompt."""

    title: str
    cells: int
    rank: int
    """What has the highest goes first when there is no room."""
    text: Callable[[Entry], str]
    right: bool = False


def when(entry: Entry) -> str:
    """The local time at which a reply began: "14:03" today, "31 Jan 14:03" this year, else "2025-01-31"."""
    began, now = local_time(entry.began_at), local_time(time.time())
    if began is None or now is None:
        return UNKNOWN
    if began.date() == now.date():
        return began.strftime("%H:%M")
    return began.strftime("%d %b %H:%M" if began.year == now.year else "%Y-%m-%d").removeprefix("0")


def ending(entry: Entry) -> str:
    """Why it ended, in a word."""
    return _ENDS.get(entry.stop, entry.stop)


def _cost(entry: Entry) -> str:
    return dollars(entry.cost)


def _speed(entry: Entry) -> str:
    return UNKNOWN if entry.tokens_per_second is None else f"{entry.tokens_per_second:,.0f}"


COLUMNS: Final = (
    Column("when", 12, 0, when),
    Column("model", 16, 1, lambda entry: display_line(entry.model) or UNKNOWN),
    Column("preset", 10, 5, lambda entry: display_line(entry.preset) or UNKNOWN),
    Column("tokens", 6, 2, lambda entry: f"{entry.tokens:,}", right=True),
    Column("cost", 8, 3, _cost, right=True),
    Column("tok/s", 5, 7, _speed, right=True),
    Column("end", 8, 4, ending),
    Column("from", 7, 6, lambda entry: display_line(entry.origin)),
)
BEFORE_TEXT: Final = ("when", "model", "preset")
"""Those that stand before the prompt."""


def columns_for(width: int, *, today: bool = False) -> tuple[tuple[Column, ...], int]:
    """The columns that a width has room for, and the cells that are left to the prompt; `today`: times are short."""
    columns = [one._replace(cells=TODAY) if today and one.title == "when" else one for one in COLUMNS]
    shown: set[str] = set()
    room = width - 2
    for column in sorted(columns, key=lambda column: column.rank):
        if column.cells + GAP > room - (MIN_TEXT if column.rank < _LESS else _AMPLE_TEXT):
            break
        shown.add(column.title)
        room -= column.cells + GAP
    return tuple(column for column in columns if column.title in shown), max(1, room)


def name_of(entry: Entry) -> str:
    """Its title and what tells it from others of its sweep; where that is known, the sweep's own name says no more."""
    own = entry.title if not entry.label or entry.title != f"sweep {entry.batch}" else ""
    return " · ".join(display_line(part) for part in (own, entry.label) if part)


def said(entry: Entry, cells: int) -> tuple[str, str, str]:
    """Title, prompt and beginning of the reply, in as many cells as there are.

    Replies to one prompt are told apart by how they begin: that has its place in every row, whatever the search, and a
    long prompt is shortened for it.
    """
    title = name_of(entry)
    prompt = display_line(entry.prompt)
    cut = f" +{entry.cut_short:,} cut short" if entry.cut_short else ""
    many = f" ×{entry.whole:,}{cut}" if entry.more else ""
    lead = f"{title or display_line(entry.batch)}{many} · " if title or many else ""
    reply = display_line(entry.reply)
    left = cells - cell_len(lead)
    if not reply or left < 2 * _LEAST_PART + cell_len(_ARROW):
        return lead, prompt, ""
    # The reply gets what the prompt leaves, and two fifths at the least, so far as it is that long.
    least = min(cell_len(reply), max(_LEAST_PART, left * 2 // 5)) + cell_len(_ARROW)
    if cell_len(prompt) > left - least:
        prompt = fit(prompt, left - least).rstrip()
    return lead, prompt, f"{_ARROW}{reply}"
