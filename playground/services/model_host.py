"""Which local model is loaded, is being loaded, or was lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playground.domain.errors import EngineDied
from playground.domain.models import LoadOptions, ModelInfo
from playground.services.paths import log_dir

if TYPE_CHECKING:
    from playground.backends.local import LocalBackend


class ModelHost:
    """Holds one model at a time. All methods belong to one event loop."""

    def __init__(self, options: LoadOptions, on_progress: Callable[[float], None]) -> None:
        self.options = options
        self.backend: LocalBackend | None = None
        self.path: Path | None = None
        """The model last asked for, whether or not it could be loaded."""
        self._on_progress = on_progress
        self._loading: asyncio.Task[LocalBackend] | None = None

    @property
    def info(self) -> ModelInfo | None:
        """The loaded model; None when there is none, or when its process died."""
        return self.backend.info if self.backend is not None and not self.backend.died.done() else None

    @property
    def loading(self) -> bool:
        """True while a model is being loaded."""
        return self._loading is not None

    async def check(self, path: Path) -> None:
        """Look at a file before anything is given up for it. Raises ModelFileError."""
        from playground.engine.gguf_checks import check_model_file

        await asyncio.to_thread(check_model_file, path)

    async def load(self, path: Path) -> LocalBackend:
        """Replace the loaded model. A load that is under way is ended first.

        The old model is given up before the new one is loaded, because both may not fit in memory.

        Raises:
            ModelFileError, OutOfMemory, EngineDied: see `LocalBackend.load`.
            asyncio.CancelledError: `cancel` was called, or another load took over.
        """
        await self.close()
        self.path = path
        from playground.backends.local import LocalBackend
        from playground.services.recent_models import remember_model

        self._loading = task = asyncio.create_task(
            LocalBackend.load(str(path), self.options, log_dir(), self._on_progress), name="load model"
        )
        try:
            self.backend = await task
        finally:
            if self._loading is task:
                self._loading = None
        remember_model(path)
        return self.backend

    async def cancel(self) -> None:
        """End a load that is under way."""
        task, self._loading = self._loading, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def close(self) -> None:
        """Give up the model and whatever is being loaded."""
        await self.cancel()
        backend, self.backend = self.backend, None
        if backend is not None:
            await backend.close()

    async def lost(self) -> EngineDied:
        """Wait until the loaded model's process ends by itself, and say how."""
        assert self.backend is not None, "nothing is loaded that could be lost"
        return await asyncio.shield(self.backend.died)
