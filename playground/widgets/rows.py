"""One-line rows of the control panel: one to press, and one to type a seed into."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.validation import Function
from textual.widgets import Input, Label

from playground.domain.display import display_text
from playground.widgets.bars import fit
from playground.widgets.explained import Explained

LABEL = 12
SEED_LIMIT = 2**32 - 1
"""Seeds are below this; llama.cpp reads the number itself as "random"."""
SEED_RANGE = f"The seed is a whole number from 0 to {SEED_LIMIT - 1}, or empty for a random one."


class PressRow(Explained, can_focus=True):
    """A row that Enter, space or a click presses; what it looks like is up to the classes built on it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space", "press", "Open", show=False, id="row.press", tooltip="Open what this row is about"),
    ]
    ALLOW_SELECT = False
    DEFAULT_CSS = """
    PressRow {
        height: 1;
        padding: 0 0 0 1;
        pointer: pointer;
        &:hover { background: $foreground 4%; }
        &:focus { background: $foreground 9%; text-style: bold; }
        &.-unavailable { text-opacity: 55%; pointer: default; }
    }
    """

    class Pressed(Message):
        """The person pressed the row."""

        def __init__(self, row: PressRow) -> None:
            super().__init__()
            self.row = row

        @property
        def control(self) -> PressRow:
            """The row."""
            return self.row

    def action_press(self) -> None:
        """Press the row."""
        if not self.reason:
            self.post_message(self.Pressed(self))

    def press_at(self, x: int) -> None:
        """Press the row with the mouse, at a cell of its content."""
        self.action_press()

    def on_click(self, event: events.Click) -> None:
        """Press the row."""
        event.stop()
        self.press_at(event.x - self.gutter.left)


class ActionRow(PressRow):
    """A label and a value on one line."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"row--label", "row--value", "row--mark"}
    DEFAULT_CSS = """
    ActionRow {
        padding: 0;
        & > .row--label { color: $foreground; }
        & > .row--value { color: $text-muted; }
        & > .row--mark { color: $accent; text-style: bold; }
    }
    """

    def __init__(self, label: str, value: str = "", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown = (label, value, "", False)

    def show(self, value: str, label: str | None = None, *, tail: str = "", changed: bool = False) -> None:
        """Show another value; it may be foreign text.

        Args:
            value: The value; its end is cut off where there is no room.
            label: Another label.
            tail: What follows the value and is never cut off.
            changed: True to mark a change that is not saved.
        """
        new = (self._shown[0] if label is None else label, value, tail, changed)
        if new != self._shown:
            self._shown = new
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The only row."""
        width = self.size.width
        label, value, tail, changed = self._shown
        mark = self.get_component_rich_style("row--mark")
        text = display_text(value).replace("\n", "↵").replace("\t", "→")
        taken = min(width, LABEL + 1 if text else width)
        room = max(0, width - taken - cell_len(tail))
        segments = [
            Segment("•" if changed else " ", mark),
            Segment(fit(label, taken - 1), self.get_component_rich_style("row--label")),
            Segment(fit(text, min(room, cell_len(text))), self.get_component_rich_style("row--value")),
            Segment(tail, mark if changed else self.get_component_rich_style("row--value")),
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)


class FoldRow(PressRow):
    """A sentence that folds what stands below it; it wraps, and takes the same room whether folded or not."""

    DEFAULT_CSS = """
    FoldRow { height: auto; color: $text-muted; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._text = ""

    def show(self, text: str, folded: bool) -> None:
        """Show a sentence, and which way the fold is."""
        new = f"{'▸' if folded else '▾'} {display_text(text)}"
        if new != self._text:
            self._text = new
            self.refresh(layout=True)

    def render(self) -> Content:
        """The sentence."""
        return Content(self._text)


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


class SeedRow(Horizontal, Explained):
    """The seed: a label and a field. Enter, or leaving the field, takes what was typed."""

    DEFAULT_CSS = """
    SeedRow {
        height: 1;
        padding: 0 0 0 1;
        & > Label { width: 12; }
        &:focus-within > Label { text-style: bold; }
        &:focus { background: $foreground 9%; }
        &.-unavailable > * { opacity: 45%; }
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

    def set_unavailable(self, reason: str) -> None:
        """As every row; the focus goes to the row itself, because its field can take nothing."""
        super().set_unavailable(reason)
        field = self.query_one(SeedInput)
        if self.reason and field.has_focus:
            field.action_cancel()
            self.can_focus = True
            self.focus()
        self.can_focus = field.disabled = bool(self.reason)

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
