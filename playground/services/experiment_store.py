"""The file a sweep grows in: JSON Lines, the plan first, then a line a cell as it comes.

A line is written with one call, so that killing the program loses nothing that was written; power failing loses a
second at most. A last line that was only half written is dropped, and its cell runs again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from playground.domain.errors import BadInput, RunFailed
from playground.domain.experiments import CellResult, Sweep, plan_dict, plan_from
from playground.services.toml_files import one_line

CELLS: Final = "cells.jsonl"
_SYNC_S: Final = 1.0
_MODE: Final = 0o600
_PLAN: Final = b'{"plan":'
"""How the line of a plan begins."""

_plan_line: Final = msgspec.json.Decoder(dict[str, Any])
_cell_line: Final = msgspec.json.Decoder(CellResult)


class CellFile:
    """The results of one sweep on disk. Open it with `with`; meanwhile nobody else can."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / CELLS
        self.results: dict[str, CellResult] = {}
        """By the id of the cell, the latest of each."""
        self.plan: Sweep | None = None
        """The latest plan that was written; None in a new file."""
        self.damaged = 0
        """Lines in the middle that cannot be read; their cells run again."""
        self._handle = -1
        self._unsynced = False

    @classmethod
    def look(cls, folder: Path) -> Self:
        """What is in the file of a sweep, whoever is writing it; nothing can be added. Raises BadInput."""
        file = cls(folder)
        try:
            file._handle = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
            file._read()
        except OSError as error:
            raise file._unusable("cannot be read", error) from error
        finally:
            file.close()
        return file

    def __enter__(self) -> Self:
        """Open or make the file and read what is there. Raises BadInput when it is no such file, or in use."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _MODE)
        except OSError as error:
            raise self._unusable("cannot be opened", error) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            good = self._read()
            if good < os.fstat(self._handle).st_size:
                os.ftruncate(self._handle, good)
        except BlockingIOError as error:
            self.close()
            raise BadInput(f"Another sweep is writing {one_line(str(self.path))}.", "Wait for its end.") from error
        except OSError as error:
            self.close()
            raise self._unusable("cannot be read", error) from error
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write everything through and close."""
        with contextlib.suppress(OSError):
            self.sync()
        self.close()

    def close(self) -> None:
        """Give the file free for others."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def begin(self, plan: Sweep) -> None:
        """Put down what is to be run, unless it stands there already. Raises BadInput for a file of another sweep."""
        known = not self.results or self.plan == plan or any(cell.id in self.results for cell in plan.cells)
        if not known:
            where = one_line(str(self.path))
            raise BadInput(f"{where} holds another sweep.", "Give another folder, or go on with that sweep.")
        if self.plan != plan:
            self._append({"plan": plan_dict(plan)})
            self.plan = plan

    def done(self) -> dict[str, CellResult]:
        """Results that need not be run again, by the id of their cell."""
        return {name: result for name, result in self.results.items() if result.problem is None}

    def add(self, result: CellResult) -> None:
        """Append a result. Raises RunFailed when the disk takes no more."""
        self.results[result.id] = result
        self._append(result)

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        if self._unsynced and self._handle >= 0:
            self._unsynced = False
            os.fsync(self._handle)

    async def keep_synced(self) -> None:
        """Write through once a second until cancelled; belongs beside the work."""
        while True:
            await asyncio.sleep(_SYNC_S)
            with contextlib.suppress(OSError):  # the next append will tell
                await asyncio.to_thread(self.sync)

    def _append(self, line: object) -> None:
        data = msgspec.json.encode(line) + b"\n"
        try:
            written = os.write(self._handle, data)
            if written < len(data):  # the disk is full: no half line may stay in the way of the next one
                os.ftruncate(self._handle, os.fstat(self._handle).st_size - written)
                raise OSError(28, "No space left on device")
        except OSError as error:
            why = one_line(error.strerror or str(error))
            raise RunFailed(
                f"{one_line(str(self.path))} cannot be written: {why}.",
                "Make room, then go on with the sweep: what is done is kept.",
            ) from error
        self._unsynced = True

    def _read(self) -> int:
        """Take what is there; returns how many bytes of it are whole lines."""
        with open(os.dup(self._handle), "rb") as file:
            file.seek(0)
            good = 0
            for line in file:
                if not line.endswith(b"\n"):
                    if not good and not _PLAN.startswith(line[: len(_PLAN)]):
                        raise self._foreign()
                    break
                good += len(line)
                self._take(line, first=good == len(line))
        return good

    def _take(self, line: bytes, *, first: bool) -> None:
        if first or line.startswith(_PLAN):
            try:
                self.plan = plan_from(_plan_line.decode(line)["plan"])
            except (msgspec.MsgspecError, UnicodeDecodeError, KeyError) as error:
                raise self._foreign() from error
            return
        try:
            result = _cell_line.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.damaged += 1
            return
        self.results[result.id] = result

    def _foreign(self) -> BadInput:
        return BadInput(f"{one_line(str(self.path))} is no file of a sweep.", "Give a folder that a sweep has written.")

    def _unusable(self, what: str, error: OSError) -> BadInput:
        why = one_line(error.strerror or str(error))
        return BadInput(f"{one_line(str(self.path))} {what}: {why}.", "Give another folder.")


def find_cells(path: Path) -> Path:
    """The folder of a sweep that somebody named by it or by its file. Raises BadInput when there is none."""
    folder = path.parent if path.name == CELLS else path
    if not (folder / CELLS).is_file():
        raise BadInput(f"There is no sweep in {one_line(str(folder))}.", f"Name a folder with a {CELLS} in it.")
    return folder
