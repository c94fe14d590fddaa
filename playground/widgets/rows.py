"""One-line rows of the control panel: one to press, and one to type a seed into."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.validation import Function
from textual.widget import Widget
from textual.widgets import Input, Label

from playground.domain.display import display_text
from playground.widgets.bars import fit

LABEL = 12
SEED_LIMIT = 2**32 - 1
"""Seeds are below this; llama.cpp reads the number itself as "random"."""
SEED_RANGE = f"The seed is a whole number from 0 to {SEED_LIMIT - 1}, or empty for a random one."


class ActionRow(Widget, can_focus=True):
    """A label and a value on one line; Enter, space or a click presses it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "press", "Open", show=False, id="row.press", tooltip="Open what this row is about"),
    ]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"row--label", "row--value"}
    DEFAULT_CSS = """
    ActionRow {
        height: 1;
        padding: 0 0 0 1;
        pointer: pointer;
        & > .row--label { color: $foreground; }
        & > .row--value { color: $text-muted; }
        &.-strong > .row--value { color: $accent; text-style: bold; }
        &:hover { background: $foreground 4%; }
        &:focus { background: $foreground 9%; text-style: bold; }
        &:disabled { text-opacity: 45%; }
    }
    """

    class Pressed(Message):
        """The person pressed the row."""

        def __init__(self, row: ActionRow) -> None:
            super().__init__()
            self.row = row

        @property
        def control(self) -> ActionRow:
            """The row."""
            return self.row

    def __init__(self, label: str, value: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._label = label
        self._value = value

    def show(self, value: str, label: str | None = None) -> None:
        """Show another value; it may be foreign text."""
        new = (self._label if label is None else label, value)
        if new != (self._label, self._value):
            self._label, self._value = new
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The only row."""
        width = self.size.width
        label = self.get_component_rich_style("row--label")
        value = self.get_component_rich_style("row--value")
        text = display_text(self._value).replace("\n", "↵").replace("\t", "→")
        taken = min(width, LABEL if text else width)
        return Strip([Segment(fit(self._label, taken), label), Segment(fit(text, width - taken), value)], width)

    def action_press(self) -> None:
        """Press the row."""
        self.post_message(self.Pressed(self))

    def on_click(self, event: events.Click) -> None:
        """Press the row."""
        event.stop()
        self.action_press()


def _is_seed(text: str) -> bool:
    text = text.strip()
    return not text or (text.isascii() and text.isdigit() and int(text) < SEED_LIMIT)


class SeedInput(Input):
    """An exact seed; empty for a fresh one each run."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "cancel", "Cancel", show=False, id="seed.cancel", tooltip="Leave the seed as it was"),
    ]
    DEFAULT_CSS = """
    SeedInput {
        width: 1fr;
        &.-invalid { color: $error; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(
            placeholder="random",
            compact=True,
            max_length=10,
            id=id,
            select_on_focus=True,
            validate_on=["changed"],
            validators=[Function(_is_seed, SEED_RANGE)],
        )
        self._seed: int | None = None

    @property
    def seed(self) -> int | None:
        """The seed in force."""
        return self._seed

    @seed.setter
    def seed(self, seed: int | None) -> None:
        if seed != self._seed:
            self._seed = seed
            self.value = "" if seed is None else str(seed)

    def action_cancel(self) -> None:
        """Put the seed in force back."""
        self.value = "" if self._seed is None else str(self._seed)


class SeedRow(Horizontal):
    """The seed: a label and a field. Enter, or leaving the field, takes what was typed."""

    DEFAULT_CSS = """
    SeedRow {
        height: 1;
        padding: 0 0 0 1;
        & > Label { width: 12; }
        &:focus-within > Label { text-style: bold; }
        &:disabled { opacity: 45%; }
    }
    """

    class Changed(Message):
        """The person set another seed."""

        def __init__(self, row: SeedRow, seed: int | None) -> None:
            super().__init__()
            self.row = row
            self.seed = seed
            """None for a fresh one each run."""

        @property
        def control(self) -> SeedRow:
            """The row."""
            return self.row

    class Rejected(Message):
        """What was typed is no seed; it stays in the field."""

        def __init__(self, row: SeedRow, reason: str) -> None:
            super().__init__()
            self.row = row
            self.reason = reason

        @property
        def control(self) -> SeedRow:
            """The row."""
            return self.row

    def compose(self) -> ComposeResult:
        """Label and field."""
        yield Label("seed", markup=False)
        yield SeedInput()

    def show(self, seed: int | None) -> None:
        """Show a seed without a message, unless one is being typed."""
        self.query_one(SeedInput).seed = seed

    @on(Input.Submitted)
    @on(Input.Blurred)
    def _take(self, event: Input.Submitted | Input.Blurred) -> None:
        event.stop()
        field = self.query_one(SeedInput)
        text = field.value.strip()
        if not _is_seed(text):
            if isinstance(event, Input.Blurred):
                field.action_cancel()
            self.post_message(self.Rejected(self, SEED_RANGE))
            return
        seed = int(text) if text else None
        if seed != field.seed:
            field.seed = seed
            self.post_message(self.Changed(self, seed))

    @on(Input.Changed)
    def _keep(self, event: Input.Changed) -> None:
        event.stop()
