"""Where models lie on disk: our own folder, and those of other programs, in which nothing is ever written."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from playground.services.model_stores import hugging_face_models, jan_models, ollama_models
from playground.services.model_walk import walk_models
from playground.services.paths import user_data_dir

PULLED: Final = "pulled"
"""Source of the models in our own folder."""

SYSTEM_OLLAMA: Final = Path("/usr/share/ollama/.ollama/models")
"""Where Ollama keeps its models when it runs as a Linux service."""


class Place(msgspec.Struct, frozen=True):
    """A folder that may hold models."""

    source: str
    """The program it belongs to, as shown to the person."""
    folder: Path
    walk: Callable[[Path, list[str]], Iterator[tuple[Path, str]]] = walk_models
    """Lists (path, label) of model files in a folder; adds what could not be read to the list it is given."""


class Found(msgspec.Struct, frozen=True):
    """A file that looks like a model; its header has not been read."""

    path: Path
    """As its program names it; links are not resolved, since the parts of a split model lie beside the link."""
    source: str
    label: str
    """The name its program knows it by, e.g. "llama3.2:1b"; for a plain file its path in there without the ending."""


def own_folder() -> Path:
    """Where `models pull` puts what it fetches; it may not exist yet."""
    return user_data_dir() / "models"


def places(folders: Iterable[str] = (), *, mac: bool | None = None) -> list[Place]:
    """Every place to look into, the person's own `folders` first. They need not exist."""
    mac = sys.platform == "darwin" if mac is None else mac
    env, home = os.environ, Path.home()
    cache = Path(env.get("XDG_CACHE_HOME") or home / ".cache")
    support = home / "Library/Application Support" if mac else Path(env.get("XDG_DATA_HOME") or home / ".local/share")
    return [
        *(Place("my folders", Path(os.path.expanduser(folder))) for folder in folders if folder.strip()),
        Place(PULLED, own_folder()),
        Place("Hugging Face", _hugging_face(env, cache), hugging_face_models),
        *_of("Ollama", env.get("OLLAMA_MODELS"), home / ".ollama/models", SYSTEM_OLLAMA, walk=ollama_models),
        *_of("LM Studio", home / ".lmstudio/models", home / ".cache/lm-studio/models"),
        *_of(
            "llama.cpp",
            env.get("LLAMA_CACHE"),
            home / "Library/Caches/llama.cpp" if mac else cache / "llama.cpp",
        ),
        *_of("Jan", support / "Jan/data", home / "jan", walk=jan_models),
        *_of("GPT4All", support / "nomic.ai/GPT4All", home / ".cache/gpt4all"),
    ]


def iter_found(
    folders: Iterable[str] = (), notes: list[str] | None = None, *, aliases: bool = False
) -> Iterator[Found]:
    """Every model file in every place; each real file once, unless its `aliases` are wanted too.

    What cannot be read adds a sentence to `notes` and is passed over.
    """
    notes = notes if notes is not None else []
    seen: set[str] = set()
    for place in places(folders):
        for path, label in place.walk(place.folder, notes):
            real = os.path.realpath(path)
            if aliases or real not in seen:
                seen.add(real)
                yield Found(path, place.source, label)


def _of(
    source: str,
    *folders: str | Path | None,
    walk: Callable[[Path, list[str]], Iterator[tuple[Path, str]]] = walk_models,
) -> Iterator[Place]:
    return (Place(source, Path(os.path.expanduser(folder)), walk) for folder in folders if folder)


def _hugging_face(env: Mapping[str, str], cache: Path) -> Path:
    for variable, below in (("HF_HUB_CACHE", ""), ("HUGGINGFACE_HUB_CACHE", ""), ("HF_HOME", "hub")):
        if env.get(variable):
            return Path(os.path.expanduser(env[variable])) / below
    return cache / "huggingface/hub"
