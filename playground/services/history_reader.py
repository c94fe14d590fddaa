"""Reading history: the list, the search, a whole conversation, what was left open, and sums of money."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from playground.domain.errors import BadInput, HistoryUnusable
from playground.domain.history import Entry, Query, StoredTree
from playground.services.history_rows import BROKEN, read_tree, unpack_setting
from playground.services.history_schema import connect, is_empty, is_there
from playground.services.toml_files import one_line

T = TypeVar("T")

_WORD: Final = re.compile(r"\w+")
_FROM: Final = "FROM runs JOIN trees ON trees.id = runs.tree"
_COLUMNS: Final = {
    **{"id": "runs.id", "tree": "trees.uid", "turn": "runs.turn", "began_at": "runs.began", "model": "runs.model"},
    **{"preset": "runs.preset", "prompt": "runs.prompt", "reply": "runs.reply", "tokens": "runs.tokens"},
    **{"cost": "runs.cost", "stop": "runs.stop", "ttft_ms": "runs.ttft_ms"},
    **{"tokens_per_second": "runs.tokens_per_second", "title": "runs.title", "starred": "runs.starred"},
    **{"deleted": "runs.deleted", "origin": "runs.origin", "batch": "runs.batch", "label": "runs.label"},
    **{"more": "0", "cut_short": "0"},
}
"""Where the fields of an entry come from."""
_OF_BATCH: Final = _COLUMNS | {
    **{"tokens": "sums.tokens", "cost": "sums.cost", "more": "sums.more"},
    "cut_short": "sums.cut_short",
    **{"ttft_ms": "NULL", "tokens_per_second": "NULL", "label": "''"},
}
"""The same of a sweep as a whole, and of its newest reply."""


def _select(columns: Mapping[str, str]) -> str:
    return f"SELECT {', '.join(f'{place} AS {name}' for name, place in columns.items())}"


_ENTRY: Final = f"{_select(_COLUMNS)} {_FROM}"
_SUMS: Final = f"""
    SELECT max(runs.id) AS newest, count(*) - 1 AS more, sum(runs.tokens) AS tokens, sum(runs.cost) AS cost,
    sum(runs.stop IN ('cancelled', 'failed')) AS cut_short
    {_FROM} WHERE {{where}} AND runs.batch != '' GROUP BY runs.batch
