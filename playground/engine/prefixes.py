"""The vocabulary sorted by bytes: tokens that begin alike are refused by a grammar together."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Test = Callable[[Ids], NDArray[np.bool_]]
"""Which of these tokens a grammar lets follow."""

_SPLIT: Final = 64
"""Groups larger than this are looked at by their first two bytes."""
_PERMISSIVE: Final = 48
"""With more first bytes than these possible, nearly every token is, and there is nothing to be won."""


class _Group(NamedTuple):
    """Tokens that begin with the same one or two bytes: a stretch of the sorted vocabulary."""

    start: int
    end: int
    shortest: int
    """The token that is these bytes and nothing more; -1 when the vocabulary has none.

    Where a grammar refuses it, every token of the group is refused; if it is half a character, llama.cpp asks whether
    any whole one could follow.
    """


class Prefixes:
    """Groups of tokens by their first bytes. Made when first used: it takes 0.1 to 0.5 s for a large vocabulary."""

    def __init__(self, pointer: Any, size: int, end_tokens: Sequence[int]) -> None:
        self._pointer = pointer
        self._size = size
        self._ends = np.array(end_tokens, np.int32)
        self._order: Ids = np.empty(0, np.int32)
        self._groups: list[tuple[_Group, list[_Group]]] = []

    def possible(self, test: Test) -> Ids | None:
        """Few tokens, ascending, of which all that `test` allows are; None when most of the vocabulary is possible."""
        if not self._groups:
            self._build()
        first = self._allowed([group for group, _ in self._groups], test)
        kept = [pair for pair, alive in zip(self._groups, first, strict=True) if alive]
        if len(kept) > _PERMISSIVE:
            return None
        parts = [group for group, _ in kept if group.end - group.start <= _SPLIT]
        inner = [part for group, inside in kept if group.end - group.start > _SPLIT for part in inside]
        parts += [part for part, alive in zip(inner, self._allowed(inner, test), strict=True) if alive]
        return np.unique(np.concatenate([self._ends, *(self._order[part.start : part.end] for part in parts)]))

    @staticmethod
    def _allowed(groups: Sequence[_Group], test: Test) -> list[bool]:
        known = np.array([group.shortest for group in groups if group.shortest >= 0], np.int32)
        answers = iter(test(known).tolist() if len(known) else ())
        return [group.shortest < 0 or next(answers) for group in groups]

    def _build(self) -> None:
        pieces = self._pieces()
        order = sorted(range(self._size), key=pieces.__getitem__)
        self._order = np.array(order, np.int32)
        ends = frozenset(self._ends.tolist())

        def groups(start: int, end: int, width: int) -> list[_Group]:
            found, at = [], start
            while at < end:
                prefix, begin = pieces[order[at]][:width], at
                while at < end and pieces[order[at]][:width] == prefix:
                    at += 1
                own = order[begin]  # the shortest comes first
                plain = pieces[own] == prefix and own not in ends
                found.append(_Group(begin, at, own if plain else -1))
            return found

        begin = next((at for at in range(self._size) if pieces[order[at]][:1] > b"\0"), self._size)
        self._groups = [(group, groups(group.start, group.end, 2)) for group in groups(begin, self._size, 1)]

    def _pieces(self) -> list[bytes]:
        """The bytes of every token, as the grammar sees them."""
        room = 256
        buffer = ctypes.create_string_buffer(room)
        pieces = []
        for token in range(self._size):
            count = lib.llama_token_to_piece(self._pointer, token, buffer, room, 0, True)
            while count < 0:
                room = -count
                buffer = ctypes.create_string_buffer(room)
                count = lib.llama_token_to_piece(self._pointer, token, buffer, room, 0, True)
            pieces.append(buffer.raw[:count])
        return pieces
