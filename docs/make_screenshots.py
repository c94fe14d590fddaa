"""Makes the pictures of the README: the real app, the real model, a fixed seed.

Run it with `python docs/make_screenshots.py`.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import structs

from playground.app import PlaygroundApp
from playground.screens.playground import PlaygroundScreen
from playground.services.presets import load_presets
from playground.services.settings import Settings
from playground.services.start import find_preset, starting_params

FOLDER: Final = Path(__file__).parent / "screenshots"
PROMPT: Final = "Explain in a few sentences why the sky is blue."


class Shot(NamedTuple):
    """One picture."""

    theme: str
    width: int
    height: int
    preset: str
    keys: tuple[str, ...]


SHOTS: Final = (
    Shot("ember", 120, 40, "balanced", ("ctrl+t", *["left"] * 9)),
    Shot("parchment", 120, 40, "min-p", ("ctrl+t", *["left"] * 14)),
    Shot("meridian", 80, 24, "balanced", ("ctrl+t", *["left"] * 6)),
    Shot("lagoon", 200, 60, "creative", ("ctrl+t", *["left"] * 12)),
)


async def take(shot: Shot) -> None:
    """Ask, wait for the reply, walk to a token, and save the screen."""
    presets, _ = load_presets()
    preset = find_preset(presets, shot.preset)
    params = structs.replace(starting_params(preset), seed=7, max_tokens=170)
    settings = structs.replace(Settings(), theme=shot.theme)
    app = PlaygroundApp(settings, model="starter", presets=presets, preset=preset, params=params)
    async with app.run_test(size=(shot.width, shot.height)) as pilot:
        screen = app.screen
        assert isinstance(screen, PlaygroundScreen)
        while not screen.furnished or screen.pane.info is None:
            await pilot.pause(0.1)
        screen.editor.load_text(PROMPT)
        await pilot.press("enter")
        await pilot.pause(0.2)
        while screen.pane.session.busy:
            await pilot.pause(0.1)
        app.clear_notifications()
        await pilot.press(*shot.keys)
        await pilot.pause(0.3)
        name = f"{shot.theme}-{shot.width}x{shot.height}.svg"
        await asyncio.to_thread((FOLDER / name).write_text, app.export_screenshot(title="llm-playground"), "utf-8")
        await screen.host.close()


async def main() -> None:
    """All pictures, one after the other."""
    for shot in SHOTS:
        await take(shot)


if __name__ == "__main__":
    import os

    with tempfile.TemporaryDirectory() as home:
        os.environ["LLM_PLAYGROUND_HOME"] = home
        asyncio.run(main())
