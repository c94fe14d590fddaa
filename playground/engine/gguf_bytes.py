"""The bytes of a GGUF header one after another, no further than the file and some limits reach."""

from __future__ import annotations

from typing import BinaryIO, Final

from playground.domain.errors import ModelFileError

AGAIN: Final = "Download it again."
"""What to do about a damaged file."""
MAX_KEPT: Final = 1 << 24
"""Bytes kept of one header, with what Python needs around each text and number."""
MAX_HEADER: Final = 1 << 28
"""Bytes a header may have in all; the largest real ones have a fifth of that."""
_CHUNK: Final = 1 << 18


class HeaderBytes:
    """A cursor over a file's header. It raises ModelFileError where bytes are asked for that cannot be there."""

    def __init__(self, file: BinaryIO, size: int, name: str) -> None:
        self._file = file
        self._size = size
        self._name = name
        self._buffer = b""
        self._start = 0
        self._at = 0
        self._kept = 0

    @property
    def position(self) -> int:
        """Bytes from the start of the file to the next one read."""
        return self._start + self._at

    def damaged(self, why: str) -> ModelFileError:
        """The error for a header that contradicts itself at the present position."""
        return ModelFileError(f"{self._name} has a damaged header at byte {self.position:,}: {why}.", AGAIN)

    def _u32(self) -> int:
        return int.from_bytes(self._take(4), "little")

    def _u64(self) -> int:
        return int.from_bytes(self._take(8), "little")

    def _keep(self, amount: int) -> None:
        self._kept += amount
        if self._kept > MAX_KEPT:
            raise self.damaged("it holds more than any model needs")

    def _take(self, length: int) -> bytes:
        if self._at + length > len(self._buffer):
            self._fill(length)
        taken = self._buffer[self._at : self._at + length]
        self._at += length
        return taken

    def _skip(self, length: int) -> None:
        self._start = self.position + length
        self._buffer, self._at = b"", 0
        self._file.seek(self._start)

    def _fill(self, length: int) -> None:
        """Have at least `length` bytes in the buffer, at its start."""
        self._check_left(length)
        rest = self._buffer[self._at :]
        self._start += self._at
        self._buffer = rest + self._file.read(max(_CHUNK, length) - len(rest))
        self._at = 0
        if len(self._buffer) < length:
            raise self._cut_off()

    def _check_left(self, length: int) -> None:
        if self.position + length > self._size:
            raise self._cut_off()
        if self.position + length > MAX_HEADER:
            raise self.damaged("it is larger than any model's")

    def _cut_off(self) -> ModelFileError:
        return ModelFileError(
            f"{self._name} is cut off or damaged: its header runs past the end of the file at byte {self.position:,}.",
            AGAIN,
        )
