"""The curves of a sweep, with a line one can move along them and the figures where it stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from playground.widgets.bars import fit

CURVES: Final = 8
"""Colours there are; then they begin again."""
_GAP: Final = 2
_READ: Final = "  ← → or a click reads the values"
_READ_FROM_AFAR: Final = "  tab, then ← →, or a click, reads the values"
"""The same while the keys go elsewhere."""

Pieces = Sequence[tuple[str, int | None]]
"""A line: texts, each with the number of the curve it belongs to, or None."""


class Drawn(NamedTuple):
    """What there is to be seen, in cells."""

    lines: Sequence[Pieces]
    columns: Sequence[int]
    """Where each place of the x axis lies; empty when there is no such axis."""
    reading: Pieces
    """The figures at the place that was chosen; empty without one."""


Painter = Callable[[int, int, int | None], Drawn]
"""Draws into so many columns and rows, with a line at a place of the x axis, counted from 0."""


class Measures(Widget):
    """The names of what can be drawn, the chosen one marked. A click chooses."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"measures--on", "measures--off"}
    DEFAULT_CSS = """
    Measures {
        height: 1;
        pointer: pointer;
        & > .measures--on { color: $accent; text-style: bold reverse; }
        & > .measures--off { color: $foreground 70%; }
    }
    """

    class Chosen(Message):
        """Another one is wanted, by its number."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = tuple(names)
        self._on = 0

    def show(self, number: int) -> None:
        """Mark this one."""
        self._on = number
        self.refresh()

    def _first(self) -> int:
        """The first that is in sight, so that the chosen one is."""
        first, room = 0, self.size.width
        while first < self._on and sum(len(name) + _GAP for name in self._names[first : self._on + 1]) > room:
            first += 1
        return first

    def render_line(self, y: int) -> Strip:
        """The only row."""
        segments = []
        for number, name in enumerate(self._names[self._first() :], self._first()):
            look = self.get_component_rich_style(f"measures--{'on' if number == self._on else 'off'}")
            segments += [Segment(f" {name} ", look)]
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style)

    def on_click(self, event: events.Click) -> None:
        """Choose what was pointed at."""
        start = self.gutter.left
        for number, name in enumerate(self._names[self._first() :], self._first()):
            end = start + len(name) + _GAP
            if start <= event.x < end:
                self.post_message(self.Chosen(number))
            start = end


class SweepChart(Widget, can_focus=True):
    """Draws what it is given, as large as it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Before", show=False, id="sweep.left", tooltip="Read the values one place before"),
        Binding("right", "step(1)", "Behind", show=False, id="sweep.right", tooltip="Read the values one place behind"),
    ]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"sweep-chart--curve-{number}" for number in range(CURVES)),
        *(f"sweep-chart--{part}" for part in ("axis", "nothing")),
    }
    DEFAULT_CSS = """
    SweepChart {
        height: 1fr;
        & > .sweep-chart--axis { color: $foreground 70%; }
        & > .sweep-chart--nothing { color: $foreground 70%; text-style: italic; }
        & > .sweep-chart--curve-0 { color: $primary; } & > .sweep-chart--curve-1 { color: $mark; }
        & > .sweep-chart--curve-2 { color: $success; } & > .sweep-chart--curve-3 { color: $token-special; }
        & > .sweep-chart--curve-4 { color: $error; } & > .sweep-chart--curve-5 { color: $warning; }
        & > .sweep-chart--curve-6 { color: $foreground; } & > .sweep-chart--curve-7 { color: $secondary; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._painter: Painter | None = None
        self._nothing = ""
        self._at: int | None = None
        self._drawn = Drawn((), (), ())

    def show(self, painter: Painter | None, nothing: str) -> None:
        """Draw with this from now on; without one, say why there is nothing."""
        self._painter, self._nothing = painter, nothing
        self._draw()

    @property
    def text(self) -> str:
        """The drawing without colours."""
        return "\n".join("".join(text for text, _ in line).rstrip() for line in self._drawn.lines)

    def on_focus(self) -> None:
        """What the keys do has changed."""
        self.refresh()

    def on_blur(self) -> None:
        """The same."""
        self.refresh()

    def on_resize(self) -> None:
        """Another size, another drawing."""
        self._draw()

    def _draw(self) -> None:
        width, height = self.size
        if self._painter is not None and width and height:
            self._drawn = self._painter(width, height - 1, self._at)
        else:
            self._drawn = Drawn((), (), ())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row; the last one has the figures of the chosen place."""
        base = self.rich_style
        if not self._drawn.lines:
            text = f"  {self._nothing}" if y == 1 else ""
            return Strip([Segment(fit(text, self.size.width), base + self._part("nothing"))])
        last = y == self.size.height - 1
        line = self._reading() if last else self._drawn.lines[y] if y < len(self._drawn.lines) else ()
        segments, room = [], self.size.width
        for text, curve in line:
            shown = text if cell_len(text) <= room else fit(text, room)
            room -= cell_len(shown)
            look = self._part("axis" if curve is None else f"curve-{curve % CURVES}")
            segments.append(Segment(shown, base + look))
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def _reading(self) -> Pieces:
        if self._drawn.reading or not self._drawn.columns:
            return self._drawn.reading
        return [(_READ if self.has_focus else _READ_FROM_AFAR, None)]

    def _part(self, name: str) -> Style:
        style = self.get_component_rich_style(f"sweep-chart--{name}")
        return Style(color=style.color, bold=style.bold, italic=style.italic)

    def action_step(self, by: int) -> None:
        """Another place of the x axis."""
        count = len(self._drawn.columns)
        if count:
            start = (0 if by > 0 else count - 1) if self._at is None else min(max(0, self._at + by), count - 1)
            self._go(start)

    def on_click(self, event: events.Click) -> None:
        """The place that is nearest to the mouse."""
        columns, x = self._drawn.columns, event.x - self.gutter.left
        if columns:
            self._go(min(range(len(columns)), key=lambda at: abs(columns[at] - x)))

    def _go(self, at: int) -> None:
        self._at = at
        self._draw()
