"""Rows for what hosted models take beside sampling parameters: effort, thinking, cache, legacy sampling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from msgspec import structs
from rich.segment import Segment
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from playground.domain.display import display_text
from playground.domain.messages import CallOptions
from playground.widgets.bars import fit
from playground.widgets.rows import LABEL, PressRow

NAMES: Final = {"": "default", "5m": "5 min", "1h": "1 hour", "False": "off", "True": "on"}
"""How values are written that do not speak for themselves."""
OFF_ON: Final = ("False", "True")
"""What a switch can be."""
LABELS: Final = {"effort": "effort", "thinking": "thinking", "cache": "cache", "legacy_sampling": "legacy sampling"}
HELP: Final = {
    "effort": "How hard the model works at its answer: more effort takes more tokens, time and money.",
    "thinking": "Whether the model thinks before it answers. Thinking is paid for like the answer.",
    "cache": "How long the provider keeps the prompt. Writing the cache costs more, reading it far less.",
    "legacy_sampling": "Send temperature, top-p and top-k to a model whose current API has none. It may refuse them.",
}


class CycleRow(PressRow):
    """A label and one of a few values; the arrows go through them, and so does pressing the row."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "cycle(-1)", "Previous", show=False, id="row.previous", tooltip="The value before"),
        Binding("right,l", "cycle(1)", "Next", show=False, id="row.next", tooltip="The next value"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"cycle--arrow", "cycle--default", "cycle--set", "cycle--unknown"}
    DEFAULT_CSS = """
    CycleRow {
        & > .cycle--arrow { color: $text-muted; }
        & > .cycle--default { color: $text-muted; }
        & > .cycle--set { color: $accent; text-style: bold; }
        & > .cycle--unknown { color: $warning; }
    }
    """

    class Changed(Message):
        """The person chose another value."""

        def __init__(self, row: CycleRow, value: str) -> None:
            super().__init__()
            self.row = row
            self.value = value

        @property
        def control(self) -> CycleRow:
            """The row."""
            return self.row

    def __init__(self, label: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._label = label
        self._choices: tuple[str, ...] = ()
        self.value = ""

    def show(self, value: str, choices: tuple[str, ...]) -> None:
        """Show a value and what it can be changed to; the first of the choices is the usual one."""
        if (value, choices) != (self.value, self._choices):
            self.value, self._choices = value, choices
            self._refresh_tooltip()
            self.refresh()

    def explanation(self) -> str:
        """What the row is for, its values, and whether the present one is among them."""
        lines = [self.help_text, f"Values: {', '.join(map(_named, self._choices))}."]
        if self.value not in self._choices:
            lines.append(f"This model does not offer {_named(self.value)!r}.")
        return "\n".join(lines)

    @property
    def _label_width(self) -> int:
        return max(LABEL, len(self._label) + 1)

    def render_line(self, y: int) -> Strip:
        """The only row."""
        width = self.size.width
        arrow = self.get_component_rich_style("cycle--arrow")
        usual = self.value == (self._choices or ("",))[0]
        part = "unknown" if self.value not in self._choices else "default" if usual else "set"
        segments = [
            Segment(fit(self._label, self._label_width), self.rich_style),
            Segment("◂ ", arrow),
            Segment(_named(self.value), self.get_component_rich_style(f"cycle--{part}")),
            Segment(" ▸", arrow),
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def action_cycle(self, step: int) -> None:
        """Go to another value; behind the last comes the first."""
        if self.reason or not self._choices:
            return
        known = self.value in self._choices
        place = self._choices.index(self.value) + step if known else 0
        value = self._choices[place % len(self._choices)]
        if value != self.value:
            self.value = value
            self._refresh_tooltip()
            self.refresh()
            self.post_message(self.Changed(self, value))

    def action_press(self) -> None:
        """The next value."""
        self.action_cycle(1)

    def press_at(self, x: int) -> None:
        """The next value, or the one before at the arrow that points there."""
        self.action_cycle(-1 if 0 <= x - self._label_width < 2 else 1)


class OptionRows(Vertical):
    """One row for each option that the model offers."""

    DEFAULT_CSS = """
    OptionRows {
        height: auto;
        & > CycleRow { display: none; }
        & > CycleRow.-offered { display: block; }
    }
    """

    class Changed(Message):
        """The person chose other options."""

        def __init__(self, rows: OptionRows, options: CallOptions) -> None:
            super().__init__()
            self.rows = rows
            self.options = options

        @property
        def control(self) -> OptionRows:
            """The rows."""
            return self.rows

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._options = CallOptions()
        self._offered: Mapping[str, tuple[str, ...]] = {}

    def compose(self) -> ComposeResult:
        """Every row once; those not offered are not displayed."""
        for name, label in LABELS.items():
            row = CycleRow(label, id=f"controls-{name}")
            row.explain(HELP[name])
            yield row

    def on_mount(self) -> None:
        """Draw what was shown before there was a screen."""
        self._refresh_rows()

    def show(self, options: CallOptions, offered: Mapping[str, tuple[str, ...]]) -> None:
        """Show other options; a field of CallOptions without values to choose from has no row."""
        if (options, offered) != (self._options, self._offered):
            self._options, self._offered = options, offered
            if self.is_mounted:
                self._refresh_rows()

    def _refresh_rows(self) -> None:
        for name in LABELS:
            row = self.query_one(f"#controls-{name}", CycleRow)
            choices = self._offered.get(name, ())
            row.set_class(bool(choices), "-offered")
            row.show(str(getattr(self._options, name)), choices)

    @on(CycleRow.Changed)
    def _row_changed(self, event: CycleRow.Changed) -> None:
        event.stop()
        name = (event.row.id or "").removeprefix("controls-")
        value: Any = event.value == "True" if name == "legacy_sampling" else event.value
        self._options = structs.replace(self._options, **{name: value})
        self.post_message(self.Changed(self, self._options))


def _named(value: str) -> str:
    return NAMES.get(value) or display_text(value).replace("\n", " ")


def with_default(values: tuple[str, ...]) -> tuple[str, ...]:
    """Values to choose from, and before them the empty one that leaves the choice to the model; none for none."""
    return ("", *(value for value in values if value)) if values else ()
