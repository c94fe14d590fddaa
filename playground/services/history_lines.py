"""The lines of the list in the history file, one for each reply. Everything here belongs inside a transaction."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from playground.domain.history import BEGINNING, ReplyText, Setting, StoredTurn
from playground.services.history_rows import BROKEN, asked, pack, unpack_setting, whole_text

_SEARCHED: Final = 1_000_000
"""Characters of a prompt or reply that can be searched for."""
_NAME: Final = 80
"""Characters of the name of an origin or of a sweep, and of a label."""


def put_line(
    connection: sqlite3.Connection,
    tree: int,
    turn: StoredTurn,
    reply: ReplyText,
    setting: Setting | None,
    now: float,
    title: str = "",
    label: str = "",
) -> None:
    """Write the line of a reply, and its words for the search.

    Args:
        connection: The file.
        tree: Row of the conversation.
        turn: The reply.
        reply: Its text.
        setting: Under what it was written; None leaves what is there.
        now: When a reply that is new began, unless it says so itself; seconds since 1970.
        title: The name of a reply that is new, where those it stands beside have none.
        label: What tells a reply that is new from the others of its sweep.
    """
    prompt, text = whole_text(asked(turn)), whole_text(reply.text)
    values = _values(turn, reply, prompt, text)
    if setting is not None:
        names = {name: whole_text(getattr(setting, name)) for name in ("preset", "origin", "batch")}
        names |= {name: names[name][:_NAME] for name in ("origin", "batch")}
        values |= {**names, "setting": pack(setting)}
    known = connection.execute("SELECT id FROM runs WHERE tree = ? AND turn = ?", (tree, turn.id)).fetchone()
    if known is None:
        began = now if reply.began_at is None else reply.began_at
        first = {"tree": tree, "turn": turn.id, "began": began, "preset": "", "setting": pack(Setting())} | values
        first["title"] = title_beside(connection, tree, turn.id) or title
        first["label"] = whole_text(label)[:_NAME]
        columns, marks = ", ".join(first), ", ".join("?" * len(first))
        run = connection.execute(f"INSERT INTO runs ({columns}) VALUES ({marks})", (*first.values(),)).lastrowid
        words = run, prompt[:_SEARCHED], text[:_SEARCHED]
        connection.execute("INSERT INTO search (rowid, prompt, reply) VALUES (?, ?, ?)", words)
        return
    sets = ", ".join(f"{name} = ?" for name in values)
    connection.execute(f"UPDATE runs SET {sets} WHERE id = ?", (*values.values(), *known))
    if values["stop"]:  # the words of a reply are found once it has ended, or was left behind
        words = prompt[:_SEARCHED], text[:_SEARCHED], *known
        connection.execute("UPDATE search SET prompt = ?, reply = ? WHERE rowid = ?", words)


_ROOT: Final = """
    WITH RECURSIVE up (turn, parent) AS (
        SELECT turn, parent FROM turns WHERE tree = ?1 AND turn = ?2
        UNION SELECT turns.turn, turns.parent FROM turns JOIN up ON turns.tree = ?1 AND turns.turn = up.parent
    ), behind (turn) AS (
        SELECT turn FROM up WHERE parent IS NULL
        UNION SELECT turns.turn FROM turns JOIN behind ON turns.tree = ?1 AND turns.parent = behind.turn
    )
"""
"""All turns behind the first message of the one that is asked for: what a person began anew in between is not there."""


def title_beside(connection: sqlite3.Connection, tree: int, turn: int) -> str:
    """The name of the conversation that a reply belongs to; empty for none."""
    if not connection.execute("SELECT 1 FROM runs WHERE tree = ? AND title != '' LIMIT 1", (tree,)).fetchone():
        return ""
    sql = (
        f"{_ROOT} SELECT title FROM runs WHERE tree = ?1 AND turn IN (SELECT turn FROM behind) AND title != '' LIMIT 1"
    )
    row = connection.execute(sql, (tree, turn)).fetchone()
    return str(row[0]) if row is not None else ""


def set_title(connection: sqlite3.Connection, uid: str, turn: int, title: str) -> None:
    """Name the conversation that a reply belongs to: all that was said behind its first message."""
    row = connection.execute("SELECT id FROM trees WHERE uid = ?", (uid,)).fetchone()
    if row is not None:
        sql = f"{_ROOT} UPDATE runs SET title = ?3 WHERE tree = ?1 AND turn IN (SELECT turn FROM behind)"
        connection.execute(sql, (*row, turn, title))


def _values(turn: StoredTurn, reply: ReplyText, prompt: str, text: str) -> dict[str, Any]:
    usage = turn.finished.usage if turn.finished is not None else None
    timings = turn.finished.timings if turn.finished is not None else None
    stop = "failed" if turn.problem is not None else str(turn.finished.reason) if turn.finished is not None else ""
    cost = usage.cost if usage is not None else None
    if turn.problem is not None and not reply.tokens and not turn.thinking:
        cost = 0.0  # it failed before anything was written, and nobody is known to charge for that
    return {
        "model": whole_text(turn.model),
        "prompt": prompt[:BEGINNING],
        "reply": text[:BEGINNING],
        "tokens": reply.tokens,
        "cost": cost,
        "stop": stop,
        "ttft_ms": timings.ttft_ms if timings is not None else None,
        "tokens_per_second": timings.tokens_per_second if timings is not None else None,
    }


def learn_hash(connection: sqlite3.Connection, uid: str, model_ref: str, model_hash: str) -> None:
    """Put the hash of a model to the replies of a conversation that it wrote, where it is missing."""
    sql = "SELECT id, setting FROM runs WHERE tree = (SELECT id FROM trees WHERE uid = ?)"
    for run, packed in connection.execute(sql, (uid,)).fetchall():
        try:
            setting = unpack_setting(packed)
        except BROKEN:  # it stays as it is
            continue
        if setting.model_ref == model_ref and not setting.model_hash:
            known = pack(msgspec.structs.replace(setting, model_hash=model_hash))
            connection.execute("UPDATE runs SET setting = ? WHERE id = ?", (known, run))


def purge_lines(connection: sqlite3.Connection, tree: int, older_than: float) -> int:
    """Remove the deleted replies of a conversation that began before a time; returns how many that were.

    A reply that nothing was said behind goes with its tokens, the conversation when none of its replies is left.
    """
    sql = "SELECT id, turn FROM runs WHERE tree = ? AND deleted = 1 AND began < ? ORDER BY turn DESC"
    rows = connection.execute(sql, (tree, older_than)).fetchall()
    for run, turn in rows:
        connection.execute("DELETE FROM search WHERE rowid = ?", (run,))
        connection.execute("DELETE FROM runs WHERE id = ?", (run,))
        if not connection.execute("SELECT 1 FROM turns WHERE tree = ? AND parent = ?", (tree, turn)).fetchone():
            connection.execute("DELETE FROM tokens WHERE tree = ? AND turn = ?", (tree, turn))
            connection.execute("DELETE FROM turns WHERE tree = ? AND turn = ?", (tree, turn))
    if rows:
        left = "NOT EXISTS (SELECT 1 FROM runs WHERE tree = trees.id)"
        connection.execute(f"DELETE FROM trees WHERE id = ? AND {left}", (tree,))
    return len(rows)
