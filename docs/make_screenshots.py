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
from textual.widgets import Input, SelectionList

from playground.app import PlaygroundApp
from playground.screens.playground import PlaygroundScreen
from playground.screens.sweep_form import SweepForm
from playground.screens.sweeping import open_sweep
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
    against: tuple[str, ...] = ()
    """Presets of further panes, in a picture of a race."""


SHOTS: Final = (
    Shot("ember", 120, 40, "balanced", ("ctrl+t", *["left"] * 9)),
    Shot("parchment", 120, 40, "min-p", ("ctrl+t", *["left"] * 14)),
    Shot("meridian", 80, 24, "balanced", ("ctrl+t", *["left"] * 6)),
    Shot("lagoon", 200, 60, "creative", ("ctrl+t", *["left"] * 12)),
    Shot("ember", 120, 40, "balanced", (), ("min-p", "deterministic")),
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
        while not screen.furnished or screen.pane.card is None:
            await pilot.pause(0.1)
        for name in shot.against:
            await pilot.press("alt+n")
            await pilot.pause(0.2)
            screen.use_preset(find_preset(presets, name))
        while any(pane.runner.backend is None for pane in screen.all_panes):
            await pilot.pause(0.1)
        screen.editor.load_text(PROMPT)
        await pilot.press("enter")
        await pilot.pause(0.2)
        while any(pane.session.busy for pane in screen.all_panes):
            await pilot.pause(0.1)
        app.clear_notifications()
        await pilot.press(*shot.keys)
        await pilot.pause(0.3)
        name = f"{'race' if shot.against else shot.theme}-{shot.width}x{shot.height}.svg"
        await asyncio.to_thread((FOLDER / name).write_text, app.export_screenshot(title="llm-playground"), "utf-8")
        await screen.pool.close_all()


async def take_sweep() -> None:
    """A sweep over temperatures, two thirds through."""
    presets, _ = load_presets()
    preset = find_preset(presets, "neutral")
    params = structs.replace(starting_params(preset), max_tokens=40)
    app = PlaygroundApp(Settings(), model="starter", presets=presets, preset=preset, params=params)
    async with app.run_test(size=(120, 40)) as pilot:
        screen = app.screen
        assert isinstance(screen, PlaygroundScreen)
        while not screen.furnished or screen.pane.runner.backend is None:
            await pilot.pause(0.1)
        screen.editor.load_text("Name a colour and say why you like it.")
        open_sweep(screen)
        while not isinstance(form := app.screen, SweepForm) or not form.is_mounted:
            await pilot.pause(0.1)
        await pilot.pause(0.3)
        form.query_one("#sweep-ranges", Input).value = "temperature=0:1.6:0.2"
        form.query_one("#sweep-samples", Input).value = "6"
        others = [name for name in presets if name != preset.name]
        form.query_one("#sweep-bases", SelectionList).select(1 + others.index("min-p"))
        await pilot.pause(1)
        await pilot.press("ctrl+s")
        while (job := screen.sweeping.job) is None or job.progress.done < job.progress.total * 2 // 3:
            await pilot.pause(0.1)
        await pilot.pause(1)
        app.clear_notifications()
        await pilot.pause(0.3)
        picture = app.export_screenshot(title="llm-playground")
        await asyncio.to_thread((FOLDER / "sweep-120x40.svg").write_text, picture, "utf-8")
        await job.stop()
        await screen.pool.close_all()


async def main() -> None:
    """All pictures, one after the other."""
    for shot in SHOTS:
        await take(shot)
    await take_sweep()


if __name__ == "__main__":
    import os

    with tempfile.TemporaryDirectory() as home:
        os.environ["LLM_PLAYGROUND_HOME"] = home
        asyncio.run(main())
