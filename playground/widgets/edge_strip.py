"""A whole transcript at a glance: a strip beside it in which every row stands for some of its lines.

It reads what the token view has drawn already, the style of each token and the lines they stand on, so that it shows
whatever the colours of the transcript tell. What was summed up once is kept: more text costs what is new.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from playground.widgets.bars import EIGHTHS
from playground.widgets.colour_scale import GUESSED, LEVELS
from playground.widgets.token_layout import MIN_WRAP, Line
from playground.widgets.token_view import TokenView

GROWING_SECONDS: Final = 0.5
"""Least time between two looks at a transcript whose end is followed as it grows."""
SCROLLED_SECONDS: Final = 0.15
"""The same for one that a person scrolls."""
POWER: Final = 6
"""Of the mean that stands for a stretch: near to its highest surprise, yet how many there are still counts."""
_LEVEL: Final = [style % GUESSED if style % GUESSED < LEVELS else None for style in range(256)]
"""By the style of a token its level on the scale; None for one that nothing was measured for."""
TOOLTIP: Final = """\
The whole conversation from top to bottom, in the colours of its tokens: a long bar is a surprising stretch.
The lighter part is what is in sight. A click goes to the most surprising token there."""


class LineSums:
    """How surprising the lines of a view are, summed up from its top.

    The surprise of a token is 0 for the calmest level of the scale up to `LEVELS - 1`. Powers are summed, so that one
    very surprising token among calm ones is not lost in their mean.
    """

    def __init__(self, view: TokenView) -> None:
        self._view = view
        self._lines: list[Line] = []
        """The lines that are summed up, to see which of them are still there, and the one behind them."""
        self._powers = [0]
        """Sum of the powers of all lines above each line; one longer than the lines that are summed up."""
        self._counts = [0]
        """Measured tokens in the same lines."""

    def forget(self) -> None:
        """The styles of tokens have changed."""
        self._lines = []
        self._powers, self._counts = [0], [0]

    def update(self) -> None:
        """Take in the lines that are new. The last line of a view is open, so it is summed up anew each time."""
        lines = self._view.wrapping.lines
        keep = self._still_there(lines)
        del self._lines[keep:], self._powers[keep + 1 :], self._counts[keep + 1 :]
        powers, counts = self._powers[-1], self._counts[-1]
        styles = self._view.store.styles
        for line in lines[keep:]:
            before = -1
            for item, _, _ in line.pieces:
                level = _LEVEL[styles[item]]
                if level is not None and item != before:
                    powers += (LEVELS - 1 - level) ** POWER
                    counts += 1
                before = item
            self._powers.append(powers)
            self._counts.append(counts)
        self._lines += lines[keep:]

    def _still_there(self, lines: Sequence[Line]) -> int:
        """How many lines from the top are those that were summed up, the last one that is the same left out.

        Lines are dropped from the end and made anew, and only the last of those that stayed can have changed.
        """
        low, high = 0, min(len(self._lines), len(lines))
        while low < high:
            middle = (low + high) // 2
            if lines[middle] is self._lines[middle]:
                low = middle + 1
            else:
                high = middle
        return max(0, low - 1)

    def surprise(self, top: int, bottom: int) -> float | None:
        """Power mean of the surprise in the lines from `top` to before `bottom`, 0 to `LEVELS - 1`.

        None where nothing was measured.
        """
        last = len(self._counts) - 1
        top, bottom = min(top, last), min(bottom, last)
        count = self._counts[bottom] - self._counts[top]
        return math.pow((self._powers[bottom] - self._powers[top]) / count, 1 / POWER) if count else None


class EdgeStrip(Widget):
    """Stands at the edge of a token view and shows all of it; in a narrow pane it takes one column, or goes."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"edge-strip--sight"}
    DEFAULT_CSS = """
    EdgeStrip {
        width: 5%;
        max-width: 2;
        height: 1fr;
        pointer: pointer;
        & > .edge-strip--sight { background: $foreground 20%; }
    }
    """

    def __init__(self, view: TokenView, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tooltip = Content(TOOLTIP)
        self._view = view
        self._sums = LineSums(view)
        self._styles: list[Style] = []
        self._rows: list[tuple[int, bool]] = []
        """Of each row the surprise, -1 for none, and whether it is in sight."""
        self._looked = 0.0
        self._timer: Timer | None = None

    @property
    def rows(self) -> Sequence[tuple[int, bool]]:
        """For each row its surprise, 0 to `LEVELS - 1` or -1 where nothing was measured, and whether it is in sight."""
        return self._rows

    def on_mount(self) -> None:
        """The part in sight moves with the view."""
        self.watch(self._view, "scroll_y", self.look_soon, init=False)

    def set_palette(self, styles: Sequence[Style]) -> None:
        """Draw in the colours that the first `LEVELS` of these styles have behind their text."""
        self._styles = [Style(color=style.bgcolor) for style in styles[:LEVELS]]
        self.refresh()

    def forget(self) -> None:
        """The styles of tokens have changed."""
        self._sums.forget()
        self.look_soon()

    def look_soon(self) -> None:
        """Look at the view again, a few times a second at most, however often this is called."""
        if self._timer is None and self.is_mounted:
            pause = GROWING_SECONDS if self._view.follow else SCROLLED_SECONDS
            wait = self._looked + pause - time.monotonic()
            self._timer = self.set_timer(max(wait, 0.01), self._look)

    def on_resize(self) -> None:
        """Other rows stand for other lines."""
        self.look_soon()

    def _look(self) -> None:
        """Paint the rows that have changed."""
        self._timer, self._looked = None, time.monotonic()
        height = self.size.height
        if not height or not self.size.width:
            return
        room = self._view.scrollable_content_region.width - 1
        if room >= MIN_WRAP and room != self._view.wrapping.wrap:
            self.look_soon()  # the text has another width and will be wrapped anew
        self._sums.update()
        rows = [self._row(y, height) for y in range(height)]
        old, self._rows = self._rows, rows
        if len(old) != len(rows):
            self.refresh()
            return
        changed = [Region(0, y, self.size.width, 1) for y, row in enumerate(rows) if row != old[y]]
        if changed:
            self.refresh(*changed)

    def _row(self, y: int, height: int) -> tuple[int, bool]:
        top, bottom = self.lines_of(y, height)
        surprise = self._sums.surprise(top, bottom)
        scroll, window = self._view.scroll_offset.y, self._view.scrollable_content_region.height
        return -1 if surprise is None else round(surprise), top < scroll + window and bottom > scroll

    def lines_of(self, y: int, height: int) -> tuple[int, int]:
        """The lines a row stands for, the second one not among them: as many a row as it takes to have them all."""
        total = max(height, len(self._view.wrapping.lines))
        top = y * total // height
        return top, max(top + 1, (y + 1) * total // height)

    def render_line(self, y: int) -> Strip:
        """One row: the longer, the more surprising."""
        width, base = self.size.width, self.rich_style
        level, in_sight = self._rows[y] if y < len(self._rows) else (-1, False)
        if in_sight and self._view.max_scroll_y > 0:
            base = self.get_component_rich_style("edge-strip--sight")
        if level < 0 or len(self._styles) < LEVELS:
            return Strip.blank(width, base)
        full, part = divmod(max(1, round(level / (LEVELS - 1) * width * 8)), 8)
        bar = "█" * full + (EIGHTHS[part] if part else "")
        return Strip([Segment(bar.ljust(width)[:width], base + self._styles[LEVELS - 1 - level])], width)

    def on_click(self, event: events.Click) -> None:
        """Go to the most surprising token of the stretch under the mouse."""
        event.stop()
        view = self._view
        top, bottom = self.lines_of(event.y, max(1, self.size.height))
        item = self._most_surprising(top, bottom)
        if item is not None:
            line = view.wrapping.line_of(item)
            if not view.scroll_offset.y <= line < view.scroll_offset.y + view.scrollable_content_region.height:
                middle = max(0, line - view.scrollable_content_region.height // 2)
                view.scroll_to_item(view.wrapping.lines[middle].first_item)
            view.move_to(item)
        elif top < len(view.wrapping.lines) and view.wrapping.lines[top].pieces:
            view.scroll_to_item(view.wrapping.lines[top].first_item)
        view.focus()

    def _most_surprising(self, top: int, bottom: int) -> int | None:
        styles, refs = self._view.store.styles, self._view.store.refs
        items = [item for line in self._view.wrapping.lines[top:bottom] for item, _, _ in line.pieces]
        levels = {
            item: level for item in items if refs[item] is not None and (level := _LEVEL[styles[item]]) is not None
        }
        return min(levels, key=levels.__getitem__, default=None)
