"""Conversations as rows of the history file: packing, unpacking, and reading one as a whole."""

from __future__ import annotations

import sqlite3
import zlib
from typing import Any, Final

import msgspec

from playground.domain.errors import HistoryUnusable
from playground.domain.history import Setting, StoredTree, StoredTurn, TreeInfo
from playground.domain.messages import ChatPrompt
from playground.domain.tokens import Token

_LEVEL: Final = 1  # of zlib; higher levels save 5 % and take twice as long

_encode: Final = msgspec.msgpack.Encoder(enc_hook=tuple).encode
_decode_turn: Final = msgspec.msgpack.Decoder(StoredTurn).decode
_decode_tokens: Final = msgspec.msgpack.Decoder(list[Token]).decode
_decode_info: Final = msgspec.msgpack.Decoder(TreeInfo).decode
_decode_setting: Final = msgspec.msgpack.Decoder(Setting).decode

BROKEN: Final = (zlib.error, msgspec.MsgspecError)
"""What unpacking raises on bytes that are not what was written."""


def pack(value: Any) -> bytes:
    """A struct, or a list of tokens, in few bytes: about 230 for a token with ten candidates, when some stand together.

    Raises ValueError and its like for what no file can hold, such as a number of more than 64 bits.
    """
    try:
        plain = _encode(value)
    except UnicodeEncodeError:
        plain = _encode(_whole(msgspec.to_builtins(value, builtin_types=(bytes,), enc_hook=tuple)))
    return zlib.compress(plain, _LEVEL)


def whole_text(text: str) -> str:
    """The text without half characters, which no file can hold."""
    return text.encode("utf-8", errors="replace").decode("utf-8")


def _whole(value: Any) -> Any:
    match value:
        case str():
            return whole_text(value)
        case list() | tuple():
            return [_whole(one) for one in value]
        case dict():
            return {_whole(key): _whole(one) for key, one in value.items()}
    return value


def unpack_tokens(packed: bytes) -> list[Token]:
    """Tokens as they were packed, to the last bit. Raises one of BROKEN."""
    return _decode_tokens(zlib.decompress(packed))


def unpack_setting(packed: bytes) -> Setting:
    """What was packed. Raises one of BROKEN."""
    return _decode_setting(zlib.decompress(packed))


def read_tokens(connection: sqlite3.Connection, tree: int, turn: int) -> list[Token]:
    """The tokens of a reply, up to the first gap, which a damaged file may have."""
    rows = connection.execute("SELECT first, data FROM tokens WHERE tree = ? AND turn = ? ORDER BY first", (tree, turn))
    tokens: list[Token] = []
    for first, data in rows:
        if first != len(tokens):
            break
        try:
            tokens += unpack_tokens(data)
        except BROKEN:
            break
    return tokens


_ALL: Final = "SELECT turn, data, deleted FROM turns WHERE tree = ?1 ORDER BY turn"
_WAY: Final = """
    WITH RECURSIVE way (turn, parent) AS (
        SELECT turn, parent FROM turns WHERE tree = ?1 AND turn = ?2
        UNION SELECT turns.turn, turns.parent FROM turns JOIN way ON turns.tree = ?1 AND turns.turn = way.parent
    )
    SELECT turn, data, deleted FROM turns WHERE tree = ?1 AND turn IN (SELECT turn FROM way) ORDER BY turn
"""


def read_tree(connection: sqlite3.Connection, uid: str, up_to: int | None = None) -> StoredTree | None:
    """A conversation with everything in it, or the turns on the way to one; None when there is none of this name.

    Raises HistoryUnusable when more of it than some tokens cannot be read.
    """
    row = connection.execute("SELECT id, title, info, created, updated FROM trees WHERE uid = ?", (uid,)).fetchone()
    if row is None:
        return None
    tree, title, info, created, updated = row
    rows = connection.execute(*((_ALL, (tree,)) if up_to is None else (_WAY, (tree, up_to)))).fetchall()
    wanted = {turn for turn, _, _ in rows}
    settings = connection.execute("SELECT turn, setting FROM runs WHERE tree = ?", (tree,)).fetchall()
    try:
        turns = [(_decode_turn(zlib.decompress(data)), bool(deleted)) for _, data, deleted in rows]
        kept = _decode_info(zlib.decompress(info))
        if kept.head is not None and kept.head not in {turn.id for turn, _ in turns}:  # it was purged
            kept = msgspec.structs.replace(
                kept, head=max((turn.id for turn, deleted in turns if not deleted), default=None)
            )
        return StoredTree(
            uid=uid,
            info=kept,
            title=title,
            turns=[(turn, read_tokens(connection, tree, turn.id)) for turn, _ in turns],
            deleted=frozenset(turn.id for turn, deleted in turns if deleted),
            settings={turn: unpack_setting(setting) for turn, setting in settings if turn in wanted},
            created_at=created,
            updated_at=updated,
        )
    except BROKEN as error:
        raise HistoryUnusable("This conversation is damaged in the file.", "The others can still be read.") from error


def asked(turn: StoredTurn) -> str:
    """What a reply answers: the last message of a conversation, or all of a raw prompt."""
    if turn.prompt is None:
        return ""
    if isinstance(turn.prompt, ChatPrompt):
        return turn.prompt.messages[-1].content if turn.prompt.messages else ""
    return turn.prompt.text
