"""Finding tokens by their place on the screen: what mouse, cursor keys and text selection ask for."""

from __future__ import annotations

from typing import Protocol

from playground.widgets.token_layout import TokenLayout
from playground.widgets.token_store import TokenStore


class Place(Protocol):
    """A character of a line, as Textual's text selection counts."""

    @property
    def x(self) -> int:
        """Characters to the left of it."""

    @property
    def y(self) -> int:
        """Lines above it."""


def token_at(store: TokenStore, wrapping: TokenLayout, y: int, x: int) -> int | None:
    """Token on cell `x` of line `y`; None where there is none, or something that is no token."""
    item = wrapping.item_at(y, x)
    return None if item is None or store.refs[item] is None else item


def token_near(store: TokenStore, wrapping: TokenLayout, y: int, x: int, step: int) -> int | None:
    """Token closest to cell `x` on the first line that has one, from line `y` on upwards (-1) or downwards (1)."""
    y = max(0, min(y, len(wrapping.lines) - 1))
    while 0 <= y < len(wrapping.lines):
        best, distance, left = None, 0, 0
        for item, _, width in wrapping.lines[y].pieces:
            away = max(left - x, x - left - width + 1, 0)
            if width and store.refs[item] is not None and (best is None or away < distance):
                best, distance = item, away
            left += width
        if best is not None:
            return best
        y += step
    return None


def shown_for(wrapping: TokenLayout, item: int) -> int | None:
    """The item itself if it has cells, else the next that has, else the one before; half a character has none."""
    y = wrapping.line_of(item)
    below = next((other for other in wrapping.shown_items(y, 1) if other >= item), None)
    return below if below is not None else next((other for other in wrapping.shown_items(y, -1) if other < item), None)


def items_between(wrapping: TokenLayout, stretch: tuple[Place | None, Place | None], count: int) -> range:
    """Whole items touched by a stretch of text; None as its start or end is that of all `count` items."""
    (start, end), first, last = stretch, 0, count - 1
    if start is not None:
        found = wrapping.item_at(start.y, start.x, cells=False)
        first = next(wrapping.shown_items(start.y + 1, 1), count) if found is None else found
    if end is not None:
        found = wrapping.item_at(end.y, end.x - 1, cells=False)
        last = next(wrapping.shown_items(min(end.y, len(wrapping.lines) - 1), -1), -1) if found is None else found
    return range(first, last + 1)
