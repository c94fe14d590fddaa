"""How much memory is really free, and what context window fits into it."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, NamedTuple

import psutil

_RESERVE: Final = 0.10
"""Share of the free memory that is left alone: compute buffers, the app, whatever else starts."""
_COMPUTE_BYTES: Final = 256 << 20
_SMALLEST: Final = 512
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


def fit_context(*, wanted: int, trained: int, kv_bytes_per_token: int, free_bytes: int) -> ContextFit:
    """Choose the context window: the setting, else what the model was trained for, capped by free memory.

    Args:
        wanted: tokens asked for in the settings; 0 for none.
        trained: tokens the model was trained for.
        kv_bytes_per_token: size of the KV cache for one token.
        free_bytes: what is free after the weights.
    """
    if wanted:
        over = f", more than the {trained:,} it was trained for" if wanted > trained > 0 else ""
        return ContextFit(wanted, "setting", f"Context {wanted:,}, as set{over}.")
    trained = trained or 4096
    budget = free_bytes * (1 - _RESERVE) - _COMPUTE_BYTES
    fits = max(_SMALLEST, int(budget / max(1, kv_bytes_per_token)) // 256 * 256)
    if fits < trained:
        note = (
            f"Context {fits:,}: the model was trained for {trained:,}, "
            f"but {gib(free_bytes)} of free memory holds no more."
        )
        return ContextFit(fits, "memory", note)
    size = gib(trained * kv_bytes_per_token)
    return ContextFit(trained, "model", f"Context {trained:,}, as the model was trained; its KV cache takes {size}.")
