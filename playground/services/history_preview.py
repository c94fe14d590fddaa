"""One reply of the history with what it answers, read without the rest of its conversation, as far as wanted."""

from __future__ import annotations

import sqlite3
import zlib
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from playground.domain.errors import HistoryUnusable
from playground.domain.history import StoredTurn
from playground.domain.messages import Role
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.services.history_rows import BROKEN
from playground.services.history_schema import connect, is_empty, is_there
from playground.services.toml_files import one_line

MOST_TOKENS: Final = 400
"""Tokens of a reply that are read at once: more than the largest preview has room for."""
MOST_TEXT: Final = 4000
"""Characters of a prompt that are shown."""

_decode_turn: Final = msgspec.msgpack.Decoder(StoredTurn).decode
_decode_token: Final = msgspec.msgpack.Decoder(Token).decode
_split: Final = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Exchange(NamedTuple):
    """What the preview shows."""

    turns: list[Turn]
    """What was asked, and the beginning of the reply, which has no end as long as there is more of it."""
    more: bool
    """True when the reply goes on behind it."""


_NOTHING: Final = Exchange([], False)


def read_exchange(path: Path, uid: str, turn: int, most: int = MOST_TOKENS) -> Exchange:
    """A reply, up to about `most` tokens of it, behind what it answers; nothing when it is not there any more.

    Raises HistoryUnusable.
    """
    if not is_there(path):
        return _NOTHING
    connection = connect(path, write=False)
    try:
        return _NOTHING if is_empty(connection) else _read(connection, uid, turn, most)
    except BROKEN as error:
        raise HistoryUnusable("This conversation is damaged in the file.", "The others can still be read.") from error
    except sqlite3.Error as error:
        why = one_line(str(error))
        raise HistoryUnusable(f"The history cannot be read: {why}.", "Nothing in it was changed.") from error
    finally:
        connection.close()


def _read(connection: sqlite3.Connection, uid: str, turn: int, most: int) -> Exchange:
    row = connection.execute("SELECT id FROM trees WHERE uid = ?", (uid,)).fetchone()
    reply = _turn(connection, row[0], turn) if row is not None else None
    if reply is None:
        return _NOTHING
    tree = row[0]
    tokens, more = _tokens(connection, tree, turn, most)
    shown = reply.turn(tokens)
    if more:
        shown.finished = shown.problem = None
    asked = _turn(connection, tree, reply.parent) if reply.parent is not None else None
    if asked is None:
        return Exchange([shown], more)
    before = asked.turn([] if asked.role is Role.USER else _tokens(connection, tree, asked.id, most)[0])
    if len(before.text) > MOST_TEXT:
        before.text = f"{before.text[:MOST_TEXT]} …"
    return Exchange([before, shown], more)


def _turn(connection: sqlite3.Connection, tree: int, turn: int) -> StoredTurn | None:
    row = connection.execute("SELECT data FROM turns WHERE tree = ? AND turn = ?", (tree, turn)).fetchone()
    return _decode_turn(zlib.decompress(row[0])) if row is not None else None


def _tokens(connection: sqlite3.Connection, tree: int, turn: int, most: int) -> tuple[list[Token], bool]:
    """The first tokens of a reply, up to the first gap or damage, and whether there are more."""
    sql = "SELECT first, data FROM tokens WHERE tree = ? AND turn = ? ORDER BY first"
    tokens: list[Token] = []
    for first, data in connection.execute(sql, (tree, turn)):
        if first != len(tokens):
            break
        if first >= most:
            return tokens, True
        try:
            packed = _split(zlib.decompress(data))
            tokens += [_decode_token(one) for one in packed[: most - first]]
        except BROKEN:
            break
        if len(packed) > most - first:
            return tokens, True
    return tokens, False
