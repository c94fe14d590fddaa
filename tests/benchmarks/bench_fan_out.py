"""How soon all panes of a fan-out have their first token: through the worker, and in the app from start to pane.

Run it with `python -m tests.benchmarks.bench_fan_out [MODEL.gguf]` on a machine that does nothing else. The goal is
three decode steps for four candidates at once. A step is the median time between two tokens of one stream alone,
measured anew before each round; in the app, between two tokens of the four that were started, while all of them stream.

In the app the panes are open already: their widgets cost a layout, which is no decode step. The time ends with the
frame that brought the last pane its first token.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from msgspec import structs

from playground.backends.local import LocalBackend
from playground.domain.events import Event, TokenGenerated
from playground.domain.messages import GenerationRequest, RawPrompt, Role
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.screens.fan_out_dialog import FanOutDialog
from playground.screens.going_on import go_on_from
from playground.screens.pane import Pane
from playground.services.models import starter_model
from tests.app.support import Player, make_app, playing

ROUNDS = 12
WIDTHS = (2, 4, 6)
GOAL_STEPS = 3.0
FEW = 12
"""Tokens of a run from which a step is told."""
STORY = RawPrompt("the people went down to the water and looked for the way that they could see it from")


class Seen:
    """What each stream brought, and when."""

    def __init__(self) -> None:
        self.times: dict[int, list[float]] = {}
        """By stream, `time.perf_counter()` of each token's arrival; tokens may come in bundles."""
        self.tokens: dict[int, list[Token]] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, TokenGenerated):
            self.times.setdefault(event.stream, []).append(time.perf_counter())
            self.tokens.setdefault(event.stream, []).append(event.token)


def step_ms(tokens: Sequence[Token]) -> float:
    """Median time between two tokens of a run, by the worker's clock."""
    return statistics.median(later.time_ms - earlier.time_ms for earlier, later in pairwise(tokens))


async def at_the_backend(path: str) -> None:
    """Candidates of one reply's tokens go on side by side; prints decode steps until the last one's first token."""
    with tempfile.TemporaryDirectory() as logs:
        backend = await LocalBackend.load(path, LoadOptions(context=4096), Path(logs))
        try:
            seen, streams = Seen(), itertools.count(1)
            params = SamplingParams(seed=1, max_tokens=64, ignore_eos=True, temperature=1.2)
            whole = GenerationRequest(stream=0, prompt=STORY, params=params)
            await backend.generate(whole, seen)
            reply = seen.tokens[0]
            short = structs.replace(params, max_tokens=FEW)
            waits: dict[int, list[float]] = {width: [] for width in WIDTHS}
            for turn in range(ROUNDS):
                for width, found in waits.items():
                    at = 20 + turn * 3
                    before = tuple(token.id or 0 for token in reply[:at])
                    alone = structs.replace(whole, stream=next(streams), reply_ids=before, params=short)
                    await backend.generate(alone, seen)
                    step = step_ms(seen.tokens[alone.stream])
                    others = [one.id for one in reply[at].top if one.id is not None and not one.special][:width]
                    forks = [
                        structs.replace(alone, stream=next(streams), reply_ids=(*before, other)) for other in others
                    ]
                    began = time.perf_counter()
                    await asyncio.gather(*(backend.generate(fork, seen) for fork in forks))
                    found.append((max(seen.times[fork.stream][0] for fork in forks) - began) * 1000 / step)
            print(backend.card.short_name)
            for width, found in waits.items():
                told = f"  {width} at once: {statistics.median(found):.2f} steps (worst {max(found):.2f})"
                print(f"{told}, goal {GOAL_STEPS}" if width == 4 else told)
        finally:
            await backend.close()


def new_tokens(pane: Pane) -> Sequence[Token]:
    """What the model wrote in the last run."""
    turn = pane.session.transcript.last(Role.ASSISTANT)
    return turn.tokens[turn.continued_at :] if turn is not None else ()


async def all_have(player: Player, count: int) -> None:
    """Wait until every pane has so many tokens that the model wrote."""
    while not all(len(new_tokens(pane)) >= count for pane in player.panes):  # noqa: ASYNC110 - no event tells it
        await asyncio.sleep(0.001)


async def in_the_app() -> None:
    """The same in four panes of the app: branches of one tree that start together."""
    async with playing(make_app("max_tokens=64", "ignore_eos=true", "seed=1", "temperature=1.2"), (200, 50)) as player:
        await player.ready()
        await player.ask("Tell me about the sea.")
        alone = player.pane.session.transcript.last(Role.ASSISTANT)
        assert alone is not None
        await player.press("ctrl+t", "o")
        await player.until(lambda: isinstance(player.app.screen, FanOutDialog), "dialog")
        await player.press("4", "enter")
        await player.until(lambda: len(player.panes) == 4, "panes")
        waits = []
        for turn in range(ROUNDS):
            await player.stop_all()
            at = 8 + turn * 3
            began = time.perf_counter()
            await asyncio.gather(*(go_on_from(pane, alone, at, [alone.tokens[at]]) for pane in player.panes))
            await all_have(player, 1)
            wait_ms = (time.perf_counter() - began) * 1000
            await all_have(player, FEW)
            waits.append(wait_ms / statistics.median(step_ms(new_tokens(pane)) for pane in player.panes))
        await player.stop_all()
        print(
            f"  in the app, four panes: {statistics.median(waits):.2f} steps (worst {max(waits):.2f}), with the screen"
        )


def main() -> None:
    """Measure the model that is named, or the starter model; the app runs on the starter model."""
    asyncio.run(at_the_backend(sys.argv[1] if len(sys.argv) > 1 else str(starter_model())))
    asyncio.run(in_the_app())


if __name__ == "__main__":
    main()
