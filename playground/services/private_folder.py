"""A place for what is kept nowhere: a temporary folder that only its owner can enter."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from playground.domain.errors import RunFailed
from playground.services.toml_files import one_line

_PREFIX: Final = "llm-playground-sweep-"
_TRIES: Final = 5
"""Another program may take a folder that was made this moment for one that was left."""


class PrivateFolder:
    """One temporary folder at a time. It goes with `remove`, and with the program at the latest.

    What a program leaves that was killed goes when the next one makes a folder. As long as a program lives it holds a
    lock on its own, which ends with it however it ends.
    """

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._lock: int | None = None

    @property
    def path(self) -> Path | None:
        """Where it lies; None when there is none."""
        return None if self._folder is None else Path(self._folder.name)

    def renew(self) -> Path:
        """An empty folder in place of the one before. Touches the disk. Raises RunFailed when there can be none."""
        self.remove()
        try:
            _remove_left()
            for _ in range(_TRIES):
                self._folder = tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True)
                with contextlib.suppress(BlockingIOError):
                    self._lock = _locked(self._folder.name)
                    if os.path.isdir(self._folder.name):
                        break
                self.remove()
            else:
                raise RunFailed("There can be no temporary folder: it is removed again at once.", "Set TMPDIR.")
        except OSError as error:
            why = one_line(error.strerror or str(error))
            raise RunFailed(f"There can be no temporary folder: {why}.", "Set TMPDIR to a folder with room.") from error
        return Path(self._folder.name)

    def remove(self) -> None:
        """Delete it with all that is in it. Touches the disk."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _locked(folder: str) -> int | None:
    """A handle that holds the folder's lock; None where none can be had. Raises BlockingIOError when it is held."""
    handle = None
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if handle is not None:
            os.close(handle)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return handle


def _remove_left() -> None:
    """Delete the folders of this person's programs that live no more."""
    with contextlib.suppress(OSError), os.scandir(tempfile.gettempdir()) as found:
        left = [entry.path for entry in found if entry.name.startswith(_PREFIX)]
        for folder in left:
            with contextlib.suppress(BlockingIOError):
                _remove_unlocked(folder)


def _remove_unlocked(folder: str) -> None:
    handle = _locked(folder)
    if handle is not None:
        try:
            if os.fstat(handle).st_uid == os.geteuid():
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(handle)
