"""Where in a JSON text a value stands."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()

Step = str | int
"""Name of a member of an object, or index into a list."""


def offset_of(text: str, path: Sequence[Step]) -> int:
    """Offset of the value at the end of a path, or of the last value on it that is there.

    Args:
        text: JSON that can be read.
        path: Steps from the whole to the value.
    """
    at = _skip(text, 0)
    for step in path:
        found = _member(text, at, step) if text[at : at + 1] == "{" else _item(text, at, step)
        if found is None:
            return at
        at = found
    return at


def _member(text: str, at: int, name: Step) -> int | None:
    """Offset of a member's value; of several with one name, the last one counts, as for any reader of JSON."""
    found = None
    at = _skip(text, at + 1)
    while text[at : at + 1] == '"':
        key, at = _DECODER.raw_decode(text, at)
        value = _skip(text, _skip(text, at) + 1)
        if key == name:
            found = value
        at = _behind(text, value)
    return found


def _item(text: str, at: int, index: Step) -> int | None:
    if text[at : at + 1] != "[" or not isinstance(index, int):
        return None
    at = _skip(text, at + 1)
    for _ in range(index):
        at = _behind(text, at)
    return at


def _behind(text: str, at: int) -> int:
    """What follows a value and the comma behind it."""
    at = _skip(text, _DECODER.raw_decode(text, at)[1])
    return _skip(text, at + 1) if text[at : at + 1] == "," else at


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
