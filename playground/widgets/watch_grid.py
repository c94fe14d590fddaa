"""Curves of probabilities drawn with characters: fine dots for one figure, a sign in a cell for another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from playground.domain.watch_list import Curve

SIGNS: Final = "●▲■◆▼○△□"
"""One for each word, so that colour is not needed to tell them apart."""
LEAST: Final = 1e-6
"""Foot of the logarithmic scale: what is less likely lies on it."""

_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille character: its left and its right column, from the top."""
_BRAILLE: Final = 0x2800
_MOST_ZOOM: Final = 8


class Cell(NamedTuple):
    """A character, and which word's it is; -1 for none."""

    char: str = " "
    word: int = -1


def height_of(probability: float, *, log: bool) -> float:
    """Where a probability (0 to 1) stands: 0 at the foot of the scale, 1 at its top."""
    if math.isnan(probability):
        return 0.0
    if not log:
        return min(1.0, max(0.0, probability))
    return 1.0 - min(1.0, math.log(max(probability, LEAST)) / math.log(LEAST))


def zoom_of(stretches: int, columns: int, *, whole: bool = False) -> float:
    """Dots that a stretch of a curve is wide.

    A power of two, so that a curve that grows moves seldom; a `whole` one takes all the room there is.
    """
    if whole and stretches:
        return min(float(_MOST_ZOOM), max(1.0, columns * 2 / stretches))
    zoom = 1
    while zoom < _MOST_ZOOM and stretches * zoom * 2 <= columns * 2:
        zoom *= 2
    return zoom


def draw(curves: Sequence[Curve], columns: int, rows: int, *, log: bool, whole: bool = False) -> list[list[Cell]]:
    """A grid of `rows` times `columns` cells, the first row on top.

    Dots are probabilities before the samplers, a word's sign those after them where there is any. Where curves meet,
    the first word is in front.
    """
    grid = [[Cell()] * columns for _ in range(rows)]
    zoom = zoom_of(max((len(curve.before) for curve in curves), default=0), columns, whole=whole)
    for word in reversed(range(len(curves))):
        _dots(grid, curves[word].before, word, zoom, log)
    for word in reversed(range(len(curves))):
        _signs(grid, curves[word].after, word, zoom, log)
    return grid


def _dots(grid: list[list[Cell]], values: Sequence[float | None], word: int, zoom: float, log: bool) -> None:
    steps = len(grid) * 4 - 1
    bits: dict[tuple[int, int], int] = {}
    for number, value in enumerate(values):
        if value is None:
            continue
        row, part = divmod(steps - round(height_of(value, log=log) * steps), 4)
        for dot in range(int(number * zoom), int((number + 1) * zoom)):
            place = row, dot // 2
            bits[place] = bits.get(place, 0) | _DOTS[dot % 2][part]
    for (row, column), mask in bits.items():
        if column < len(grid[row]):
            grid[row][column] = Cell(chr(_BRAILLE + mask), word)


def _signs(grid: list[list[Cell]], values: Sequence[float | None], word: int, zoom: float, log: bool) -> None:
    highest: dict[int, float] = {}
    for number, value in enumerate(values):
        if value:
            column = int(number * zoom + (zoom - 1) / 2) // 2
            highest[column] = max(value, highest.get(column, 0.0))
    steps = len(grid) * 4 - 1
    for column, value in highest.items():
        row = (steps - round(height_of(value, log=log) * steps)) // 4
        if column < len(grid[row]):
            grid[row][column] = Cell(SIGNS[word % len(SIGNS)], word)


def columns_of(at: int, length: int, zoom: float) -> range:
    """The columns in which a token stands.

    Args:
        at: Index of the token in the reply.
        length: Tokens in a stretch.
        zoom: Dots that a stretch is wide.
    """
    stretch = at // length
    first, end = int(stretch * zoom), int((stretch + 1) * zoom)
    return range(first // 2, max(first // 2 + 1, (end + 1) // 2))


def token_of(column: int, length: int, zoom: float) -> int:
    """Index of the first token that stands in a column."""
    return math.ceil(column * 2 / zoom - 1e-9) * length if zoom < 2 else int(column * 2 // zoom) * length
