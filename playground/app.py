"""The Textual app: themes, key map, palette, and the way in and out. Everything else is on its screens."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import on, work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.theme import Theme

from playground.domain.display import display_text
from playground.domain.errors import ConfigError
from playground.domain.sampling import SamplingParams
from playground.screens.actions import SettingChanged
from playground.screens.keymap import checked_keymap
from playground.screens.playground import PlaygroundScreen
from playground.services.paths import shipped, user_config_dir
from playground.services.presets import Preset
from playground.services.settings import Settings, save_setting, settings_path
from playground.theming import load_themes, variable_defaults
from playground.widgets.guard import GUARD
from playground.widgets.terminal_keys import free_alt_digits
from playground.widgets.terminal_pastes import keep_pastes_whole

if TYPE_CHECKING:
    from textual.command import Provider

DEFAULT_THEME: Final = "ember"
_SHOWN_ERRORS: Final = 4
_SETTLED_SECONDS: Final = 0.5
"""After the start, when the screen is furnished."""


def _commands() -> type[Provider]:
    """The palette's entries, imported when it is opened."""
    from playground.commands import PlaygroundCommands

    return PlaygroundCommands


class PlaygroundApp(App[None]):
    """Opens the playground. All problems with files are shown once the screen is there."""

    TITLE = "llm-playground"
    CSS_PATH = "app.tcss"
    COMMANDS: ClassVar[set[Any]] = {_commands}
    SUSPENDED_SCREEN_CLASS = "-covered"
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
        Binding(
            "alt+x", "picture", "Picture", id="app.picture", tooltip="Keep the screen as an SVG file", priority=True
        ),
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
        free_alt_digits()
        keep_pastes_whole(self.driver_class)
        self.settings = settings
        self._errors = [*errors, *theme_errors]
        """Mistakes in the person's files."""
        self._main = PlaygroundScreen(settings, model=model, presets=presets, preset=preset, params=params)
        for theme in self._themes.values():
            self.register_theme(theme)
        self.theme = self._first_theme(settings.theme)
        self._saved_theme = self.theme
        self._keys: dict[str, str] = {}
        if settings.keymap:
            self._use_keymap(settings.keymap)

    def _use_keymap(self, wanted: dict[str, str]) -> None:
        from playground.screens.sections import sections

        self._keys, errors = checked_keymap(wanted, sections(self.BINDINGS), str(settings_path()))
        self._errors += errors
        self.set_keymap(self._keys)

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
        if not self.is_headless:
            self._heed_signals()
        self.theme_changed_signal.subscribe(self, self._remember_theme)
        self.set_timer(_SETTLED_SECONDS, self._settled)

    def _heed_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, lambda: self.run_worker(self.action_quit(), group="quit"))
        # The terminal is gone, and whoever writes to it may wait for ever; the model's process ends with this one.
        signal.signal(signal.SIGHUP, lambda *_: os._exit(128 + signal.SIGHUP))

    def _settled(self) -> None:
        """After the first paint: what lives now lives long, so the collector need not look at it again."""
        from playground.services.endpoints import endpoint_problems

        gc.enable()
        gc.collect()
        gc.freeze()
        gc.set_threshold(5_000, 2, 1_000)  # often and little: a pause is felt from 10 ms on
        self._errors += endpoint_problems(self.settings) if self.settings.endpoints else []
        if self._errors:
            self._show_mistakes()

    def _show_mistakes(self) -> None:
        count, shown = len(self._errors), self._errors[:_SHOWN_ERRORS]
        lines = [f"• {error}" if count > 1 else str(error) for error in shown]
        if count > len(shown):
            lines.append(f"… and {count - len(shown)} more")
        title = "A mistake in your files" if count == 1 else f"{count} mistakes in your files"
        text = display_text("\n".join(lines))
        self.notify(text, title=title, severity="warning", timeout=20, markup=False)

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

    def _fatal_error(self) -> None:
        """A crash is shown without the values of variables, one of which may be a key."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        traceback = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()

    def action_help(self) -> None:
        """Show all keys, or leave them again."""
        from playground.screens.help import HelpScreen
        from playground.screens.sections import sections, title_of

        if isinstance(self.screen, HelpScreen):
            self.screen.action_leave()
        else:
            self.push_screen(HelpScreen(sections(self.BINDINGS), self._keys, title_of(type(self.screen))))

    async def action_picture(self) -> None:
        """Write what is on the screen to a file."""
        from playground.services.kept_files import save_picture

        try:
            path = await asyncio.to_thread(save_picture, self.export_screenshot())
        except ConfigError as error:
            self.notify(display_text(error.hint), title=display_text(error.message), severity="error", markup=False)
        else:
            self.notify(display_text(str(path)), title="The screen is kept as", timeout=6, markup=False)

    async def action_quit(self) -> None:
        """Leave; replies are ended and kept, then the model's process goes."""
        await self._main.leave()
        await self._main.pool.close_all()
        self.exit()
