"""Tokens of several tokenizers one below the other, wrapped together: a band has a line for each tokenizer.

The text goes from band to band. Where all tokenizers split, their next tokens begin in the same column.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from rich.cells import cell_len, chop_cells

from playground.domain.display import visible_piece

BETWEEN: Final = "│"
"""Stands behind every token, so that no colour is needed to see where it ends."""
LEAST_ROOM: Final = 8


class Part(Protocol):
    """A stretch of the text at both ends of which all tokenizers split."""

    @property
    def cells(self) -> tuple[tuple[tuple[int, bytes], ...], ...]:
        """For each tokenizer its tokens in this stretch: id and bytes."""
        ...

    @property
    def same(self) -> bool:
        """True when all split it alike."""
        ...


class Cell(NamedTuple):
    """A token on a line, or as much of it as the line has room for."""

    token: int
    """Its number among those of its tokenizer, from 0."""
    text: str
    x: int
    width: int
    """Cells, with what stands behind the token."""


class Band:
    """As much of the text as goes side by side."""

    __slots__ = ("different", "lines", "width")

    def __init__(self, rows: int) -> None:
        self.lines: list[list[Cell]] = [[] for _ in range(rows)]
        self.different: list[tuple[int, int]] = []
        """Column and cells of stretches that the tokenizers split differently."""
        self.width = 0


class PieceLayout:
    """Bands of `room` cells for so many tokenizers, filled part by part."""

    def __init__(self, rows: int, room: int) -> None:
        self.rows = rows
        self.bands: list[Band] = []
        self.counts = [0] * rows
        """Tokens laid out so far, for each tokenizer."""
        self._room = max(LEAST_ROOM, room)
        self._open = False
        self._firsts: list[list[int]] = [[] for _ in range(rows)]
        """For each tokenizer the first token of every band, or the one that comes next."""

    def add(self, part: Part) -> None:
        """Lay out one more part."""
        texts = [[visible(piece) for _, piece in cell] for cell in part.cells]
        width = max(sum(cells + 1 for _, cells in row) for row in texts)
        band = self._band_with(width)
        if width <= self._room:
            if not part.same:
                band.different.append((band.width, width))
            for row, tokens in enumerate(texts):
                x = band.width
                for text, cells in tokens:
                    band.lines[row].append(Cell(self.counts[row], text + BETWEEN, x, cells + 1))
                    self.counts[row] += 1
                    x += cells + 1
            band.width += width
        else:
            self._spread(band, texts, part.same)
        self._open = width <= self._room and not any(b"\n" in piece for _, piece in part.cells[0])

    def find(self, row: int, token: int) -> tuple[int, Cell] | None:
        """Band and place of a token; None when it is not laid out."""
        if not 0 <= token < self.counts[row]:
            return None
        number = bisect_right(self._firsts[row], token) - 1
        while number and self._last(number - 1, row) == token:  # a token that is cut begins in a band before
            number -= 1
        cell = next((cell for cell in self.bands[number].lines[row] if cell.token == token), None)
        return None if cell is None else (number, cell)

    def _last(self, band: int, row: int) -> int | None:
        line = self.bands[band].lines[row]
        return line[-1].token if line else None

    def near(self, band: int, row: int, x: int, step: int) -> Cell | None:
        """Token of a row at column `x` or nearest to it, in this band or the next one that has any, by `step`."""
        while 0 <= band < len(self.bands):
            line = self.bands[band].lines[row]
            if line:
                return min(line, key=lambda cell: max(cell.x - x, x - cell.x - cell.width + 1, 0))
            band += step
        return None

    def _band_with(self, width: int) -> Band:
        if not self._open or self.bands[-1].width + width > self._room:
            self._begin()
        return self.bands[-1]

    def _begin(self) -> None:
        self.bands.append(Band(self.rows))
        for firsts, count in zip(self._firsts, self.counts, strict=True):
            firsts.append(count)

    def _spread(self, band: Band, texts: Sequence[Sequence[tuple[str, int]]], same: bool) -> None:
        """A part that is wider than the room goes over bands of its own."""
        start = len(self.bands) - 1
        for row, tokens in enumerate(texts):
            at, x = start, 0
            for text, _ in tokens:
                for piece, cells in _cut(text + BETWEEN, self._room):
                    if x and x + cells > self._room:
                        at, x = at + 1, 0
                    while at >= len(self.bands):
                        self.bands.append(Band(self.rows))
                        for firsts in self._firsts:
                            firsts.append(-1)  # filled in below
                    self.bands[at].lines[row].append(Cell(self.counts[row], piece, x, cells))
                    x += cells
                    self.bands[at].width = max(self.bands[at].width, x)
                self.counts[row] += 1
        for number in range(start, len(self.bands)):
            for row in range(self.rows):
                line = self.bands[number].lines[row]
                self._firsts[row][number] = line[0].token if line else self.counts[row]
            if not same:
                self.bands[number].different.append((0, self.bands[number].width))


@lru_cache(maxsize=65_536)
def visible(piece: bytes) -> tuple[str, int]:
    """A token as it is drawn, and its cells."""
    text = visible_piece(piece)
    return text, cell_len(text)


def _cut(text: str, room: int) -> Iterator[tuple[str, int]]:
    for piece in chop_cells(text, room):
        yield piece, cell_len(piece)
