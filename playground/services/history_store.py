"""Writing history: one connection, used by one thread, a transaction for every change."""

from __future__ import annotations

import sqlite3
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from playground.domain.errors import HistoryUnusable
from playground.domain.history import (
    Entry,
    ReplyText,
    Setting,
    StoredTree,
    StoredTurn,
    TokensChange,
    TreeChange,
    TreeInfo,
)
from playground.domain.messages import ChatPrompt
from playground.domain.tokens import Token
from playground.services.history_schema import connect
from playground.services.toml_files import one_line

T = TypeVar("T")

BEGINNING: Final = 300
"""Characters of prompt and reply that the list of entries shows."""
_SEARCHED: Final = 1_000_000
"""Characters of a prompt or reply that can be searched for."""
_LEVEL: Final = 1  # of zlib; higher levels save 5 % and take twice as long

_TREE: Final = """
    INSERT INTO trees (uid, created, updated, instance, writing, info) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (uid) DO UPDATE SET
    updated = excluded.updated, instance = excluded.instance, writing = excluded.writing, info = excluded.info
"""
_TURN: Final = """
    INSERT INTO turns (tree, turn, data) VALUES (?, ?, ?) ON CONFLICT (tree, turn) DO UPDATE SET data = excluded.data
"""
_encode: Final = msgspec.msgpack.Encoder(enc_hook=tuple).encode
_decode_turn: Final = msgspec.msgpack.Decoder(StoredTurn).decode
_decode_tokens: Final = msgspec.msgpack.Decoder(list[Token]).decode
_decode_info: Final = msgspec.msgpack.Decoder(TreeInfo).decode
_decode_setting: Final = msgspec.msgpack.Decoder(Setting).decode


def pack_tokens(tokens: list[Token]) -> bytes:
    """Tokens with all their figures: about 230 bytes each with ten candidates, when some stand together."""
    return zlib.compress(_encode(tokens), _LEVEL)


def unpack_tokens(packed: bytes) -> list[Token]:
    """The inverse, to the last bit."""
    return _decode_tokens(zlib.decompress(packed))


