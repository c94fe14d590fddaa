"""Reads what stands in a GGUF header, trusting none of it.

Lengths and counts in the file are claims: each is held against a limit and against what the file has left before
anything is allocated or skipped, so that a damaged or hostile file costs neither memory nor time.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import BinaryIO, Final

from playground.domain.display import display_text
from playground.domain.errors import ModelFileError
from playground.engine.gguf_bytes import AGAIN, HeaderBytes
from playground.engine.gguf_types import ARRAY, MAGIC, SCALARS, STRING, TENSOR_TYPES

MAX_KEYS: Final = 16_384
MAX_TENSORS: Final = 65_536
MAX_NAME: Final = 1_024
"""Bytes in a key or in a tensor's name."""
MAX_TEXT: Final = 1 << 20
"""Bytes of a string that is kept; longer ones are only measured."""
MAX_KEPT_ITEMS: Final = 1_024
"""Items of an array that is kept; longer ones are only counted."""
MAX_STRINGS: Final = 1 << 22
"""Strings in all arrays together; the largest vocabularies have a fifth of that, merges included."""
MAX_DIMENSIONS: Final = 4


@dataclass(frozen=True, slots=True)
class Omitted:
    """Stands for a value too large to keep."""

    count: int
    """Items of the array, or bytes of the string."""


Scalar = int | float | bool | str
Value = Scalar | tuple[Scalar, ...] | Omitted


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor as the header describes it."""

    name: str
    shape: tuple[int, ...]
    """The fastest dimension first, as in the file."""
    type: int
    offset: int
    """Bytes from the start of the tensor data."""

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)

    @property
    def size(self) -> int | None:
        """Bytes it takes in the file; None when the type is not known."""
        kind = TENSOR_TYPES.get(self.type)
        return None if kind is None else self.elements // kind[1] * kind[2]


class HeaderReader(HeaderBytes):
    """What stands in a header, in the order of the file. Every method raises ModelFileError where it makes no sense."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        super().__init__(file, size, name)
        self._strings = 0

    def magic(self) -> int:
        """Check the first eight bytes; returns the version, 2 or 3."""
        if self._size == 0:
            raise ModelFileError(f"{self._name} is empty.", AGAIN)
        start = self._take(min(8, self._size))
        if start[:4] != MAGIC:
            shown = display_text(start[:4].decode("latin-1"))
            raise ModelFileError(
                f"{self._name} is not a GGUF file (it starts with {shown!r}).",
                "Choose a file that was made for llama.cpp.",
            )
        if len(start) < 8:
            raise self._cut_off()
        version = int.from_bytes(start[4:], "little")
        if version not in (2, 3):
            big = int.from_bytes(start[4:], "big") in (2, 3)
            what = "is a big-endian GGUF file" if big else f"has GGUF version {version}"
            raise ModelFileError(
                f"{self._name} {what}, which cannot be read.", "Convert the model anew with a present llama.cpp."
            )
        return version

    def counts(self) -> tuple[int, int]:
        """Number of tensors and number of metadata keys."""
        tensors, keys = struct.unpack("<QQ", self._take(16))
        if tensors > MAX_TENSORS or keys > MAX_KEYS:
            raise self.damaged(f"it claims {tensors:,} tensors and {keys:,} keys")
        return tensors, keys

    def metadata(self, count: int) -> dict[str, Value]:
        """The next `count` keys with their values."""
        found: dict[str, Value] = {}
        for _ in range(count):
            key = self._name_text()
            if key in found:
                raise self.damaged(f"the key {display_text(key)!r} is there twice")
            found[key] = self._value(self._u32())
        return found

    def tensor(self) -> TensorInfo:
        """The next tensor's description."""
        name = self._name_text()
        dimensions = self._u32()
        if not 1 <= dimensions <= MAX_DIMENSIONS:
            raise self.damaged(f"a tensor claims {dimensions:,} dimensions")
        shape = struct.unpack(f"<{dimensions}Q", self._take(8 * dimensions))
        kind, offset = struct.unpack("<IQ", self._take(12))
        info = TensorInfo(name, shape, kind, offset)
        if info.elements >= 1 << 63:
            raise self.damaged("a tensor is larger than anything can be")
        if kind in TENSOR_TYPES and shape[0] % TENSOR_TYPES[kind][1]:
            raise self.damaged(f"a tensor of type {TENSOR_TYPES[kind][0]} has rows of {shape[0]:,} numbers")
        self._keep(256)
        return info

    def _value(self, kind: int) -> Value:
        if kind == STRING:
            return self._string()
        if kind == ARRAY:
            return self._array()
        return self._scalars(kind, 1)[0]

    def _string(self) -> str | Omitted:
        length = self._u64()
        self._check_left(length)
        if length > MAX_TEXT:
            self._skip(length)
            return Omitted(length)
        self._keep(length + 64)
        return self._take(length).decode("utf-8", "replace")

    def _array(self) -> tuple[Scalar, ...] | Omitted:
        kind, count = struct.unpack("<IQ", self._take(12))
        if kind == STRING:
            return self._string_array(count)
        letter = SCALARS.get(kind)
        if letter is None:
            raise self.damaged(f"an array claims items of type {kind}")
        if count <= MAX_KEPT_ITEMS:
            return self._scalars(kind, count)
        length = count * struct.calcsize("<" + letter)
        self._check_left(length)
        self._skip(length)
        return Omitted(count)

    def _string_array(self, count: int) -> tuple[Scalar, ...] | Omitted:
        self._check_left(count * 8)
        self._strings += count
        if self._strings > MAX_STRINGS:
            raise self.damaged(f"an array claims {count:,} strings")
        if count <= MAX_KEPT_ITEMS:
            items = [self._string() for _ in range(count)]
            kept = tuple(item for item in items if isinstance(item, str))
            return kept if len(kept) == count else Omitted(count)
        self._skip_strings(count)
        return Omitted(count)

    def _skip_strings(self, count: int) -> None:
        # A vocabulary is a hundred thousand strings and more: this loop is most of what reading a header costs.
        unpack = struct.Struct("<Q").unpack_from
        for _ in range(count):
            if self._at + 8 > len(self._buffer):
                self._fill(8)
            (length,) = unpack(self._buffer, self._at)
            self._at += 8
            if self._at + length <= len(self._buffer):
                self._at += length
            else:
                self._check_left(length)
                self._skip(length)

    def _scalars(self, kind: int, count: int) -> tuple[Scalar, ...]:
        letter = SCALARS.get(kind)
        if letter is None:
            raise self.damaged(f"a value claims to be of type {kind}")
        self._keep(40 * count)
        # A bool is a byte that may hold anything in a damaged file; `struct` takes every one of them.
        return struct.unpack(f"<{count}{letter}", self._take(count * struct.calcsize("<" + letter)))

    def _name_text(self) -> str:
        length = self._u64()
        if length > MAX_NAME:
            raise self.damaged(f"a name claims {length:,} bytes")
        self._keep(length + 64)
        return self._take(length).decode("utf-8", "replace")
