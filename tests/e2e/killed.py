"""`kill -9` of the program and of its model's process at random moments, and what the history has afterwards.

`python -m tests.e2e.killed 50` does it fifty times, each in a terminal of its own, all on one history, and says
what was the most that was ever missing. Every round:

- starts the program, which offers to go on where the last one was killed, and takes the offer or leaves it;
- asks something, kills the model's process at a random moment, and looks that nothing that was shown is missing;
- loads the model again, asks something else or lets the reply go on, and kills the program at a random moment: what was
  shown more than a second before that must be kept.

In every fifth round the program is killed while it starts.
"""

from __future__ import annotations

import contextlib
import os
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import psutil

from playground.domain.history import Entry, Query, StoredTurn
from playground.services.history import history_path, read_history
from playground.services.paths import HOME_VARIABLE
from tests.e2e.tmux import PATIENCE_S, Terminal, terminal

_OFFER = "Go on where the program ended?"
_LOST = "model lost"
_USED = re.compile(r"([\d,]+)/8,192 ")
"""How full the context window is, as the status bar has it: the prompt, and the tokens of the reply so far."""
_LONGEST_S = 3.0
"""After so long at the latest something is killed."""
_EVERY_S = 0.02
_EDITOR_LINES = 5
"""At the bottom of the screen: where the prompt is written, the status bar and the keys."""


class Look(NamedTuple):
    """What the screen showed at a time."""

    at: float
    """Seconds of `time.monotonic()`, right before it was looked at."""
    sent: bool
    """The prompt stands in the conversation."""
    used: int | None
    """Tokens in the context window; None when that could not be seen."""


class Missing(NamedTuple):
    """What was on the screen when something was killed, and is not in the history."""

    tokens: int
    seconds: float
    """How long it had been on the screen at most: the last look before it was there is counted as its time."""


