"""Speed of a reply in the app, drawn in a terminal of its own, against the same reply without a screen.

Run it with `python tests/benchmarks/bench_app.py [PAIRS]` on a machine that does nothing else. Each run is a process of
its own; the two kinds take turns. Prints the medians in tokens per second and the median of the pairs' ratios.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

PAIRS = 5
SIZE = (120, 40)
PROMPT = "Tell me a story about a lighthouse keeper who finds a letter."
WARM_UP, TOKENS = 24, 200
SETTINGS = {"seed": 11, "ignore_eos": True}


def in_the_app(result: Path) -> None:
    """Run the app, let it write two replies, and put the speed of the second into a file."""
    from playground.app import PlaygroundApp
    from playground.domain.params import replace
    from playground.services.presets import load_presets
    from playground.services.settings import Settings
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    presets, _ = load_presets()
    preset = find_preset(presets, DEFAULT_PRESET)
    params = replace(starting_params(preset), **SETTINGS)
    app = PlaygroundApp(Settings(), model="", presets=presets, preset=preset, params=params)

    async def drive(pilot: Pilot[Any]) -> None:
        screen = app.get_default_screen()
        while not screen.furnished or screen.pane.runner.backend is None:
            await pilot.pause(0.1)
        pane = screen.pane
        for count in (WARM_UP, TOKENS):
            pane.session.new_conversation()
            pane.session.params = replace(params, max_tokens=count)
            busy = time.process_time()
            pane.send(PROMPT)
            while pane.session.busy:
                await pilot.pause(0.1)
            busy = time.process_time() - busy
        figures = pane.session.figures
        _report(result, figures.tokens_per_second, busy)
        await app.action_quit()

    app.run(auto_pilot=drive)


async def without_a_screen(result: Path) -> None:
    """The same two replies through the backend alone."""
    from playground.backends.local import LocalBackend
    from playground.domain.events import Event, Finished
    from playground.domain.models import LoadOptions
    from playground.domain.params import replace
    from playground.domain.session import Session
    from playground.services.models import starter_model
    from playground.services.paths import log_dir
    from playground.services.presets import load_presets
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    params = replace(starting_params(find_preset(load_presets()[0], DEFAULT_PRESET)), **SETTINGS)
    backend = await LocalBackend.load(str(starter_model()), LoadOptions(), log_dir())
    events: list[Event] = []
    for count in (WARM_UP, TOKENS):
        session = Session(replace(params, max_tokens=count))
        busy = time.process_time()
        await backend.generate(session.send(PROMPT), events.append)
        busy = time.process_time() - busy
    await backend.close()
    assert isinstance(events[-1], Finished)
    _report(result, events[-1].timings.tokens_per_second, busy)


def _report(result: Path, speed: float | None, busy_s: float) -> None:
    result.write_text(json.dumps({"speed": speed, "screen_ms": busy_s * 1000 / TOKENS}), encoding="utf-8")


def measured(kind: str, folder: Path) -> dict[str, float]:
    """Figures of one run in a process of its own."""
    result = folder / "result.json"
    command = [sys.executable, __file__, kind, str(result)]
    if kind == "alone":
        subprocess.run(command, check=True)
    else:
        pid, terminal = pty.fork()
        if pid == 0:
            os.environ.pop("COLUMNS", None)
            os.environ.pop("LINES", None)
            os.execv(sys.executable, command)
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        _drain(terminal)
        os.waitpid(pid, 0)
    figures: dict[str, float] = json.loads(result.read_text(encoding="utf-8"))
    result.unlink()
    return figures


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # how Linux says that the other end was closed
        os.close(terminal)


def main(pairs: int) -> None:
    """Print the medians and their ratio."""
    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLM_PLAYGROUND_HOME"] = folder
        alone, app = [], []
        for number in range(pairs):
            alone.append(measured("alone", Path(folder)))
            app.append(measured("app", Path(folder)))
            print(f"pair {number + 1}: {alone[-1]['speed']:.1f} alone, {app[-1]['speed']:.1f} in the app", flush=True)
    ratio = statistics.median(own["speed"] / other["speed"] for own, other in zip(app, alone, strict=True))
    for name, runs in (("without a screen", alone), ("in the app", app)):
        speed = statistics.median(run["speed"] for run in runs)
        cost = statistics.median(run["screen_ms"] for run in runs)
        print(f"{name}: {speed:.1f} tokens/s, {cost:.2f} ms of processor time a token beside the model's")
    print(f"ratio {ratio:.2f}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["app", path]:
            in_the_app(Path(path))
        case ["alone", path]:
            asyncio.run(without_a_screen(Path(path)))
        case arguments:
            main(int(arguments[0]) if arguments else PAIRS)
