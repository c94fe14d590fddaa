"""What a sweep will take, told before it begins and brought up to date while it is being set up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from textual.content import Content

from playground.domain.errors import BadInput
from playground.domain.experiments import Cell, CellResult, Sweep
from playground.domain.sizes import size_text
from playground.screens.sweep_draft import Asked
from playground.services.experiment_job import Memory, memory_for
from playground.services.experiment_output import short_model
from playground.services.experiment_plans import SweepEstimate, estimate_sweep
from playground.services.experiment_shelf import folder_of
from playground.services.experiment_speeds import known_speeds
from playground.services.experiment_store import CellFile
from playground.services.experiment_words import estimate_lines

if TYPE_CHECKING:
    from playground.screens.sweep_running import SweepRunner


class Outlook(NamedTuple):
    """A plan and what it will take."""

    asked: Asked
    estimate: SweepEstimate
    memory: Memory | None
    content: Content
    """The same in words."""


async def outlook_of(asked: Asked, runner: SweepRunner) -> Outlook:
    """Reckon it, without loading a model. Raises PlaygroundError."""
    sweep, pool, at_once = asked.sweep, runner.pool, asked.at_once
    speeds = await known_speeds(sweep.models, at_once) | runner.speeds(at_once)
    todo, results = (list(sweep.cells), {}) if runner.private else await asyncio.to_thread(_left, sweep)
    estimate = await estimate_sweep(sweep, todo, pool, runner.accounts, results, at_once, runner.loaded, speeds=speeds)
    refs = await asyncio.to_thread(lambda: [pool.find(model) for model in sweep.models])
    memory = await memory_for(refs, msgspec.structs.replace(pool.settings.load, streams=at_once))
    lines = estimate_lines(sweep, estimate)
    parts: list[Content | tuple[str, str]] = [Content("\n".join(lines))]
    if memory is not None:
        words = f"\nMemory: ≈{size_text(memory.needed)} for {short_model(memory.model)}, {size_text(memory.free)} free"
        parts.append((words, "" if memory.enough else "$text-error"))
    if runner.busy_panes:
        parts.append((f"\n{runner.sharing}", "$text-warning"))
    return Outlook(asked, estimate, memory, Content.assemble(*parts))


def _left(sweep: Sweep) -> tuple[list[Cell], dict[str, CellResult]]:
    """The cells that an earlier run has not done, and what it has."""
    try:
        file = CellFile.look(folder_of(sweep))
    except BadInput:
        return list(sweep.cells), {}
    done = file.done()
    return [cell for cell in sweep.cells if cell.id not in done], file.results
