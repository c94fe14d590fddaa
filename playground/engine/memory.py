"""How much memory is really free, and what context window fits into it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, NamedTuple

import psutil

from playground.domain.errors import OutOfMemory

_RESERVE: Final = 0.10
"""Share of the free memory that is left alone: compute buffers, the app, whatever else starts."""
_COMPUTE_BYTES: Final = 256 << 20
_SMALLEST: Final = 512
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


def available_bytes() -> int:
    """Memory that can be taken without swapping, container limits included."""
    free = int(psutil.virtual_memory().available)
    for limit_file, used_file in _CGROUP:
        try:
            limit, used = limit_file.read_text().strip(), used_file.read_text().strip()
        except OSError:
            continue
        if limit.isdigit() and used.isdigit():
            free = min(free, int(limit) - int(used))
    return max(0, free)


def gib(size: float) -> str:
    """A size in bytes for a person to read."""
    return f"{size / (1 << 30):.1f} GiB" if size >= 1 << 30 else f"{size / (1 << 20):.0f} MiB"


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
    size = gib(trained * kv_bytes_per_token)
    fine = ContextFit(trained, "model", f"Context {trained:,}, as the model was trained; its KV cache takes {size}.")
    if free_bytes is None:
        return fine
    budget = free_bytes * (1 - _RESERVE) - _COMPUTE_BYTES
    fits = max(_SMALLEST, int(budget / max(1, kv_bytes_per_token)) // _STEP * _STEP)
    if fits < trained:
        note = (
            f"Context {fits:,}: the model was trained for {trained:,}, "
            f"but {gib(free_bytes)} of free memory holds no more."
        )
        return ContextFit(fits, "memory", note)
    return fine


def _as_set(n_ctx: int, wanted: int, trained: int, kv_bytes_per_token: int, free_bytes: int | None) -> ContextFit:
    need = n_ctx * kv_bytes_per_token
    # Linux grants memory it does not have and kills the process when it is used.
    if free_bytes is not None and need > free_bytes:
        fits = int(free_bytes * (1 - _RESERVE) / kv_bytes_per_token) // _STEP * _STEP
        raise OutOfMemory(
            f"A context of {n_ctx:,} tokens takes {gib(need)}, but only {gib(free_bytes)} of memory is free.",
            f"Choose {max(_SMALLEST, fits):,} or less, or a smaller KV cache type (q8_0, q4_0).",
        )
    rounded = f", rounded up from {wanted:,}" if n_ctx != wanted else ""
    over = f", more than the {trained:,} it was trained for" if wanted > trained > 0 else ""
    return ContextFit(n_ctx, "setting", f"Context {n_ctx:,}, as set{rounded}{over}.")
