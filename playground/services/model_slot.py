"""What answers in one pane: a model that is there, is being opened, or was lost."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from playground.domain.endpoints import ModelRef
from playground.domain.errors import EngineDied
from playground.services.model_pool import ModelPool, Progress

if TYPE_CHECKING:
    from playground.backends.base import Backend


class ModelSlot:
    """Holds one model of the pool at a time. All methods belong to one event loop."""

    def __init__(self, pool: ModelPool, on_progress: Progress) -> None:
        self.pool = pool
        self.backend: Backend | None = None
        self.ref: ModelRef | None = None
        """The model last asked for, whether or not it could be opened."""
        self.stand_in: ModelRef | None = None
        """Takes over when a hosted model is overloaded or out of reach; None: what settings say."""
        self._on_progress = on_progress
        self._opening: asyncio.Task[Backend] | None = None
        self._given_up: asyncio.Future[None] | None = None
        """Done when the model that is there now is given up."""

    @property
    def loading(self) -> bool:
        """True while a model is being opened."""
        return self._opening is not None

    async def open(self, ref: ModelRef) -> Backend:
        """Replace the model. An opening that is under way is ended first.

        The old model is given up before the new one is loaded, because both may not fit in memory.

        Raises:
            PlaygroundError: see `ModelPool.open`.
            asyncio.CancelledError: `cancel` was called, or another opening took over.
        """
        await self.close()
        self.ref = ref
        self._opening = task = asyncio.create_task(
            self.pool.open(ref, self._on_progress, self.stand_in), name="open model"
        )
        try:
            self.backend = await task
            self._given_up = asyncio.get_running_loop().create_future()
        finally:
            if self._opening is task:
                self._opening = None
        return self.backend

    async def cancel(self) -> None:
        """End an opening that is under way."""
        task, self._opening = self._opening, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})

    async def close(self) -> None:
        """Give up the model and whatever is being opened."""
        await self.cancel()
        backend, self.backend = self.backend, None
        if self._given_up is not None and not self._given_up.done():
            self._given_up.set_result(None)
        if backend is not None:
            await self.pool.close(backend)

    async def lost(self) -> EngineDied | None:
        """Wait until the model's process ends by itself, and say how; None when the model was given up before.

        A hosted model has no process that could end: None at once.
        """
        from playground.backends.local import LocalBackend

        backend, given_up = self.backend, self._given_up
        if not isinstance(backend, LocalBackend) or given_up is None:
            return None
        ends: set[asyncio.Future[Any]] = {backend.died, given_up}
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        return backend.died.result() if backend.died.done() and not given_up.done() else None
