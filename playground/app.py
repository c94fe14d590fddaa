"""The Textual app: themes, key map, palette, and the way in and out. Everything else is on its screens."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.theme import Theme

from playground.commands import PlaygroundCommands
from playground.domain.display import display_text
from playground.domain.errors import ConfigError
from playground.domain.sampling import SamplingParams
from playground.screens.help import HelpScreen, Section
from playground.screens.playground import PlaygroundScreen
from playground.services.paths import shipped, user_config_dir
from playground.services.presets import Preset
from playground.services.settings import Settings, save_setting, settings_path
from playground.theming import load_themes, variable_defaults
from playground.widgets.candidates import CandidateList
from playground.widgets.guard import GUARD
from playground.widgets.order_list import OrderList
from playground.widgets.prompt_editor import PromptEditor
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
        Binding("f1", "help", "Help", id="app.help", tooltip="All keys, and what the figures mean"),
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
        self.set_keymap(settings.keymap)

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
                loop.add_signal_handler(number, self.exit)
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

    def _save(self, key: str, value: str) -> None:
        try:
            save_setting(settings_path(), key, value)
        except ConfigError as error:
            self.notify(display_text(str(error)), severity="warning", markup=False)

    def action_help(self) -> None:
        """Show all keys."""
        screens = [base.__dict__["BINDINGS"] for base in PlaygroundScreen.__mro__ if "BINDINGS" in base.__dict__]
        everywhere = [binding for part in screens[:3] for binding in part]
        sections = (
            Section("Everywhere", [*self.BINDINGS, Binding("ctrl+p", "", "Find any action by its name"), *everywhere]),
            Section("Prompt", PromptEditor.__dict__["BINDINGS"]),
            Section("Transcript", TokenView.__dict__["BINDINGS"]),
            Section("Sliders", ParamSlider.__dict__["BINDINGS"]),
            Section("Order of the stages", OrderList.__dict__["BINDINGS"]),
            Section("Candidates", CandidateList.__dict__["BINDINGS"]),
        )
        self.push_screen(HelpScreen(sections, self.settings.keymap))

    async def action_quit(self) -> None:
        """Leave; the model's process goes first."""
        await self._main.host.close()
        self.exit()
