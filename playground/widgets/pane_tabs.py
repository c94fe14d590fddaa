"""One row that stands for the panes that have no room of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.compare_rows import CompareRow, PaneState
from playground.domain.display import display_line
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.pane_header import GLYPHS

MIN_NAME: Final = 3
_BETWEEN: Final = "│"


class _Tab(NamedTuple):
    number: int
    text: str
    start: int
    """Cell it begins at."""
    end: int
    failed: bool


class PaneTabs(Widget, can_focus=True):
    """A tab for each pane, the chosen one marked; names are shortened until all of them fit."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "Previous pane", show=False, id="tabs.previous", tooltip="The pane to the left"),
        Binding("right", "step(1)", "Next pane", show=False, id="tabs.next", tooltip="The pane to the right"),
    ]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"pane-tabs--active", "pane-tabs--failed", "pane-tabs--rule"}
    DEFAULT_CSS = """
    PaneTabs {
        height: 1;
        width: 1fr;
        pointer: pointer;
        color: $text-muted;
        & > .pane-tabs--active { color: $accent; text-style: bold reverse; }
        & > .pane-tabs--failed { color: $error; }
        & > .pane-tabs--rule { color: $foreground 30%; }
        &:focus { background: $foreground 9%; }
    }
    """

    class Chosen(Message):
        """The person chose another pane."""

        def __init__(self, tabs: PaneTabs, number: int) -> None:
            super().__init__()
            self.tabs = tabs
            self.number = number
            """Number of the pane."""

        @property
        def control(self) -> PaneTabs:
            """The row of tabs."""
            return self.tabs

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: tuple[CompareRow, ...] = ()
        self._active = 0
        self._tabs: list[_Tab] = []

    def show(self, rows: Sequence[CompareRow], active: int) -> None:
        """Show these panes, of which the one with the number `active` is chosen; cheap when nothing changed."""
        self._rows = tuple(rows)
        if active != self._active:
            self._active = active
            self.refresh()
        self._lay_out()

    def on_resize(self) -> None:
        """Another width, other names."""
        self._lay_out()

    def _lay_out(self) -> None:
        tabs: list[_Tab] = []
        at = 0
        for row, text in zip(self._rows, _texts(self._rows, self.size.width), strict=True):
            end = at + cell_len(text)
            tabs.append(_Tab(row.number, text, at, end, row.state is PaneState.FAILED))
            at = end + len(_BETWEEN)
        if tabs != self._tabs:
            self._tabs = tabs
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The only row."""
        rule = self.get_component_rich_style("pane-tabs--rule")
        segments: list[Segment] = []
        for tab in self._tabs:
            segments += [Segment(tab.text, self._style(tab)), Segment(_BETWEEN, rule)]
        return Strip(segments[:-1]).adjust_cell_length(self.size.width, self.rich_style)

    def _style(self, tab: _Tab) -> Style:
        if tab.number == self._active:
            return self.get_component_rich_style("pane-tabs--active")
        return self.get_component_rich_style("pane-tabs--failed") if tab.failed else self.rich_style

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        event.stop()
        for tab in self._tabs:
            if tab.start <= event.x < tab.end:
                self.post_message(self.Chosen(self, tab.number))

    def action_step(self, by: int) -> None:
        """Choose a neighbour of the chosen tab."""
        numbers = [tab.number for tab in self._tabs]
        if self._active in numbers:
            place = numbers.index(self._active) + by
            if 0 <= place < len(numbers):
                self.post_message(self.Chosen(self, numbers[place]))


def _texts(rows: Sequence[CompareRow], width: int) -> list[str]:
    """The texts of the tabs: with model and state in words, shortened as far as they must be."""
    # Where panes follow candidates, these tell them apart, and mostly the model is everybody's.
    names = [f"{f'↳{row.follows} ' if row.follows else ''}{display_line(row.model) or UNKNOWN}" for row in rows]
    longest = max(map(cell_len, names), default=0)
    states = [f" {GLYPHS[row.state]}{row.state if row.state.busy else ''}" for row in rows]
    glyphs = [f" {GLYPHS[row.state]}" for row in rows]
    # Two letters and an ellipsis are the least that is still a name; below that the number must do.
    for ends, most in ((states, longest), *((glyphs, cells) for cells in (*range(longest, MIN_NAME - 1, -1), 0))):
        texts = [
            " ".join(filter(None, (f" {row.number}", name if cell_len(name) <= most else fit(name, most)))) + f"{end} "
            for row, name, end in zip(rows, names, ends, strict=True)
        ]
        if sum(map(cell_len, texts)) + len(_BETWEEN) * (len(texts) - 1) <= width:
            break
    return texts if rows else []
