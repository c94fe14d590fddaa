"""What a model takes is said before it is loaded, and it is what a worker then really takes."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from playground.backends.local import LocalBackend
from playground.domain.errors import ModelFileError
from playground.domain.models import LoadOptions
from playground.engine import memory
from playground.engine.memory import available_bytes, estimate_memory
from tests.conftest import TinyModels

MIB = 1 << 20


@pytest.fixture
def free_memory(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A machine with as much free memory as the test says, on which nobody else's workers run."""
    machine, everything = SimpleNamespace(available=8192 * MIB), psutil.process_iter

    def ours(attributes: list[str]) -> Iterator[psutil.Process]:
        return (process for process in everything(attributes) if process.ppid() == os.getpid())

    monkeypatch.setattr(memory, "_CGROUP", ())
    monkeypatch.setattr(psutil, "virtual_memory", lambda: machine)
    monkeypatch.setattr(psutil, "process_iter", ours)
    return machine


async def _resident_bytes(path: Path, logs: Path, options: LoadOptions) -> int:
    """Memory of a worker that has this model loaded."""
    backend = await LocalBackend.load(str(path), options, logs)
    try:
        return psutil.Process(backend.pid).memory_info().rss
    finally:
        await backend.close()


@pytest.mark.parametrize(
    "options",
    [{"context": 4000}, {"context": 8192, "kv_type": "q8_0"}, {"mmap": False}],
    ids=str,
)
async def test_the_estimate_is_what_a_worker_takes(
    starter_gguf: Path, tiny_models: TinyModels, tmp_path: Path, options: dict[str, Any]
) -> None:
    wanted = LoadOptions(threads=1, threads_batch=1, **options)
    empty, full = await asyncio.gather(
        _resident_bytes(tiny_models("base"), tmp_path, LoadOptions(context=256)),
        _resident_bytes(starter_gguf, tmp_path, wanted),
    )
    estimate = estimate_memory(starter_gguf, wanted)
    need = estimate.weights_bytes + estimate.kv_bytes
    assert need * 0.98 <= full - empty <= need + 32 * MIB, "the vocabulary and its buffers take the rest"


def test_the_figures_of_a_file(starter_gguf: Path, free_memory: SimpleNamespace) -> None:
    estimate = estimate_memory(str(starter_gguf), LoadOptions())
    assert estimate.weights_bytes == starter_gguf.stat().st_size
    assert (estimate.n_ctx, estimate.kv_bytes) == (8192, 8192 * 30 * 3 * 64 * 2 * 2)
    assert estimate.free_bytes == free_memory.available
    assert estimate.enough
    assert estimate_memory(starter_gguf, LoadOptions(context=1000)).n_ctx == 1024


def test_what_does_not_fit(starter_gguf: Path, free_memory: SimpleNamespace) -> None:
    free_memory.available = 500 * MIB
    assert estimate_memory(starter_gguf, LoadOptions(context=1024)).enough
    assert not estimate_memory(starter_gguf, LoadOptions(context=8192)).enough
    smaller = estimate_memory(starter_gguf, LoadOptions())
    assert smaller.enough, "without a wish the context shrinks to what is there"
    assert 512 < smaller.n_ctx < 8192
    free_memory.available = 80 * MIB
    assert not estimate_memory(starter_gguf, LoadOptions()).enough


async def test_weights_another_worker_has_mapped_are_not_free(
    starter_gguf: Path, tmp_path: Path, free_memory: SimpleNamespace
) -> None:
    before, weights = available_bytes(), estimate_memory(starter_gguf, LoadOptions()).weights_bytes
    backend = await LocalBackend.load(str(starter_gguf), LoadOptions(context=256), tmp_path)
    try:
        taken = before - available_bytes()
    finally:
        await backend.close()
    if not sys.platform.startswith("linux"):
        assert taken == 0, "elsewhere mapped files in use do not count as free anyway"
    else:
        assert taken > 0.9 * weights
    assert available_bytes() == before == free_memory.available


def test_a_file_that_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="does not exist"):
        estimate_memory(tmp_path / "none.gguf", LoadOptions())


def test_asking_does_not_load_llama_cpp() -> None:
    code = "import sys, playground.engine.memory as m; print([n for n in sys.modules if n in ('llama_cpp', 'numpy')])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
