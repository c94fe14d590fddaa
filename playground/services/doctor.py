"""Looks at this machine: what the program stands on, what is missing, and how to get it. Nothing leaves the machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from playground import __version__
from playground.domain.endpoints import is_loopback
from playground.domain.errors import BadInput, ConfigError, HistoryUnusable, RunFailed
from playground.domain.models import ModelFile
from playground.domain.sizes import size_text
from playground.engine.memory import available_bytes
from playground.engine.probe import Build
from playground.services.endpoints import endpoint_problems, load_endpoints, running
from playground.services.findings import Finding, from_error, note, ok, problem
from playground.services.history import history_path
from playground.services.history_check import check_history
from playground.services.keys import locate_key
from playground.services.models import find_models, resolve_model, starter_model
from playground.services.paths import log_dir, user_cache_dir, user_config_dir, user_data_dir, user_state_dir
from playground.services.presets import load_presets
from playground.services.probing import ask_build
from playground.services.settings import Settings, load_settings
from playground.services.start import find_preset
from playground.services.toml_files import one_line

_PACKAGES: Final = ("textual", "llama-cpp-python", "numpy", "msgspec", "anthropic", "httpx2", "tiktoken")
_LITTLE_MEMORY: Final = 1 << 30
_LITTLE_DISK: Final = 1 << 30
_NO_DISK: Final = 50 << 20
_MOST_FILES: Final = 100_000
"""A folder with more files is not summed up to its end."""
_MOST_MODELS: Final = 5
"""Broken ones that are named."""
_STARTER_HINT: Final = "pip install 'llm-playground-tui[starter]' brings a small one; or give the path of a .gguf file."


async def examine() -> AsyncIterator[Finding]:
    """Everything but the terminal, each finding as soon as it is there."""
    settings, errors = load_settings()
    for one in _versions():
        yield one
    for one in await _llama():
        yield one
    for one in [*_processor(), *_memory(), *await asyncio.to_thread(_folders)]:
        yield one
    yield await asyncio.to_thread(_history)
    for one in _files(settings, errors):
        yield one
    for one in _keys(settings):
        yield one
    for one in await _servers(settings):
        yield one
    for one in await asyncio.to_thread(_models, settings):
        yield one


def _versions() -> Iterable[Finding]:
    yield ok("versions", f"llm-playground {__version__}, Python {sys.version.split()[0]} on {sys.platform}")
    for name in _PACKAGES:
        try:
            yield ok("versions", f"{name} {version(name)}")
        except PackageNotFoundError:
            yield problem("versions", f"{name} is not installed.", f"pip install {name}")


async def _llama() -> list[Finding]:
    try:
        build = await ask_build()
    except RunFailed as error:
        detail = f" ({one_line(error.detail.splitlines()[-1], 200)})" if error.detail.strip() else ""
        return [problem("llama.cpp", f"{error.message}{detail}", error.hint)]
    numbers = [f"llama.cpp {build.llama}" if build.llama else "", f"ggml {build.ggml}" if build.ggml else ""]
    commit = f"commit {build.commit}" if build.commit else ""
    told = ", ".join(one_line(part) for part in (*numbers, commit) if part) or "this build does not tell its version"
    found = [
        ok("llama.cpp", told),
        ok("llama.cpp", f"built with {one_line(', '.join(build.flags)) or 'no flags that it tells'}"),
    ]
    return [*found, *_devices(build), *_acceleration(build)]


def _devices(build: Build) -> Iterable[Finding]:
    for device in build.devices:
        # A processor's memory is the machine's, which has a line of its own.
        memory = (
            f", {size_text(device.free_bytes)} of {size_text(device.total_bytes)} free"
            if device.gpu and device.total_bytes
            else ""
        )
        yield ok("llama.cpp", f"computes on {one_line(device.name.strip())}{memory}")


def _acceleration(build: Build) -> Iterable[Finding]:
    if not build.offloads and _has_nvidia():
        yield note(
            "llama.cpp",
            "There is an NVIDIA GPU, and this build cannot use it.",
            "With the CUDA toolkit installed: CMAKE_ARGS=-DGGML_CUDA=on pip install --force-reinstall --no-cache-dir "
            "llama-cpp-python",
        )
    elif not any(device.gpu for device in build.devices):
        yield note("llama.cpp", "No GPU is used; models run on the processor.")


def _has_nvidia() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _processor() -> Iterable[Finding]:
    import psutil

    physical, logical = psutil.cpu_count(logical=False), psutil.cpu_count()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else logical
    yield ok("machine", f"{physical or '–'} cores, {logical or '–'} threads, {usable or '–'} of them for this program")


def _memory() -> Iterable[Finding]:
    import psutil

    free, total = available_bytes(), psutil.virtual_memory().total
    text = f"{size_text(free)} of {size_text(total)} memory free"
    yield (
        note("machine", text, "Close other programs, or choose small models.")
        if free < _LITTLE_MEMORY
        else ok("machine", text)
    )


def _folders() -> list[Finding]:
    found = []
    places = {
        "settings": user_config_dir(),
        "data": user_data_dir(),
        "state": user_state_dir(),
        "cache": user_cache_dir(),
        "logs": log_dir(),
    }
    for name, folder in places.items():
        found.append(_folder(name, folder))
    free = shutil.disk_usage(_existing(places["data"])).free
    text = f"{size_text(free)} free on the disk of the data folder"
    if free < _NO_DISK:
        found.append(problem("folders", text, "Make room: nothing can be kept on a full disk."))
    elif free < _LITTLE_DISK:
        found.append(note("folders", text, "Models take from 100 MB to many GB."))
    else:
        found.append(ok("folders", text))
    return found


def _folder(name: str, folder: Path) -> Finding:
    shown = f"{name}: {one_line(str(folder))}"
    standing = _existing(folder)
    if not standing.is_dir():
        return problem("folders", f"{shown} cannot be made: {one_line(str(standing))} is a file.", "Move it away.")
    if not os.access(standing, os.W_OK | os.X_OK):
        return problem(
            "folders", f"{shown} cannot be written.", f"Make it yours: chown -R $USER {one_line(str(standing))}"
        )
    if standing != folder:
        return ok("folders", f"{shown}, made when it is needed")
    return ok("folders", f"{shown}, {_size(folder)}")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there."""
    return next((one for one in (folder, *folder.parents) if one.exists()), folder)


