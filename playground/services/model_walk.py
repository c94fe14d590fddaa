"""Walks a folder for model files, within bounds, and never trips over what it cannot read."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from playground.engine.gguf_checks import is_later_part
from playground.services.toml_files import one_line

MAX_DEPTH: Final = 8
"""Folders below the first that are still looked into."""
MAX_ENTRIES: Final = 50_000
"""Files and folders looked at in one walk."""

_ENDING: Final = ".gguf"


def is_model_name(name: str) -> bool:
    """True for the file name of a model, or of the first part of one; false for parts, projectors and downloads."""
    low = name.lower()
    if not low.endswith(_ENDING) or low.startswith((".", "incomplete-", "downloading_")) or "mmproj" in low:
        return False
    return not is_later_part(name)


def walk_models(folder: Path, notes: list[str]) -> Iterator[tuple[Path, str]]:
    """(path, label) of the model files below a folder; the label is the path below it without the ending."""
    for path in walk_files(folder, is_model_name, notes):
        # aria2 writes into the file itself and keeps a note beside it until the download is complete.
        if not path.with_name(f"{path.name}.aria2").exists():
            yield path, path.relative_to(folder).as_posix()[: -len(_ENDING)]


def walk_files(folder: Path, wanted: Callable[[str], bool], notes: list[str]) -> Iterator[Path]:
    """Files below a folder whose name is wanted, in order of name, hidden folders left out.

    Links are followed, and each folder is entered once. What cannot be read adds a sentence to `notes`.
    """
    visited: set[tuple[int, int]] = set()
    budget = MAX_ENTRIES
    waiting = [(folder, 0)]
    while waiting:
        here, depth = waiting.pop()
        entries = _entries(here, budget, visited, notes)
        budget -= len(entries)
        if budget < 0:
            notes.append(f"{one_line(str(folder))} holds very many files; not all were looked at.")
            return
        for entry in entries:
            if wanted(entry.name) and _is(entry.is_file):
                yield Path(entry.path)
        if depth < MAX_DEPTH:
            below = [entry for entry in entries if not entry.name.startswith(".") and _is(entry.is_dir)]
            waiting += [(Path(entry.path), depth + 1) for entry in reversed(below)]


def _entries(folder: Path, budget: int, visited: set[tuple[int, int]], notes: list[str]) -> list[os.DirEntry[str]]:
    """A folder's entries by name, one more than the budget at most; empty when visited before or unreadable."""
    try:
        facts = folder.stat()
        if (facts.st_dev, facts.st_ino) in visited:
            return []
        visited.add((facts.st_dev, facts.st_ino))
        with os.scandir(folder) as entries:
            return sorted(itertools.islice(entries, budget + 1), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (OSError, ValueError) as error:
        why = one_line(getattr(error, "strerror", None) or str(error))
        notes.append(f"{one_line(str(folder))} cannot be read: {why}.")
        return []


def _is(question: Callable[[], bool]) -> bool:
    try:
        return question()
    except OSError:
        return False
