"""Reads conversations from JSON Lines that `history_export` wrote. The file may come from anybody.

Everything is checked before anything is kept. Nothing in the file is used as a path.
"""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn

import msgspec

from playground.domain.errors import BadInput
from playground.domain.history import Entry, Setting, StoredTree, StoredTurn
from playground.domain.messages import Role
from playground.domain.sizes import size_text
from playground.domain.tokens import Token
from playground.services.history_export import (
    FORMAT,
    VERSION,
    Conversation,
    End,
    Head,
    Line,
    ReplyLine,
    SettingLine,
    TokensLine,
    TurnLine,
)
from playground.services.history_ranges import check_numbers, check_tokens
from playground.services.history_rows import pack
from playground.services.history_store import HistoryStore
from playground.services.toml_files import one_line

MAX_BYTES: Final = 1_000_000_000
MAX_LINE_BYTES: Final = 64_000_000
MAX_TURNS: Final = 100_000
"""Of one conversation."""
_LATEST: Final = 253_402_300_799.0
"""The end of the year 9999, in seconds since 1970."""
_UID: Final = re.compile(r"[0-9A-Za-z-]{1,64}")
_FLOATS: Final = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}
_decode: Final = msgspec.json.Decoder(Line).decode


class Imported(NamedTuple):
    """What became of a file."""

    conversations: int
    replies: int
    known: int
    """Conversations that were in the history already and were left as they are there."""


class _Bad(ValueError):
    """What is wrong with a line."""


class _Draft:
    """A conversation whose lines are being read."""

    def __init__(self, head: Conversation) -> None:
        self.head = head
        self.turns: dict[int, tuple[StoredTurn, list[Token]]] = {}
        self.settings: dict[int, Setting] = {}
        self.entries: list[Entry] = []

    @property
    def tree(self) -> StoredTree:
        """All of it."""
        return StoredTree(
            uid=self.head.uid,
            info=self.head.info,
            title=self.head.title,
            turns=list(self.turns.values()),
            deleted=frozenset(self.head.deleted),
            settings=self.settings,
            created_at=self.head.created_at,
            updated_at=self.head.updated_at,
        )


def import_file(path: Path, store: HistoryStore) -> Imported:
    """Keep every conversation of a file that is not in the history yet; all of the file is checked before.

    Raises BadInput naming the line that is wrong, and HistoryUnusable.
    """
    for _ in read_conversations(path):
        pass
    kept = replies = known = 0
    for tree, entries in read_conversations(path):
        if store.restore(tree, entries):
            kept, replies = kept + 1, replies + len(entries)
        else:
            known += 1
    return Imported(kept, replies, known)


def read_conversations(path: Path) -> Iterator[tuple[StoredTree, list[Entry]]]:
    """The conversations of a file, one after the other. Raises BadInput naming the line that is wrong."""
    name, number = one_line(str(path)), 0
    try:
        # Without waiting: a pipe that nobody writes to would hold the program for good.
        with open(path, "rb", opener=lambda file, flags: os.open(file, flags | os.O_NONBLOCK)) as file:
            look = os.fstat(file.fileno())
            if not stat.S_ISREG(look.st_mode):
                raise BadInput(f"{name} is not a file.", "Give one that history export has written.")
            if look.st_size > MAX_BYTES:
                raise BadInput(f"{name} is larger than {size_text(MAX_BYTES)}.", "Is it the right file?")
            draft: _Draft | None = None
            for number, raw in enumerate(_lines(file), 1):
                line = _read(raw)
                if (number == 1) != isinstance(line, Head):
                    raise _Bad("the first line says what file it is, and no other line does")
                draft = _take(draft, line)
                if isinstance(line, End) and draft is not None:
                    yield draft.tree, draft.entries
                    draft = None
            if draft is not None or not number:
                raise _Bad("the file ends too early")
    except OSError as error:
        raise BadInput(f"{name} cannot be read: {error.strerror}.", "Check the path.") from error
    except (_Bad, BadInput, ValueError, OverflowError, RecursionError) as error:
        if isinstance(error, BadInput) and not number:
            raise
        _refuse(name, number, error)