class HistoryStore:
    """The file, open for writing. Every method raises HistoryUnusable when the file fails."""

    def __init__(self, path: Path, instance: str, clock: Callable[[], float] = time.time) -> None:
        """Open the file, or make it.

        Args:
            path: The file; SQLite puts two more beside it.
            instance: Names this run of the program, so that another can tell what was left behind by a crash.
            clock: Seconds since 1970.
        """
        self._connection = connect(path, write=True)
        self._instance = instance
        self._clock = clock

    def apply(self, change: TreeChange) -> None:
        """Keep what became new in a conversation, as a whole or not at all."""
        self._transaction(lambda: self._apply(change))

    def set_title(self, entry: Entry, title: str) -> None:
        """Name a conversation."""
        self._transaction(lambda: self._execute("UPDATE trees SET title = ? WHERE uid = ?", title, entry.tree))

    def set_starred(self, run: int, starred: bool) -> None:
        """Star a reply, or take its star away."""
        self._transaction(lambda: self._execute("UPDATE runs SET starred = ? WHERE id = ?", starred, run))

    def set_deleted(self, run: int, deleted: bool) -> None:
        """Put a reply among the deleted ones, or back. It is gone for good with `purge`."""
        self._transaction(lambda: self._execute("UPDATE runs SET deleted = ? WHERE id = ?", deleted, run))

    def set_ended(self, uid: str) -> None:
        """A conversation that a crash left open needs no rescue any more."""
        self._transaction(lambda: self._execute("UPDATE trees SET writing = 0 WHERE uid = ?", uid))

    def purge(self, older_than: float) -> int:
        """Remove for good what was deleted and began before that time; returns how many replies that were.

        A conversation goes when none of its replies is left.
        """

        def remove() -> int:
            where = "deleted = 1 AND began < ?"
            self._execute(f"DELETE FROM search WHERE rowid IN (SELECT id FROM runs WHERE {where})", older_than)
            gone = self._execute(f"DELETE FROM runs WHERE {where}", older_than).rowcount
            self._execute("DELETE FROM trees WHERE id NOT IN (SELECT tree FROM runs) AND updated < ?", older_than)
            return gone

        return self._transaction(remove)

    def close(self) -> None:
        """Write what waits into the file itself, and let go of it."""
        try:
            self._connection.execute("PRAGMA optimize")
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:  # a full disk, say: what is in the write-ahead log stays there
            pass
        finally:
            self._connection.close()

    # -- inside a transaction ----------------------------------------------------------------------------------

    def _transaction(self, work: Callable[[], T]) -> T:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                result = work()
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            why = one_line(str(error))
            raise HistoryUnusable(
                f"The history cannot be written: {why}.", "What is on the screen stays; check the disk and its space."
            ) from error
        return result

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def _apply(self, change: TreeChange) -> None:
        now = self._clock()
        self._execute(_TREE, change.uid, now, now, self._instance, not change.ended, _encode(change.info))
        (tree,) = self._execute("SELECT id FROM trees WHERE uid = ?", change.uid).fetchone()
        for turn in change.turns:
            self._execute(_TURN, tree, turn.id, _encode(turn))
        for tokens in change.tokens:
            self._put_tokens(tree, tokens)
        marks = [(turn in change.deleted, tree, turn) for (turn,) in self._turns_to_mark(tree, change.deleted)]
        self._connection.executemany("UPDATE turns SET deleted = ? WHERE tree = ? AND turn = ?", marks)
        for turn in change.turns:
            if turn.id in change.replies:
                self._put_run(tree, turn, change.replies[turn.id], change.settings.get(turn.id))

    def _turns_to_mark(self, tree: int, deleted: frozenset[int]) -> list[tuple[int]]:
        rows = self._execute("SELECT turn, deleted FROM turns WHERE tree = ?", tree).fetchall()
        return [(turn,) for turn, is_deleted in rows if bool(is_deleted) != (turn in deleted)]

    def _put_tokens(self, tree: int, change: TokensChange) -> None:
        """Tokens in place of those from `first` on; a stretch that begins before is cut."""
        straddling = self._execute(
            "SELECT first, data FROM tokens WHERE tree = ? AND turn = ? AND first < ? AND first + count > ?",
            *(tree, change.turn, change.first, change.first),
        ).fetchone()
        self._execute(
            "DELETE FROM tokens WHERE tree = ? AND turn = ? AND first + count > ?", tree, change.turn, change.first
        )
        parts = [(change.first, change.tokens)]
        if straddling is not None:
            first, data = straddling
            parts.insert(0, (first, unpack_tokens(data)[: change.first - first]))
        for first, tokens in parts:
            if tokens:
                self._execute(
                    "INSERT INTO tokens VALUES (?, ?, ?, ?, ?)",
                    *(tree, change.turn, first, len(tokens), pack_tokens(tokens)),
                )

    def _put_run(self, tree: int, turn: StoredTurn, reply: ReplyText, setting: Setting | None) -> None:
        """The line of a reply in the list, and its words for the search."""
        prompt = _asked(turn)
        usage = turn.finished.usage if turn.finished is not None else None
        timings = turn.finished.timings if turn.finished is not None else None
        stop = "failed" if turn.problem is not None else str(turn.finished.reason) if turn.finished is not None else ""
        values = {
            "model": turn.model,
            "prompt": prompt[:BEGINNING],
            "reply": reply.text[:BEGINNING],
            "tokens": reply.tokens,
            "cost": usage.cost if usage is not None else None,
            "stop": stop,
            "ttft_ms": timings.ttft_ms if timings is not None else None,
            "tokens_per_second": timings.tokens_per_second if timings is not None else None,
        }
        if setting is not None:
            values |= {"preset": setting.preset, "setting": _encode(setting)}
        known = self._execute("SELECT id FROM runs WHERE tree = ? AND turn = ?", tree, turn.id).fetchone()
        if known is None:
            first = {
                "tree": tree,
                "turn": turn.id,
                "began": self._clock(),
                "preset": "",
                "setting": _encode(Setting()),
            } | values
            names, marks = ", ".join(first), ", ".join("?" * len(first))
            run = self._execute(f"INSERT INTO runs ({names}) VALUES ({marks})", *first.values()).lastrowid
            self._execute("INSERT INTO search (rowid, prompt, reply) VALUES (?, ?, ?)", run, *_searched(prompt, reply))
            return
        sets = ", ".join(f"{name} = ?" for name in values)
        self._execute(f"UPDATE runs SET {sets} WHERE id = ?", *values.values(), *known)
        if stop:  # the words of a reply are found once it has ended, or was left behind
            self._execute("UPDATE search SET prompt = ?, reply = ? WHERE rowid = ?", *_searched(prompt, reply), *known)


def _searched(prompt: str, reply: ReplyText) -> tuple[str, str]:
    return prompt[:_SEARCHED], reply.text[:_SEARCHED]


def _asked(turn: StoredTurn) -> str:
    """What a reply answers: the last message of a conversation, or all of a raw prompt."""
    if turn.prompt is None:
        return ""
    if isinstance(turn.prompt, ChatPrompt):
        return turn.prompt.messages[-1].content if turn.prompt.messages else ""
    return turn.prompt.text


def read_tokens(connection: sqlite3.Connection, tree: int, turn: int) -> list[Token]:
    """The tokens of a reply, up to the first gap, which a damaged file may have."""
    rows = connection.execute("SELECT first, data FROM tokens WHERE tree = ? AND turn = ? ORDER BY first", (tree, turn))
    tokens: list[Token] = []
    for first, data in rows:
        if first != len(tokens):
            break
        tokens += unpack_tokens(data)
    return tokens


def read_tree(connection: sqlite3.Connection, uid: str) -> StoredTree | None:
    """A conversation with everything in it; None when there is none of this name."""
    row = connection.execute("SELECT id, title, info FROM trees WHERE uid = ?", (uid,)).fetchone()
    if row is None:
        return None
    tree, title, info = row
    rows = connection.execute("SELECT data, deleted FROM turns WHERE tree = ? ORDER BY turn", (tree,)).fetchall()
    turns = [(_decode_turn(data), bool(deleted)) for data, deleted in rows]
    settings = connection.execute("SELECT turn, setting FROM runs WHERE tree = ?", (tree,)).fetchall()
    return StoredTree(
        uid=uid,
        info=_decode_info(info),
        title=title,
        turns=[(turn, read_tokens(connection, tree, turn.id)) for turn, _ in turns],
        deleted=frozenset(turn.id for turn, deleted in turns if deleted),
        settings={turn: _decode_setting(setting) for turn, setting in settings},
    )
