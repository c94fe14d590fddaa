"""What keeping costs while four panes write, and how much later the history opens with ten thousand replies in it.

Run it with `python -m tests.benchmarks.bench_history_app [opening|streaming|PAIRS]` on a quiet machine.

The first part opens the history in a headless app, empty and with 10,000 replies, and prints the milliseconds until the
list is there. The second opens the app in a terminal of its own with four panes that write, and alternates short
stretches of the same replies in which what is new is kept as ever, and in which nobody looks for it. What came up
meanwhile is written before the next stretch. Either comes first in every other pair, because longer texts are slower to
go on with. It prints the median of the pairs' ratios with its interval of 95 %, and the processor's time that keeping
took, which is far steadier than the speed. Beside other programs, mind that Linux groups processes by terminal:
`nice` does not reach the app, only a number in its `/proc/PID/autogroup` does.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Final

from tests.benchmarks.bench_panes import ENTER, NEW_PANE, PANES, PROMPT, SETTINGS, Terminal, in_the_app, state_of

if TYPE_CHECKING:
    from playground.screens.keeping import Keeping
    from playground.screens.playground import PlaygroundScreen

PAIRS: Final = 100
STRETCH_SECONDS: Final = 2.4
"""Several looks at what is new."""
SETTLE_SECONDS: Final = 0.4
ROOM: Final = 400
"""Tokens that a reply must still have before it for another pair."""
ESCAPE: Final = b"\x1b"
NEW: Final = b"\x0e"
PROGRAM: Final = ("-m", "tests.benchmarks.bench_history_app")
RUNS: Final = 10_000
OPENINGS: Final = 9
SIZE: Final = (120, 40)
GOAL: Final = 0.03


class Alternation:
    """Inside the app: pairs of stretches with and without keeping, as long as all panes write."""

    def __init__(self) -> None:
        """Come between the timer and the look at what is new."""
        from playground.screens.keeping import Keeping

        self._looks = True
        self._figures: dict[str, float] = {"pairs": 0}
        look = Keeping.look

        def gated(keeping: Keeping) -> None:
            if self._looks:
                look(keeping)

        Keeping.look = gated  # type: ignore[method-assign, assignment]

    async def look(self, screen: PlaygroundScreen) -> dict[str, float]:
        """Run a pair if there is room for it; figures of the last one, and how many there were."""
        replies = [pane.last_token() for pane in screen.all_panes]
        most = max([reply.index for reply in replies if reply is not None], default=0)
        room = most < int(SETTINGS["max_tokens"]) - ROOM
        if state_of(screen.all_panes)["writing"] == PANES and room:
            keeps_first = self._figures["pairs"] % 2 == 0
            for keeps in (keeps_first, not keeps_first):
                await self._stretch(screen, "kept" if keeps else "bare", keeps=keeps)
            if state_of(screen.all_panes)["writing"] == PANES:  # else they were stopped: enough is known
                self._figures["pairs"] += 1
        return self._figures | {"room": room}

    async def _stretch(self, screen: PlaygroundScreen, name: str, *, keeps: bool) -> None:
        self._looks = False
        await screen.keeping.keep()
        self._looks = keeps
        await asyncio.sleep(SETTLE_SECONDS)
        before = state_of(screen.all_panes)
        await asyncio.sleep(STRETCH_SECONDS)
        after = state_of(screen.all_panes)
        self._looks = True
        seconds = after["at"] - before["at"]
        self._figures[name] = (after["tokens"] - before["tokens"]) / seconds
        self._figures[f"{name}_processor"] = (after["processor_s"] - before["processor_s"]) / seconds


def streaming(pairs: int) -> None:
    """Ask for replies in four panes until there are as many pairs."""
    terminal = Terminal(PROGRAM)
    terminal.wait("ready", 1)
    for count in range(2, PANES + 1):
        terminal.press(NEW_PANE)
        terminal.wait("ready", count)
    terminal.rest(4.0)
    found: list[dict[str, float]] = []
    while len(found) < pairs:
        terminal.press(PROMPT.encode())
        terminal.rest(0.5)
        terminal.press(ENTER)
        terminal.wait("writing", PANES)
        while terminal.state["room"] and len(found) < pairs:
            terminal.rest(0.1)
            if terminal.state["pairs"] > len(found):
                found.append(terminal.state)
                if len(found) % 10 == 0:
                    print(_sentence(found), flush=True)
        terminal.press(ESCAPE)
        terminal.rest(1.0)
        terminal.press(ESCAPE)
        terminal.wait("writing", 0)
        terminal.press(NEW)
        terminal.wait("room", 1)
    terminal.close()
    print(f"{_sentence(found)} (goal {GOAL:.0%})")


def _sentence(found: list[dict[str, float]]) -> str:
    costs = sorted(1 - pair["kept"] / pair["bare"] for pair in found)
    # The interval of a median needs no assumption on how values are spread: so many lie on either side of it.
    outside = max(0, int(len(costs) / 2 - 0.98 * len(costs) ** 0.5))
    kept, bare = (statistics.median(pair[name] for pair in found) for name in ("kept", "bare"))
    more = [pair["kept_processor"] - pair["bare_processor"] for pair in found]
    return (
        f"{len(found)} pairs: kept {kept:.1f}, bare {bare:.1f} tokens/s; keeping costs {statistics.median(costs):.1%} "
        f"({costs[outside]:.1%} to {costs[-1 - outside]:.1%}), {statistics.median(more):+.2%} of a processor"
    )


def fill() -> None:
    """Ten thousand replies of a hundred tokens in as many conversations."""
    from playground.domain.history import Setting
    from playground.domain.session import Session
    from playground.services.history import history_path
    from playground.services.history_recorder import Recorder
    from playground.services.history_store import HistoryStore
    from tests.services.history_support import ask

    store = HistoryStore(history_path(), "bench")
    for number in range(RUNS):
        session = Session()
        session.model = f"Model {number % 7}"
        words = [f" word{number * step % 997}" for step in range(20)]
        ask(session, f"What about number {number}?", *words, cost=0.001 * (number % 5))
        change = Recorder().take(session, Setting(preset="balanced"))
        assert change is not None
        store.apply(change)
    store.close()


async def openings() -> list[float]:
    """Milliseconds until the list is on the screen, each time that it is opened."""
    from playground.app import PlaygroundApp
    from playground.screens.history_screen import HistoryScreen
    from playground.services.presets import load_presets
    from playground.services.settings import Settings
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    presets, _ = load_presets()
    preset = find_preset(presets, DEFAULT_PRESET)
    app = PlaygroundApp(Settings(), model="none", presets=presets, preset=preset, params=starting_params(preset))
    taken: list[float] = []
    async with app.run_test(size=SIZE) as pilot:
        while not app.get_default_screen().furnished:
            await pilot.pause(0.1)
        await pilot.pause(1.0)
        for _ in range(OPENINGS):
            began = time.perf_counter()
            app.get_default_screen().action_history()
            while not (isinstance(app.screen, HistoryScreen) and app.screen.listed):  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.001)
            taken.append((time.perf_counter() - began) * 1000)
            await pilot.pause(0.3)
            await pilot.press("escape")
            await pilot.pause(0.2)
    return taken


def opening() -> None:
    """Empty, and full."""
    empty = asyncio.run(openings())
    fill()
    full = asyncio.run(openings())
    for name, times in (("empty", empty), (f"{RUNS:,} replies", full)):
        print(f"{name}: first {times[0]:.0f} ms, median of the others {statistics.median(times[1:]):.0f} ms")
    print(f"more by {full[0] - empty[0]:.0f} ms, {statistics.median(full[1:]) - statistics.median(empty[1:]):.0f} ms")


def main(words: list[str]) -> None:
    """Measure both, or what is named."""
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    pairs = next((int(word) for word in words if word.isdigit()), PAIRS)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLM_PLAYGROUND_HOME"] = folder
        if not words or "opening" in words:
            opening()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLM_PLAYGROUND_HOME"] = folder
        if words != ["opening"]:
            streaming(pairs)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["app", told]:
            in_the_app(int(told), lambda: Alternation().look)
        case words:
            main(words)
