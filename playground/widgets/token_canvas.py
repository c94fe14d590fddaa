"""The drawing of a token view: lines that stay drawn.

A line keeps the `Strip` it was drawn as, and the strip keeps its ANSI text, so a scroll sends what is there already
and a frame costs what changed in it, however long the transcript.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.scroll_view import ScrollView
from textual.strip import Strip

from playground.widgets.token_layout import NEWLINE_MARK, Line, Piece, TokenLayout
from playground.widgets.token_store import TokenStore

KEEP_STRIPS: Final = 300
"""Lines that stay drawn; one takes some 9 KB, so a long transcript that was seen as a whole cannot keep them all."""


class TokenCanvas(ScrollView):
    """Draws items in the styles of a palette. Put borders and padding on a container around it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"token-canvas--newline"}
    DEFAULT_CSS = """
    TokenCanvas {
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size-vertical: 1;
        &>.token-canvas--newline { color: $foreground 45%; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.store = TokenStore()
        self.wrapping = TokenLayout(0)
        self._palette: list[Style] = []
        self._looks: list[Style] = []
        self._faint = self._base = Style.null()
        self._drawn: dict[Line, None] = {}
        """Lines that were drawn, the one that was drawn last at the end."""

    def set_palette(self, styles: Sequence[Style]) -> None:
        """Draw with these styles from now on; the style of an item is an index into them."""
        self._palette = list(styles)
        self._redraw()

    def touch(self, items: range) -> None:
        """Draw the lines of some neighbouring items again."""
        if not items or items.start >= len(self.store):
            return
        first = self.wrapping.line_of(items.start)
        last = self.wrapping.last_line_of(min(items[-1], len(self.store) - 1))
        for line in self.wrapping.lines[first : last + 1]:
            line.drawn = None
        self._refresh_from(first, last + 1)

    def style_of(self, item: int) -> Style:
        """Style in which an item is drawn; the base style for an index outside the palette."""
        index = self.store.styles[item]
        return self._looks[index] if index < len(self._looks) else self._base

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the window; bypasses Textual's styles cache, which makes a new strip for every scrolled line."""
        top, width, background = self.scroll_offset.y, self.size.width, self.background_colors[1]
        strips = [self._strip(y + top, width) for y in crop.line_range]
        for line_filter in self.get_line_filters():
            strips = [strip.apply_filter(line_filter, background) for strip in strips]
        return [strip.crop(*crop.column_span) for strip in strips]

    def render_line(self, y: int) -> Strip:
        """One line with its text offsets: only Textual's text selection asks for it, so only that pays for them."""
        y += self.scroll_offset.y
        return self._strip(y, self.size.width).apply_offsets(0, y)

    def notify_style_update(self) -> None:
        """The stylesheet or a pseudo-class changed, so every colour may have."""
        super().notify_style_update()
        self._redraw()

    def _refresh_from(self, first: int, end: int) -> None:
        first = max(first, self.scroll_offset.y)
        end = min(end, self.scroll_offset.y + self.size.height)
        if first < end:
            self._refresh_text(first - self.scroll_offset.y, end - first)

    def _refresh_text(self, top: int, height: int) -> None:
        """Paint some rows of the window again, but not the scrollbar beside them, which costs as much as they do."""
        self.refresh(Region(0, top, self.wrapping.wrap + 1, height))

    def _redraw(self) -> None:
        # The styles of the component classes come only after the notice, so they are asked for when something is drawn.
        self._looks = []
        while self._drawn:
            self._drawn.popitem()[0].drawn = None
        self.refresh()

    def _strip(self, y: int, width: int) -> Strip:
        if y >= len(self.wrapping.lines):
            return Strip.blank(width, self._base if self._looks else self.rich_style)
        line = self.wrapping.lines[y]
        strip: Strip | None = line.drawn
        if strip is None or strip.cell_length != width:
            strip = line.drawn = self._draw(line.pieces, line.width, width)
            self._keep(line)
        return strip

    def _keep(self, line: Line) -> None:
        """This line was drawn: the one whose turn was longest ago gives its memory back."""
        self._drawn.pop(line, None)
        self._drawn[line] = None
        if len(self._drawn) > KEEP_STRIPS:
            oldest = next(iter(self._drawn))
            del self._drawn[oldest]
            oldest.drawn = None

    def _draw(self, pieces: Sequence[Piece], used: int, width: int) -> Strip:
        if not self._looks:
            self._base = self.rich_style  # made anew from all ancestors whenever it is asked for
            self._looks = [self._base + style for style in self._palette]
            faint = self.get_component_styles("token-canvas--newline").color
            self._faint = Style(color=(self.background_colors[1] + faint).rich_color)
        runs = groupby(pieces, key=self._look)
        segments = [Segment("".join(piece[1] for piece in run), style) for style, run in runs]
        if used <= width:
            segments.append(Segment(" " * (width - used), self._base))
            return Strip(segments, width)
        # Between a resize and its new wrapping a line may be too long.
        return Strip(segments, used).crop(0, width)

    def _look(self, piece: Piece) -> Style:
        style = self.style_of(piece[0])
        # A token of nothing but a newline must be there to be clicked, not to be read.
        return style + self._faint if piece[1] == NEWLINE_MARK and not style.reverse else style
