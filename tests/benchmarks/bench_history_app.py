"""What keeping costs while four panes write, and how much later the history opens with ten thousand replies in it.

Run it with `python -m tests.benchmarks.bench_history_app [opening|streaming|PAIRS]` on a quiet machine.

The first part opens the history in a headless app, empty and with 10,000 replies, and prints the milliseconds until the
list is there. The second opens the app in a terminal of its own with four panes that write, and switches private mode
on and off by its key, so that stretches with and without keeping alternate in the same replies; it prints the tokens
per second of all panes, the medians of both, and the median of the ratios of neighbours.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from typing import Final

from tests.benchmarks.bench_panes import ENTER, NEW_PANE, PANES, PROMPT, Terminal

PAIRS: Final = 6
STRETCH_SECONDS: Final = 4.0
SETTLE_SECONDS: Final = 0.5
PRIVATE: Final = b"\x1bq"
ESCAPE: Final = b"\x1b"
RUNS: Final = 10_000
OPENINGS: Final = 9
SIZE: Final = (120, 40)


Speed = tuple[float, float]
"""Tokens per second of all panes, and the share of a processor that the app took, the model's process not counted."""


def speed(terminal: Terminal) -> Speed:
    """The figures of a stretch."""
    terminal.rest(SETTLE_SECONDS)
    before = terminal.state
    terminal.rest(STRETCH_SECONDS)
    after = terminal.state
    assert after["writing"] == PANES, "the replies were too short"
    seconds = after["at"] - before["at"]
    return (
        (after["tokens"] - before["tokens"]) / seconds,
        (after["processor_s"] - before["processor_s"]) / seconds,
    )


def streaming(pairs: int) -> None:
    """Alternate keeping with private mode, beginning with either in turn."""
    terminal = Terminal()
    terminal.wait("ready", 1)
    for count in range(2, PANES + 1):
        terminal.press(NEW_PANE)
        terminal.wait("ready", count)
    terminal.rest(4.0)
    kept: list[Speed] = []
    private: list[Speed] = []
    for pair in range(pairs):
        terminal.press(PROMPT.encode())
        terminal.rest(0.5)
        terminal.press(ENTER)
        terminal.wait("writing", PANES)
        # Longer texts are slower to go on with: the middle one of three stretches is set against those around it.
        outer, inner = (kept, private) if pair % 2 == 0 else (private, kept)
        around = [speed(terminal)]
        terminal.press(PRIVATE)
        inner.append(speed(terminal))
        terminal.press(PRIVATE)
        around.append(speed(terminal))
        outer.append((statistics.mean(one[0] for one in around), statistics.mean(one[1] for one in around)))
        print(_sentence(kept[-1:], private[-1:]), flush=True)
        terminal.press(ESCAPE)
        terminal.rest(1.0)
        terminal.press(ESCAPE)
        terminal.wait("writing", 0)
        terminal.press(b"\x0e")  # a new conversation
        terminal.rest(1.0)
        terminal.press(PRIVATE)
        terminal.rest(1.0)
    terminal.close()
    print(f"medians: {_sentence(kept, private)}")


def _sentence(kept: list[Speed], private: list[Speed]) -> str:
    ratios = [one[0] / other[0] for one, other in zip(kept, private, strict=True)]
    more = [one[1] - other[1] for one, other in zip(kept, private, strict=True)]
    speeds = (statistics.median(one[0] for one in stretches) for stretches in (kept, private))
    return "kept {:.1f}, private {:.1f} tokens/s, ratio {:.3f}; {:+.1%} of a processor".format(
        *speeds, statistics.median(ratios), statistics.median(more)
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


if __name__ == "__main__":
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    for part in ("opening", "streaming"):
        if sys.argv[1:2] in ([], [part]) or sys.argv[1].isdigit():
            with tempfile.TemporaryDirectory() as folder:
                os.environ["LLM_PLAYGROUND_HOME"] = folder
                if part == "opening":
                    opening()
                else:
                    streaming(next((int(word) for word in sys.argv[1:] if word.isdigit()), PAIRS))
