"""Choosing a preset, with what it does and what to watch for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from playground.domain.display import display_text
from playground.domain.sampling import NEUTRAL, changed_fields
from playground.services.presets import Preset


class PresetPicker(ModalScreen[Preset | None]):
    """A list of presets; the highlighted one explains itself below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f6", "leave", "Close", id="presets.leave", tooltip="Keep the present preset"),
    ]
    DEFAULT_CSS = """
    PresetPicker {
        align: center middle;
        & > Vertical {
            width: 80%; max-width: 84; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & OptionList, & OptionList:focus {
            height: auto; max-height: 14; border: none; background: $surface; padding: 0;
            text-wrap: nowrap; text-overflow: ellipsis;
        }
        & #preset-summary { height: auto; margin: 1 0 0 0; }
        & #preset-watch { height: auto; min-height: 3; color: $text-muted; }
        & #preset-values { height: auto; color: $accent; }
    }
    """

    def __init__(self, presets: Sequence[Preset], current: str) -> None:
        super().__init__()
        self._presets = list(presets)
        self._current = current

    def compose(self) -> ComposeResult:
        """The list, then what the highlighted preset sets and what to watch for."""
        with Vertical() as box:
            box.border_title = Content("Presets")
            box.border_subtitle = Content("enter takes it · esc keeps the present one")
            yield OptionList(*(Option(self._line(preset)) for preset in self._presets), id="preset-list")
            yield Static("", id="preset-summary", markup=False)
            yield Static("", id="preset-watch", markup=False)
            yield Static("", id="preset-values", markup=False)

    def _line(self, preset: Preset) -> Content:
        mark = "● " if preset.name == self._current else "  "
        name = Content.styled(f"{mark}{display_text(preset.name)}".ljust(18), "bold")
        return Content.assemble(name, Content(display_text(preset.summary)))

    def on_mount(self) -> None:
        """Begin at the preset in force."""
        names = [preset.name for preset in self._presets]
        options = self.query_one(OptionList)
        options.highlighted = names.index(self._current) if self._current in names else 0
        options.focus()

    @on(OptionList.OptionHighlighted)
    def _explain(self, event: OptionList.OptionHighlighted) -> None:
        preset = self._presets[event.option_index]
        values = changed_fields(NEUTRAL, preset.params)
        sets = " · ".join(f"{name} {new}" for name, (_, new) in values.items()) or "nothing: every stage is off"
        self.query_one("#preset-summary", Static).update(Content(display_text(preset.summary)))
        watch = f"Watch for: {preset.watch}" if preset.watch else ""
        self.query_one("#preset-watch", Static).update(Content(display_text(watch)))
        self.query_one("#preset-values", Static).update(Content(display_text(f"Sets {sets}")))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._presets[event.option_index])

    def action_leave(self) -> None:
        """Keep the present preset."""
        self.dismiss(None)
