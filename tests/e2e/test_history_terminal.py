"""The history in a real terminal: what is left of a reply when the program is killed, and when it is told to end."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from playground.domain.history import Entry, Query
from playground.services.history import history_path, read_history
from tests.e2e.test_terminal import command, needs_tmux, open_app
from tests.e2e.tmux import Terminal, terminal

pytestmark = [pytest.mark.terminal, needs_tmux]


@pytest.fixture
def window(tmp_path: Path, starter_gguf: Path) -> Iterator[Terminal]:
    """A terminal on a machine with the starter model."""
    with terminal(tmp_path) as found:
        yield found


def entries() -> list[Entry]:
    """What the history lists."""
    return read_history(history_path(), lambda reader: reader.find(Query()))


def write(window: Terminal) -> psutil.Process:
    """Start the app and let it write; returns its process when there is something of the reply in the file."""
    app = open_app(window, 3000)
    window.type("Count to a thousand.")
    window.press("Enter")
    window.until(lambda _text: history_path().exists() and any(entry.tokens > 20 for entry in entries()), "kept")
    return app


def test_after_kill_9_the_next_start_offers_the_reply_and_it_goes_on(window: Terminal, tmp_path: Path) -> None:
    app = write(window)
    engines = app.children()
    app.kill()
    psutil.wait_procs([app, *engines], timeout=60)
    kept = entries()[0].tokens
    folder = tmp_path / "next"
    folder.mkdir()
    with terminal(folder) as other:  # nobody has put the old one in order
        other.type(f"{command()} --preset short")
        other.press("Enter")
        other.until(lambda text: "Go on where the program ended?" in text, "the question")
        other.press("Enter")
        other.until(lambda text: "The program ended while this reply" in text and "ready" in text, "opened")
        other.press("C-g")
        other.until(lambda _text: entries()[0].tokens > kept, "more of it is kept, under the same number")
        other.press("C-q")
        other.until(lambda _text: not other.in_alternate_screen, "left")
    assert [entry.stop for entry in entries()] == ["cancelled"]


def test_told_to_end_the_reply_is_kept_as_stopped(window: Terminal) -> None:
    app = write(window)
    app.send_signal(signal.SIGTERM)
    psutil.wait_procs([app], timeout=60)
    assert [entry.stop for entry in entries()] == ["cancelled"]
    assert read_history(history_path(), lambda reader: reader.unfinished()) == []
