"""Time to first paint of the app against a minimal Textual app, both started in a terminal of their own.

Run it with `python tests/benchmarks/bench_first_paint.py` on a machine that does nothing else. Prints the medians in
milliseconds, from the start of the process until its first screen is there, and the median of the pairs' ratios.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import tempfile
import termios
import time

PAIRS = 7
MINIMAL = """
from textual.app import App
from textual.widgets import Static
class Minimal(App):
    def compose(self):
        yield Static("first paint")
Minimal().run()
"""
APP = "from playground.cli.main import main; main([])"


def first_paint_ms(code: str, sign: bytes) -> float:
    """Milliseconds until `sign` is drawn; the process is ended then."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", code])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    seen = b""
    while sign not in seen:
        ready, _, _ = select.select([terminal], [], [], 30)
        if not ready:
            raise TimeoutError(f"nothing drawn but {seen[-200:]!r}")
        seen = seen[-4096:] + os.read(terminal, 65536)
    spent = (time.perf_counter() - began) * 1000
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    os.close(terminal)
    return spent


def main() -> None:
    """Measure with folders of its own."""
    with tempfile.TemporaryDirectory() as folder:
        # Modules are compiled once, as they are when a package is installed, and not in every run.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ.update(PYTHONPYCACHEPREFIX=f"{folder}/compiled", LLM_PLAYGROUND_HOME=f"{folder}/home")
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        compare()


def compare() -> None:
    """Print the medians and their ratio."""
    first_paint_ms(MINIMAL, b"first paint")
    first_paint_ms(APP, b"rite a prompt")
    minimal, app = [], []
    for _ in range(PAIRS):
        minimal.append(first_paint_ms(MINIMAL, b"first paint"))
        app.append(first_paint_ms(APP, b"rite a prompt"))
    ratio = statistics.median(own / other for own, other in zip(app, minimal, strict=True))
    print(f"minimal app {statistics.median(minimal):.0f} ms, llm-playground {statistics.median(app):.0f} ms")
    print(f"ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
