"""Mistakes in the person's files that only the screens know: themes and the key map."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.binding import BindingType
from textual.theme import BUILTIN_THEMES

from playground.screens.keymap import checked_keymap
from playground.screens.sections import sections
from playground.services.findings import Finding, from_error, note, ok
from playground.services.paths import shipped, user_config_dir
from playground.services.settings import load_settings, settings_path
from playground.theming import load_themes


def screen_findings(everywhere: Sequence[BindingType]) -> Iterable[Finding]:
    """Look through themes and key map, as they are on disk now.

    Args:
        everywhere: Bindings of the app itself, which work in every part.
    """
    settings, _ = load_settings()
    themes, errors = load_themes((shipped("themes"), user_config_dir() / "themes"))
    yield from (from_error("themes", error) for error in errors)
    if settings.theme and settings.theme not in (themes | BUILTIN_THEMES):
        known = f"There are: {', '.join(sorted(themes))}."
        yield note("themes", f"No file has a theme called {settings.theme!r}.", known)
    yield ok("themes", f"{len(themes)} can be used")
    _, mistakes = checked_keymap(settings.keymap, sections(everywhere), str(settings_path()))
    yield from (from_error("keys of the app", error) for error in mistakes)
