"""A place for a sweep of which nothing is kept: a temporary folder that only its owner can enter."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playground.domain.errors import RunFailed
from playground.services.toml_files import one_line


class PrivateFolder:
    """One temporary folder at a time. It goes with `remove`, and with the program at the latest."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def path(self) -> Path | None:
        """Where it lies; None when there is none."""
        return None if self._folder is None else Path(self._folder.name)

    def renew(self) -> Path:
        """An empty folder in place of the one before. Touches the disk. Raises RunFailed when there can be none."""
        self.remove()
        try:
            self._folder = tempfile.TemporaryDirectory(prefix="llm-playground-", ignore_cleanup_errors=True)
        except OSError as error:
            why = one_line(error.strerror or str(error))
            raise RunFailed(f"There can be no temporary folder: {why}.", "Set TMPDIR to a folder with room.") from error
        return Path(self._folder.name)

    def remove(self) -> None:
        """Delete it with all that is in it. Touches the disk."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
