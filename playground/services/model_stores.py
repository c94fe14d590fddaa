"""Programs that keep models under names of their own: Ollama, Jan and the Hugging Face cache."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from playground.services.model_walk import walk_files, walk_models
from playground.services.toml_files import one_line

_MAX_BYTES: Final = 1 << 20
_OLLAMA_MODEL: Final = "application/vnd.ollama.image.model"
_DIGEST: Final = re.compile(r"sha256[:-]([0-9a-f]{64})")
_MODEL_PATH: Final = re.compile(r"^model_path:[ \t]*(['\"]?)(?P<path>[^'\"\n]+?)\1[ \t\r]*$", re.MULTILINE)


class _Layer(msgspec.Struct):
    mediaType: str = ""
    digest: str = ""


class _Manifest(msgspec.Struct):
    layers: list[_Layer] = []


def hugging_face_models(hub: Path, notes: list[str]) -> Iterator[tuple[Path, str]]:
    """(path, label) of the models in a Hugging Face cache; the label is "owner/repository/file"."""
    for path, label in walk_models(hub, notes):
        repository, _, rest = label.partition("/")
        _, snapshot, file = rest.partition("snapshots/")
        if repository.startswith("models--") and snapshot:
            yield path, f"{repository[8:].replace('--', '/')}/{file.partition('/')[2]}"
        else:
            yield path, label


def ollama_models(folder: Path, notes: list[str]) -> Iterator[tuple[Path, str]]:
    """(blob, name) of the models in an Ollama folder; the name is the one Ollama uses, e.g. "llama3.2:1b"."""
    manifests = folder / "manifests"
    for manifest in walk_files(manifests, lambda name: not name.startswith("."), notes):
        *above, model, tag = ("", *manifest.relative_to(manifests).parts)
        blob = _ollama_blob(folder, manifest, notes)
        if blob is not None and model:
            owner = [part for part in above if part not in ("", "registry.ollama.ai", "library")]
            yield blob, f"{'/'.join([*owner, model])}:{tag}"


def jan_models(data: Path, notes: list[str]) -> Iterator[tuple[Path, str]]:
    """(path, label) of the models Jan knows; its `model.yml` may name a file somewhere else."""
    models = data / "llamacpp/models"
    for config in walk_files(models, lambda name: name == "model.yml", notes):
        text = (_read(config, notes) or b"").decode("utf-8", "replace")
        match = _MODEL_PATH.search(text)
        if match and match["path"].lower().endswith(".gguf") and "\0" not in match["path"]:
            path = data / match["path"]
            if path.is_file():
                yield path, config.parent.relative_to(models).as_posix()
    yield from walk_models(models, notes)


def _ollama_blob(folder: Path, manifest: Path, notes: list[str]) -> Path | None:
    raw = _read(manifest, notes)
    if raw is None:
        return None
    try:
        layers = msgspec.json.decode(raw, type=_Manifest).layers
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        notes.append(f"{one_line(str(manifest))} is not an Ollama manifest.")
        return None
    for layer in layers:
        # The digest becomes part of a path, so it has to be one and nothing else.
        digest = _DIGEST.fullmatch(layer.digest)
        if layer.mediaType == _OLLAMA_MODEL and digest:
            blob = folder / "blobs" / f"sha256-{digest[1]}"
            return blob if blob.is_file() else None
    return None


def _read(path: Path, notes: list[str]) -> bytes | None:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        notes.append(f"{one_line(str(path))} cannot be read: {one_line(error.strerror or str(error))}.")
        return None
