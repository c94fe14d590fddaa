"""Choosing a preset, with what it does and what to watch for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from playground.domain.display import display_line, display_text
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.sampling import NEUTRAL, changed_fields
from playground.screens.notices import tell_error
from playground.services.preset_shelf import PresetShelf
from playground.services.presets import Preset

_FORMS: Final = {".toml": "toml", ".json": "json", ".ini": "llama.cpp", ".modelfile": "ollama"}
"""By the ending of the file a preset is written to: in whose notation."""
_IMPORT_HELP: Final = (
    "Path of a preset of text-generation-webui, SillyTavern, LM Studio, KoboldAI, Ollama (Modelfile), Hugging Face "
    "(generation_config.json) or llama.cpp (INI). What it is shows from what stands in it."
)
_EXPORT_HELP: Final = (
    "Path of the new file. Its ending chooses the notation: .toml ours, .json, .ini llama.cpp's, .modelfile Ollama's."
)


class PresetPicker(ModalScreen[Preset | None]):
    """A list of presets; the highlighted one explains itself below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f6", "leave", "Close", id="presets.leave", tooltip="Keep the present preset"),
        Binding("i", "take_in", "Import", id="presets.import", tooltip="Import a preset file of another program"),
        Binding("e", "write_out", "Export", id="presets.export", tooltip="Write the preset under the cursor to a file"),
        Binding("d", "delete", "Delete", id="presets.delete", tooltip="Delete a preset of your own"),
        Binding("u", "undo", "Undo", id="presets.undo", tooltip="Put back what was deleted last"),
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

    def __init__(self, presets: Callable[[], Sequence[Preset]], current: str, shelf: PresetShelf) -> None:
        super().__init__()
        self._listed = presets
        self._presets = list(presets())
        self._current = current
        self._shelf = shelf

    def compose(self) -> ComposeResult:
        """The list, then what the highlighted preset sets and what to watch for."""
        with Vertical() as box:
            box.border_title = Content("Presets")
            box.border_subtitle = Content("enter takes it · i imports · e exports · d deletes · esc back")
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
        self._highlight(self._current)
        self.query_one(OptionList).focus()

    def _highlight(self, name: str) -> None:
        names = [preset.name for preset in self._presets]
        self.query_one(OptionList).highlighted = names.index(name) if name in names else 0

    def _renew(self, name: str) -> None:
        """Show what there is now, with the cursor on a name."""
        self._presets = list(self._listed())
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._line(preset)) for preset in self._presets])
        self._highlight(name)

    @property
    def _chosen_now(self) -> Preset:
        return self._presets[self.query_one(OptionList).highlighted or 0]

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

    def action_take_in(self) -> None:
        """Ask for a file and take in what is in it."""

        def named(path: str | None) -> None:
            if path is None:
                return
            try:
                found = self._shelf.take_in(path.strip())
            except PlaygroundError as error:
                tell_error(self, error)
                return
            self._renew(found[0].preset.name)
            from playground.screens.preset_report import PresetReport

            self.app.push_screen(PresetReport(found))

        self._ask("Import a preset", "", _IMPORT_HELP, named)

    def action_write_out(self) -> None:
        """Ask for a file and write the preset there."""
        preset = self._chosen_now

        def named(path: str | None) -> None:
            if path is None:
                return
            form = next((form for ending, form in _FORMS.items() if path.strip().lower().endswith(ending)), "toml")
            try:
                file, left_out = self._shelf.write_out(preset, form, path.strip())
            except PlaygroundError as error:
                tell_error(self, error)
                return
            also = "".join(f"\n{name} is not said as a whole: {why}." for name, why in left_out.items())
            self.notify(display_text(f"{file}{also}"), title="Exported", timeout=6, markup=False)

        self._ask(f"Export {preset.name}", f"{preset.name}.toml", _EXPORT_HELP, named)

    def _ask(self, title: str, text: str, help_text: str, named: Callable[[str | None], None]) -> None:
        from playground.screens.text_dialog import TextDialog

        def check(path: str) -> None:
            if not path.strip():
                raise BadInput("Which file?", "Write its path.")

        self.app.push_screen(TextDialog(title, text, help_text, check, single=True), named)

    def action_delete(self) -> None:
        """Delete a preset of the person's own."""
        preset = self._chosen_now
        try:
            self._shelf.delete(preset)
        except PlaygroundError as error:
            tell_error(self, error)
            return
        self._renew(preset.name)
        self.notify(f"{display_line(preset.name)} is deleted; u puts it back.", timeout=3, markup=False)

    def action_undo(self) -> None:
        """Put back what was deleted last."""
        try:
            self._renew(self._shelf.undo().name)
        except PlaygroundError as error:
            tell_error(self, error)

    def action_leave(self) -> None:
        """Keep the present preset."""
        self.dismiss(None)
