"""What one more token costs in a long transcript, compared with a short one. Run it by hand.

    python tests/benchmarks/bench_token_view.py

CPU time per appended token, painting and ANSI included, in paired runs on the same process; only the ratio means
something on a machine that does other things as well.
"""

from __future__ import annotations

import asyncio
import gc
import random
import statistics
import time
from collections.abc import Iterator

from rich.style import Style
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from playground.widgets.colour_scale import LEVELS
from playground.widgets.token_view import Item, TokenView

SHORT, LONG = 100, 32_000
TOKENS_A_FRAME = 7
FRAMES = 40
PAIRS = 15
PAINTED = 0.02
"""Seconds a frame waits; Textual paints 60 times a second, so every frame is painted by itself."""
SIZES = {"window full in both": (60, 7), "large window": (200, 50)}
WORDS = ["the", "of", "and", "to", "in", "is", "that", "for", "on", "with", "was", "from", "this", "have", "which"]


def tokens(count: int, seed: int) -> Iterator[Item]:
    chance = random.Random(seed)
    for index in range(count):
        text = "\n\n" if index % 97 == 96 else " " + chance.choice(WORDS) if chance.random() < 0.85 else "ing"
        yield Item(text, int(LEVELS * chance.random() ** 0.5), index)


class Bench(App[None]):
    """Two views, of which one is shown."""

    CSS = "TokenView { display: none; } TokenView.-shown { display: block; }"

    def compose(self) -> ComposeResult:
        for name in ("short", "long"):
            view = TokenView(id=name)
            view.set_palette([Style(bgcolor=f"color({16 + level})") for level in range(LEVELS)])
            yield view


async def sample(pilot: Pilot[None], name: str, count: int, seed: int) -> float:
    """CPU microseconds for a token appended after `count` others."""
    pilot.app.query("TokenView").remove_class("-shown")
    view = pilot.app.query_one(f"#{name}", TokenView)
    view.add_class("-shown")
    view.truncate(count)
    view.follow_end()
    await pilot.pause()
    fresh = list(tokens(TOKENS_A_FRAME * (FRAMES + 3), seed))
    frames = [fresh[start : start + TOKENS_A_FRAME] for start in range(0, len(fresh), TOKENS_A_FRAME)]
    for frame in frames[:3]:
        view.extend(frame)
        await pilot.pause(PAINTED)
    began = time.process_time()
    for frame in frames[3:]:
        view.extend(frame)
        await pilot.pause(PAINTED)
    return (time.process_time() - began) / (FRAMES * TOKENS_A_FRAME) * 1e6


async def compare(size: tuple[int, int]) -> tuple[float, float, float]:
    """Medians of the short and the long transcript in microseconds a token, and of the pairs' ratios."""
    app = Bench()
    async with app.run_test(size=size) as pilot:
        for name, count in (("short", SHORT), ("long", LONG)):
            app.query_one(f"#{name}", TokenView).extend(tokens(count, 1))
            await sample(pilot, name, count, 2)
        gc.collect()
        gc.freeze()
        pairs = []
        for seed in range(PAIRS):
            runs = [("short", SHORT), ("long", LONG)]
            costs = {name: await sample(pilot, name, count, seed) for name, count in runs[:: 1 if seed % 2 else -1]}
            pairs.append((costs["short"], costs["long"]))
    short, long = (statistics.median(column) for column in zip(*pairs, strict=True))
    return short, long, statistics.median(after / before for before, after in pairs)


def main() -> None:
    """Print one line a window size."""
    for name, size in SIZES.items():
        short, long, ratio = asyncio.run(compare(size))
        print(
            f"{name:>20} {size[0]}x{size[1]}: {short:6.0f} us a token after {SHORT}, {long:6.0f} after {LONG:,}; "
            f"ratio {ratio:.2f}"
        )


if __name__ == "__main__":
    main()
