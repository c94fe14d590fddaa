"""How much memory is really free, what context window fits into it, and what a model will take.

Nothing here needs llama.cpp: it is asked before a worker is started.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Final, Literal, NamedTuple

import psutil

from playground.domain.errors import OutOfMemory
from playground.domain.models import LoadOptions
from playground.domain.sizes import size_text
from playground.engine.gguf import kv_bytes_per_token
from playground.engine.gguf_checks import check_model_file, split_parts

_RESERVE: Final = 0.10
"""Share of the free memory that is left alone: compute buffers, the app, whatever else starts."""
_COMPUTE_BYTES: Final = 256 << 20
_SMALLEST: Final = 512
_WORKER: Final = "playground.engine"
"""The argument by which a worker is known among processes."""
_STEP: Final = 256
"""llama.cpp rounds a context window up to a multiple of this."""
_CGROUP: Final = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), Path("/sys/fs/cgroup/memory/memory.usage_in_bytes")),
)


class ContextFit(NamedTuple):
    """A context window and who decided its size."""

    n_ctx: int
    decided_by: Literal["model", "memory", "setting"]
    note: str


class MemoryEstimate(NamedTuple):
    """What a model will take, in bytes, and what there is."""

    weights_bytes: int
    kv_bytes: int
    """The KV cache of the context window that would be chosen."""
    n_ctx: int
    free_bytes: int
    enough: bool
    """False when loading it would push something else out of memory."""


def available_bytes() -> int:
    """Memory that can be taken without swapping, container limits included.

    Weights that other workers have mapped from files do not count as free, though the system could drop them: every
    token needs all of them.
    """
    free = int(psutil.virtual_memory().available) - _mapped_by_workers()
    for limit_file, used_file in _CGROUP:
        try:
            limit, used = limit_file.read_text().strip(), used_file.read_text().strip()
        except OSError:
            continue
        if limit.isdigit() and used.isdigit():
            free = min(free, int(limit) - int(used) + _idle_cache(used_file.with_name("memory.stat")))
    return max(0, free)


def _idle_cache(stat_file: Path) -> int:
    """Bytes a container counts as used that are copies of files nobody has open: a model just downloaded, say."""
    try:
        facts = dict(line.split() for line in stat_file.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return int(facts.get("total_inactive_file", facts.get("inactive_file", 0)))


def _mapped_by_workers() -> int:
    """Bytes of files in the memory of other workers; 0 where the system does not tell, as only Linux does."""
    found = 0
    for process in psutil.process_iter(["cmdline", "memory_info"]):
        if process.pid != os.getpid() and _WORKER in (process.info["cmdline"] or ()):
            found += getattr(process.info["memory_info"], "shared", 0)
    return found


def estimate_memory(path: Path | str, options: LoadOptions) -> MemoryEstimate:
    """What loading a GGUF file on the processor would take beside everything that runs now.

    A worker takes weights and KV cache as said here. Its program, vocabulary and compute buffers (for a model of 135M
    weights 90 MB) come on top and are counted in `enough` alone, generously. Layers on a GPU take less of this memory.

    Raises ModelFileError when the file cannot be used.
    """
    header = check_model_file(path)
    weights, free = sum(part.stat().st_size for part in split_parts(path)), available_bytes()
    per_token = kv_bytes_per_token(header, options.kv_type) or 0
    left, trained = max(0, free - weights), header.context_length or 0
    if options.context:
        n_ctx = -(-options.context // _STEP) * _STEP
    else:
        n_ctx = fit_context(wanted=0, trained=trained, kv_bytes_per_token=per_token, free_bytes=left).n_ctx
    kv = n_ctx * per_token
    return MemoryEstimate(weights, kv, n_ctx, free, enough=not missing_bytes(weights, kv, free))


def missing_bytes(weights_bytes: int, kv_bytes: int, free_bytes: int) -> int:
    """Bytes that would have to be freed before a model can be loaded; 0 when it fits.

    Room for the worker's program and compute buffers, and a share left to everything else, are counted in.
    """
    needed = weights_bytes + (kv_bytes + _COMPUTE_BYTES) / (1 - _RESERVE)
    return max(0, math.ceil(needed - free_bytes))


def fit_context(*, wanted: int, trained: int, kv_bytes_per_token: int, free_bytes: int | None) -> ContextFit:
    """Choose the context window: the setting, else what the model was trained for, capped by free memory.

    Args:
        wanted: tokens asked for in the settings; 0 for none.
        trained: tokens the model was trained for; 0 when unknown.
        kv_bytes_per_token: size of the KV cache for one token.
        free_bytes: what is free after the weights; None when the cache lies in a GPU's memory.

    Raises:
        OutOfMemory: the setting asks for more than there is.
    """
    if wanted:
        return _as_set(-(-wanted // _STEP) * _STEP, wanted, trained, kv_bytes_per_token, free_bytes)
    trained = max(_STEP, (trained or 4096) // _STEP * _STEP)
    size = size_text(trained * kv_bytes_per_token)
    fine = ContextFit(trained, "model", f"Context {trained:,}, as the model was trained; its KV cache takes {size}.")
    if free_bytes is None:
        return fine
    budget = free_bytes * (1 - _RESERVE) - _COMPUTE_BYTES
    fits = max(_SMALLEST, int(budget / max(1, kv_bytes_per_token)) // _STEP * _STEP)
    if fits < trained:
        note = (
            f"Context {fits:,}: the model was trained for {trained:,}, "
            f"but {size_text(free_bytes)} of free memory holds no more."
        )
        return ContextFit(fits, "memory", note)
    return fine


def _as_set(n_ctx: int, wanted: int, trained: int, kv_bytes_per_token: int, free_bytes: int | None) -> ContextFit:
    need = n_ctx * kv_bytes_per_token
    # Linux grants memory it does not have and kills the process when it is used.
    if free_bytes is not None and need > free_bytes:
        fits = int(free_bytes * (1 - _RESERVE) / kv_bytes_per_token) // _STEP * _STEP
        raise OutOfMemory(
            f"A context of {n_ctx:,} tokens takes {size_text(need)}, "
            f"but only {size_text(free_bytes)} of memory is free.",
            f"Choose {max(_SMALLEST, fits):,} or less, or a smaller KV cache type (q8_0, q4_0).",
        )
    rounded = f", rounded up from {wanted:,}" if n_ctx != wanted else ""
    over = f", more than the {trained:,} it was trained for" if wanted > trained > 0 else ""
    return ContextFit(n_ctx, "setting", f"Context {n_ctx:,}, as set{rounded}{over}.")
