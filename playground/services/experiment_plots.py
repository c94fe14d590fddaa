"""Curves of a sweep, and their drawing with braille characters, eight dots in each.

Of the libraries that draw in terminals the known ones are unmaintained or between two incompatible versions, and none
writes SVG: here one chart, with one set of axes, serves both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from playground.domain.display import display_line
from playground.domain.experiment_groups import MEASURES, Group
from playground.domain.text_measures import mean

Point = tuple[float, float]

MARKS: Final = "●▲■◆○△□◇"
"""What stands for the points of each curve, so that they can be told apart without colours."""
_DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of each dot in a braille character, by row and column (U+2800 and up)."""
_BLANK: Final = 0x2800
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"
_RULE: Final = "┊"
_BELOW: Final = 3
"""Lines under the curves: the axis, its numbers and what it is."""
_MOST_LABELS: Final = 9
"""Numbers at an upright axis, however high it is."""
_MORE: Final = 3
"""So many numbers more than there is room for may stand at an x axis, when they are the values that were asked for."""
_APART: Final = 3
"""Cells between two names of a legend."""


class Curve(NamedTuple):
    """Points that belong together, by their x."""

    name: str
    points: tuple[Point, ...]


class Chart(NamedTuple):
    """What is drawn: curves, or bars where nothing was varied that an x axis could show."""

    title: str
    x_label: str
    """Empty for bars: each curve has one point then."""
    y_label: str
    curves: tuple[Curve, ...]
    xs: tuple[float, ...] = ()
    """Values that were asked for, also those of which nothing is known yet; empty: those of the curves."""


class Piece(NamedTuple):
    """Some characters of a line, and the curve they belong to; None: to no curve."""

    text: str
    curve: int | None = None


class Drawing(NamedTuple):
    """A chart in the cells of a terminal."""

    lines: list[list[Piece]]
    columns: dict[float, int]
    """In which column each x of the chart lies; empty for bars."""


class Axis(NamedTuple):
    """Where an axis begins and ends, and the numbers at it."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the beginning and 1 at the end."""
        return (value - self.low) / (self.high - self.low)


def chart_of(found: Sequence[Group], measure: str) -> Chart | None:
    """A measure over the first parameter that is varied: a curve a model, preset and value of the other parameters.

    Without such a parameter a bar for each of them. Several prompts give their mean. None when there are no values.
    """
    varied = list(dict.fromkeys(name for group in found for name in group.values))
    x_name = varied[0] if varied else ""
    several = {name: len({getattr(group, name) for group in found}) > 1 for name in ("model", "preset")}
    gathered: dict[str, dict[float, list[float | None]]] = defaultdict(lambda: defaultdict(list))
    for group in found:
        parts = [_short(group.model)] if several["model"] else []
        parts += [group.preset] if several["preset"] else []
        parts += [f"{name} {value:g}" for name, value in group.values.items() if name != x_name]
        gathered[", ".join(parts) or group.preset][group.values.get(x_name, 0.0)].append(getattr(group, measure))
    curves = []
    for name, by_x in gathered.items():
        points = [(x, y) for x, values in sorted(by_x.items()) if (y := mean(values)) is not None]
        if points:
            curves.append(Curve(display_line(name), tuple(points)))
    if not curves:
        return None
    title = f"{MEASURES[measure]} over {x_name}" if x_name else MEASURES[measure]
    xs = sorted({x for curve in curves for x, _ in curve.points}) if x_name else ()
    return Chart(title, x_name, MEASURES[measure], tuple(curves), tuple(xs))


