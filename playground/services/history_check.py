"""Whether the history file can be used, found out by reading alone."""

from __future__ import annotations

import os
import re
import sqlite3
import time
from pathlib import Path
from typing import Final, NamedTuple

from playground.domain.errors import HistoryNotWritten, HistoryUnusable
from playground.services.history_schema import connect, is_there, log_size, unusable
from playground.services.toml_files import one_line

_PATIENCE_S: Final = 1.0
"""A check of all pages takes a second for about a gigabyte."""
_PAGE: Final = re.compile(r"[Pp]age (\d+)")
"""In what SQLite says of a damaged file."""
_STEPS: Final = 100
"""Instructions of SQLite between two looks at the clock."""


class Health(NamedTuple):
    """A history file that can be used."""

    size_bytes: int
    """With what is not yet in the file itself but in its log."""
    replies: int
    whole: bool
    """True when all of it was checked; False when that would have taken too long."""


def check_history(path: Path, patience_s: float = _PATIENCE_S) -> Health | None:
    """Look through the file for at most so many seconds; None where there is no history yet.

    Raises:
        HistoryUnusable: It is damaged, of a newer version, another program's, or cannot be read or written.
    """
    if not is_there(path):
        return None
    name = one_line(str(path))
    connection = connect(path, write=False)
    try:
        whole = _is_whole(connection, name, patience_s)
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'runs'").fetchone()[0]
        replies = connection.execute("SELECT count(*) FROM runs WHERE NOT deleted").fetchone()[0] if tables else 0
    except sqlite3.Error as error:
        raise unusable(name, error) from error
    finally:
        connection.close()
    for needed in (path, path.parent):  # beside the file SQLite writes a log
        if not os.access(needed, os.W_OK):
            shown = one_line(str(needed))
            raise HistoryNotWritten(f"The history cannot be kept: {shown} cannot be written.", f"chmod u+w {shown}")
    try:
        size_bytes = path.stat().st_size + log_size(path)
    except OSError as error:  # moved away meanwhile, say
        raise unusable(name, error) from error
    return Health(size_bytes, replies, whole)


def check_left_open(path: Path, patience_s: float = _PATIENCE_S) -> None:
    """Look through a file whose log stands beside it: somebody writes, or has ended without closing it.

    Opening a damaged file for writing would put the log into what is left of it. Raises HistoryUnusable, also where the
    folder cannot be entered.
    """
    if not log_size(path) or not is_there(path):
        return
    name = one_line(str(path))
    connection = connect(path, write=False)
    try:
        _is_whole(connection, name, patience_s)
    except sqlite3.Error as error:
        raise unusable(name, error) from error
    finally:
        connection.close()


def _is_whole(connection: sqlite3.Connection, name: str, patience_s: float) -> bool:
    ends_at = time.monotonic() + patience_s
    connection.set_progress_handler(lambda: time.monotonic() > ends_at, _STEPS)
    try:
        (said,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
            return False
        raise
    finally:
        connection.set_progress_handler(None, 0)
    if said != "ok":
        page = _PAGE.search(said)
        why = f"its page {page[1]} cannot be read" if page is not None else one_line(said, 120)
        raise HistoryUnusable(
            f"The history file is damaged: {why}.",
            f"Move {name} away and a new one is begun; until then it stays as it is.",
        )
    return True
