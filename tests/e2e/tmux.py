"""A real terminal: a shell in tmux that a test types into and reads from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

PATIENCE_S = 90.0
TMUX = shutil.which("tmux")


class Terminal:
    """One window of a tmux server of its own."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def tmux(self, *arguments: str) -> str:
        """Run a tmux command; returns what it prints."""
        assert TMUX is not None
        command = [TMUX, "-S", str(self._socket), "-f", "/dev/null", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def type(self, text: str) -> None:
        """Type letters."""
        self.tmux("send-keys", "-t", "0", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names for them."""
        self.tmux("send-keys", "-t", "0", *keys)

    def paste(self, text: str) -> None:
        """Paste a text as terminals do: between two markers, with nothing in it changed."""
        assert TMUX is not None
        command = [TMUX, "-S", str(self._socket), "load-buffer", "-"]
        subprocess.run(command, input=text, check=True, capture_output=True, text=True, timeout=30)
        self.tmux("paste-buffer", "-p", "-t", "0")

    @property
    def screen(self) -> str:
        """What is to be seen."""
        return self.tmux("capture-pane", "-p", "-t", "0")

    @property
    def in_alternate_screen(self) -> bool:
        """True while a full-screen program has not given the screen back."""
        return self.tmux("display-message", "-p", "-t", "0", "#{alternate_on}").strip() == "1"

    def until(self, condition: Callable[[str], object], what: str) -> str:
        """Wait for something to be seen; returns the screen. AssertionError says what never was."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition(screen := self.screen):
            assert time.monotonic() < deadline, f"{what}: never\n{screen}"
            time.sleep(0.05)  # tmux cannot tell when a screen changes, it can only be asked
        return screen

    def run(self, command: str) -> str:
        """Run a shell command that prints a few lines; returns them."""
        marker = f"done{time.monotonic_ns()}"
        self.type(f"clear; {command}; echo {marker[:4]}{marker[4:]}")
        self.press("Enter")
        screen = self.until(lambda text: re.search(rf"^{marker}$", text, re.MULTILINE), command)
        return screen[: screen.index(f"\n{marker}")]

    @property
    def children(self) -> list[int]:
        """Processes that the shell has started."""
        shell = self.tmux("display-message", "-p", "-t", "0", "#{pane_pid}").strip()
        return [child.pid for child in psutil.Process(int(shell)).children()]


@contextmanager
def terminal(folder: Path, columns: int = 120, rows: int = 40) -> Iterator[Terminal]:
    """A shell in a terminal of some size; it goes when the test is over."""
    window = Terminal(folder / "tmux")
    # What the test run was told about its own terminal is not true of this one.
    shell = "env -u COLUMNS -u LINES PS1='$ ' TERM=tmux-256color sh -i"
    window.tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), shell)
    try:
        window.until(lambda text: "$" in text, "prompt of the shell")
        yield window
    finally:
        subprocess.run([str(TMUX), "-S", str(window._socket), "kill-server"], check=False, capture_output=True)


def gone(pid: int) -> bool:
    """True when a process is no more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