def axis_for(values: Sequence[float], room: int) -> Axis:
    """An axis that holds all values, with about `room` round numbers at it, at least two.

    Steps are 1, 2, 2.5 or 5 times a power of ten.
    """
    low, high = min(values), max(values)
    if high - low < 1e-12 * max(1.0, abs(high)):
        margin = abs(high) * 0.1 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / max(1, room - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(at * step, 12) for at in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def axes(chart: Chart, columns: int, rows: int) -> tuple[Axis, Axis]:
    """Both axes of a chart, for about so many numbers at each. Few values of a parameter stand there themselves."""
    xs = sorted({*chart.xs, *(x for curve in chart.curves for x, _ in curve.points)})
    ys = [y for curve in chart.curves for _, y in curve.points]
    own = bool(chart.xs) and 1 < len(xs) <= columns + _MORE
    return Axis(xs[0], xs[-1], tuple(xs)) if own else axis_for(xs, columns), axis_for(ys, rows)


def draw(chart: Chart, width: int, height: int) -> list[list[Piece]]:
    """The chart as lines of a terminal, each at most `width` columns; `height` lines belong to the curves."""
    title = [Piece(display_line(chart.title)[:width])]
    return [title, *_drawn(chart, max(width, 30), max(height, 4)).lines]


def draw_within(chart: Chart, width: int, rows: int, at: float | None = None) -> Drawing:
    """The chart without its title, in so many rows where that is possible: four of curves are the least.

    Where there is an x `at`, a line stands on it.
    """
    width = max(width, 30)
    return _drawn(chart, width, max(4, rows - _BELOW - len(_legend(chart, width))), at)


def _drawn(chart: Chart, width: int, height: int, at: float | None = None) -> Drawing:
    if not chart.x_label:
        return Drawing(_bars(chart, width), {})
    x_axis, y_axis = axes(chart, max(2, width // 12), max(2, min(_MOST_LABELS, round(height / 2.4))))
    labels = [f"{tick:g}" for tick in y_axis.ticks]
    left = max(map(len, labels))
    canvas = _Canvas(width - left - 2, height)
    for number, curve in enumerate(chart.curves):
        places = [(x_axis.share(x), y_axis.share(y)) for x, y in curve.points]
        canvas.curve(places, number)
    if at is not None:
        canvas.rule(canvas.column(x_axis.share(at)))
    rows = {canvas.row(y_axis.share(tick)): label for tick, label in zip(y_axis.ticks, labels, strict=True)}
    lines = []
    for row in range(height):
        label = rows.get(row, "")
        lines.append([Piece(f"{label:>{left}} {'┤' if label else '│'}"), *canvas.pieces(row)])
    marks, numbers = _under(x_axis, canvas)
    lines.append([Piece(f"{'':>{left}} └{marks}")])
    lines.append([Piece(f"{'':>{left}}  {numbers}".rstrip())])
    lines.append([Piece(f"{'':>{left}}  {chart.x_label}"[:width])])
    lines += [[Piece(" " * (left + 2)), *line] for line in _legend(chart, width - left - 2)]
    xs = {x for curve in chart.curves for x, _ in curve.points}
    return Drawing(lines, {x: left + 2 + canvas.column(x_axis.share(x)) for x in sorted(xs)})


def _legend(chart: Chart, width: int) -> list[list[Piece]]:
    """The names of several curves, side by side where they have room."""
    if len(chart.curves) < 2:
        return []
    names = [f"{_mark(at)} {curve.name}"[:width] for at, curve in enumerate(chart.curves)]
    cell = max(map(len, names)) + _APART
    each = max(1, (width + _APART) // cell)
    rows = (range(len(names))[start : start + each] for start in range(0, len(names), each))
    return [[Piece(names[at] if at == row[-1] else f"{names[at]:<{cell}}", at) for at in row] for row in rows]


def bar_axis(chart: Chart) -> Axis:
    """From 0 to the longest bar: a bar that begins elsewhere lies about its length."""
    return axis_for([0.0, *(y for curve in chart.curves for _, y in curve.points)], 5)


def _bars(chart: Chart, width: int) -> list[list[Piece]]:
    """A bar a line, in eighths of a character."""
    axis = bar_axis(chart)
    names = [curve.name[: width // 3] for curve in chart.curves]
    left = max(map(len, names))
    lines = []
    for number, (name, curve) in enumerate(zip(names, chart.curves, strict=True)):
        value = curve.points[0][1]
        eighths = max(0, round(axis.share(value) * (width - left - 10) * 8))
        bar = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8] if eighths % 8 else "")
        lines.append([Piece(f"{name:<{left}} "), Piece(bar, number), Piece(f" {value:.4g}")])
    return lines


def _under(axis: Axis, canvas: _Canvas) -> tuple[str, str]:
    """The line of an x axis, and the numbers below it as far as they have room."""
    line, numbers = ["─"] * canvas.width, [" "] * (canvas.width + 8)
    free = 0
    for tick in axis.ticks:
        column, text = canvas.column(axis.share(tick)), f"{tick:g}"
        line[column] = "┬"
        start = max(0, min(column - len(text) // 2, canvas.width - len(text)))
        if start >= free:
            numbers[start : start + len(text)] = text
            free = start + len(text) + 1
    return "".join(line), "".join(numbers).rstrip()


class _Canvas:
    """Braille dots, of which a character belongs to the curve that was there last; points lie above lines."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = max(width, 8), height
        self._bits = [[0] * self.width for _ in range(height)]
        self._owner: list[list[int | None]] = [[None] * self.width for _ in range(height)]
        self._marks: dict[tuple[int, int], str] = {}

    def column(self, share: float) -> int:
        """Character column of a place along the x axis."""
        return min(self.width - 1, max(0, round(share * (self.width * 2 - 1)) // 2))

    def row(self, share: float) -> int:
        """Character row of a place along the y axis, from the top."""
        return min(self.height - 1, max(0, round((1 - share) * (self.height * 4 - 1)) // 4))

    def curve(self, places: Sequence[Point], number: int) -> None:
        """Draw a line through places, each 0 to 1, and a mark at each."""
        dots = [(share_x * (self.width * 2 - 1), (1 - share_y) * (self.height * 4 - 1)) for share_x, share_y in places]
        for (x0, y0), (x1, y1) in pairwise(dots):
            steps = max(1, math.ceil(max(abs(x1 - x0), abs(y1 - y0))))
            for step in range(steps + 1):
                self._dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), number)
        for share_x, share_y in places:
            row, column = self.row(share_y), self.column(share_x)
            self._marks[row, column] = _mark(number)
            self._owner[row][column] = number

    def rule(self, column: int) -> None:
        """An upright line where nothing else is."""
        for row in range(self.height):
            if not self._bits[row][column]:
                self._marks.setdefault((row, column), _RULE)

    def pieces(self, row: int) -> list[Piece]:
        """One line, in stretches of one curve each.

        Marks stand alone: in a picture of the screen they are of another width than braille, and would move it.
        """
        pieces: list[Piece] = []
        alone = True
        for column in range(self.width):
            bits, owner = self._bits[row][column], self._owner[row][column]
            mark = self._marks.get((row, column))
            char = mark or (chr(_BLANK + bits) if bits else " ")
            if alone or mark or pieces[-1].curve != owner:
                pieces.append(Piece(char, owner))
            else:
                pieces[-1] = Piece(pieces[-1].text + char, owner)
            alone = mark is not None
        return pieces

    def _dot(self, x: int, y: int, number: int) -> None:
        row, column = y // 4, x // 2
        self._bits[row][column] |= _DOTS[y % 4][x % 2]
        self._owner[row][column] = number


def _mark(number: int) -> str:
    return MARKS[number % len(MARKS)]


def _short(model: str) -> str:
    return model.rsplit("/", 1)[-1].removesuffix(".gguf") if model.endswith(".gguf") else model
