"""How soon a fork goes on: from the key to the first new token on its way to the screen, in decode steps.

Run it with `python -m tests.benchmarks.bench_fork [PAIRS]` on a machine that does nothing else. The app runs with the
real model in a terminal of 120 by 40. A digit is pressed on a token in the middle of a reply, whose prefix is cached;
the time ends when the session has the first token that the model drew behind it. The median time between two tokens of
the same run is the step that it is measured in.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from itertools import pairwise

from textual import events

from playground.domain.events import Event, TokenGenerated
from playground.domain.messages import Role
from playground.domain.transcript import Turn
from playground.screens.pane import Pane
from tests.app.support import Player, make_app, playing

PAIRS = 12
GOAL = 2.5
PROMPT = "Tell me a story about a lighthouse keeper who finds a letter."
TOKENS = 60


class Applied:
    """When each run's first token of its own was taken."""

    def __init__(self, pane: Pane) -> None:
        self.at: dict[int, float] = {}
        self._apply = pane.session.apply
        pane.session.apply = self._take  # type: ignore[method-assign]

    def _take(self, event: Event) -> None:
        self._apply(event)
        if isinstance(event, TokenGenerated):
            self.at.setdefault(event.stream, time.perf_counter())


def step_ms(reply: Turn) -> float:
    """Median time between two tokens of a reply."""
    own = [token.time_ms for token in reply.tokens[reply.continued_at :]]
    return statistics.median(later - earlier for earlier, later in pairwise(own))


def last_reply(pane: Pane) -> Turn:
    """The reply on screen."""
    reply = pane.session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    return reply


async def fork(player: Player, applied: Applied, place: int) -> tuple[float, float]:
    """Put the cursor on a token, press a digit, and wait for the reply; milliseconds to the first token, and a step."""
    pane = player.pane
    await player.press("ctrl+t")
    view = pane.transcript.view
    reply = last_reply(pane)
    view.move_to(view.store.refs.index((reply.id, place)))
    await player.pilot.pause(0.5)  # the token is asked about; somebody looks at it before they press a key
    token = reply.tokens[place]
    digit = next(str(index) for index, one in enumerate(token.top[:9], 1) if one.id != token.id and not one.special)
    before = pane.session.stream
    began = time.perf_counter()
    player.app.post_message(events.Key(digit, digit))
    await player.until(lambda: pane.session.stream != before and not pane.session.busy, "forked")
    return (applied.at[pane.session.stream] - began) * 1000, step_ms(last_reply(pane))


async def measure(pairs: int) -> None:
    """Fork again and again, each time at another place."""
    app = make_app(f"max_tokens={TOKENS}", "seed=11", "ignore_eos=true")
    async with playing(app) as player:
        await player.ready()
        await player.ask(PROMPT)
        applied = Applied(player.pane)
        await fork(player, applied, 20)  # the first one brings in what was not needed before
        found = [await fork(player, applied, 8 + number * 3) for number in range(pairs)]
    for waited, step in found:
        print(f"  {waited:6.1f} ms, a step takes {step:5.1f} ms: {waited / step:.2f} steps")
    ratio = statistics.median(waited / step for waited, step in found)
    print(f"median {ratio:.2f} steps (goal {GOAL})")


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else PAIRS))
