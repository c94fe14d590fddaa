"""A row of structs that waits as bytes until somebody looks at it.

Ten candidates are three kilobytes as Python objects and three hundred bytes like this. Of a long session nearly all are
never looked at again, so a transcript keeps them packed; unpacking a row takes a microsecond or two.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, Generic, TypeVar, overload

import msgspec

T = TypeVar("T")

_encode: Final = msgspec.msgpack.Encoder().encode


class Packed(Sequence[T]):
    """Behaves as the tuple it was made from, and equals it. Make it with a `Packer`.

    Encoding one with msgspec needs `enc_hook=tuple`; without it msgspec refuses, so nothing is lost in silence.
    """

    __slots__ = ("_decoder", "_packed")

    def __init__(self, packed: bytes, decoder: msgspec.msgpack.Decoder[tuple[T, ...]]) -> None:
        self._packed = packed
        self._decoder = decoder

    @property
    def size(self) -> int:
        """Bytes in which the row waits."""
        return len(self._packed)

    def _unpacked(self) -> tuple[T, ...]:
        return self._decoder.decode(self._packed)

    def __len__(self) -> int:
        return len(self._unpacked())

    def __bool__(self) -> bool:
        return True  # an empty row is never packed

    def __iter__(self) -> Iterator[T]:
        return iter(self._unpacked())

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        return self._unpacked()[index]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed):
            return self._packed == other._packed or self._unpacked() == other._unpacked()
        return self._unpacked() == other

    def __hash__(self) -> int:
        return hash(self._unpacked())

    def __repr__(self) -> str:
        return repr(self._unpacked())


class Packer(Generic[T]):
    """Packs rows of one type of struct, which must be all that msgspec needs to know to read them back."""

    def __init__(self, row: type[tuple[T, ...]]) -> None:
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(row)

    def __call__(self, row: Sequence[T]) -> Sequence[T]:
        """The same row in less memory; one that is empty or packed comes back as it is."""
        return Packed(_encode(row), self._decoder) if row and not isinstance(row, Packed) else row