@dataclass
class Found:
    """What came of all rounds."""

    app: list[Missing] = field(default_factory=list)
    """For each time that the program was killed in a reply."""
    model: list[Missing] = field(default_factory=list)
    """For each time that the model's process was."""
    starts: int = 0
    """How often the program was killed while it started."""
    offers: int = 0
    """How often a start offered to go on."""
    tokens: int = 0
    """That were kept of replies that were cut off."""

    def __str__(self) -> str:
        """A line for each."""
        lines = [
            f"program killed in a reply {len(self.app)} times, while it started {self.starts} times; "
            f"its model's process {len(self.model)} times",
            f"{self.offers} starts offered to go on; {self.tokens} tokens of {len(self.app)} cut replies are kept",
        ]
        for name, all_of_them in (("program", self.app), ("model's process", self.model)):
            tokens = max((one.tokens for one in all_of_them), default=0)
            seconds = sorted(one.seconds for one in all_of_them) or [0.0]
            middle = seconds[len(seconds) // 2]
            lines.append(f"{name}: {tokens} tokens missing at most, {seconds[-1]:.2f} s at most, {middle:.2f} s mostly")
        return "\n".join(lines)


class Killing:
    """Rounds on one history."""

    def __init__(self, folder: Path, command: str, chance: random.Random) -> None:
        """Prepare rounds.

        Args:
            folder: For the sockets of the terminals.
            command: What starts the program, with replies that do not end by themselves.
            chance: Decides when something is killed.
        """
        self._folder, self._command, self._chance = folder, command, chance
        self.found = Found()
        self._questions = 0

    def round(self, number: int) -> None:
        """One start of the program, killed while it starts, or later."""
        folder = self._folder / str(number)
        folder.mkdir(parents=True)
        left = _left_open()
        with terminal(folder) as window:
            window.type(self._command)
            window.press("Enter")
            wait(lambda: window.children, "the program's process")
            app = psutil.Process(window.children[0])
            if number % 5 == 4:
                time.sleep(self._chance.uniform(0.0, 2.0))
                _kill(app)
                self.found.starts += 1
                assert _left_open() >= left, "what could be gone on with still can"
            else:
                going_on = self._begin(window, bool(left), taken=number % 2 == 0)
                if not going_on:
                    self._lose_the_model(window, app)
                self._lose_the_program(window, app, going_on)
        check_file()

    def _begin(self, window: Terminal, offered: bool, taken: bool) -> bool:
        """Wait for the model, and answer the offer if there must be one; True when a reply can go on now."""
        if offered:
            window.until(lambda text: _OFFER in text, "the offer")
            self.found.offers += 1
            window.press(*(("Enter",) if taken else ("Down", "Enter")))
        text = window.until(lambda text: _OFFER not in text and re.search(r"/8,192 .* ready", text), "ready")
        assert ("The program ended while" in text) == (offered and taken), text
        return offered and taken and _newest().tokens > 0

    def _lose_the_model(self, window: Terminal, app: psutil.Process) -> None:
        prompt, begins_at = self._ask(window)
        looks = [*self._watch(window, prompt, begins_at)]
        workers = app.children()
        killed_at = time.monotonic()
        for worker in workers:
            worker.kill()
        window.until(lambda text: _LOST in text, "told that the model is gone")
        last = _look(window, prompt)
        if last.sent:
            window.until(lambda _text: (entry := _entry(prompt)) is not None and entry.stop == "failed", "kept")
        else:  # it was killed before Enter was heard
            window.press("C-u")
        self.found.model.append(_missing(prompt, [*looks, last], killed_at))
        window.press("C-l")
        window.until(lambda text: _LOST not in text and "loading" not in text, "loaded again")

    def _lose_the_program(self, window: Terminal, app: psutil.Process, going_on: bool) -> None:
        if going_on:
            prompt, begins_at = _newest().prompt, time.monotonic()
            window.press("C-g")
        else:
            prompt, begins_at = self._ask(window)
        looks = [*self._watch(window, prompt, begins_at)]
        killed_at = _kill(app)
        self.found.app.append(_missing(prompt, [*looks, _look(window, prompt)], killed_at))
        entry = _entry(prompt)
        self.found.tokens += entry.tokens if entry is not None else 0

    def _ask(self, window: Terminal) -> tuple[str, float]:
        """Send a prompt that was never sent before; returns it, and when that was."""
        self._questions += 1
        prompt = f"Count to {1000 + self._questions}."
        window.type(prompt)
        window.until(lambda text: prompt in text, "typed")
        window.press("Enter")
        return prompt, time.monotonic()

    def _watch(self, window: Terminal, prompt: str, begins_at: float) -> Iterator[Look]:
        """Look at the screen until it is time."""
        until = begins_at + self._chance.uniform(0.0, _LONGEST_S)
        yield Look(begins_at, sent=False, used=None)
        while time.monotonic() < until:
            yield _look(window, prompt)
            time.sleep(_EVERY_S)  # tmux cannot tell when a screen changes, it can only be asked


def _missing(prompt: str, looks: list[Look], killed_at: float) -> Missing:
    """Compare what was seen with what is kept."""
    turn, kept = _kept(prompt)
    seen = [look.used for look in looks if look.sent and look.used is not None]
    if not seen:
        return Missing(0, 0.0)
    if turn is None:
        last = max(look.at for look in looks if not look.sent)
        return Missing(max(seen) - min(seen), max(0.0, killed_at - last))
    told = turn.started.prompt_tokens if turn.started is not None else None
    there = (told or min(seen)) + kept - turn.continued_at
    if max(seen) <= there:
        return Missing(0, 0.0)
    last = max(look.at for look in looks if not look.sent or look.used is None or look.used <= there)
    return Missing(max(seen) - there, max(0.0, killed_at - last))


def _kept(prompt: str) -> tuple[StoredTurn | None, int]:
    entry = _entry(prompt)
    if entry is None:
        return None, 0
    tree = read_history(history_path(), lambda reader: reader.tree(entry.tree))
    return next((turn, len(tokens)) for turn, tokens in tree.turns if turn.id == entry.turn)


def _entry(prompt: str) -> Entry | None:
    return next((one for one in _entries() if one.prompt == prompt), None)


def _newest() -> Entry:
    return _entries()[0]


def _entries() -> list[Entry]:
    return read_history(history_path(), lambda reader: reader.find(Query(limit=1000)))


def _left_open() -> set[str]:
    """Conversations that the next start must offer."""
    return {uid for uid, _ in read_history(history_path(), lambda reader: reader.unfinished())}


def _look(window: Terminal, prompt: str) -> Look:
    at = time.monotonic()
    screen = window.screen
    used = _USED.search(screen)
    conversation = screen.splitlines()[:-_EDITOR_LINES]
    sent = any(prompt in line for line in conversation)
    return Look(at, sent, int(used[1].replace(",", "")) if used else None)


def _kill(app: psutil.Process) -> float:
    """Kill the program and wait until its models' processes have noticed; returns when it was killed."""
    killed_at = time.monotonic()
    app.kill()
    psutil.wait_procs([app], timeout=PATIENCE_S)
    wait(lambda: not workers(), "the models' processes end by themselves")
    return killed_at


def workers() -> list[psutil.Process]:
    """Processes of models that this history's programs have started."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            mine = process.environ().get(HOME_VARIABLE) == os.environ[HOME_VARIABLE]
            if mine and "playground.engine" in process.cmdline():
                found.append(process)
    return found


def check_file() -> None:
    """The database is whole."""
    if history_path().exists():
        with contextlib.closing(sqlite3.connect(history_path())) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def wait(condition: Callable[[], object], what: str) -> None:
    """Wait for what happens in other processes. AssertionError says what never did."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: never"
        time.sleep(_EVERY_S)


def main() -> None:
    """Do it as often as the first argument says, and say what was missing."""
    from tests.e2e.test_terminal import command, use_tokens

    rounds, seed = int(sys.argv[1]), int((sys.argv[2:] or ["5"])[0])
    with tempfile.TemporaryDirectory(prefix="killed-") as folder:
        os.environ[HOME_VARIABLE] = str(Path(folder) / "home")
        use_tokens(3000)
        killing = Killing(Path(folder), f"{command()} --preset short", random.Random(seed))
        for number in range(rounds):
            killing.round(number)
            found = killing.found
            print(number, found.model[-1:], found.app[-1:], flush=True)
    print(killing.found)


if __name__ == "__main__":
    main()
