"""Writing history: one connection, used by one thread, a transaction for every change."""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from playground.domain.errors import HistoryUnusable
from playground.domain.history import Entry, ReplyText, StoredTree, TokensChange, TreeChange
from playground.domain.messages import Role
from playground.services.history_check import check_left_open
from playground.services.history_lines import learn_hash, purge_lines, put_line, set_title, title_beside
from playground.services.history_rows import BROKEN, pack, unpack_tokens, whole_text
from playground.services.history_schema import VERSION, check_version, connect, transaction, unusable
from playground.services.toml_files import one_line

T = TypeVar("T")

_STRETCH: Final = 64
"""Tokens that stand in a row of their own at most before another row is begun: a slow model writes a few at a time."""

_TREE: Final = """
    INSERT INTO trees (uid, created, updated, title, instance, writing, info) VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (uid) DO UPDATE SET
    updated = excluded.updated, instance = excluded.instance, writing = excluded.writing, info = excluded.info
"""
_TURN: Final = """
    INSERT INTO turns (tree, turn, parent, data) VALUES (?, ?, ?, ?)
    ON CONFLICT (tree, turn) DO UPDATE SET parent = excluded.parent, data = excluded.data
"""


class HistoryStore:
    """The file, open for writing. Every method raises HistoryUnusable when the file fails."""

    def __init__(self, path: Path, instance: str, clock: Callable[[], float] = time.time) -> None:
        """Open the file, or make it.

        Args:
            path: The file; SQLite puts two more beside it.
            instance: Names this run of the program, so that another can tell what was left behind by a crash.
            clock: Seconds since 1970.
        """
        self._name = one_line(str(path))
        check_left_open(path)
        self._connection = connect(path, write=True)
        self._instance = instance
        self._clock = clock
        self._written: dict[tuple[str, str], set[int]] = {}
        """By conversation and writer: ids of the turns it wrote."""
        self._copies: dict[tuple[str, str], str] = {}
        """By conversation and writer: the copy it writes to, because another one has gone on with the original."""

    def apply(self, change: TreeChange) -> None:
        """Keep what became new in a conversation, as a whole or not at all.

        Where two have opened the same conversation and both go on, the second one goes on in a copy: neither writes
        over the other's turns.
        """
        key = change.uid, change.writer
        uid = self._transaction(lambda: self._apply(change, self._copies.get(key, change.uid)))
        self._written.setdefault(key, set()).update(turn.id for turn in change.turns)
        if uid != change.uid:
            self._copies[key] = uid

    def restore(self, tree: StoredTree, entries: list[Entry]) -> bool:
        """Keep a conversation that comes from a file, with the list's lines; False when it is here already."""
        replies = {
            turn.id: ReplyText(len(tokens), turn.turn(tokens).content)
            for turn, tokens in tree.turns
            if turn.role is Role.ASSISTANT
        }
        change = TreeChange(
            uid=tree.uid,
            info=tree.info,
            turns=[turn for turn, _ in tree.turns],
            tokens=[TokensChange(turn.id, 0, tokens) for turn, tokens in tree.turns if tokens],
            deleted=tree.deleted,
            replies=replies,
            settings=tree.settings,
            ended=True,
            labels={entry.turn: entry.label for entry in entries},
        )

        def put() -> bool:
            if self._execute("SELECT 1 FROM trees WHERE uid = ?", tree.uid).fetchone():
                return False
            self._apply(change, tree.uid)
            times = (whole_text(tree.title), tree.created_at, tree.updated_at, tree.uid)
            self._execute("UPDATE trees SET title = ?, created = ?, updated = ? WHERE uid = ?", *times)
            (number,) = self._execute("SELECT id FROM trees WHERE uid = ?", tree.uid).fetchone()
            listed = {entry.turn for entry in entries}
            for turn in replies.keys() - listed:
                where = "tree = ? AND turn = ?"
                self._execute(f"DELETE FROM search WHERE rowid IN (SELECT id FROM runs WHERE {where})", number, turn)
                self._execute(f"DELETE FROM runs WHERE {where}", number, turn)
            self._connection.executemany(
                "UPDATE runs SET began = ?, starred = ?, deleted = ?, title = ? WHERE tree = ? AND turn = ?",
                [(one.began_at, one.starred, one.deleted, whole_text(one.title), number, one.turn) for one in entries],
            )
            return True

        return self._transaction(put)

    def set_title(self, entry: Entry, title: str) -> None:
        """Name the conversation of a reply. What a person began anew beside it has a name of its own."""
        self._transaction(lambda: set_title(self._connection, entry.tree, entry.turn, whole_text(title)))

    def set_starred(self, run: int, starred: bool) -> None:
        """Star a reply, or take its star away."""
        self._transaction(lambda: self._execute("UPDATE runs SET starred = ? WHERE id = ?", starred, run))

    def set_deleted(self, run: int, deleted: bool) -> None:
        """Put a reply among the deleted ones, or back. It is gone for good with `purge`."""
        self._transaction(lambda: self._execute("UPDATE runs SET deleted = ? WHERE id = ?", deleted, run))

    def set_all_deleted(self, runs: Iterable[int], deleted: bool) -> None:
        """The same for several replies."""
        sql, values = "UPDATE runs SET deleted = ? WHERE id = ?", [(deleted, run) for run in runs]
        self._transaction(lambda: self._connection.executemany(sql, values))

    def learn_hash(self, uid: str, model_ref: str, model_hash: str) -> None:
        """The hash of the model that replies of a conversation were written by is known by now."""
        self._transaction(lambda: learn_hash(self._connection, uid, model_ref, model_hash))

    def set_ended(self, uid: str) -> None:
        """A conversation that a crash left open needs no rescue any more."""
        self._transaction(lambda: self._execute("UPDATE trees SET writing = 0 WHERE uid = ?", uid))

    def purge(self, older_than: float, in_use: Callable[[str], bool] = lambda _instance: False) -> int:
        """Remove for good what was deleted and began before that time; returns how many replies that were.

        A reply that nothing was said behind goes with its tokens, a conversation when none of its replies is left.

        Args:
            older_than: Seconds since 1970.
            in_use: Says of an instance by its name whether it still runs; what it has on screen is left alone.
        """

        def remove() -> int:
            trees = self._execute("SELECT id, instance FROM trees").fetchall()
            used = {instance: in_use(instance) for instance in {instance for _, instance in trees}}
            gone = 0
            for tree in [tree for tree, instance in trees if not used[instance]]:
                gone += purge_lines(self._connection, tree, older_than)
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
            with transaction(self._connection):
                if check_version(self._connection) != VERSION:
                    raise HistoryUnusable("The history file was emptied.", "Start the program again to begin anew.")
                return work()
        except sqlite3.Error as error:
            raise unusable(self._name, error) from error
        except (ValueError, OverflowError, TypeError) as error:
            why = one_line(str(error))
            raise HistoryUnusable(f"A reply could not be kept: {why}.", "It stays on the screen.") from error

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def _apply(self, change: TreeChange, uid: str) -> str:
        """Write a change; returns the name of the conversation it went to, which may be a copy."""
        now, title = self._clock(), whole_text(change.title)
        if change.begins_at and (tree := self._taken(change, uid)) is not None:
            if all(turn.id < change.begins_at for turn in change.turns):
                return uid  # somebody has only looked around in what another one goes on with
            uid = self._copy(tree, change.begins_at)
            new = next(turn for turn in change.turns if turn.id >= change.begins_at)
            title = title or title_beside(self._connection, tree, new.parent or 0)
        self._execute(_TREE, uid, now, now, title, self._instance, not change.ended, pack(change.info))
        (tree,) = self._execute("SELECT id FROM trees WHERE uid = ?", uid).fetchone()
        for turn in change.turns:
            self._execute(_TURN, tree, turn.id, turn.parent, pack(turn))
        for tokens in change.tokens:
            self._put_tokens(tree, tokens)
        marks = [(turn in change.deleted, tree, turn) for (turn,) in self._turns_to_mark(tree, change.deleted)]
        self._connection.executemany("UPDATE turns SET deleted = ? WHERE tree = ? AND turn = ?", marks)
        for turn in change.turns:
            if turn.id in change.replies:
                setting, label = change.settings.get(turn.id), change.labels.get(turn.id, "")
                put_line(self._connection, tree, turn, change.replies[turn.id], setting, now, title, label)
        return uid

    def _taken(self, change: TreeChange, uid: str) -> int | None:
        """The row of a conversation in which somebody else has said more since it was opened, else None."""
        mine = self._written.get((change.uid, change.writer), set())
        sql = "SELECT tree, turn FROM turns WHERE tree = (SELECT id FROM trees WHERE uid = ?) AND turn >= ?"
        rows = self._execute(sql, uid, change.begins_at).fetchall()
        return next((tree for tree, turn in rows if turn not in mine), None)

    def _copy(self, tree: int, up_to: int) -> str:
        """Copy what stands before a turn; the replies stay in the list once, as those of the original."""
        uid = uuid.uuid4().hex
        columns = "created, updated, title, instance, writing, info"
        sql = f"INSERT INTO trees (uid, {columns}) SELECT ?, {columns} FROM trees WHERE id = ?"
        copy = self._execute(sql, uid, tree).lastrowid
        for table, columns in (("turns", "turn, parent, deleted, data"), ("tokens", "turn, first, count, data")):
            sql = f"INSERT INTO {table} (tree, {columns}) SELECT ?, {columns} FROM {table} WHERE tree = ? AND turn < ?"
            self._execute(sql, copy, tree, up_to)
        return uid

    def _turns_to_mark(self, tree: int, deleted: frozenset[int]) -> list[tuple[int]]:
        rows = self._execute("SELECT turn, deleted FROM turns WHERE tree = ?", tree).fetchall()
        return [(turn,) for turn, is_deleted in rows if bool(is_deleted) != (turn in deleted)]

    def _put_tokens(self, tree: int, change: TokensChange) -> None:
        """Tokens in place of those from `first` on; a stretch that is cut, or short, is written anew with them."""
        first, tokens = change.first, change.tokens
        before = self._execute(
            "SELECT first, count, data FROM tokens WHERE tree = ? AND turn = ? AND first < ? ORDER BY first DESC",
            *(tree, change.turn, first),
        ).fetchone()
        if before is not None and (before[0] + before[1] > first or before[1] + len(tokens) <= _STRETCH):
            try:
                tokens = [*unpack_tokens(before[2])[: first - before[0]], *tokens]
                first = before[0]
            except BROKEN:  # what was written is damaged: it stays, and what is new does not suffer
                pass
        self._execute("DELETE FROM tokens WHERE tree = ? AND turn = ? AND first + count > ?", tree, change.turn, first)
        if tokens:
            values = tree, change.turn, first, len(tokens), pack(tokens)
            self._execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?)", *values)
