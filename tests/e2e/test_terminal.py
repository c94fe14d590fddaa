"""The installed command in a real terminal, from the first paint to the shell's prompt after it."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from playground.services.paths import user_config_dir
from tests.e2e.tmux import TMUX, Terminal, gone, terminal

pytestmark = pytest.mark.terminal
needs_tmux = pytest.mark.skipif(TMUX is None, reason="tmux is not installed")

PRESET = """
name = "short"
summary = "A few tokens."
[sampling]
max_tokens = {tokens}
ignore_eos = true
"""


def command() -> str:
    """The installed command, or the module where it is not installed."""
    installed = Path(sys.executable).with_name("llm-playground")
    return str(installed) if installed.exists() else f"{shlex.quote(sys.executable)} -m playground"


def use_tokens(count: int) -> None:
    """Make replies this long."""
    folder = user_config_dir() / "presets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "short.toml").write_text(PRESET.format(tokens=count), encoding="utf-8")


@pytest.fixture
def window(tmp_path: Path, starter_gguf: Path) -> Iterator[Terminal]:
    """A terminal on a machine with the starter model."""
    with terminal(tmp_path) as found:
        yield found


def open_app(window: Terminal, tokens: int) -> psutil.Process:
    """Start the app and wait until the model is there; returns its process."""
    use_tokens(tokens)
    window.type(f"clear; {command()} --preset short")
    window.press("Enter")
    window.until(lambda text: "f1 Help" in text and re.search(r"0/8,192 .* ready", text), "app ready")
    return psutil.Process(window.children[0])


def assert_sane(window: Terminal, before: str) -> None:
    """The terminal is as it was before the app."""
    window.until(lambda text: not window.in_alternate_screen and "f1 Help" not in text, "screen given back")
    assert window.run("stty -a") == before
    assert window.run("echo 'still here'").endswith("still here")


@needs_tmux
def test_a_prompt_is_answered_and_the_terminal_is_left_as_it_was(window: Terminal) -> None:
    before = window.run("stty -a")
    app = open_app(window, 12)
    engines = app.children()
    assert window.in_alternate_screen
    window.type("Why is the sky blue?")
    window.press("Enter")
    screen = window.until(lambda text: "■ length limit" in text.splitlines()[-2], "reply ended")
    status = screen.splitlines()[-2]
    ttft, speed = re.search(r"TTFT ([\d,]+) ms", status), re.search(r"([\d.,]+) tok/s", status)
    assert ttft is not None
    assert speed is not None
    assert int(ttft[1].replace(",", "")) > 0
    assert float(speed[1].replace(",", "")) > 0
    assert "Why is the sky blue?" in screen
    assert re.search(r"■ length limit · 12 tokens · TTFT [\d,]+ ms", screen)
    window.press("C-q")
    assert_sane(window, before)
    assert window.run("echo status $?").endswith("status 0")
    assert engines
    assert all(gone(process.pid) for process in [app, *engines])


@needs_tmux
def test_a_paste_is_text_whatever_escapes_and_markers_stand_in_it(window: Terminal) -> None:
    open_app(window, 3)
    window.paste("fox \x1b[31mred\nsecond \x1b[201~\nthird\x1b")
    window.type("!")
    screen = window.until(lambda text: "third" in text and "!" in text, "pasted")
    assert "fox ␛[31mred" in screen
    assert "second ␛[201~" in screen
    assert "third␛!" in screen
    window.paste("\x1b[31ma line of a log with colours\n" * 8_000)
    window.until(lambda text: "too long by" in text, "a long paste, counted; as keys its escapes take minutes")
    window.press("C-q")


@needs_tmux
def test_a_script_that_pastes_and_presses_enter_at_once_is_answered(window: Terminal) -> None:
    open_app(window, 3)
    mouse = ("send-keys", "-t", "0", "-l", "\x1b[<35;10;5M", ";")
    paste = ("paste-buffer", "-p", "-t", "0", ";")
    window.tmux("set-buffer", "Name a fox", ";", *paste, *mouse, "send-keys", "-t", "0", "Enter", ";", *paste[:-1])
    screen = window.until(lambda text: "Name a fox" in text and "■ length limit" in text, "answered")
    assert "201~" not in screen
    assert screen.count("Name a fox") == 2, "what came after the Enter stands in the editor"
    window.press("C-q")


@needs_tmux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_mid_reply_leaves_the_terminal_as_it_was(window: Terminal, number: signal.Signals) -> None:
    before = window.run("stty -a")
    app = open_app(window, 3000)
    engines = app.children()
    window.type("Count to a thousand.")
    window.press("Enter")
    window.until(lambda text: "writing" in text, "streaming")
    app.send_signal(number)
    psutil.wait_procs([app, *engines], timeout=60)
    assert_sane(window, before)
    assert all(gone(process.pid) for process in [app, *engines])


@needs_tmux
def test_control_c_says_how_to_leave(window: Terminal) -> None:
    before = window.run("stty -a")
    open_app(window, 3)
    window.press("C-c")
    window.until(lambda text: re.search(r"ctrl\+q|\^q", text), "hint")
    window.press("C-q")
    assert_sane(window, before)


@needs_tmux
def test_a_terminal_that_is_closed_takes_the_app_and_its_model_with_it(window: Terminal) -> None:
    app = open_app(window, 3000)
    engines = app.children()
    window.type("Count to a thousand.")
    window.press("Enter")
    window.until(lambda text: "writing" in text, "streaming")
    window.tmux("kill-session")
    left = psutil.wait_procs([app, *engines], timeout=60)[1]
    assert not left


def test_without_a_terminal_there_is_one_clear_line() -> None:
    done = subprocess.run(
        shlex.split(command()), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "needs a terminal" in done.stderr
    assert "llm-playground run" in done.stderr


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_terminal_that_cannot_draw_gets_one_clear_line(name: str) -> None:
    leader, follower = pty.openpty()
    try:
        environment = {**os.environ, "TERM": name}
        words = shlex.split(command())
        done = subprocess.run(
            words, stdin=follower, stdout=follower, stderr=follower, env=environment, timeout=60, check=False
        )
        shown = os.read(leader, 4096).decode()
    finally:
        os.close(leader)
        os.close(follower)
    assert done.returncode == 2
    assert shown.count("\n") == 1
    assert f"TERM={name}" in shown
    assert "\x1b" not in shown
