"""From a slider's move to the redrawn bars of the token under the cursor, in the app, in a terminal of its own.

Run it with `python tests/benchmarks/bench_what_if_screen.py` on a machine that does nothing else. The model has a
vocabulary of 262,144 tokens and random weights. A move counts from the key's action until the inspector with the new
figures was handed to the terminal; the next one follows after an irregular pause. Prints medians and 95th percentiles
in milliseconds, with how much of it the answer took; the goal is two frames at 60 a second, 33.3 ms.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import random
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from playground.screens.playground import PlaygroundScreen

MOVES: Final = 80
SIZE: Final = (120, 40)
SLIDERS: Final = ("temperature", "top_k", "top_p", "min_p")
PAUSE_SECONDS: Final = (0.05, 0.25)
PATIENCE_SECONDS: Final = 2.0
PROMPT: Final = "the people went down to the water and looked for the way that they could see it from"


def in_the_app(model: str, result: Path) -> None:
    """Run the app, select a token, move sliders, and put the times into a file."""
    from playground.cli.app import tune_process

    tune_process()
    from playground.app import PlaygroundApp
    from playground.domain.params import replace
    from playground.services.presets import load_presets
    from playground.services.settings import Settings
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    presets, _ = load_presets()
    preset = find_preset(presets, DEFAULT_PRESET)
    params = replace(starting_params(preset), seed=11, ignore_eos=True, max_tokens=16)
    app = PlaygroundApp(Settings(), model=model, presets=presets, preset=preset, params=params)

    async def drive(pilot: Pilot[Any]) -> None:
        screen = app.get_default_screen()
        while not screen.furnished or screen.pane.runner.backend is None:
            await pilot.pause(0.1)
        screen.pane.session.mode = "raw"
        screen.pane.send(PROMPT)
        while screen.pane.session.busy:
            await pilot.pause(0.1)
        screen.action_tokens()
        await pilot.pause(1)
        watch = Watch(screen)
        _report(result, {name: await watch.move(name) for name in SLIDERS})
        await app.action_quit()

    app.run(auto_pilot=drive)


def _report(result: Path, times: dict[str, list[tuple[float, float]]]) -> None:
    result.write_text(json.dumps(times), encoding="utf-8")


class Watch:
    """Sees when an answer comes, and when it was painted."""

    def __init__(self, screen: PlaygroundScreen) -> None:
        self._screen = screen
        self._wanted: tuple[str, float] | None = None
        self._came = 0.0
        self._painted: asyncio.Future[tuple[float, float]] | None = None
        show, paint = screen.inspector.show, screen._compositor_refresh

        def shown(*args: Any, **more: Any) -> None:
            show(*args, **more)
            if self._answered() and not self._came:
                self._came = time.perf_counter()

        def painted() -> None:
            paint()
            if self._came and self._painted is not None and not self._painted.done():
                self._painted.set_result((self._came, time.perf_counter()))

        screen.inspector.show = shown  # type: ignore[method-assign]
        screen._compositor_refresh = painted  # type: ignore[method-assign]

    def _answered(self) -> bool:
        answer = self._screen._what_ifs._answer
        if answer is None or self._wanted is None:
            return False
        name, value = self._wanted
        return bool(getattr(answer.params, name) == value)

    async def move(self, name: str) -> list[tuple[float, float]]:
        """Move a slider up and down; for each move the milliseconds to its answer, and until that was painted."""
        from playground.widgets.slider import ParamSlider

        slider = next(one for one in self._screen.query(ParamSlider) if one.name == name)
        pauses, found = random.Random(5), []
        for number in range(MOVES):
            await asyncio.sleep(pauses.uniform(*PAUSE_SECONDS))
            self._came, self._painted = 0.0, asyncio.get_running_loop().create_future()
            began = time.perf_counter()
            slider.action_step(-1 if number // 10 % 2 else 1)
            self._wanted = (name, slider.value)
            came, painted = await asyncio.wait_for(self._painted, PATIENCE_SECONDS)
            found.append(((came - began) * 1000, (painted - began) * 1000))
        return found


def in_a_terminal(model: str, result: Path) -> dict[str, list[list[float]]]:
    """The times of one run."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.pop("COLUMNS", None)
        os.environ.pop("LINES", None)
        os.execv(sys.executable, [sys.executable, __file__, model, str(result)])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
    try:
        while os.read(terminal, 1 << 16):
            pass
    except OSError:  # how Linux says that the other end was closed
        os.close(terminal)
    os.waitpid(pid, 0)
    times: dict[str, list[list[float]]] = json.loads(result.read_text(encoding="utf-8"))
    return times


def main() -> None:
    """Print the figures of each slider."""
    from playground.domain.usage import percentile
    from tests.tiny_models import write_tiny_model

    os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLM_PLAYGROUND_HOME"] = folder
        model = write_tiny_model("large vocabulary", Path(folder) / "large.gguf")
        times = in_a_terminal(str(model), Path(folder) / "result.json")
    print(f"{'slider':<14}{'answered p50':>13}{'painted p50':>13}{'p95':>8}   (goal 33.3)")
    for name, moves in times.items():
        answered, painted = ([move[part] for move in moves] for part in (0, 1))
        p50, p95 = percentile(painted, 0.5) or 0.0, percentile(painted, 0.95) or 0.0
        print(f"{name:<14}{percentile(answered, 0.5) or 0.0:13.1f}{p50:13.1f}{p95:8.1f}")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    if sys.argv[1:]:
        in_the_app(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
