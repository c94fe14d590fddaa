"""The Textual app: themes, key map, palette, and the way in and out. Everything else is on its screens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual import on, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.theme import Theme

from playground.commands import PlaygroundCommands
from playground.domain.display import display_text
from playground.domain.errors import ConfigError
from playground.domain.sampling import SamplingParams
from playground.screens.actions import SettingChanged
from playground.screens.help import HelpScreen
from playground.screens.keymap import Section, checked_keymap, own_bindings
from playground.screens.model_picker import ModelPicker
from playground.screens.playground import PlaygroundScreen
from playground.screens.preset_picker import PresetPicker
from playground.screens.prompt_view import PromptScreen
from playground.screens.text_dialog import TextDialog
from playground.services.paths import shipped, user_config_dir
from playground.services.presets import Preset
from playground.services.settings import Settings, save_setting, settings_path
from playground.theming import load_themes, variable_defaults
from playground.widgets.candidates import CandidateList
from playground.widgets.controls import Controls
from playground.widgets.guard import GUARD
from playground.widgets.order_list import OrderList
from playground.widgets.prompt_editor import PromptEditor
from playground.widgets.rows import ActionRow, SeedInput
from playground.widgets.slider import ParamSlider
from playground.widgets.token_view import TokenView

DEFAULT_THEME: Final = "ember"
_SHOWN_ERRORS: Final = 4


class PlaygroundApp(App[None]):
    """Opens the playground. All problems with files are shown once the screen is there."""

    TITLE = "llm-playground"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[Any]] = {PlaygroundCommands}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help", id="app.help", tooltip="All keys, and what the figures mean", priority=True),
        Binding(
            "ctrl+p",
            "command_palette",
            "Actions",
            id="app.actions",
            tooltip="Find any action, preset or theme by its name",
            priority=True,
        ),
        Binding("ctrl+q", "quit", "Quit", id="app.quit", tooltip="Leave", priority=True),
    ]

    def __init__(
        self,
        settings: Settings,
        *,
        model: str,
        presets: dict[str, Preset],
        preset: Preset,
        params: SamplingParams,
        errors: Sequence[ConfigError] = (),
    ) -> None:
        self._themes, theme_errors = load_themes((shipped("themes"), user_config_dir() / "themes"))
        super().__init__()
        self.settings = settings
        self._errors = [*errors, *theme_errors]
        self._main = PlaygroundScreen(settings, model=model, presets=presets, preset=preset, params=params)
        for theme in self._themes.values():
            self.register_theme(theme)
        self.theme = self._first_theme(settings.theme)
        self._saved_theme = self.theme
        keymap, keymap_errors = checked_keymap(settings.keymap, sections(), str(settings_path()))
        self._errors += keymap_errors
        self.set_keymap(keymap)
        self._keys = keymap

    def _first_theme(self, wanted: str) -> str:
        if wanted and wanted not in self.available_themes:
            known = ", ".join(sorted(self._themes))
            self._errors.append(ConfigError(f"There is no theme {wanted!r}.", f"Themes: {known}."))
        return wanted if wanted in self.available_themes else DEFAULT_THEME

    def get_default_screen(self) -> PlaygroundScreen:
        """The one screen below all dialogs."""
        return self._main

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Colours of tokens for themes that bring none, such as Textual's own."""
        themes: dict[str, Theme] = getattr(self, "_themes", {})  # Textual asks before __init__ is through
        dark = self.current_theme.dark if themes else True
        return variable_defaults(themes, dark)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """No control character reaches the terminal, whatever widget it came through."""
        return [*super().get_line_filters(), GUARD]

    def on_mount(self) -> None:
        """Leave in an orderly way when told to, and say what is wrong with the person's files."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGHUP):
            with contextlib.suppress(NotImplementedError, RuntimeError):  # no main thread, or no such signals
                loop.add_signal_handler(number, lambda: self.run_worker(self.action_quit(), group="quit"))
        self.theme_changed_signal.subscribe(self, self._remember_theme)
        self.call_after_refresh(self._settled)

    def _settled(self) -> None:
        """After the first paint: what lives now lives long, so the collector need not look at it again."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 100)
        for error in self._errors[:_SHOWN_ERRORS]:
            title, hint = display_text(error.message), display_text(error.hint)
            self.notify(hint, title=title, severity="warning", timeout=15, markup=False)
        if len(self._errors) > _SHOWN_ERRORS:
            self.notify(f"{len(self._errors) - _SHOWN_ERRORS} more mistakes in your files.", severity="warning")

    def _remember_theme(self, theme: Theme) -> None:
        if theme.name != self._saved_theme:
            self._saved_theme = theme.name
            self._save("theme", theme.name)

    @on(SettingChanged)
    def _remember_setting(self, event: SettingChanged) -> None:
        self._save(event.key, event.value)

    @work(group="settings")
    async def _save(self, key: str, value: str) -> None:
        try:
            await asyncio.to_thread(save_setting, settings_path(), key, value)
        except ConfigError as error:
            self.notify(display_text(str(error)), severity="warning", markup=False)

    def action_help(self) -> None:
        """Show all keys."""
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(sections(), self._keys))

    async def action_quit(self) -> None:
        """Leave; the model's process goes first."""
        await self._main.host.close()
        self.exit()


def sections() -> list[Section]:
    """Every binding of the program by the part of it where it works: for the help, and to check a key map."""
    return [
        Section("Everywhere", [*PlaygroundApp.BINDINGS, *own_bindings(PlaygroundScreen)]),
        Section("Prompt", own_bindings(PromptEditor)),
        Section("Transcript", own_bindings(TokenView)),
        Section("Sliders", own_bindings(ParamSlider)),
        Section("Rows of the controls", [*own_bindings(Controls), *own_bindings(ActionRow), *own_bindings(SeedInput)]),
        Section("Order of the stages", own_bindings(OrderList)),
        Section("Candidates", own_bindings(CandidateList)),
        Section("Choosing a model", own_bindings(ModelPicker)),
        Section("Choosing a preset", own_bindings(PresetPicker)),
        Section("Exact prompt", own_bindings(PromptScreen)),
        Section("Dialogs with a text", own_bindings(TextDialog)),
        Section("Help", own_bindings(HelpScreen)),
    ]
