"""The curves of watched words along a reply, with their scale and the mark of the token under the cursor."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from rich.segment import Segment
from rich.style import Style

from playground.domain.tokens import Token
from playground.domain.watch_list import Curves, Shown
from playground.widgets.bars import fit
from playground.widgets.watch_figures import Look
from playground.widgets.watch_grid import Cell, columns_of, draw, token_of, zoom_of

_LEAST: Final = 12
"""Cells below which there are figures alone."""


class WatchCurves:
    """Follows the tokens of the reply on display. Costs what is new of it."""

    def __init__(self, look: Look) -> None:
        self.logarithmic = False
        self.columns = 0
        """Cells the curves are wide; 0 where there is no room for any."""
        self._look = look
        self._rows = 1
        self._shown = Shown(())
        self._curves = Curves((), 2)
        self._grid: list[list[Cell]] = []

    def fit_to(self, width: int, height: int) -> None:
        """Take the room there is, with the scale's labels and the row below."""
        left = width - self._label - 2
        self.columns = left if left >= _LEAST else 0
        self._rows = max(1, height - 1)

    def begin(self, shown: Shown) -> None:
        """Forget what was followed: other words, or stretches of another length."""
        self._shown = shown
        self._curves = Curves(shown.watching, self.columns * 2)

    def follow(self, shown: Shown) -> object:
        """Take in what is new of a reply; gives something that is equal as long as the curves stay the same."""
        self._shown = shown
        if not self._curves.follow(shown.tokens):
            self.begin(shown)
            self._curves.follow(shown.tokens)
        return self._curves.count, id(self._curves), self.logarithmic

    def draw(self) -> None:
        """Draw the curves anew."""
        columns, whole = self.columns, not self._shown.writing
        curves = self._curves.curves
        self._grid = draw(curves, columns, self._rows, log=self.logarithmic, whole=whole) if columns else []

    @property
    def _label(self) -> int:
        """Cells of the scale's labels."""
        return 1 + (len("0.0001%") if self.logarithmic else len("100%"))

    def line(self, y: int, token: Token | None, base: Style) -> list[Segment]:
        """One row.

        Args:
            y: Counted from the top; the row below all curves has words.
            token: The one whose figures are shown, which is marked unless it is the latest.
            base: Style of what belongs to no curve.
        """
        if y >= self._rows:
            return self._axis()
        label = self._labels().get(y, "").rjust(self._label)
        edge = [Segment(f"{label} ", self._look("faint"))]
        if not self._shown.watching or y >= len(self._grid):
            note = self._shown.note if y == 1 else ""
            return [*edge, Segment(fit(note, self.columns), self._look("faint"))]
        marked = self._marked(token)
        looks = [self._look(f"word-{number}") for number in range(len(self._shown.watching))]
        behind = Style(bgcolor=self._look("cursor").bgcolor)

        def look(place: tuple[int, Cell]) -> tuple[int, bool]:
            return place[1].word, place[0] in marked

        for (word, under), run in groupby(enumerate(self._grid[y]), key=look):
            style = looks[word] if word >= 0 else base
            edge.append(Segment("".join(cell.char for _, cell in run), style + behind if under else style))
        return edge

    def token_under(self, x: int) -> int | None:
        """Index of the token at a cell, counted from the left of the labels; None beside the curves."""
        column = x - self._label - 1
        if not 0 <= column < self.columns:
            return None
        return token_of(column, self._curves.length, self._zoom())

    def _labels(self) -> dict[int, str]:
        last = max(1, self._rows - 1)
        log = self.logarithmic
        return {0: "100%", last // 2: "0.1%" if log else "50%", last: "0.0001%" if log else "0%"}

    def _zoom(self) -> float:
        stretches = len(self._curves.curves[0].before) if self._curves.curves else 0
        return zoom_of(stretches, self.columns, whole=not self._shown.writing)

    def _marked(self, token: Token | None) -> range:
        if token is None or self._shown.at is None:
            return range(0)
        return columns_of(token.index, self._curves.length, self._zoom())

    def _axis(self) -> list[Segment]:
        count, length = self._curves.count, self._curves.length
        if not self._shown.watching:
            return []
        parts = [f"{count:,} {'token' if count == 1 else 'tokens'}"]
        parts += [self._shown.note] if self._shown.note else []
        parts += ["⠒ model", "● sampled", *(["log"] if self.logarithmic else [])]
        parts += [f"highest of {length:,}"] if length > 1 else []
        return [Segment(" " * (self._label + 1) + fit(" · ".join(parts), self.columns), self._look("faint"))]
