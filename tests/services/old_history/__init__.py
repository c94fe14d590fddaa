"""Histories as earlier versions of the program have left them, to be opened by this one."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from threading import Barrier

from playground.services import history_schema
from playground.services.history_store import HistoryStore

VERSIONS = (1, 2, 3)


def make_old(path: Path, version: int) -> None:
    """Make a file as a version of the tables had it, readable by everybody as that program made it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((Path(__file__).parent / f"version{version}.sql").read_text(encoding="utf-8"))
    path.chmod(0o644)


def open_and_die(path: Path, statements: int) -> None:
    """Open the file for writing, and be killed once so many statements of the migration are done."""
    all_of = history_schema._statements

    def some_of(script: str) -> Iterator[str]:
        nonlocal statements
        for statement in all_of(script):
            if not statements:
                os.kill(os.getpid(), signal.SIGKILL)
            statements -= 1
            yield statement

    history_schema._statements = some_of  # type: ignore[assignment]
    HistoryStore(path, "killed")


def open_at_once(path: Path, start: Barrier) -> None:
    """Open the file for writing in the same moment as others do."""
    start.wait(60)
    HistoryStore(path, "one of several").close()
