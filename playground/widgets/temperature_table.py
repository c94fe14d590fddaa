"""The same token at several temperatures side by side, and what has to be said about such figures."""

from __future__ import annotations

import textwrap
from typing import ClassVar, Final, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.display import display_line, visible_piece
from playground.domain.tokens import Token
from playground.domain.what_if import TEMPERATURES, Column
from playground.domain.what_if_words import side_by_side
from playground.widgets.bars import fit, percent, thin_bar

MOST_ROWS: Final = 6
"""Candidates at most; more would say little more."""
FRAME: Final = 2
"""Rows beside those of the candidates: the temperatures, and how many candidates each leaves."""
MOST_WORDS: Final = 4
"""Rows of words at most."""
_LEVELS: Final = " ▁▂▃▄▅▆▇█"
_TOOLTIP: Final = (
    "The same token at other temperatures, all other sliders as they stand: the chance of each candidate\n"
    "after all samplers. Last row: how many candidates the samplers leave there."
)
_PARTS: Final = ("name", "now", "piece", "chosen", "share", "zero", "bar", "words")


class SideBySide(NamedTuple):
    """What the table shows."""

    token: Token
    """Its candidates are the rows."""
    columns: tuple[Column, ...] = ()
    """Empty while the model is asked, or when it cannot tell."""
    temperature: float | None = None
    """The temperature in force; its column is set off, if there is one."""
    words: tuple[str, ...] = ()
    """Sentences to be read with the figures."""
    refused: bool = False
    """True when there will be no figures, and `words` say why."""


class Widths(NamedTuple):
    """Cells of the parts of a row."""

    piece: int
    column: int
    bar: int
    """Cells of a column's bar; 1 is an upright one, 0 none. Without bars the first column has a cell less: at
    temperature 0 there is nothing but 0% and 100%."""


