"""Opening the app from the command line."""

from __future__ import annotations

import gc
import os
import sys
from typing import Final

from msgspec import structs

from playground.domain.errors import BadInput, ConfigError

_SWITCH_SECONDS: Final = 0.001


def open_app(*, model: str | None, preset: str | None, theme: str | None) -> None:
    """Read settings and presets, then run the app until it is left. Raises BadInput when there is no terminal."""
    _need_terminal()
    tune_process()
    from playground.services.presets import load_presets
    from playground.services.settings import load_settings
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    settings, errors = load_settings()
    presets, preset_errors = load_presets()
    errors = [*errors, *preset_errors]
    if theme:
        settings = structs.replace(settings, theme=theme)
    if preset:
        chosen = find_preset(presets, preset)
        settings = structs.replace(settings, preset=chosen.name)
    else:
        try:
            chosen = find_preset(presets, settings.preset or DEFAULT_PRESET)
        except BadInput as error:  # a name in the settings that is gone is no reason not to open
            errors.append(ConfigError(error.message, error.hint))
            chosen = find_preset(presets, DEFAULT_PRESET)

    from playground.app import PlaygroundApp

    app = PlaygroundApp(
        settings,
        model=model or "",
        presets=presets,
        preset=chosen,
        params=starting_params(chosen),
        errors=errors,
    )
    app.run()
    sys.exit(app.return_code or 0)


def tune_process() -> None:
    """Settle what has to be settled before Textual is imported: how soon keys are painted, and how start-up is."""
    # Start-up makes a hundred thousand objects that all stay; the app switches the collector on again.
    gc.disable()
    # Textual lets one to two periods pass between two paints. With its own 60 a second, a key pressed just behind
    # a token would wait up to 33 ms; tokens are painted as seldom as before.
    os.environ.setdefault("TEXTUAL_FPS", "120")
    # Keys are read and screens are written in threads of their own, which should not wait 5 ms for a paint to end.
    sys.setswitchinterval(_SWITCH_SECONDS)


def _need_terminal() -> None:
    # Textual draws on standard error, so that one counts as well.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInput("The app needs a terminal.", "Without one, use: llm-playground run --prompt TEXT (see --help).")
    if os.environ.get("TERM", "") in ("dumb", "unknown"):
        raise BadInput(
            f"This terminal (TERM={os.environ['TERM']}) cannot draw a screen.",
            "Use another one, or: llm-playground run --prompt TEXT.",
        )
