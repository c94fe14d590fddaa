"""Sweeps for tests, and the sweeper with everything it needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playground.domain.experiments import CellResult, Sweep, grid, named_prompts
from playground.domain.messages import RawPrompt
from playground.domain.models import LoadOptions
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL
from playground.services.accounts import Accounts
from playground.services.experiment_store import CellFile
from playground.services.experiments import SweepRun, without_stand_ins
from playground.services.model_pool import ModelPool
from playground.services.settings import Settings, load_settings

PLAIN = LoadOptions(context=512, threads=1, threads_batch=1)


def make_sweep(model: str, *prompts: str, samples: int = 3, ranges: Sequence[str] = (), **params: Any) -> Sweep:
    """A sweep on one model with raw prompts; replies of four tokens unless something else is said."""
    base = replace(NEUTRAL, **({"max_tokens": 4, "top": 1, "ignore_eos": True} | params))
    named = named_prompts([RawPrompt(text) for text in prompts or ("Once upon a time",)])
    return Sweep(prompts=named, settings=grid([("neutral", base)], ranges), models=(model,), samples=samples, seed=1)


def from_file(options: LoadOptions = PLAIN) -> Settings:
    """The test's own settings with other ways of loading."""
    import msgspec

    return without_stand_ins(msgspec.structs.replace(load_settings()[0], load=options))


async def sweep_all(
    sweep: Sweep, folder: Path, settings: Settings | None = None, **more: Any
) -> tuple[SweepRun, CellFile]:
    """Run a sweep to its end; the file is closed then."""
    pool = ModelPool(settings or from_file())
    seen: list[CellResult] = more.pop("seen", [])
    with CellFile(folder) as file:
        file.begin(sweep)
        run = SweepRun(
            sweep,
            file,
            pool,
            Accounts(pool.settings, lambda: pool.endpoints),
            at_once=more.pop("at_once", 2),
            on_result=seen.append,
            **more,
        )
        try:
            await run.run()
        finally:
            await pool.close_all()
    return run, file
