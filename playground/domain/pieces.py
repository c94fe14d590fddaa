"""The bytes of tokens and the characters they are parts of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

_LONGEST = 4
"""Bytes of the longest character in UTF-8."""


class Shared(NamedTuple):
    """A character that a token has only a part of."""

    character: str
    first: int
    """First of its bytes that is in the token, from 1."""
    last: int
    size: int
    """Bytes of the whole character."""


def is_whole(piece: bytes) -> bool:
    """True when a token is made of whole characters."""
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


def shared_characters(pieces: Sequence[bytes], index: int) -> list[Shared]:
    """The characters of which token `index` has a part and its neighbours have the rest.

    Bytes that belong to no character, however they are put together, are left out.
    """
    reach = _LONGEST - 1
    before = b"".join(pieces[max(0, index - reach) : index])
    data = before + b"".join(pieces[index : index + reach + 1])
    start, end = len(before), len(before) + len(pieces[index])
    begin = start
    while begin and start - begin < reach and _goes_on(data[begin]):
        begin -= 1
    found = []
    for at in range(begin, end):
        size = _size(data[at])
        if size and (at < start or at + size > end):
            try:
                character = data[at : at + size].decode()
            except UnicodeDecodeError:
                continue
            found.append(Shared(character, max(at, start) - at + 1, min(at + size, end) - at, size))
    return found


def _goes_on(byte: int) -> bool:
    return 0x80 <= byte < 0xC0


def _size(first: int) -> int:
    """Bytes of a character that begins like this; 0 for one that begins none."""
    if first < 0x80:
        return 1
    if 0xC2 <= first < 0xE0:
        return 2
    if 0xE0 <= first < 0xF0:
        return 3
    return _LONGEST if 0xF0 <= first < 0xF5 else 0
