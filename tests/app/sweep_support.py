"""Sweeps in tests of the app: their form, their screen, and what they left."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from textual.widgets import Input, TextArea

from playground.domain.endpoints import ModelRef
from playground.screens.sweep_form import SweepForm
from playground.screens.sweep_screen import SweepScreen
from playground.services.experiment_job import SweepJob
from playground.services.settings import settings_path
from playground.widgets.sweep_table import SweepTable
from tests.app.support import Player, make_app, open_experiment, settings

SMALL = """
[load]
context = 512
threads = 1
threads_batch = 1
"""


def app(model: Path | str = "", *assignments: str) -> Any:
    """The app with replies of four tokens that never end sooner."""
    if not settings_path().exists():
        settings(SMALL)
    return make_app("max_tokens=4", "ignore_eos=true", *assignments, model=str(model))


async def form(player: Player) -> SweepForm:
    """Open the form."""
    return await open_experiment(player, "Sweep", SweepForm)


async def fill(player: Player, **values: str) -> None:
    """Write into fields of the form, and wait until it was looked at."""
    screen = player.app.screen
    assert isinstance(screen, SweepForm)
    for name, value in values.items():
        field = player.app.screen.query_one(f"#sweep-{name}")
        if isinstance(field, TextArea):
            field.load_text(value)
        else:
            assert isinstance(field, Input)
            field.value = value

    def looked() -> bool:
        same = all(getattr(screen.draft, name) == value for name, value in values.items())
        return same and all(worker.is_finished for worker in screen.workers if worker.group == "estimate")

    await player.until(looked, "the form was looked at")


async def begun(player: Player, **values: str) -> SweepScreen:
    """Begin a sweep."""
    await form(player)
    await fill(player, **values)
    await player.press("ctrl+s")
    return await watched(player)


async def begun_hosted(player: Player, model: str, **values: str) -> SweepScreen:
    """Begin a sweep of four short replies on the fake."""
    screen = await form(player)
    screen._add_model(ModelRef("box", model))
    await fill(player, **({"prompts": "Hi", "max_tokens": "30", "samples": "4", "ranges": "", "at_once": "2"} | values))
    await player.press("ctrl+s")
    return await watched(player)


async def watched(player: Player) -> SweepScreen:
    """Wait for the screen of a sweep."""
    await player.until(lambda: isinstance(player.app.screen, SweepScreen), "screen of the sweep")
    screen = player.app.screen
    assert isinstance(screen, SweepScreen)
    return screen


async def ended(player: Player, job: SweepJob) -> None:
    """Wait for the end of a run."""
    await player.until(lambda: not job.running, "the sweep has ended")


def cells(job: SweepJob) -> list[dict[str, Any]]:
    """Lines of the file, without the plan."""
    lines = (job.folder / "cells.jsonl").read_bytes().splitlines()
    return [entry for entry in map(json.loads, lines) if "plan" not in entry]


def rows(player: Player) -> list[list[str]]:
    """The table."""
    table = player.app.screen.query_one(SweepTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]
