"""The vocabulary sorted by bytes: tokens that begin alike are refused by a grammar together."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Test = Callable[[Ids], NDArray[np.bool_]]
"""Which of these tokens a grammar lets follow."""

_SPLIT: Final = 64
"""Groups larger than this are looked at by their first two bytes."""
_LENGTHS: Final = np.array([1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64])
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
        self._lengths = np.empty(0, np.int32)
        self._letters: dict[int, int] = {}
        """Byte to the token that is this byte alone."""
        self._buffer = ctypes.create_string_buffer(256)

    def by_length(self, ids: Ids) -> Iterator[NDArray[np.intp]]:
        """Places of these tokens in `ids`, those with the fewest bytes first, a stretch of lengths at a time."""
        if not self._groups:
            self._build()
        classes = _LENGTHS.searchsorted(self._lengths.take(ids))
        for one in np.flatnonzero(np.bincount(classes)):
            yield np.flatnonzero(classes == one)

    def spell(self, token: int) -> Sequence[int]:
        """Tokens of a byte each that say the same; the token itself where the vocabulary has none for some byte."""
        if not self._groups:
            self._build()
        if token in self._ends:
            return (token,)
        letters = [self._letters.get(byte, -1) for byte in self._piece(token)]
        return (token,) if -1 in letters else letters

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
        pieces = [self._piece(token) for token in range(self._size)]
        order = sorted(range(self._size), key=pieces.__getitem__)
        self._order = np.array(order, np.int32)
        self._lengths = np.array([len(piece) for piece in pieces], np.int32)
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
        first = groups(begin, self._size, 1)
        self._letters = {pieces[group.shortest][0]: group.shortest for group in first if group.shortest >= 0}
        self._groups = [(group, groups(group.start, group.end, 2)) for group in first]

    def _piece(self, token: int) -> bytes:
        """The bytes of a token, as the grammar sees them."""
        while True:
            count = lib.llama_token_to_piece(self._pointer, token, self._buffer, len(self._buffer), 0, True)
            if count >= 0:
                return self._buffer.raw[:count]
            self._buffer = ctypes.create_string_buffer(-count)