"""
_BATCH: Final = f"{_select(_OF_BATCH)} FROM ({_SUMS}) AS sums JOIN runs ON runs.id = sums.newest"
_ORDER: Final = "ORDER BY began_at DESC, id DESC LIMIT ? OFFSET ?"


_NO_NUMBER: Final = 2**63
"""No entry has a number like this, nor can SQLite be asked for one."""


class Spending(NamedTuple):
    """What was spent on one day on one model."""

    day: str
    """Such as "2026-01-31", in local time."""
    model: str
    replies: int
    tokens: int
    cost: float
    """US dollars, as far as prices are known."""
    unknown: int
    """Replies whose cost nobody knows."""


class Pace(NamedTuple):
    """How fast one reply came."""

    model_ref: str
    """What one writes to choose the model: a path, or ENDPOINT/MODEL."""
    batch: str
    """Name of the sweep it belongs to; empty for none."""
    began_at: float
    """Unix time in seconds."""
    ended_at: float
    tokens: int


class HistoryReader:
    """The file, open for reading; it may be written to meanwhile. Every method raises HistoryUnusable when it fails."""

    def __init__(self, path: Path) -> None:
        """Open the file. Raises HistoryUnusable; a file that does not exist is no history yet."""
        self._connection = connect(path, write=False) if is_there(path) else None
        if self._connection is not None and is_empty(self._connection):  # its program was killed before it began
            self.close()
            self._connection = None

    def find(self, query: Query) -> list[Entry]:
        """Entries that fulfil a query, the newest first."""
        hits, match = _hits(query)
        conditions, values = _conditions(query)
        where = " AND ".join(conditions)
        if query.grouped:
            # The plus keeps SQLite from going through all replies by time, to find those of sweeps among them.
            of_sweeps = where.replace("runs.deleted", "+runs.deleted")
            batches = f"{_BATCH.format(where=of_sweeps)} JOIN trees ON trees.id = runs.tree"
            sql = f"{_ENTRY} WHERE {where} AND runs.batch = '' UNION ALL {batches}"
            values = [*values, *values]
        else:
            sql = f"{_ENTRY} WHERE {where}"
        return [_entry(row) for row in self._rows(f"{hits}{sql} {_ORDER}", *match, *values, query.limit, query.offset)]

    def ids_of(self, entry: Entry, query: Query) -> list[int]:
        """The replies that a line stands for which a query has found, by what one writes to name them.

        Those that came into its sweep later are not among them.
        """
        if not entry.more:
            return [entry.id]
        hits, match = _hits(query)
        conditions, values = _conditions(query)
        where = " AND ".join([*conditions, "runs.batch = ?", "runs.id <= ?"])
        sql = f"{hits}SELECT runs.id {_FROM} WHERE {where}"
        return [run for (run,) in self._rows(sql, *match, *values, entry.batch, entry.id)]

    def ids_of_sweep(self, batch: str, *, deleted: bool) -> list[int]:
        """All replies of a sweep by its name, those that are deleted or those that are not."""
        sql = "SELECT id FROM runs WHERE batch = ? AND batch != '' AND deleted = ?"
        return [run for (run,) in self._rows(sql, batch, deleted)]

    def entry(self, run: int) -> Entry:
        """One entry. Raises BadInput when there is none with this number."""
        rows = self._rows(f"{_ENTRY} WHERE runs.id = ?", run) if abs(run) < _NO_NUMBER else []
        if not rows:
            raise BadInput(f"There is no reply {run} in the history.", "llm-playground history list shows them.")
        return _entry(rows[0])

    def entries_of(self, uid: str) -> list[Entry]:
        """All replies of a conversation, the first one first."""
        return [_entry(row) for row in self._rows(f"{_ENTRY} WHERE trees.uid = ? ORDER BY runs.turn", uid)]

    def tree(self, uid: str, up_to: int | None = None) -> StoredTree:
        """A conversation with everything in it. Raises BadInput when it is not there any more.

        With `up_to` only the turns on the way to that one are in it, with their tokens: of a sweep's hundreds of
        replies to the same prompt, one.
        """
        tree = self._read(lambda connection: read_tree(connection, uid, up_to))
        if tree is None:
            raise BadInput("This conversation is not in the history any more.", "Somebody may have purged it.")
        return tree

    def unfinished(self) -> list[tuple[str, str]]:
        """Conversations that were being written when their program ended: (uid, instance), the newest first."""
        sql = "SELECT uid, instance FROM trees WHERE writing = 1 ORDER BY updated DESC"
        return [(uid, instance) for uid, instance in self._rows(sql)]

    def spending(self) -> list[Spending]:
        """Replies, tokens and dollars by day and model, the newest day first; deleted replies have cost as well."""
        sql = """
            SELECT date(began, 'unixepoch', 'localtime') AS day, model, count(*), sum(tokens), coalesce(sum(cost), 0),
            sum(cost IS NULL AND stop != '') FROM runs GROUP BY day, model ORDER BY day DESC, model
        """
        return [Spending(*row) for row in self._rows(sql)]

    def paces(self, limit: int = 2000) -> list[Pace]:
        """How fast the latest replies came whose speed was measured, the newest first."""
        sql = """
            SELECT setting, batch, began, began + coalesce(ttft_ms, 0) / 1000 + (tokens - 1) / tokens_per_second, tokens
            FROM runs WHERE deleted = 0 AND tokens > 1 AND tokens_per_second > 0 ORDER BY began DESC LIMIT ?
        """
        found = []
        for setting, *rest in self._rows(sql, limit):
            with contextlib.suppress(*BROKEN):  # opening that reply says what is wrong with it
                found.append(Pace(unpack_setting(setting).model_ref, *rest))
        return found

    def names(self, deleted: bool = False) -> tuple[list[str], list[str]]:
        """Models and presets there are entries of, or deleted ones, for filters."""
        models, presets = (
            [name for (name,) in self._rows(f"SELECT DISTINCT {of} FROM runs WHERE deleted = ? ORDER BY {of}", deleted)]
            for of in ("model", "preset")
        )
        return models, presets

    def count(self) -> int:
        """How many entries there are that are not deleted."""
        rows = self._rows("SELECT count(*) FROM runs WHERE deleted = 0")
        return int(rows[0][0]) if rows else 0

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            self._connection.close()

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._read(lambda connection: connection.execute(sql, values).fetchall()) or []

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T | None:
        if self._connection is None:
            return None
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            why = one_line(str(error))
            raise HistoryUnusable(f"The history cannot be read: {why}.", "Nothing in it was changed.") from error


def _hits(query: Query) -> tuple[str, list[str]]:
    """What the words of a query stand in, as a table before the query: looked up once, however often it is needed."""
    words = _WORD.findall(query.text)
    if not words:
        return "", []
    # Each word as a quoted prefix, so that nothing a person types is read as the search's own language.
    match = " ".join(f'"{word}"*' for word in words)
    return "WITH hits AS (SELECT rowid FROM search WHERE search MATCH ?) ", [match]


def _conditions(query: Query) -> tuple[list[str], list[Any]]:
    found: list[tuple[str, list[Any]]] = [("runs.deleted = ?", [query.deleted])]
    words = _WORD.findall(query.text)
    if words:
        in_title = " AND ".join("runs.title LIKE ?" for _ in words)
        text = f"(runs.id IN (SELECT rowid FROM hits) OR ({in_title}))"
        found.append((text, [f"%{word}%" for word in words]))
    elif query.text.strip():
        like = "%" + re.sub(r"([%_\\])", r"\\\1", query.text.strip()) + "%"
        found.append((r"(runs.prompt LIKE ? ESCAPE '\' OR runs.reply LIKE ? ESCAPE '\')", [like, like]))
    if query.model:
        found.append(("instr(lower(runs.model), lower(?)) > 0", [query.model]))
    if query.preset:
        found.append(("runs.preset = ?", [query.preset]))
    if query.since is not None:
        found.append(("runs.began >= ?", [query.since]))
    if query.until is not None:
        found.append(("runs.began < ?", [query.until]))
    if query.least_cost is not None:
        found.append(("runs.cost >= ?", [query.least_cost]))
    if query.origins:
        found.append((f"runs.origin IN ({', '.join('?' for _ in query.origins)})", [*query.origins]))
    if query.starred:
        found.append(("runs.starred = 1", []))
    return [sql for sql, _ in found], [value for _, values in found for value in values]


def _entry(row: tuple[Any, ...]) -> Entry:
    values = dict(zip(_COLUMNS, row, strict=True))
    flags = {name: bool(values[name]) for name in ("starred", "deleted")}
    return Entry(**(values | flags))