def _size(folder: Path) -> str:
    total = count = 0
    for where, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(where, name)).st_size
            except OSError:
                continue
            count += 1
        if count > _MOST_FILES:
            return f"more than {size_text(total)}"
    return f"{size_text(total)} in {count:,} file{'s' if count != 1 else ''}"


def _history() -> Finding:
    try:
        health = check_history(history_path())
    except HistoryUnusable as error:
        return problem("history", error.message, error.hint)
    if health is None:
        return ok("history", "none yet")
    count = f"{health.replies:,} repl{'ies' if health.replies != 1 else 'y'}, {size_text(health.size_bytes)}"
    return ok("history", count if health.whole else f"{count}; too large to check all of it here")


def _files(settings: Settings, errors: list[ConfigError]) -> Iterable[Finding]:
    presets, preset_errors = load_presets()
    mistakes = [from_error("settings", error) for error in (*errors, *endpoint_problems(settings))]
    mistakes += [from_error("presets", error) for error in preset_errors]
    for what, name in (("preset", settings.preset), ("model", settings.model)):
        try:
            if what == "preset" and name:
                find_preset(presets, name)
            elif name and name.partition("/")[0] not in load_endpoints(settings):
                resolve_model(name, settings)
        except BadInput as error:
            mistakes.append(problem("settings", f"{what}: {error.message}", error.hint))
    yield from mistakes
    if not any(one.area == "settings" for one in mistakes):
        yield ok("settings", "no mistakes")
    yield ok("presets", f"{len(presets)} can be used")


def _keys(settings: Settings) -> Iterable[Finding]:
    """Where keys are, never what they are."""
    without = []
    for name, endpoint in load_endpoints(settings).items():
        try:
            found = locate_key(endpoint, settings)
        except ConfigError as error:
            yield from_error("keys", error)
            continue
        if found is not None:
            yield ok("keys", f"{name}: found in {one_line(found.source)}")
        elif endpoint.key_needed and name in settings.endpoints:
            yield note("keys", f"{name}: none", f"llm-playground run --model {name}/… says where to put one.")
        elif endpoint.key_needed:
            without.append(name)
    if without:
        yield ok("keys", f"none for {', '.join(without)}; models on this machine need none")


async def _servers(settings: Settings) -> list[Finding]:
    endpoints = load_endpoints(settings)
    up = set(await running(endpoints.values()))
    found = [
        ok("servers", f"{name} answers at {one_line(endpoints[name].base_url)}") for name in endpoints if name in up
    ]
    silent = [name for name, one in endpoints.items() if is_loopback(one.base_url) and name not in up]
    found += [
        note("servers", f"{name} does not answer at {one_line(endpoints[name].base_url)}", "Start it first.")
        for name in silent
        if name in settings.endpoints
    ]
    quiet = [name for name in silent if name not in settings.endpoints]
    return [*found, ok("servers", f"not running on this machine: {', '.join(quiet)}")] if quiet else found


def _models(settings: Settings) -> list[Finding]:
    notes: list[str] = []
    models = find_models(settings.models.folders, notes=notes)
    good = [model for model in models if not model.problem]
    found = [_sum(source, good) for source in dict.fromkeys(model.source for model in good)]
    bad = [model for model in models if model.problem]
    found += [note("models", f"{one_line(model.name)} cannot be used: {model.problem}") for model in bad[:_MOST_MODELS]]
    if bad[_MOST_MODELS:]:
        found.append(note("models", f"Nor can {len(bad) - _MOST_MODELS:,} others."))
    found += [note("models", said) for said in notes]
    if not good:
        found.append(problem("models", "There is no model on this machine.", _STARTER_HINT))
    elif starter_model() is None:
        found.append(note("models", "The starter model is not installed.", _STARTER_HINT))
    return found


def _sum(source: str, models: list[ModelFile]) -> Finding:
    own = [model for model in models if model.source == source]
    return ok("models", f"{one_line(source)}: {len(own):,}, {size_text(sum(model.size_bytes for model in own))}")
