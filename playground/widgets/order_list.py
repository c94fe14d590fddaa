"""The order in which the sampler stages run, as a short list whose rows can be moved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from playground.domain.sampling import DEFAULT_ORDER, SamplingParams, truncating_stages
from playground.widgets.bars import fit, stage_label
from playground.widgets.explained import Explained


class OrderList(Explained, can_focus=True):
    """One row a stage: number, name, whether it does anything. Those left out stand at the end."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "select(-1)", "Up", show=False, id="order.up", tooltip="Stage above"),
        Binding("down,j", "select(1)", "Down", show=False, id="order.down", tooltip="Stage below"),
        Binding("shift+up,K", "shift(-1)", "Earlier", show=False, id="order.earlier", tooltip="Run this stage earlier"),
        Binding("shift+down,J", "shift(1)", "Later", show=False, id="order.later", tooltip="Run this stage later"),
        Binding("space", "toggle_stage", "In/out", show=False, id="order.toggle", tooltip="Leave out or put back"),
        Binding("r", "reset", "Reset", show=False, id="order.reset", tooltip="Back to the preset's order"),
    ]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"order--number", "order--on", "order--off", "order--cursor"}
    DEFAULT_CSS = """
    OrderList {
        height: auto;
        pointer: pointer;
        & > .order--number { color: $text-muted; }
        & > .order--on { color: $foreground; }
        & > .order--off { color: $text-disabled; }
        & > .order--cursor { background: $foreground 12%; text-style: bold; }
        &.-unavailable { text-opacity: 55%; pointer: default; }
        &.-unavailable:focus { background: $foreground 9%; }
    }
    """

    cursor: reactive[int] = reactive(0)
    """Row of the selected stage."""

    class Changed(Message):
        """The person changed the order."""

        def __init__(self, stages: OrderList, order: tuple[str, ...]) -> None:
            super().__init__()
            self.stages = stages
            self.order = order
            """For `SamplingParams.order`."""

        @property
        def control(self) -> OrderList:
            """The list."""
            return self.stages

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._order: tuple[str, ...] = DEFAULT_ORDER
        self._default: tuple[str, ...] = DEFAULT_ORDER
        self._active: tuple[str, ...] = ()

    @property
    def _rows(self) -> tuple[str, ...]:
        return (*self._order, *(name for name in DEFAULT_ORDER if name not in self._order))

    def show(self, params: SamplingParams, default: Sequence[str] = DEFAULT_ORDER) -> None:
        """Show an order without a message; `default` is what `r` goes back to."""
        shown = (params.order, truncating_stages(params))
        self._default = tuple(default)
        if shown != (self._order, self._active):
            self._order, self._active = shown
            self.refresh()

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        """A row a stage."""
        return len(DEFAULT_ORDER)

    def render_line(self, y: int) -> Strip:
        """A stage."""
        base, width = self.rich_style, self.size.width
        rows = self._rows
        if y >= len(rows):
            return Strip.blank(width, base)
        name, out = rows[y], y >= len(self._order)
        style = self.get_component_rich_style("order--on" if name in self._active else "order--off")
        number = self.get_component_rich_style("order--number")
        if self.has_focus and y == self.cursor and not self.reason:
            under = self.get_component_rich_style("order--cursor")
            cursor = Style(bgcolor=under.bgcolor, bold=under.bold)
            style, number = style + cursor, number + cursor
        state = "left out" if out else "" if name in self._active else "off"
        segments = [
            Segment("   " if out else f" {y + 1} ", number),
            Segment(fit(stage_label(name), max(1, width - 12)), style),
            Segment(state.rjust(9)[:9], style),
        ]
        return Strip(segments).adjust_cell_length(width, base)

    def _change(self, order: Sequence[str], follow: str) -> None:
        if tuple(order) != self._order and not self.reason:
            self._order = tuple(order)
            self.cursor = self._rows.index(follow)
            self.refresh()
            self.post_message(self.Changed(self, self._order))

    def action_select(self, rows: int) -> None:
        """Select another stage; beyond the ends the key belongs to whatever the list stands in."""
        place = self.cursor + rows
        if self.reason or not 0 <= place < len(self._rows):
            raise SkipAction
        self.cursor = place

    def action_shift(self, rows: int) -> None:
        """Move the selected stage."""
        place = self.cursor + rows
        if self.cursor < len(self._order) and 0 <= place < len(self._order):
            order = list(self._order)
            name = order.pop(self.cursor)
            order.insert(place, name)
            self._change(order, name)

    def action_toggle_stage(self) -> None:
        """Leave the selected stage out, or put it back at the end."""
        name = self._rows[self.cursor]
        if name in self._order:
            self._change([stage for stage in self._order if stage != name], name)
        else:
            self._change([*self._order, name], name)

    def action_reset(self) -> None:
        """Go back to the preset's order."""
        self._change(self._default, self._rows[self.cursor])

    def on_click(self, event: events.Click) -> None:
        """Select the stage under the mouse."""
        if event.y < len(self._rows):
            self.cursor = event.y

    def on_focus(self) -> None:
        """Show the cursor."""
        self.refresh()

    def on_blur(self) -> None:
        """Hide the cursor."""
        self.refresh()
