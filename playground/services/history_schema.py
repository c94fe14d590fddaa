"""The file that history is kept in: its tables, its versions, and what to say when it cannot be used."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playground.domain.errors import HistoryNotWritten, HistoryUnusable
from playground.services.toml_files import one_line

VERSION: Final = 4
"""Of the tables below. A newer file is left alone, an older one is brought up to date."""
APPLICATION: Final = 0x4C4C6D50
"""Written into the file's header ("LLmP"), so that no other program's database is taken for ours."""
_MODE: Final = 0o600
"""What was said is for nobody else on the machine."""
_HEADER_BYTES: Final = 100
"""Of every database; its log is begun after it."""
BUSY_S: Final = 5.0
"""How long to wait for another instance that is writing."""

_MIGRATIONS: Final = (
    f"""
    PRAGMA application_id = {APPLICATION};
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
        parent INTEGER,
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
    """
    ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT 'app';
    ALTER TABLE runs ADD COLUMN batch TEXT NOT NULL DEFAULT '';
    CREATE INDEX runs_alone ON runs (deleted, began DESC) WHERE batch = '';
    CREATE INDEX runs_of_batches ON runs (batch, id) WHERE batch != '';
    """,
    """
    ALTER TABLE runs ADD COLUMN title TEXT NOT NULL DEFAULT '';
    UPDATE runs SET title = coalesce((SELECT title FROM trees WHERE trees.id = runs.tree), '');
    """,
    "ALTER TABLE runs ADD COLUMN label TEXT NOT NULL DEFAULT ''",
)
"""From each version to the next; the first makes an empty file version 1."""
_LABELS: Final = 4
"""The version in which the replies of sweeps got labels."""
_TITLE: Final = "coalesce((SELECT title FROM main.trees WHERE main.trees.id = main.runs.tree), '') AS title"
_AS_IF_NEWER: Final = {
    1: f"CREATE TEMP VIEW runs AS SELECT *, 'app' AS origin, '' AS batch, {_TITLE}, '' AS label FROM main.runs",
    2: f"CREATE TEMP VIEW runs AS SELECT *, {_TITLE}, '' AS label FROM main.runs",
    3: "CREATE TEMP VIEW runs AS SELECT *, '' AS label FROM main.runs",
}
"""What lets an older file be read as it is, by its version: reading changes nothing."""


def connect(path: Path, *, write: bool) -> sqlite3.Connection:
    """Open the file; for writing it is made and brought up to date where that is needed.

    Raises HistoryUnusable, saying why and what to do. Nothing in the file is ever thrown away for that.
    """
    name = one_line(str(path))
    try:
        _spare_log(path, name, write=write)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(path)
            connection = _opened(path, "rwc")
            _keep_to_oneself(path)
            return connection
        try:
            return _opened(path, "ro")
        except sqlite3.OperationalError:
            if not _unmoved(path):
                raise
            return _opened(path, "ro&immutable=1")
    except (sqlite3.Error, OSError) as error:
        raise unusable(name, error) from error


def _spare_log(path: Path, name: str, *, write: bool) -> None:
    """Keep a log whose file is as good as empty, or gone: SQLite deletes it even where it only reads."""
    log = Path(f"{path}-wal")
    if not log_size(path):  # looked at first: a file that has a log was not empty before
        return
    if not is_there(path):
        if write:  # somebody moved the file away without it
            log.rename(next(free for n in itertools.count(1) if not (free := Path(f"{log}.left-{n}")).exists()))
    elif path.stat().st_size < _HEADER_BYTES:
        raise HistoryUnusable(
            "The history file is damaged: nothing is left of it but its log.",
            f"Move {name} away and a new one is begun; until then both stay as they are.",
        )


def log_size(path: Path) -> int:
    """Bytes of what is not in the file itself yet, but in its log: 0 where it was closed by the last who wrote.

    Raises HistoryNotWritten where nobody can tell.
    """
    return _size(path, "-wal") or 0


def is_there(path: Path) -> bool:
    """False where there is no history yet. Raises HistoryNotWritten where nobody can tell, as in a closed folder."""
    return _size(path, "") is not None


def _size(path: Path, ending: str) -> int | None:
    try:
        return Path(f"{path}{ending}").stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise unusable(one_line(str(path)), error) from error


def _make(path: Path) -> None:
    """Make an empty file that nobody else can read: what SQLite puts beside it is no more open than it."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE))


def _keep_to_oneself(path: Path) -> None:
    """Close a file of ours that was made when others could read it, by its name: closing a handle drops locks."""
    for ending in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):  # some disks know no permissions
            file = Path(f"{path}{ending}")
            if file.stat().st_mode & 0o077:
                file.chmod(_MODE)


def _unmoved(path: Path) -> bool:
    """True for a whole file in a folder in which nothing can be written, so not even SQLite's index of the log."""
    return path.is_file() and not log_size(path) and not os.access(path.parent, os.W_OK)


def _opened(path: Path, mode: str) -> sqlite3.Connection:
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection, write=mode == "rwc")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, *, write: bool) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    if not write:
        version = check_version(connection)
        if version in _AS_IF_NEWER:
            connection.execute(_AS_IF_NEWER[version])
        connection.execute("PRAGMA query_only = ON")
        return
    version = check_version(connection)  # before anything is written to a file that may not be ours
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    if version == VERSION:
        return
    with transaction(connection):  # two instances may come at the same moment
        for number in range(check_version(connection), VERSION):
            for statement in _statements(_MIGRATIONS[number]):
                connection.execute(statement)
            if number + 1 == _LABELS:
                _label_sweeps(connection)
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _label_sweeps(connection: sqlite3.Connection) -> None:
    from playground.services.history_labels import label_sweeps

    label_sweeps(connection)


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside, or nothing of it."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself goes back when the disk is full
            connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    # executescript would commit what stands open.
    return [statement.strip() for statement in script.split(";") if statement.strip()]


def check_version(connection: sqlite3.Connection) -> int:
    """The version of the file's tables; 0 for an empty one. Raises HistoryUnusable where nothing is to be touched."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application != APPLICATION and (tables or version or application):
        raise HistoryUnusable("The history file is another program's database.", "Move it away; it stays as it is.")
    if version > VERSION:
        raise HistoryUnusable(
            f"The history was written by a newer version of this program (format {version}, known is {VERSION}).",
            "Nothing is kept until llm-playground is updated; the file stays as it is.",
        )
    return int(version)


def is_empty(connection: sqlite3.Connection) -> bool:
    """True for a file without tables."""
    return check_version(connection) == 0


def unusable(name: str, error: sqlite3.Error | OSError) -> HistoryUnusable:
    """The error for what SQLite says about a file of this name."""
    why = one_line(getattr(error, "strerror", None) or str(error))
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _DAMAGED:
        return HistoryUnusable(
            f"The history file is damaged: {why}.",
            f"Move {name} away and a new one is begun; until then it stays as it is.",
        )
    if code is None or code & 0xFF in _FOR_NOW:
        return HistoryNotWritten(f"The history cannot be kept: {why}.", f"Check {name} and the space on its disk.")
    return HistoryUnusable(f"The history cannot be used: {why}.", f"{name} stays as it is.")


_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_FOR_NOW: Final = (
    *(sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM),
    *(sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM),
)
"""What may be otherwise in a minute."""
