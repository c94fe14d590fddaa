"""A file that is being fetched: `NAME.part` beside the place it will have, with a note of what it is a part of.

Held by one process at a time. What was fetched stays when the process ends, and is gone on with later if the file on
the hub is still the same.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

import msgspec

from playground.domain.errors import RunFailed
from playground.engine.gguf_types import MAGIC
from playground.services.hub_names import HubFile
from playground.services.model_hub import Listing
from playground.services.paths import write_text_atomic
from playground.services.toml_files import one_line

PART: Final = ".part"
NOTE: Final = ".json"
"""Ending of the note that stays beside a finished file and says where it came from."""
WRONG: Final = ".wrong"
_READ_BYTES: Final = 32 << 20
_MAX_NOTE: Final = 64 << 10


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file comes from, and what makes it the same file tomorrow."""

    hub: str
    repository: str
    file: str
    commit: str
    size_bytes: int
    sha256: str = ""
    etag: str = ""
    licence: str = ""

    def is_same_file(self, other: Origin | None) -> bool:
        """True when bytes of one may be followed by bytes of the other."""
        if other is None or (self.repository, self.file, self.size_bytes) != (
            *(other.repository, other.file, other.size_bytes),
        ):
            return False
        if self.sha256 or other.sha256:
            return self.sha256 == other.sha256
        return self.commit == other.commit and (not self.etag or not other.etag or self.etag == other.etag)


def origin_of(hub: str, listing: Listing, file: HubFile) -> Origin:
    """The origin of one of a repository's files."""
    return Origin(
        hub=hub,
        repository=listing.repository,
        file=file.path,
        commit=listing.commit,
        size_bytes=file.size_bytes,
        sha256=file.sha256,
        licence=listing.licence,
    )


def read_origin(file: Path) -> Origin | None:
    """Where a file (finished, or a part) came from; None when nothing is noted."""
    try:
        with _note(file).open("rb") as note:
            return msgspec.json.decode(note.read(_MAX_NOTE), type=Origin)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def is_finished(target: Path, origin: Origin) -> bool:
    """True when the whole file is there already, and is what it is called."""
    try:
        whole = target.stat().st_size == origin.size_bytes and origin.is_same_file(read_origin(target))
        return whole and _begins_as_gguf(target)
    except OSError:
        return False


def missing_on_disk(target: Path, origin: Origin) -> int:
    """Bytes that are still to be fetched, if nothing has changed meanwhile."""
    if is_finished(target, origin):
        return 0
    try:
        return max(0, origin.size_bytes - _part(target).stat().st_size)
    except OSError:
        return origin.size_bytes


class Part:
    """An open part. Blocks while it reads and writes: not for the event loop.

    Use as a context manager; `take` first. Raises RunFailed when the disk cannot be written to.
    """

    def __init__(self, target: Path, origin: Origin) -> None:
        self.target = target
        self.path = _part(target)
        self.origin = origin
        self.size = 0
        """Bytes that are on the disk and in the checksum."""
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def take(self) -> bool:
        """Open the part and lock it; False while another process holds it. Where no lock can be had, there is none."""
        with _disk(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("a+b", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held it before may have finished it meanwhile: then this is no longer the file of that name.
                taken = os.path.samestat(os.fstat(file.fileno()), self.path.stat())
            except (BlockingIOError, FileNotFoundError):
                taken = False
            except OSError as error:
                taken = error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL)
            if taken:
                self._file = file
            else:
                file.close()
            return taken

    @property
    def length(self) -> int:
        """Bytes on the disk, not all of them in the checksum yet."""
        return os.fstat(self._open.fileno()).st_size

    def belongs(self) -> bool:
        """True when what is on the disk is the beginning of this very file."""
        noted = read_origin(self.path)
        if noted is None or self.length > self.origin.size_bytes or not self.origin.is_same_file(noted):
            return False
        self.origin = msgspec.structs.replace(self.origin, etag=noted.etag)
        return True

    def read_on(self) -> bool:
        """Take some more of what is on the disk into the checksum; False when all of it is."""
        with _disk(self.path):
            self._open.seek(self.size)
            piece = self._open.read(_READ_BYTES)
        self._hash.update(piece)
        self.size += len(piece)
        return bool(piece)

    def begin_anew(self) -> None:
        """Throw away what is there."""
        with _disk(self.path):
            self._open.truncate(0)
            self._hash, self.size = hashlib.sha256(), 0
            self.write_note()

    def write_note(self) -> None:
        """Note what this is a part of."""
        with _disk(self.path):
            write_text_atomic(_note(self.path), msgspec.json.encode(self.origin).decode(), mode=0o644)

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with _disk(self.path):
            view = memoryview(data)
            while view:
                written = self._open.write(view) or 0
                self._hash.update(view[:written])
                self.size += written
                view = view[written:]

    @property
    def sha256(self) -> str:
        """Of the bytes so far, in hexadecimal."""
        return self._hash.hexdigest()

    def finish(self) -> None:
        """Give the file its name."""
        with _disk(self.path):
            os.fsync(self._open.fileno())
            os.replace(_note(self.path), _note(self.target))
            os.replace(self.path, self.target)

    def is_gguf(self) -> bool:
        """True when it begins as every GGUF file does, each part of a split one among them."""
        with _disk(self.path):
            return _begins_as_gguf(self.path)

    def set_aside(self) -> Path:
        """Keep a file that is wrong under another name, where nobody takes it for a model.

        One that has the model's name already and is no model either goes.
        """
        aside = self.target.with_name(self.target.name + WRONG)
        with _disk(self.path):
            os.replace(self.path, aside)
            _note(self.path).unlink(missing_ok=True)
            if self.target.exists() and not _begins_as_gguf(self.target):
                self.target.unlink()
                _note(self.target).unlink(missing_ok=True)
        return aside

    def discard(self) -> None:
        """Take the part away: the file is finished."""
        with _disk(self.path):
            self.path.unlink(missing_ok=True)

    @property
    def _open(self) -> BinaryIO:
        assert self._file is not None, "take() comes first"
        return self._file


def _begins_as_gguf(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(MAGIC)) == MAGIC


def _part(target: Path) -> Path:
    return target.with_name(target.name + PART)


def _note(file: Path) -> Path:
    return file.with_name(file.name + NOTE)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turns what the system says into an error of ours."""
    try:
        yield
    except OSError as error:
        name = one_line(str(path))
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise RunFailed(
                "The disk is full.", f"Make room and pull again; what came so far stays in {name}."
            ) from error
        why = one_line(error.strerror or str(error))
        raise RunFailed(f"{name} cannot be written: {why}.", "Check the folder and its permissions.") from error
