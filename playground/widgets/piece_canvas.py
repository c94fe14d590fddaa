"""The drawing of a text as several tokenizers split it: a line for each, wrapped together."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from playground.domain.pieces import is_whole
from playground.widgets.bars import fit
from playground.widgets.piece_layout import BETWEEN, Band, Cell, Part, PieceLayout

_SLICE_S: Final = 0.008
"""How long the text is laid out before the screen has its turn."""
_LABELS: Final = ((110, 24), (76, 18), (0, 12))
"""Cells of the view from which on names have so many cells."""
_DIFFERENT: Final = "≠"


class Row(NamedTuple):
    """What one tokenizer made of the text."""

    name: str
    ids: Sequence[int]
    pieces: Sequence[bytes]
    special: frozenset[int] = frozenset()


class Group(NamedTuple):
    """Tokenizers whose tokens can be put side by side."""

    rows: Sequence[int]
    """Their places among all rows."""
    parts: Callable[[], Iterator[Part]]
    """The text from its beginning."""


class Spot(NamedTuple):
    """A token of one of the rows."""

    row: int
    token: int


class Laid(NamedTuple):
    """Tokenizers side by side, as far as they are laid out."""

    rows: Sequence[int]
    layout: PieceLayout


class PieceCanvas(ScrollView, can_focus=True):
    """Shows rows in bands. A long text is laid out piece by piece, and the screen goes on meanwhile."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"pieces--{part}"
        for part in ("label", "even", "odd", "broken", "special", "between", "mark", "cursor", "hover")
    }
    DEFAULT_CSS = """
    PieceCanvas {
        overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1;
        & > .pieces--label { color: $text-muted; }
        & > .pieces--even { background: $primary 35%; }
        & > .pieces--odd { background: $foreground 18%; }
        & > .pieces--broken { color: $warning; text-style: italic; }
        & > .pieces--special { color: $token-special; text-style: italic; }
        & > .pieces--between { color: $foreground 70%; }
        & > .pieces--mark { color: $warning; }
        & > .pieces--cursor { color: $background; background: $foreground; text-style: bold; }
        & > .pieces--hover { text-style: underline; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self.cursor: Spot | None = None
        self.hover: Spot | None = None
        self._groups: Sequence[Group] = ()
        self.laid: list[Laid] = []
        self.lines: list[tuple[int, int, int]] = []
        """Group, band, and line of the band; the line -1 stands above a band."""
        self._width = 0
        self._styles: dict[str, Style] = {}

    # -- what is shown -----------------------------------------------------------------------------------------

    def show(self, rows: Sequence[Row], groups: Sequence[Group], *, follow: bool = False) -> None:
        """Show other tokens; the cursor stays in its place if there is one, with `follow` the end is in sight."""
        self.rows, self._groups, self.hover = rows, groups, None
        cursor = self.cursor
        if cursor is not None:
            rows_left = cursor.row < len(rows) and rows[cursor.row].ids
            self.cursor = Spot(cursor.row, min(cursor.token, len(rows[cursor.row].ids) - 1)) if rows_left else None
        self._begin(follow=follow)

    @property
    def laid_out(self) -> int:
        """Tokens that have a place by now, of all rows."""
        return sum(sum(laid.layout.counts) for laid in self.laid)

    def _begin(self, *, follow: bool = False) -> None:
        self._width = self.scrollable_content_region.width
        self.laid, self.lines = [], []
        filling = self._filled()
        if self._width and self._run(filling):
            self._lay_out_rest(filling, follow=follow)
        else:
            self.workers.cancel_group(self, "pieces")
            self._grown(follow=follow)

    def _filled(self) -> Iterator[None]:
        """Lay out all groups, a part a step."""
        room = self._width - self.label_width - 1
        for number, group in enumerate(self._groups):
            layout = PieceLayout(len(group.rows), room)
            self.laid.append(Laid(group.rows, layout))
            bands = 0
            for part in group.parts():
                layout.add(part)
                while bands < len(layout.bands):
                    self.lines += [(number, bands, line) for line in range(-1, len(group.rows))]
                    bands += 1
                yield

    def _run(self, filling: Iterator[None]) -> bool:
        """Go on for as long as a frame allows; False when all is laid out."""
        until = time.perf_counter() + _SLICE_S
        while next(filling, self) is not self:
            if time.perf_counter() > until:
                return True
        return False

    @work(group="pieces", exclusive=True)
    async def _lay_out_rest(self, filling: Iterator[None], *, follow: bool) -> None:
        self._grown()
        while self._run(filling):  # noqa: ASYNC110 - nothing is waited for: the screen has its turn
            await asyncio.sleep(0)
        self._grown(follow=follow)

    def _grown(self, *, follow: bool = False) -> None:
        self.virtual_size = Size(self._width, len(self.lines))
        if follow:
            self.scroll_end(animate=False)
        self.refresh()

    def on_resize(self) -> None:
        """Another width, other bands."""
        if self.scrollable_content_region.width != self._width:
            self._begin()

    def notify_style_update(self) -> None:
        """The theme changed, or the focus."""
        super().notify_style_update()
        self._styles = {}
        self.refresh()

    # -- drawing -----------------------------------------------------------------------------------------------

    @property
    def label_width(self) -> int:
        """Cells for the names of the tokenizers."""
        return next(cells for width, cells in _LABELS if self._width >= width)

    def _style(self, name: str) -> Style:
        if name not in self._styles:
            self._styles[name] = self.get_component_rich_style(f"pieces--{name}")
        return self._styles[name]

    def render_line(self, y: int) -> Strip:
        """One line of a band."""
        y += self.scroll_offset.y
        if y >= len(self.lines):
            return Strip.blank(self.size.width, self.rich_style)
        group, number, line = self.lines[y]
        laid = self.laid[group]
        band = laid.layout.bands[number]
        segments = self._marks(band) if line < 0 else self._tokens(laid.rows[line], band.lines[line])
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def _marks(self, band: Band) -> list[Segment]:
        """Where the tokenizers differ."""
        segments, x = [Segment(" " * (self.label_width + 1), self.rich_style)], 0
        for start, width in band.different:
            segments.append(Segment(" " * (start - x), self.rich_style))
            segments.append(Segment(_DIFFERENT + "─" * (width - 2) + " " * (width > 1), self._style("mark")))
            x = start + width
        return segments

    def _tokens(self, row: int, cells: Sequence[Cell]) -> list[Segment]:
        label = fit(self.rows[row].name, self.label_width)
        segments, x = [Segment(f"{label} ", self._style("label"))], 0
        for cell in cells:
            segments.append(Segment(" " * (cell.x - x), self.rich_style))
            style = self._style_of(Spot(row, cell.token))
            ends = cell.text.endswith(BETWEEN)
            segments.append(Segment(cell.text[: -1 if ends else None], style))
            if ends:
                segments.append(Segment(BETWEEN, self._style("between")))
            x = cell.x + cell.width
        return segments

    def _style_of(self, spot: Spot) -> Style:
        row = self.rows[spot.row]
        if spot == self.cursor and self.has_focus:
            return self._style("cursor")
        ground = self._style("odd" if spot.token % 2 else "even")
        style = ground
        if row.ids[spot.token] in row.special:
            style = self._on(ground, "special")
        elif not is_whole(row.pieces[spot.token]):
            style = self._on(ground, "broken")
        return style + Style(underline=True) if spot in (self.hover, self.cursor) else style

    def _on(self, ground: Style, name: str) -> Style:
        return ground + Style(color=self._style(name).color, italic=True)
