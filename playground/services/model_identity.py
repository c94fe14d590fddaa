"""Which model it was: the hash of its file, what the file says about itself, and the version of what computes it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import os
import re
import stat
import threading
from pathlib import Path
from typing import Any, Final

import msgspec

from playground import __version__
from playground.domain.errors import ModelFileError
from playground.domain.history import Setting
from playground.domain.messages import CallOptions
from playground.domain.models import LoadOptions, ModelInfo
from playground.services.paths import locked, user_cache_dir, write_text_atomic
from playground.services.toml_files import one_line

_CACHE: Final = "model-hashes.json"
_MOST: Final = 500
"""Files whose hashes are remembered; the oldest go first."""
_BLOCK: Final = 1 << 20
"""Bytes of a file that are read and hashed at once."""
_PACKAGE: Final = "llama-cpp-python"
_BUILD: Final = re.compile(r"set\(LLAMA_(?P<name>VERSION|BUILD_COMMIT|BUILD_NUMBER)\s+(?P<value>[\w.+-]+)\)")


class _Known(msgspec.Struct, frozen=True):
    """The hash of a file that had this size and this time of its last change."""

    size: int
    changed_ns: int
    sha256: str


async def hash_file(path: Path) -> str:
    """SHA-256 of a model's file in hex, computed in a thread unless it is known; of a split model, of all its parts.

    A part of several is hashed by itself, and the hashes of all parts in order are hashed again. Raises ModelFileError.
    """
    stop = threading.Event()
    try:
        return await asyncio.to_thread(hash_until, path, stop)
    finally:
        stop.set()  # a thread knows nothing of a task that was cancelled, and the program would wait for it


def known_hash(path: Path) -> str:
    """The same where it is known and the file has not changed since; else empty. Quick enough for any moment."""
    try:
        looks = [(part, part.stat()) for part in _parts(path)]
    except (OSError, ModelFileError):
        return ""
    cache = _read_cache()
    known = [_remembered(cache, part, look) for part, look in looks]
    return _joined(known) if known and all(known) else ""


def model_facts(info: ModelInfo) -> dict[str, str]:
    """What a loaded model's file says about itself, as it is kept with every reply."""
    facts = {
        "name": info.name,
        "architecture": info.architecture,
        "quantisation": info.quantisation,
        "parameters": str(info.parameters),
        "bytes": str(info.size_bytes),
        "vocabulary": f"{info.vocab_type} {info.n_vocab}",
        "context": str(info.n_ctx),
        "trained context": str(info.n_ctx_train),
        "KV cache": info.kv_type,
        "device": info.device,
        "template": hashlib.sha256(info.chat_template.encode("utf-8", "replace")).hexdigest()[:16],
    }
    return {name: value for name, value in facts.items() if value}


def llama_cpp_version() -> str:
    """Such as "0.3.36 (llama.cpp 0.5.0, commit 0c1e570)"; without importing it. Empty when it is not installed."""
    try:
        package = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return ""
    built = {}
    for file in package.files or ():
        if file.name == "llama-config.cmake":
            with contextlib.suppress(OSError, UnicodeDecodeError):
                built = {match["name"]: match["value"] for match in _BUILD.finditer(file.read_text())}
    parts = [f"llama.cpp {built['VERSION']}"] if "VERSION" in built else []
    if built.get("BUILD_NUMBER", "0") not in ("0", "1"):  # a build outside its repository counts nothing
        parts.append(f"build {built['BUILD_NUMBER']}")
    if built.get("BUILD_COMMIT", "unknown") != "unknown":
        parts.append(f"commit {built['BUILD_COMMIT']}")
    return f"{package.version} ({', '.join(parts)})" if parts else package.version


def setting_of(
    model_ref: str,
    *,
    info: ModelInfo | None = None,
    load: LoadOptions | None = None,
    model_hash: str = "",
    preset: str = "",
    options: CallOptions | None = None,
    prompt_ids: tuple[int, ...] = (),
) -> Setting:
    """What is kept with a reply beside its turn.

    Args:
        model_ref: What one writes to choose the model: a path, or ENDPOINT/MODEL.
        info: What is known of a local model; None for others.
        load: How it was loaded.
        model_hash: From `hash_file`; empty takes what `known_hash` knows.
        preset: Name of the preset that parameters come from.
        options: What a hosted model took beside parameters.
        prompt_ids: Tokens of the prompt, where they are known.
    """
    if info is None:
        return Setting(model_ref=model_ref, preset=preset, options=options or CallOptions(), app_version=__version__)
    return Setting(
        model_ref=model_ref,
        model_hash=model_hash or known_hash(Path(info.path)),
        model_facts=model_facts(info),
        preset=preset,
        options=options or CallOptions(),
        prompt_ids=prompt_ids,
        load=load,
        app_version=__version__,
        llama_cpp_version=llama_cpp_version(),
    )


def _parts(path: Path) -> tuple[Path, ...]:
    from playground.engine.gguf_checks import split_parts

    return tuple(Path(os.path.realpath(part)) for part in split_parts(path))


def _joined(hashes: list[str]) -> str:
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def hash_until(path: Path, stop: threading.Event) -> str:
    """The same in this thread; empty when `stop` was set before the end. Raises ModelFileError."""
    hashes, new = [], {}
    cache = _read_cache()
    try:
        for part in _parts(path):
            look = part.stat()
            if not stat.S_ISREG(look.st_mode):  # reading a pipe may never end
                raise ModelFileError(f"{one_line(str(part))} is not a file.", "Check the path.")
            digest = _remembered(cache, part, look)
            if not digest:
                digest = _digest(part, stop)
                if not digest:
                    return ""
                if (part.stat().st_size, part.stat().st_mtime_ns) == (look.st_size, look.st_mtime_ns):
                    new[str(part)] = _Known(look.st_size, look.st_mtime_ns, digest)
            hashes.append(digest)
    except OSError as error:
        raise ModelFileError(f"{one_line(str(path))} cannot be read: {error.strerror}.", "Check the path.") from error
    if new:
        _remember(new)
    return _joined(hashes)


def _digest(part: Path, stop: threading.Event) -> str:
    digest, block = hashlib.sha256(), bytearray(_BLOCK)
    with part.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            if stop.is_set():
                return ""
            digest.update(memoryview(block)[:size])
    return digest.hexdigest()


def _remembered(cache: dict[str, _Known], part: Path, look: os.stat_result) -> str:
    known = cache.get(str(part))
    same = known is not None and (known.size, known.changed_ns) == (look.st_size, look.st_mtime_ns)
    return known.sha256 if known is not None and same else ""


def _read_cache() -> dict[str, _Known]:
    try:
        found: Any = msgspec.json.decode((user_cache_dir() / _CACHE).read_bytes(), type=dict[str, _Known])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return dict(found)


def _remember(new: dict[str, _Known]) -> None:
    path = user_cache_dir() / _CACHE
    with contextlib.suppress(OSError, UnicodeEncodeError), locked(str(path)):
        cache = {name: known for name, known in _read_cache().items() if name not in new} | new
        kept = dict(list(cache.items())[-_MOST:])
        write_text_atomic(path, msgspec.json.encode(kept).decode())
