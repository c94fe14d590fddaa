"""How soon a key press is painted while four panes write at once, against the same app at rest.

Run it with `python tests/benchmarks/bench_panes.py [RUNS]` on a machine that does nothing else. Each run opens the app
in a terminal of its own, with the starter model and four panes, types letters at irregular times and waits for each to
appear among the bytes that a terminal gets: first at rest, then while all panes write. Prints the medians of the runs
in milliseconds, and the tokens per second of all four panes beside those of four replies without a screen.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import itertools
import json
import os
import pty
import random
import select
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from playground.screens.pane import Pane
    from playground.screens.playground import PlaygroundScreen

    Look = Callable[[PlaygroundScreen], Awaitable[dict[str, float]]]

RUNS: Final = 3
PANES: Final = 4
SIZE: Final = (120, 40)
KEYS: Final = 60
GAP_SECONDS: Final = (0.05, 0.25)
WAIT_SECONDS: Final = 60.0
PROMPT: Final = "Tell me a story about a lighthouse keeper who finds a letter."
SETTINGS: Final = {"ignore_eos": True, "max_tokens": 1500}
TOKENS: Final = 250
"""By reply, for the speed without a screen."""
# Letters that a model which answers in English does not write, each for one key press.
LETTERS: Final = "".join(map(chr, (*range(0x410, 0x450), *range(0x531, 0x557), *range(0x561, 0x587))))
NEW_PANE, CLEAR, ENTER = b"\x1bn", b"\x15", b"\r"


def in_the_app(told: int, begin: Callable[[], Look] | None = None) -> None:
    """Run the app, and write what its panes do to a file descriptor, a line of JSON each time.

    `begin` is called before the app begins. What it returns is called before each line and may take its time; its
    answer goes into the line.
    """
    from playground.cli.app import tune_process

    tune_process()
    from playground.app import PlaygroundApp
    from playground.domain.params import replace
    from playground.services.presets import load_presets
    from playground.services.settings import Settings
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    look = begin() if begin is not None else None
    presets, _ = load_presets()
    preset = find_preset(presets, DEFAULT_PRESET)
    params = replace(starting_params(preset), **SETTINGS)
    app = PlaygroundApp(Settings(), model="", presets=presets, preset=preset, params=params)

    async def tell(pilot: Pilot[Any]) -> None:
        screen = app.get_default_screen()
        while not screen.furnished:
            await pilot.pause(0.1)
        while app.is_running:
            more = await look(screen) if look is not None else {}
            os.write(told, json.dumps(state_of(screen.all_panes) | more).encode() + b"\n")
            await pilot.pause(0.1)

    app.run(auto_pilot=tell)


def state_of(panes: Sequence[Pane]) -> dict[str, float]:
    """What the panes do."""
    replies = [pane.last_token() for pane in panes]
    written = [reply.index + 1 for reply in replies if reply is not None]
    return {
        "ready": sum(pane.runner.backend is not None for pane in panes),
        "writing": len(written) if all(pane.session.busy for pane in panes) else 0,
        "tokens": sum(written),
        "at": time.monotonic(),
        "processor_s": time.process_time(),
    }


async def without_a_screen() -> float:
    """Tokens per second of as many replies at once through the backend alone."""
    from playground.backends.local import LocalBackend
    from playground.domain.events import Event, TokenGenerated
    from playground.domain.models import LoadOptions
    from playground.domain.params import replace
    from playground.domain.session import Session
    from playground.services.models import starter_model
    from playground.services.paths import log_dir
    from playground.services.presets import load_presets
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    params = replace(starting_params(find_preset(load_presets()[0], DEFAULT_PRESET)), **SETTINGS)
    params = replace(params, max_tokens=TOKENS)
    backend = await LocalBackend.load(str(starter_model()), LoadOptions(), log_dir())
    times: list[float] = []

    def take(event: Event) -> None:
        if isinstance(event, TokenGenerated):
            times.append(time.monotonic())

    await asyncio.gather(*(backend.generate(Session(params).send(PROMPT), take) for _ in range(PANES)))
    await backend.close()
    return (len(times) - 1) / (times[-1] - times[0])


class Terminal:
    """The app in a terminal, as somebody who types sees it."""

    def __init__(self, program: Sequence[str] = (__file__,)) -> None:
        """Start it; `program` is what Python is given to run, and calls `in_the_app`."""
        self._told, tell = os.pipe()
        os.set_inheritable(tell, True)
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:
            os.environ.pop("COLUMNS", None)
            os.environ.pop("LINES", None)
            os.execv(sys.executable, [sys.executable, *program, "app", str(tell)])
        os.close(tell)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        self._lines = b""
        self.state: dict[str, float] = {"ready": 0, "writing": 0, "tokens": 0, "at": 0.0, "processor_s": 0.0}
        self.painted = 0
        """Bytes that came so far."""

    def press(self, keys: bytes) -> None:
        """Send keys."""
        os.write(self._terminal, keys)

    def read(self, seconds: float) -> Iterator[bytes]:
        """What is painted during some seconds, as it comes."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            ready, _, _ = select.select([self._terminal, self._told], [], [], left)
            if self._told in ready:
                *lines, self._lines = (self._lines + os.read(self._told, 1 << 16)).split(b"\n")
                self.state = json.loads(lines[-1]) if lines else self.state
                yield b""
            if self._terminal in ready:
                painted = os.read(self._terminal, 1 << 16)
                self.painted += len(painted)
                yield painted

    def rest(self, seconds: float) -> None:
        """Let it paint for a while."""
        for _ in self.read(seconds):
            pass

    def wait(self, name: str, count: int) -> None:
        """Until so many panes are ready, or writing."""
        for _ in self.read(WAIT_SECONDS):
            if self.state[name] == count:
                return
        raise TimeoutError(f"{name}: {self.state}")

    def painted_after_ms(self, letter: str) -> float:
        """Press a key; milliseconds until its letter is painted."""
        wanted, seen = letter.encode(), b""
        pressed = time.perf_counter()
        self.press(wanted)
        for painted in self.read(WAIT_SECONDS):
            seen = seen[-8:] + painted
            if wanted in seen:
                return (time.perf_counter() - pressed) * 1000
        raise TimeoutError(f"{letter} was not painted")

    def close(self) -> None:
        """Leave the app, and wait for its end."""
        self.press(b"\x11")
        with contextlib.suppress(OSError):  # how Linux says that the other end was closed
            self.rest(WAIT_SECONDS)
        os.waitpid(self.pid, 0)
        os.close(self._terminal)
        os.close(self._told)


