"""How soon all panes of a fan-out have their first token: through the worker, and in the app from key to pane.

Run it with `python -m tests.benchmarks.bench_fan_out [MODEL.gguf]` on a machine that does nothing else. The goal is
three decode steps for four candidates at once; a step is the time between two tokens of one stream alone.

In the app the time is taken from the Enter that closes the dialog, with the panes open already (a pane's widgets cost a
layout, which is no decode step), to the frame that brought the last pane its first token.
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
from playground.domain.sampling import SamplingParams
from playground.services.models import starter_model
from tests.app.support import Player, make_app, playing

ROUNDS = 12
WIDTHS = (2, 4, 6)
GOAL_STEPS = 3.0
STORY = RawPrompt("the people went down to the water and looked for the way that they could see it from")


class Seen:
    """When each stream's tokens came, by `time.perf_counter()`."""

    def __init__(self) -> None:
        self.times: dict[int, list[float]] = {}
        self.ids: dict[int, list[int]] = {}
        self.top: list[tuple[int, ...]] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, TokenGenerated):
            self.times.setdefault(event.stream, []).append(time.perf_counter())
            self.ids.setdefault(event.stream, []).append(event.token.id or 0)
            if event.stream == 0:
                self.top.append(tuple(one.id for one in event.token.top if one.id is not None and not one.special))


async def at_the_backend(path: str) -> None:
    """Candidates of one reply's tokens go on side by side; prints decode steps until the last one's first token."""
    with tempfile.TemporaryDirectory() as logs:
        backend = await LocalBackend.load(path, LoadOptions(context=4096), Path(logs))
        try:
            seen = Seen()
            whole = GenerationRequest(
                stream=0, prompt=STORY, params=SamplingParams(seed=1, max_tokens=64, ignore_eos=True, temperature=1.2)
            )
            await backend.generate(whole, seen)
            times = seen.times[0]
            step_s = (times[-1] - times[0]) / (len(times) - 1)  # tokens are written in bundles
            print(f"{backend.card.short_name}: a step takes {step_s * 1000:.1f} ms")
            stream = 1
            for width in WIDTHS:
                waits = []
                for turn in range(ROUNDS):
                    at = 20 + turn * 3
                    params = structs.replace(whole.params, max_tokens=3)
                    forks = [
                        structs.replace(
                            whole, stream=stream + place, reply_ids=(*seen.ids[0][:at], candidate), params=params
                        )
                        for place, candidate in enumerate(seen.top[at][:width])
                    ]
                    stream += width
                    began = time.perf_counter()
                    await asyncio.gather(*(backend.generate(fork, seen) for fork in forks))
                    waits.append((max(seen.times[fork.stream][0] for fork in forks) - began) / step_s)
                told = f"  {width} at once: {statistics.median(waits):.2f} steps (worst {max(waits):.2f})"
                print(f"{told}, goal {GOAL_STEPS}" if width == 4 else told)
        finally:
            await backend.close()


async def all_begun(player: Player, began: float) -> float:
    """Seconds from `began` until every pane has a token that the model wrote."""
    while True:
        turns = [pane.session.active for pane in player.panes]
        if all(turn is not None and len(turn.tokens) > turn.continued_at for turn in turns):
            return time.perf_counter() - began
        await asyncio.sleep(0.001)


async def in_the_app() -> None:
    """The same in four panes of the app: branches of one tree that start together."""
    async with playing(make_app("max_tokens=48", "ignore_eos=true", "seed=1", "temperature=1.2"), (200, 50)) as player:
        await player.ready()
        await player.ask("Tell me about the sea.")
        alone = player.pane.session.transcript.turns[player.pane.session.transcript.head or 0]
        assert alone.finished is not None
        step_s = 1 / (alone.finished.timings.tokens_per_second or 1.0)
        await player.press("ctrl+t", "o")
        await player.pilot.pause(0.2)
        await player.press("4", "enter")
        await player.until(lambda: len(player.panes) == 4, "panes")
        waits = []
        for turn in range(ROUNDS):
            await player.stop_all()
            began = time.perf_counter()
            await asyncio.gather(
                *(
                    pane.go_on_from(alone, 8 + turn * 3, [structs.replace(alone.tokens[8 + turn * 3], drafted=False)])
                    for pane in player.panes
                )
            )
            waits.append(await all_begun(player, began) / step_s)
        await player.stop_all()
        print(f"  in the app, four panes: {statistics.median(waits):.2f} steps of {step_s * 1000:.1f} ms", end="")
        print(f" (worst {max(waits):.2f}), screen and frame included")


def main() -> None:
    """Measure the model that is named, or the starter model; the app runs on the starter model."""
    asyncio.run(at_the_backend(sys.argv[1] if len(sys.argv) > 1 else str(starter_model())))
    asyncio.run(in_the_app())


if __name__ == "__main__":
    main()
