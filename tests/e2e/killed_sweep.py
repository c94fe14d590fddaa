"""A sweep on the real model that is killed at random moments and gone on with: no cell runs twice, none is lost.

`python -m tests.e2e.killed_sweep 10` kills it ten times with `kill -9`, then lets it run to its end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playground.services.paths import HOME_VARIABLE
from tests.cli.support import start
from tests.e2e.killed import wait, workers

_CELLS_A_KILL = 6
"""As many cells there are for each kill: more than are done before it, so that there is something left in the end."""
_LONGEST_S = 0.5
"""Seconds after the last cell that is waited for: about as long as two cells take."""


def kill_often(folder: Path, signals: Sequence[signal.Signals], chance: random.Random) -> list[int]:
    """Run a sweep that is ended by each of these in turn, and then to its end.

    Returns:
        How many cells were done after each time.
    """
    samples = _CELLS_A_KILL * len(signals)
    begin = ("-p", "Once upon a time", "--raw", "--set", "ignore_eos=true", "--max-tokens", "20", "-n", f"{samples}")
    done: list[dict[str, Any]] = []
    counts = []
    for number in (*signals, None):
        words = ("--resume", str(folder)) if (folder / "cells.jsonl").exists() else (*begin, "-o", str(folder))
        events = _run(("sweep", *words, "--streams", "2", "--json"), number, chance)
        cells = _cells(folder)
        assert cells[: len(done)] == done, "what was done stays as it is"
        names = [cell["id"] for cell in cells]
        assert len(set(names)) == len(names), "no cell ran twice"
        again = {event["id"] for event in events if event["event"] == "cell"} & {cell["id"] for cell in done}
        assert not again, "nothing that was done was run again"
        for planned in [event for event in events if event["event"] == "planned"]:
            assert (planned["kept"], planned["requests"]) == (len(done), samples - len(done))
        done = cells
        counts.append(len(done))
    assert len(done) == samples
    return counts


def _run(words: Sequence[str], number: signal.Signals | None, chance: random.Random) -> list[dict[str, Any]]:
    """The events of a sweep that gets a signal at a random moment; of one that ends by itself without any."""
    process = start(*words)
    kill = threading.Timer(_LONGEST_S * chance.random(), process.send_signal, (number,))
    wanted = chance.randrange(_CELLS_A_KILL)  # cells, or the plan, after which it is killed
    events: list[dict[str, Any]] = []
    assert process.stdout is not None
    for line in process.stdout:
        if line.endswith(b"\n"):
            events.append(json.loads(line))
        if number is not None and len(events) > wanted and kill.ident is None:
            kill.start()
    _, err = process.communicate()
    kill.cancel()
    wait(lambda: not workers(), "the model's processes end by themselves")
    if number is None:
        assert (process.returncode, err) == (0, b"")
    return events


def _cells(folder: Path) -> list[dict[str, Any]]:
    """What is in the file; a last line that is not whole does not count."""
    file = folder / "cells.jsonl"
    lines = file.read_bytes().rpartition(b"\n")[0].splitlines() if file.exists() else []
    return [entry for entry in map(json.loads, lines) if "plan" not in entry]


def main() -> None:
    """Kill it as often as the first argument says."""
    with tempfile.TemporaryDirectory(prefix="killed-sweep-") as folder:
        os.environ[HOME_VARIABLE] = str(Path(folder) / "home")
        counts = kill_often(Path(folder) / "sweep", [signal.SIGKILL] * int(sys.argv[1]), random.Random())
    print(f"cells done after each kill, and in the end: {', '.join(map(str, counts))}")


if __name__ == "__main__":
    main()
