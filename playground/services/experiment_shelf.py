"""The sweeps that were begun on this machine: where they lie, how far each is, and throwing one away."""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.experiment_groups import MEASURES
from playground.domain.experiments import Sweep
from playground.services.experiment_store import CELLS, CellFile
from playground.services.paths import user_data_dir
from playground.services.toml_files import one_line

_OWN_FILES: Final = (CELLS, "groups.csv", "groups.md", *(f"{measure}.svg" for measure in MEASURES))
"""What a sweep writes; nothing else in its folder is ours to delete."""


class Shelved(msgspec.Struct, frozen=True, kw_only=True):
    """A sweep on the disk."""

    folder: Path
    touched: datetime.datetime
    """When something was added last, in local time."""
    sweep: Sweep | None = None
    """None when its file cannot be read; see `problem`."""
    done: int = 0
    failed: int = 0
    problem: str = ""

    @property
    def total(self) -> int:
        """Cells of the plan."""
        return len(self.sweep.cells) if self.sweep is not None else 0


def sweeps_folder() -> Path:
    """Where sweeps lie that nobody gave a place."""
    return user_data_dir() / "experiments"


def folder_of(sweep: Sweep) -> Path:
    """Where this one lies; the same for the same plan, so that it goes on where it was."""
    return sweeps_folder() / sweep.name


def shelf() -> Iterator[Shelved]:
    """All of them, the one that was touched last first. Reads files, so it belongs in a thread."""
    found = []
    for path in sweeps_folder().glob(f"*/{CELLS}"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime, path.parent))
    for touched, folder in sorted(found, reverse=True):
        yield _shelved(folder, datetime.datetime.fromtimestamp(touched).astimezone())


def _shelved(folder: Path, touched: datetime.datetime) -> Shelved:
    try:
        file = CellFile.look(folder)
    except PlaygroundError as error:
        return Shelved(folder=folder, touched=touched, problem=error.message)
    if file.plan is None:
        return Shelved(folder=folder, touched=touched, problem="It was never begun.")
    own = [file.results[cell.id] for cell in file.plan.cells if cell.id in file.results]
    failed = sum(result.problem is not None for result in own)
    return Shelved(folder=folder, touched=touched, sweep=file.plan, done=len(own) - failed, failed=failed)


def throw_away(folder: Path) -> None:
    """Delete what a sweep has written. Raises BadInput when that cannot be, as while it is running."""
    try:
        handle = os.open(folder / CELLS, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise _kept(folder, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for name in _OWN_FILES:
            (folder / name).unlink(missing_ok=True)
    except BlockingIOError as error:
        raise BadInput("This sweep is running.", "Stop it first.") from error
    except OSError as error:
        raise _kept(folder, error) from error
    finally:
        os.close(handle)
    with contextlib.suppress(OSError):  # something else lies there too
        folder.rmdir()


def _kept(folder: Path, error: OSError) -> BadInput:
    return BadInput(f"{one_line(str(folder))} cannot be deleted: {one_line(error.strerror or str(error))}.")
