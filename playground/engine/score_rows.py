"""The whole distribution of each position of a text, kept in a file for a second model to be compared with.

    first worker:   logits ─▶ RowWriter ─▶ file (one row a token)
    second worker:  logits + row of the same token ─▶ RowReader ─▶ divergence in bits ─▶ Score

Only one row at a time is in memory, and nothing of it crosses a pipe. A file is a header (mark, digest of the
vocabulary, its size) and for each token of the score a row: step and mark as float32, then a logit in steps above the
smallest as uint16 for each token of the vocabulary. That is half of what float32 takes. With a step of a thousandth at
most, the divergence moves by less than a millionth of a bit; float16 would move it by some 0.00003.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import struct
from contextlib import suppress
from io import FileIO
from typing import Final

import llama_cpp.llama_cpp as lib
import numpy as np

from playground.domain.scoring import KeepRows
from playground.domain.sizes import size_text
from playground.engine.libllama import Logits
from playground.engine.model import LoadedModel

_HEADER: Final = struct.Struct("<8s32sQ")
_MARK: Final = b"lprows01"
_ROW_HEAD: Final = 8
_SPAN: Final = 64.0
"""Nats below the best token behind which one counts as impossible: it is less likely than 1e-27."""
_LEVELS: Final = 65535
_LN2: Final = math.log(2)


class Row:
    """One row as it lies in the file. Shapes: codes (n_vocab,)."""

    def __init__(self, n_vocab: int) -> None:
        self.data = bytearray(_ROW_HEAD + 2 * n_vocab)
        self.head = np.frombuffer(self.data, np.float32, 2)
        """The step between two codes in nats, and 1 where code 0 stands for tokens that are impossible, else 0."""
        self.codes = np.frombuffer(self.data, np.uint16, n_vocab, _ROW_HEAD)
        self._scratch = np.empty(n_vocab, np.float32)

    def encode(self, logits: Logits) -> None:
        """Take a row of logits, of which at least one is finite."""
        highest, lowest = float(logits.max()), float(logits.min())
        floor = max(lowest, highest - _SPAN)
        step = np.float32((highest - floor) / _LEVELS or 1.0)
        values = self._scratch
        np.subtract(logits, np.float32(floor), out=values)
        np.multiply(values, np.float32(1.0) / step, out=values)
        np.add(values, np.float32(0.5), out=values)
        np.clip(values, 0.0, _LEVELS, out=values)
        np.copyto(self.codes, values, casting="unsafe")
        self.head[:] = step, floor > lowest


class RowWriter:
    """Writes the rows of one score. Whatever goes wrong ends the keeping, never the score: see `why_not`."""

    def __init__(self, model: LoadedModel, wanted: KeepRows, count: int) -> None:
        self._model = model
        self._path = wanted.path
        self._file: FileIO | None = None
        self._row = Row(model.info.n_vocab)
        self.why_not = ""
        """In a few words why nothing is kept; empty while all is well."""
        size = _HEADER.size + count * len(self._row.data)
        if size > wanted.most_bytes:
            self.why_not = f"all distributions would take {size_text(size)}"
            return
        try:
            if size + wanted.spare_bytes > shutil.disk_usage(os.path.dirname(self._path)).free:
                self.why_not = f"the disk has no room for {size_text(size)} of distributions"
                return
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._file = FileIO(handle, "w")
            self._write(_HEADER.pack(_MARK, vocabulary_digest(model), model.info.n_vocab))
        except OSError as error:
            self._give_up(error)

    def keep(self, index: int, logits: Logits) -> None:
        """Write the row of the token with this index."""
        if self._file is None:
            return
        self._row.encode(logits)
        try:
            self._file.seek(_HEADER.size + index * len(self._row.data))
            self._write(self._row.data)
        except OSError as error:
            self._give_up(error)

    def close(self, *, discard: bool = False) -> None:
        """Nothing follows; with `discard` the file goes as well."""
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None
            if discard:
                self._remove()

    def _write(self, data: bytes | bytearray) -> None:
        assert self._file is not None
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) or 0 :]

    def _give_up(self, error: OSError) -> None:
        why = error.strerror or type(error).__name__
        self.why_not = f"the distributions cannot be kept on the disk ({why})"
        self.close(discard=True)

    def _remove(self) -> None:
        with suppress(OSError):
            os.unlink(self._path)


class RowReader:
    """Reads the rows of another model's score, and says how far this one's distributions are from them."""

    def __init__(self, model: LoadedModel, path: str) -> None:
        n_vocab = model.info.n_vocab
        self._row, self._own = Row(n_vocab), Row(n_vocab)
        self._file: FileIO | None = None
        self._values = np.empty(n_vocab, np.float32)
        self._weights = np.empty(n_vocab, np.float32)
        self._ones = np.ones(n_vocab, np.float32)
        self.why_not = ""
        """In a few words why rows cannot be compared; empty while all is well."""
        try:
            self._file = FileIO(path, "r")
            mark, digest, size = _HEADER.unpack(self._file.read(_HEADER.size))
        except (OSError, struct.error):
            self._give_up("the first one's distributions cannot be read")
            return
        if mark != _MARK or size != n_vocab:
            self._give_up(f"the vocabularies have {size:,} and {n_vocab:,} tokens")
        elif digest != vocabulary_digest(model):
            self._give_up("the vocabularies differ")

    def divergence(self, index: int, logits: Logits, log_sum: float) -> float | None:
        """Kullback-Leibler divergence of these logits from the row with this index, in bits; None when it is not known.

        Args:
            index: Of the token.
            logits: Shape (n_vocab,).
            log_sum: Natural log of the sum of their exponentials.
        """
        if self._file is None:
            return None
        try:
            self._file.seek(_HEADER.size + index * len(self._row.data))
            if self._file.readinto(self._row.data) != len(self._row.data):
                raise OSError
        except OSError:
            self._give_up("the first one's distributions cannot be read")
            return None
        return 0.0 if self._same(logits) else max(0.0, self._nats(logits, log_sum)) / _LN2

    def close(self) -> None:
        """Nothing follows."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _same(self, logits: Logits) -> bool:
        """True when these logits would be kept as the very row that was read: rounding is then no difference."""
        step = np.float32(min(_SPAN, float(logits.max()) - float(logits.min())) / _LEVELS)
        if step != self._row.head[0]:
            return False
        self._own.encode(logits)
        return self._own.data == self._row.data

    def _nats(self, logits: Logits, log_sum: float) -> float:
        """Sum of p (x - y) - log sum exp x + log sum exp y, where x may lie anywhere, as it is in both terms."""
        step, clipped = self._row.head
        values, weights = self._values, self._weights
        np.multiply(self._row.codes, step, out=values, casting="unsafe", dtype=np.float32)
        np.exp(values, out=weights)
        impossible = self._row.codes == 0 if clipped else None
        if impossible is not None:
            weights[impossible] = 0.0
        total = float(weights.dot(self._ones))
        np.subtract(values, logits, out=values)
        if impossible is not None:  # a logit of -inf against another is no difference
            values[impossible] = 0.0
        return float(weights.dot(values)) / total - math.log(total) + log_sum

    def _give_up(self, why: str) -> None:
        self.why_not = why
        self.close()


def vocabulary_digest(model: LoadedModel) -> bytes:
    """What two models have in common when every id names the same token in both. 32 bytes."""
    pointer, count = lib.llama_model_get_vocab(model.pointer), model.info.n_vocab
    names = (lib.llama_vocab_get_text(pointer, token) or b"" for token in range(count))
    return hashlib.blake2b(b"\0".join(names), digest_size=32).digest()