def typed(terminal: Terminal, letters: Iterator[str], gaps: random.Random) -> list[float]:
    """Milliseconds until each of some letters was painted."""
    latencies = []
    for letter in itertools.islice(letters, KEYS):
        terminal.rest(gaps.uniform(*GAP_SECONDS))
        latencies.append(terminal.painted_after_ms(letter))
    terminal.press(CLEAR)
    terminal.rest(0.5)
    return latencies


def measured(seed: int) -> dict[str, float]:
    """Figures of one run of the app."""
    letters, gaps = iter(LETTERS), random.Random(seed)
    terminal = Terminal()
    terminal.wait("ready", 1)
    for count in range(2, PANES + 1):
        terminal.press(NEW_PANE)
        terminal.wait("ready", count)
    terminal.rest(4.0)  # until the notes are gone
    idle = typed(terminal, letters, gaps)
    terminal.press(PROMPT.encode())
    terminal.rest(1.0)
    terminal.press(ENTER)
    terminal.wait("writing", PANES)
    terminal.rest(1.0)
    before, painted = terminal.state, terminal.painted
    busy = typed(terminal, letters, gaps)
    after, painted = terminal.state, terminal.painted - painted
    assert after["writing"] == PANES, "the replies were too short"
    seconds = after["at"] - before["at"]
    terminal.close()
    return {
        "idle_p50": statistics.median(idle),
        "idle_p95": _p95(idle),
        "busy_p50": statistics.median(busy),
        "busy_p95": _p95(busy),
        "ratio": _p95(busy) / _p95(idle),
        "speed": (after["tokens"] - before["tokens"]) / seconds,
        "processor": (after["processor_s"] - before["processor_s"]) / seconds,
        "kilobytes": painted / seconds / 1000,
    }


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def main(runs: int) -> None:
    """Print every run and the medians."""
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLM_PLAYGROUND_HOME"] = folder
        for number in range(runs):
            alone = subprocess.run([sys.executable, __file__, "alone"], check=True, stdout=subprocess.PIPE)
            figures.append(measured(number) | {"alone": float(alone.stdout)})
            print(f"run {number + 1}: {_sentence(figures[-1])}", flush=True)
    print(_sentence({name: statistics.median(run[name] for run in figures) for name in figures[0]}))


def _sentence(run: dict[str, float]) -> str:
    return (
        f"idle p50 {run['idle_p50']:.1f} p95 {run['idle_p95']:.1f} ms, "
        f"{PANES} panes p50 {run['busy_p50']:.1f} p95 {run['busy_p95']:.1f} ms, ratio of the p95 {run['ratio']:.2f}; "
        f"{run['speed']:.0f} tokens/s, {run['alone']:.0f} without a screen; "
        f"{run['processor']:.0%} of a processor, {run['kilobytes']:.0f} kB/s painted"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["app", told]:
            in_the_app(int(told))
        case ["alone"]:
            print(asyncio.run(without_a_screen()))
        case arguments:
            main(int(arguments[0]) if arguments else RUNS)
