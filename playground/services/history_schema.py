"""The file that history is kept in: its tables, its versions, and what to say when it cannot be used."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from playground.domain.errors import HistoryUnusable
from playground.services.toml_files import one_line

VERSION: Final = 1
"""Of the tables below. A newer file is left alone, an older one is brought up to date."""
BUSY_S: Final = 5.0
"""How long to wait for another instance that is writing."""

_MIGRATIONS: Final = (
    """
    CREATE TABLE trees (
        id INTEGER PRIMARY KEY,
        uid TEXT NOT NULL UNIQUE,
        created REAL NOT NULL,
        updated REAL NOT NULL,
        title TEXT NOT NULL DEFAULT '',
        instance TEXT NOT NULL,
        writing INTEGER NOT NULL,
        info BLOB NOT NULL
    );
    CREATE TABLE turns (
        tree INTEGER NOT NULL REFERENCES trees(id) ON DELETE CASCADE,
        turn INTEGER NOT NULL,
        deleted INTEGER NOT NULL DEFAULT 0,
        data BLOB NOT NULL,
        PRIMARY KEY (tree, turn)
    ) WITHOUT ROWID;
    CREATE TABLE tokens (
        tree INTEGER NOT NULL REFERENCES trees(id) ON DELETE CASCADE,
        turn INTEGER NOT NULL,
        first INTEGER NOT NULL,
        count INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (tree, turn, first)
    );
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tree INTEGER NOT NULL REFERENCES trees(id) ON DELETE CASCADE,
        turn INTEGER NOT NULL,
        began REAL NOT NULL,
        model TEXT NOT NULL,
        preset TEXT NOT NULL,
        prompt TEXT NOT NULL,
        reply TEXT NOT NULL,
        tokens INTEGER NOT NULL,
        cost REAL,
        stop TEXT NOT NULL,
        ttft_ms REAL,
        tokens_per_second REAL,
        starred INTEGER NOT NULL DEFAULT 0,
        deleted INTEGER NOT NULL DEFAULT 0,
        setting BLOB NOT NULL,
        UNIQUE (tree, turn)
    );
    CREATE INDEX runs_by_time ON runs (deleted, began DESC);
    CREATE INDEX trees_being_written ON trees (writing) WHERE writing = 1;
    CREATE VIRTUAL TABLE search USING fts5 (prompt, reply, tokenize = 'unicode61 remove_diacritics 2');
    """,
)
"""From each version to the next; the first makes an empty file version 1."""


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the file; for writing it is made and brought up to date where that is needed.

    Raises HistoryUnusable, saying why and what to do. Nothing in the file is ever thrown away for that.
    """
    name = one_line(str(path))
    try:
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
        uri = f"{path.absolute().as_uri()}?mode={'rwc' if write else 'ro'}"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            _prepare(connection, write=write)
        except BaseException:
            connection.close()
            raise
    except (sqlite3.Error, OSError) as error:
        raise _unusable(name, error) from error
    return connection


def _prepare(connection: sqlite3.Connection, *, write: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    if not write:
        connection.execute("PRAGMA query_only = ON")
        _check_version(connection)
        return
    _check_version(connection)  # before anything is written to a file that may not be ours
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("BEGIN IMMEDIATE")  # two instances may come at the same moment
    try:
        for number in range(_check_version(connection), VERSION):
            for statement in _statements(_MIGRATIONS[number]):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    # executescript would commit what stands open.
    return [statement.strip() for statement in script.split(";") if statement.strip()]


def _check_version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if version > VERSION:
        raise HistoryUnusable(
            f"The history was written by a newer version of this program (format {version}, known is {VERSION}).",
            "Nothing is kept until llm-playground is updated; the file stays as it is.",
        )
    if version == 0 and tables:
        raise HistoryUnusable("The history file is another program's database.", "Move it away; it stays as it is.")
    return int(version)


def _unusable(name: str, error: sqlite3.Error | OSError) -> HistoryUnusable:
    why = one_line(getattr(error, "strerror", None) or str(error))
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return HistoryUnusable(
            f"The history file is damaged: {why}.",
            f"Nothing is kept until you move {name} away; the file stays as it is.",
        )
    return HistoryUnusable(f"The history cannot be kept: {why}.", f"Check {name} and the space on its disk.")
