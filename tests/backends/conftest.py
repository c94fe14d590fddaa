"""A real worker process with the real model, and proof that none is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from playground.backends.local import LocalBackend
from playground.domain.models import LoadOptions

Load = Callable[..., Awaitable[LocalBackend]]


@pytest.fixture
async def load(tmp_path: Path) -> AsyncIterator[Load]:
    """Loads a file into a worker; at the end all workers are closed, and nothing of them may be left."""
    backends: list[LocalBackend] = []

    async def start(
        path: Path | str, progress: Callable[[float], None] = lambda _: None, **options: Any
    ) -> LocalBackend:
        wanted = LoadOptions(**{"context": 512, "threads": 1, "threads_batch": 1, **options})
        backend = await LocalBackend.load(str(path), wanted, tmp_path / "logs", progress)
        backends.append(backend)
        return backend

    yield start
    for backend in backends:
        await backend.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "engine answers"]
    assert not psutil.Process().children(), "a worker, or the remains of one, is left"
    assert not list((tmp_path / "logs").glob("*"))
