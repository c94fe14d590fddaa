"""Candidates of a position, painted as rows of bars: what a list of them looks like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from playground.domain.tokens import Candidate
from playground.widgets.bars import fit
from playground.widgets.candidate_row import ROW_PARTS
from playground.widgets.candidate_rows import CandidateRows

HEADER = 1
"""Rows over the first candidate; they stay in place."""


class CandidateCanvas(ScrollView):
    """Paints a row a candidate. A row that is painted is kept until something in it differs."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"candidates--{part}" for part in ("header", "cursor", *ROW_PARTS)}
    DEFAULT_CSS = """
    CandidateCanvas {
        height: 1fr;
        min-height: 4;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .candidates--header { color: $text-muted; }
        & > .candidates--digit { color: $text-muted; }
        & > .candidates--piece { color: $foreground; }
        & > .candidates--chosen { color: $mark; text-style: bold; }
        & > .candidates--mark { color: $mark; text-style: bold; }
        & > .candidates--bent { color: $warning; text-style: bold; }
        & > .candidates--bar { color: $primary; }
        & > .candidates--after { color: $accent; }
        & > .candidates--cut { color: $stage-cut; }
        & > .candidates--cursor { background: $foreground 12%; }
    }
    """

    cursor: reactive[int] = reactive(-1)
    """Index of the candidate under the keyboard cursor; -1 for none."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._rows = CandidateRows(None)
        self._bias: Mapping[str, float] = {}
        self._strips: dict[int, Strip] = {}
        self._parts: dict[str, Style] = {}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What is on display, best first."""
        return self._rows.all

    def show_bias(self, bias: Mapping[str, float]) -> None:
        """Mark candidates that are banned, or bent, from now on; this is not always what the token was drawn with.

        Args:
            bias: Logit bias by a token's text or "#id".
        """
        if bias != self._bias:
            self._bias = bias
            self._strips.clear()
            self.refresh()

    def _repaint(self, index: int) -> None:
        self._strips.pop(index, None)
        self.refresh_line(index + HEADER)

    def _fit_height(self) -> None:
        """Keep the scroll range, without a layout for every token.

        The chosen token may add a row to the usual number; a range that follows it would change all the time.
        """
        rows = len(self.candidates) + HEADER
        height = self.virtual_size.height
        if rows > height or rows < height - 1 or self.virtual_size.width != self.size.width:
            self.virtual_size = Size(self.size.width, rows)
            self.styles.max_height = max(4, rows)

    def on_resize(self) -> None:
        """Divide the rows anew."""
        self._strips.clear()
        self._fit_height()

    def notify_style_update(self) -> None:
        """Forget rows painted in other colours."""
        self._strips.clear()
        self._parts = {}
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """The header, which stays in place, or a candidate."""
        width = self.scrollable_content_region.width
        if y < HEADER:
            return self._header(width)
        index = y - HEADER + self.scroll_offset.y
        if index >= len(self.candidates):
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get(index)
        if strip is None or strip.cell_length != width:
            strip = self._strips[index] = self._row(index, width)
        return strip

    def _header(self, width: int) -> Strip:
        if 0 <= self.cursor < len(self._rows) and (told := self._rows.why_cut(self.cursor)):
            return Strip([Segment(fit(told, width), self._styles_of_parts()["bent"])])
        return Strip([Segment(self._rows.header(width), self.get_component_rich_style("candidates--header"))])

    def _row(self, index: int, width: int) -> Strip:
        parts = self._styles_of_parts()
        if index == self.cursor:
            under = Style(bgcolor=self.get_component_rich_style("candidates--cursor").bgcolor)
            parts = {name: style + under for name, style in parts.items()}
        return self._rows.row(index, width, parts, self._bias)

    def _styles_of_parts(self) -> dict[str, Style]:
        if not self._parts:
            self._parts = {name: self.get_component_rich_style(f"candidates--{name}") for name in ROW_PARTS}
        return self._parts
