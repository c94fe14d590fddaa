"""What a slider's what-if, a score and a fork cost, through the worker process, against the figures they must reach.

Run it with `python -m tests.benchmarks.bench_what_if [MODEL.gguf]` on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path

from msgspec import structs

from playground.backends.local import LocalBackend
from playground.domain.events import Event, TokenGenerated
from playground.domain.messages import GenerationRequest, RawPrompt
from playground.domain.models import LoadOptions
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.scoring import ScoreRequest
from playground.domain.usage import percentile
from playground.domain.what_if import WhatIfRequest
from playground.engine.libllama import Batch
from playground.engine.model import open_model
from playground.services.models import starter_model
from tests.tiny_models import WORDS, write_tiny_model

MOVES = 120
ROUNDS = 5
SCORED = 2000
STORY = RawPrompt("the people went down to the water and looked for the way that they could see it from")
SLIDERS: dict[str, tuple[SamplingParams, str, float]] = {
    "temperature, default": (SamplingParams(), "temperature", 0.01),
    "top-p, default": (SamplingParams(), "top_p", 0.004),
    "top-p alone": (NEUTRAL, "top_p", 0.004),
    "temperature, nothing cut": (NEUTRAL, "temperature", 0.01),
    "min-p alone": (NEUTRAL, "min_p", 0.002),
    "typical-p alone": (NEUTRAL, "typical_p", 0.004),
    "repeat penalty": (SamplingParams(penalty_last_n=256), "repeat_penalty", 0.005),
    "DRY multiplier": (SamplingParams(), "dry_multiplier", 0.01),
    "XTC probability": (SamplingParams(), "xtc_probability", 0.004),
}
"""Name to the parameters, the slider that moves, and its step."""


def moved(params: SamplingParams, name: str, step: float, count: int) -> SamplingParams:
    """The slider so many steps from its place, upwards or, where that is the end, downwards."""
    value = getattr(params, name)
    down = name in ("top_p", "typical_p")
    return structs.replace(params, **{name: value - step * count if down else value + step * count})


async def slide(backend: LocalBackend) -> None:
    """Time from a question to its answer, one after another, for a position that is held."""
    print(f"  {'slider':<26} {'p50 ms':>8} {'p95 ms':>8} {'worst':>8}   (goal 16.7)")
    for name, (params, slider, step) in SLIDERS.items():
        question = WhatIfRequest(prompt=STORY, reply_ids=(), chosen=300, params=params)
        await backend.what_if(question)
        times = []
        for count in range(1, MOVES + 1):
            wanted = structs.replace(question, params=moved(params, slider, step, count))
            began = time.perf_counter()
            await backend.what_if(wanted)
            times.append((time.perf_counter() - began) * 1000)
        p50, p95 = percentile(times, 0.5) or 0.0, percentile(times, 0.95) or 0.0
        print(f"  {name:<26} {p50:8.2f} {p95:8.2f} {max(times):8.2f}")


class FirstTokens:
    """When each stream's tokens came."""

    def __init__(self) -> None:
        self.times: dict[int, list[float]] = {}
        self.ids: dict[int, list[int]] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, TokenGenerated):
            self.times.setdefault(event.stream, []).append(time.perf_counter())
            self.ids.setdefault(event.stream, []).append(event.token.id or 0)


async def fork(backend: LocalBackend) -> None:
    """Time to the first tokens of one fork, and of four at once, in decode steps of one stream."""
    seen = FirstTokens()
    first = GenerationRequest(
        stream=0, prompt=STORY, params=SamplingParams(seed=1, max_tokens=64, ignore_eos=True, temperature=1.2)
    )
    await backend.generate(first, seen)
    # Tokens are written in bundles, so a step is measured over the whole reply.
    spent = seen.times[0][-1] - seen.times[0][0]
    step, stream = spent / (len(seen.times[0]) - 1), 1
    waits: dict[int, list[float]] = {1: [], 4: []}
    for turn in range(ROUNDS * 2):
        for width, found in waits.items():
            place = 20 + turn * 3
            began = time.perf_counter()
            wanted = [
                structs.replace(
                    first,
                    stream=stream + number,
                    reply_ids=(*seen.ids[0][:place], 300 + number + 4 * turn),
                    params=structs.replace(first.params, max_tokens=3),
                )
                for number in range(width)
            ]
            await asyncio.gather(*(backend.generate(one, seen) for one in wanted))
            found.append((max(seen.times[one.stream][0] for one in wanted) - began) / step)
            stream += width
    print(f"  a step takes {step * 1000:.1f} ms")
    for width, goal in ((1, 2.5), (4, 3.0)):
        print(f"  {width} at once: first tokens of all after {statistics.median(waits[width]):.2f} steps (goal {goal})")


def bare(path: str, ids: list[int]) -> float:
    """Seconds for the library alone to compute tokens and keep the logits of each."""
    model = open_model(path, LoadOptions(context=4096))
    context = model.context
    began = time.perf_counter()
    batch = Batch(context.most_outputs)
    for start in range(0, len(ids), batch.capacity):
        batch.clear()
        batch.add(ids[start : start + batch.capacity], start, 0, want_last=True)
        batch.want(0)
        context.decode(batch)
        context.logits(batch.size - 1)
    spent = time.perf_counter() - began
    model.close()
    return spent


async def score(backend: LocalBackend, path: str) -> None:
    """A score of a long text against a bare prompt evaluation of the same tokens, in turn."""
    text = " ".join(WORDS[index * 7 % len(WORDS)] for index in range(SCORED))
    ratios = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        found = await backend.score(ScoreRequest(prompt=RawPrompt(text)))
        ours = time.perf_counter() - began
        alone = bare(path, [token.id or 0 for token in found.tokens])
        ratios.append(ours / alone)
    print(f"  {len(found.tokens)} tokens: {statistics.median(ratios):.2f} of a bare evaluation (goal 1.3)")


async def measure(path: str) -> None:
    """Everything, on one model."""
    with tempfile.TemporaryDirectory() as logs:
        backend = await LocalBackend.load(path, LoadOptions(context=4096), Path(logs))
        try:
            assert backend.info is not None
            print(f"{backend.info.short_name}, {backend.info.n_vocab:,} tokens")
            await slide(backend)
            await fork(backend)
            await score(backend, path)
        finally:
            await backend.close()


def main() -> None:
    """Measure the starter model, or the one that is named, and a small one with the largest vocabulary."""
    # Random weights give flat distributions, of which top-p keeps far more tokens than of a real model's.
    asyncio.run(measure(sys.argv[1] if len(sys.argv) > 1 else str(starter_model())))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(str(write_tiny_model("large vocabulary", Path(folder) / "large.gguf"))))


if __name__ == "__main__":
    main()