def _refuse(name: str, number: int, error: Exception) -> NoReturn:
    why = one_line(error.message if isinstance(error, BadInput) else str(error) or type(error).__name__).rstrip(".")
    raise BadInput(
        f"{name} cannot be imported: line {number:,}: {why}.",
        "Nothing was changed. Known are files that history export --format jsonl has written.",
    ) from error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while raw := file.readline(MAX_LINE_BYTES + 1):
        if len(raw) > MAX_LINE_BYTES:
            raise _Bad(f"it is longer than {size_text(MAX_LINE_BYTES)}")
        yield raw


def _read(raw: bytes) -> Line:
    try:
        if b'"$float"' in raw:
            found: Line = msgspec.convert(_unmarked(msgspec.json.decode(raw)), Line)
            return found
        line: Line = _decode(raw)
        return line
    except msgspec.DecodeError as error:
        raise _Bad(str(error)) from error


def _unmarked(value: Any) -> Any:
    match value:
        case {"$float": str(text), **rest} if not rest and text in _FLOATS:
            return _FLOATS[text]
        case list():
            return [_unmarked(one) for one in value]
        case dict():
            return {key: _unmarked(one) for key, one in value.items()}
    return value


def _take(draft: _Draft | None, line: Line) -> _Draft | None:
    """Put a line where it belongs; raises _Bad or BadInput."""
    match line:
        case Head():
            if line.format != FORMAT:
                raise _Bad("this is no exported history")
            if line.version != VERSION:
                raise _Bad(f"it has version {line.version}, and this program knows version {VERSION}")
            return None
        case Conversation():
            if draft is not None:
                raise _Bad("a conversation begins inside another one")
            _check_head(line)
            return _Draft(line)
    if draft is None:
        raise _Bad("it belongs to no conversation")
    match line:
        case TurnLine():
            _check_turn(draft, line.turn)
            draft.turns[line.turn.id] = (line.turn, [])
        case TokensLine():
            turn, tokens = _turn(draft, line.turn)
            if turn.role is not Role.ASSISTANT:
                raise _Bad(f"turn {line.turn} is no reply and has no tokens")
            pack(line.tokens)
            check_tokens(line.tokens)
            tokens += line.tokens
        case SettingLine():
            _turn(draft, line.turn)
            pack(line.setting)
            check_numbers(line.setting)
            draft.settings[line.turn] = line.setting
        case ReplyLine():
            _check_entry(draft, line.entry)
            draft.entries.append(line.entry)
        case End():
            _check_whole(draft, line)
    return draft


def _turn(draft: _Draft, number: int) -> tuple[StoredTurn, list[Token]]:
    if number not in draft.turns:
        raise _Bad(f"there is no turn {number}")
    return draft.turns[number]


def _check_head(head: Conversation) -> None:
    if not _UID.fullmatch(head.uid):
        raise _Bad("the conversation's uid is none")
    for at in (head.created_at, head.updated_at):
        if not 0 <= at <= _LATEST:
            raise _Bad(f"a time is {at:g}, which is out of range")
    pack(head.info)
    check_numbers(head.info)


def _check_turn(draft: _Draft, turn: StoredTurn) -> None:
    if len(draft.turns) >= MAX_TURNS:
        raise _Bad(f"the conversation has more than {MAX_TURNS:,} turns")
    if not 0 < turn.id < 1 << 31 or (draft.turns and turn.id <= max(draft.turns)):
        raise _Bad(f"turn {turn.id} is out of order")
    if turn.parent is not None and turn.parent not in draft.turns:
        raise _Bad(f"turn {turn.id} stands behind turn {turn.parent}, which is not there")
    pack(turn)
    check_numbers(turn)


def _check_entry(draft: _Draft, entry: Entry) -> None:
    turn, _ = _turn(draft, entry.turn)
    if turn.role is not Role.ASSISTANT or entry.tree != draft.head.uid:
        raise _Bad(f"turn {entry.turn} is no reply of this conversation")
    if entry.turn in {other.turn for other in draft.entries}:
        raise _Bad(f"turn {entry.turn} stands in the list twice")
    if not 0 <= entry.began_at <= _LATEST:
        raise _Bad(f"a time is {entry.began_at:g}, which is out of range")
    check_numbers(entry)


def _check_whole(draft: _Draft, end: End) -> None:
    if end.uid != draft.head.uid:
        raise _Bad("another conversation ends than the one that began")
    if not draft.turns:
        raise _Bad("the conversation has no turns")
    for number in draft.head.deleted:
        _turn(draft, number)
    if draft.head.info.head is not None:
        _turn(draft, draft.head.info.head)
