"""A sweep of 64 samples with 8 at a time, against a bare batched loop with the same 8 streams.

The sweep goes the whole way: worker process, pipe, results on disk. Its time runs from the first request to the last
result, prefill and the emptying of the last batch included; the bare loop's is decode alone. Half of the bare loop's
turns come before the sweep and half after it, so that whatever else the machine does falls on both; each pair gives a
ratio. All replies have the same length, because the bare loop knows no end of text.

Run it with `python -m tests.benchmarks.bench_sweep [MODEL.gguf]` on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from playground.domain.experiments import Sweep, grid, named_prompts
from playground.domain.messages import RawPrompt
from playground.domain.models import LoadOptions
from playground.domain.params import replace
from playground.engine.bare import BareLoop
from playground.engine.model import LoadedModel, open_model
from playground.engine.threads import prepare_threads
from playground.services.accounts import Accounts
from playground.services.experiment_store import CellFile
from playground.services.experiments import SweepRun
from playground.services.measures import PARAMS, STORY
from playground.services.model_pool import ModelPool
from playground.services.models import starter_model
from playground.services.settings import Settings

PAIRS: Final = 9
SAMPLES: Final = 64
AT_ONCE: Final = 8
TOKENS: Final = 32
CONTEXT: Final = 4096
GOAL: Final = 0.9


async def sweep_speed(path: str, folder: Path) -> float:
    """Tokens per second of a whole sweep."""
    params = replace(PARAMS, seed=None, max_tokens=TOKENS, top=1, ignore_eos=True)
    sweep = Sweep(
        prompts=named_prompts([RawPrompt(STORY)]),
        settings=grid([("bench", params)], ()),
        models=(path,),
        samples=SAMPLES,
        seed=1,
    )
    settings = msgspec.structs.replace(Settings(), load=LoadOptions(context=CONTEXT))
    pool = ModelPool(settings)
    seconds = 0.0

    def note(_: object) -> None:
        nonlocal seconds
        seconds = run.progress.elapsed_s

    with CellFile(folder) as file:
        file.begin(sweep)
        run = SweepRun(sweep, file, pool, Accounts(settings, dict), at_once=AT_ONCE, on_result=note)
        await run.run()
    assert len(file.done()) == SAMPLES, run.errors
    return run.progress.tokens / seconds


def bare_seconds(bare: BareLoop, prompt: list[int], rounds: int) -> float:
    """Time of so many rounds with all streams."""
    return sum(TOKENS * AT_ONCE / bare.run(prompt, TOKENS, AT_ONCE) for _ in range(rounds))


def measure(path: str, model: LoadedModel) -> None:
    """Pairs of a sweep and the bare loop around it."""
    bare = BareLoop(model, PARAMS, batch=512)
    prompt = model.tokenize(STORY, special=True, begin=True)
    rounds = SAMPLES // AT_ONCE
    bare_seconds(bare, prompt, 1)  # the first one brings the weights into memory
    ratios, speeds = [], []
    for _ in range(PAIRS):
        seconds = bare_seconds(bare, prompt, rounds // 2)
        with tempfile.TemporaryDirectory() as folder:
            speed = asyncio.run(sweep_speed(path, Path(folder)))
        seconds += bare_seconds(bare, prompt, rounds - rounds // 2)
        yard = SAMPLES * TOKENS / seconds
        speeds.append(speed)
        ratios.append(speed / yard)
        print(f"  sweep {speed:.1f} tokens/s, bare {yard:.1f}, {speed / yard:.3f}", flush=True)
    print(
        f"{Path(path).stem}: {statistics.median(speeds):.1f} tokens/s, {statistics.median(ratios):.3f} of the bare loop"
        f" ({min(ratios):.3f} to {max(ratios):.3f}, goal {GOAL})"
    )


def main() -> None:
    """Measure the starter model, or the one that is named."""
    prepare_threads()
    path = sys.argv[1] if len(sys.argv) > 1 else str(starter_model())
    model = open_model(path, LoadOptions(context=CONTEXT, streams=AT_ONCE))
    try:
        measure(path, model)
    finally:
        model.close()


if __name__ == "__main__":
    main()