def widths(width: int) -> Widths:
    """How a row of `width` cells is divided."""
    if width >= 52:
        column = min(14, (width - 14) // len(TEMPERATURES))
        return Widths(width - column * len(TEMPERATURES), column, column - 7)
    if width >= 34:
        return Widths(width - 6 * len(TEMPERATURES), 6, 1)
    return Widths(width - 5 * len(TEMPERATURES) + 1, 5, 0)


def words_height(shown: SideBySide, width: int) -> int:
    """Rows that the words take in a table of this many cells."""
    return len(_lines(shown, width))


def _lines(shown: SideBySide, width: int) -> list[str]:
    return [line for one in shown.words for line in textwrap.wrap(display_line(one), max(10, width))][:MOST_WORDS]


class TemperatureTable(Widget):
    """A row a candidate, a column a temperature. The inspector says how many rows there is room for."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"temperatures--{part}" for part in _PARTS}
    DEFAULT_CSS = """
    TemperatureTable {
        height: auto;
        width: 1fr;
        & > .temperatures--name { color: $text-muted; }
        & > .temperatures--now { color: $accent; text-style: bold; }
        & > .temperatures--piece { color: $foreground; }
        & > .temperatures--chosen { color: $mark; text-style: bold; }
        & > .temperatures--share { color: $foreground; }
        & > .temperatures--zero { color: $text-muted; }
        & > .temperatures--bar { color: $accent; }
        & > .temperatures--words { color: $text-muted; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: SideBySide | None = None
        self._rows = MOST_ROWS
        self._height = 0
        self.tooltip = Content(_TOOLTIP)

    def show(self, shown: SideBySide | None, rows: int) -> None:
        """Show a token side by side with itself; the layout is touched only when the height changes.

        Args:
            shown: None leaves the table empty.
            rows: Candidates there is room for.
        """
        if shown is self._shown and rows == self._rows:
            return
        self._shown, self._rows = shown, rows
        if self._height_now(self.size.width) != self._height:
            self.refresh(layout=True)
        else:
            self.refresh()

    def _height_now(self, width: int) -> int:
        shown = self._shown
        if shown is None:
            return 0
        rows = 0 if shown.refused else min(self._rows, len(shown.token.top)) + FRAME
        return rows + words_height(shown, width)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The rows, and the words under them."""
        self._height = self._height_now(width)
        return self._height

    def render_line(self, y: int) -> Strip:
        """The temperatures, a candidate, the number of candidates left, or words."""
        width, shown = self.size.width, self._shown
        if shown is None:
            return Strip.blank(width, self.rich_style)
        rows = [] if shown.refused else side_by_side(shown.token, self._rows)
        end = 0 if shown.refused else len(rows) + FRAME
        if y >= end:
            words = _lines(shown, width)[y - end : y - end + 1]
            segments = [Segment(fit(words[0] if words else "", width), self._style("words"))]
        elif y == 0:
            segments = self._head(shown, widths(width))
        elif y <= len(rows):
            segments = self._row(shown, rows[y - 1], widths(width))
        else:
            segments = self._left(shown, widths(width))
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"temperatures--{part}")

    def _head(self, shown: SideBySide, cells: Widths) -> list[Segment]:
        name = "temperature" if cells.piece > 11 else "temp."
        segments = [Segment(fit(name, cells.piece), self._style("name"))]
        for number, temperature in enumerate(TEMPERATURES):
            style = self._style("now" if temperature == shown.temperature else "name")
            segments.append(Segment(_aligned(f"{temperature:g}", cells, number), style))
        return segments

    def _row(self, shown: SideBySide, place: int, cells: Widths) -> list[Segment]:
        candidate, token = shown.token.top[place], shown.token
        chosen = token.id is not None and candidate.id == token.id
        sign = "▸ " if chosen else "  "
        sign = sign if cells.bar else sign[:1]
        piece = sign + fit(visible_piece(candidate.piece), cells.piece - len(sign) - 1) + " "
        segments = [Segment(piece, self._style("chosen" if chosen else "piece"))]
        for number, column in enumerate(shown.columns):
            share = column.probs[place] if place < len(column.probs) else None
            segments += self._share(share, chosen, cells, number)
        return segments

    def _share(self, share: float | None, chosen: bool, cells: Widths, number: int) -> list[Segment]:
        style = self._style("zero" if not share else "chosen" if chosen else "share")
        if cells.bar > 1:
            bar = " " + thin_bar(share or 0.0, cells.bar)
            return [Segment(bar, self._style("bar")), Segment(percent(share, cells.column - len(bar)), style)]
        figure = short_percent(share)
        if not cells.bar:
            return [Segment(_aligned(figure, cells, number), style)]
        upright = _LEVELS[0 if not share else max(1, round(share * (len(_LEVELS) - 1)))]
        return [Segment(_aligned(figure, cells, number)[:-1], style), Segment(upright, self._style("bar"))]

    def _left(self, shown: SideBySide, cells: Widths) -> list[Segment]:
        if not shown.columns:
            return [Segment("asking the model …", self._style("name"))]
        segments = [Segment(fit("left", cells.piece), self._style("name"))]
        for number, column in enumerate(shown.columns):
            style = self._style("now" if column.temperature == shown.temperature else "name")
            text = short_count(column.candidates, cells.column - 1 - (cells.bar == 1))
            segments.append(Segment(_aligned(text, cells, number), style))
        return segments


def _aligned(text: str, cells: Widths, number: int) -> str:
    """A figure of a column, or a text over or under it; an upright bar may stand beside."""
    beside = int(cells.bar == 1)
    return text.rjust(cells.column - beside - (not cells.bar and number == 0)) + " " * beside


def short_percent(share: float | None) -> str:
    """A chance in four cells at most."""
    if share is None:
        return "–"
    if share <= 0.0:
        return "0%"
    if share < 0.001:
        return "<.1%"
    return f"{share * 100:.1f}%" if share < 0.0995 else f"{share * 100:.0f}%"


def short_count(count: int, width: int) -> str:
    """A number of candidates; in thousands where the whole of it has no room."""
    whole = f"{count:,}"
    if len(whole) <= width:
        return whole
    return f"{count / 1000:.1f}k" if count < 10_000 else f"{count / 1000:.0f}k"
