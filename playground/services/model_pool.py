"""Where panes get their models: a worker for each local file, however many use it; a line to each hosted one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from playground.domain.endpoints import REPLAY, Endpoint, ModelRef, parse_model_ref
from playground.domain.errors import BadInput, OutOfMemory
from playground.domain.models import LoadOptions
from playground.domain.sizes import size_text
from playground.services.paths import log_dir
from playground.services.settings import Settings

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.backends.local import LocalBackend

Progress = Callable[[float], None]


@dataclass(eq=False)
class _Shared:
    """A worker, or one that is being started, and how many panes want it."""

    path: Path
    options: LoadOptions
    loading: asyncio.Task[LocalBackend]
    users: int = 0
    listeners: list[Progress] = field(default_factory=list)
    alone: bool = False
    """True for one that nobody else is given."""

    @property
    def backend(self) -> LocalBackend | None:
        """The worker's backend once it is there."""
        done = self.loading.done() and not self.loading.cancelled() and self.loading.exception() is None
        return self.loading.result() if done else None

    @property
    def usable(self) -> bool:
        """False when loading failed, or the process ended."""
        if not self.loading.done():
            return True
        return self.backend is not None and not self.backend.died.done()


class ModelPool:
    """Opens models and gives them up with the last pane that used them. All methods belong to one event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._workers: list[_Shared] = []
        self._hosted: list[Backend] = []
        self._looking = asyncio.Lock()
        """Held while a worker is looked for: two panes that want one model at once must not start it twice."""
        self._endpoints: dict[str, Endpoint] | None = None

    @property
    def endpoints(self) -> dict[str, Endpoint]:
        """Every endpoint by name."""
        if self._endpoints is None:
            from playground.services.endpoints import load_endpoints

            self._endpoints = load_endpoints(self.settings)
        return self._endpoints

    def find(self, text: str) -> ModelRef:
        """The model that a text names; empty: the one to begin with. Reads folders, so it belongs in a thread.

        Raises BadInput when no model has that name.
        """
        wanted = text or self.settings.model
        ref = parse_model_ref(wanted, {*self.endpoints, REPLAY})
        if ref.endpoint:
            return ref
        from playground.services.models import resolve_model

        try:
            return ModelRef("", str(resolve_model(wanted, self.settings)))
        except BadInput as error:
            head, slash, name = wanted.partition("/")
            if not slash or not head or not name or head in (".", "..", "~"):
                raise
            known = ", ".join(sorted(self.endpoints))
            hint = f"{error.hint} Nor is there an endpoint called {head!r}; known: {known}."
            raise BadInput(error.message, hint.strip()) from error

    async def check(self, ref: ModelRef) -> None:
        """Look at what can be seen of a model before anything is given up for it.

        Raises ModelFileError, BadInput, KeyMissing.
        """
        if ref.endpoint:
            if ref.endpoint not in self.endpoints and ref.endpoint != REPLAY:
                known = ", ".join(sorted(self.endpoints))
                raise BadInput(f"There is no endpoint {ref.endpoint!r}.", f"Known: {known}.")
            self._check_key(ref)
            return
        from playground.engine.gguf_checks import check_model_file

        await asyncio.to_thread(check_model_file, Path(ref.name))

    def _check_key(self, ref: ModelRef) -> None:
        from playground.services.keys import find_key
        from playground.services.references import key_missing

        endpoint = self.endpoints.get(ref.endpoint)
        wants_key = endpoint is not None and endpoint.key_needed and not endpoint.headers
        if endpoint is not None and wants_key and find_key(endpoint, self.settings) is None:
            raise key_missing(endpoint, self.settings)

    async def open(
        self,
        ref: ModelRef,
        progress: Progress,
        stand_in: ModelRef | None = None,
        options: LoadOptions | None = None,
        *,
        alone: bool = False,
    ) -> Backend:
        """A model ready to be asked; a local one is loaded unless another pane has it already.

        `stand_in` takes over when a hosted one is overloaded or out of reach; None: the one that settings name.
        `options` say how a local one is loaded, e.g. the same file with another KV cache type; None: as settings say.
        `alone`: in a worker of its own, with nothing in its cache and nobody else's streams in its batches.

        Raises:
            ModelFileError, OutOfMemory, EngineDied: see `LocalBackend.load`.
            KeyMissing, KeyRefused, HostedError: see `Backend.prepare`.
        """
        if ref.endpoint:
            return await self._open_hosted(ref, stand_in)
        return await self._open_local(Path(ref.name), progress, options or self.settings.load, alone=alone)

    def has_loaded(self, path: str) -> bool:
        """Whether a model file is loaded, or being loaded."""
        return any(os.path.realpath(shared.path) == os.path.realpath(path) for shared in self._workers)

    async def close(self, backend: Backend) -> None:
        """Give a model back that `open` gave; the last pane's leave ends a worker."""
        for shared in self._workers:
            if shared.backend is backend:
                await self._leave(shared)
                return
        if backend in self._hosted:
            self._hosted.remove(backend)
        await backend.close()

    async def close_all(self) -> None:
        """End every worker, however many panes still use it, and every connection."""
        for backend in list(self._hosted):
            await self.close(backend)
        for shared in list(self._workers):
            shared.users = 1
            await self._leave(shared)

    async def _open_local(self, path: Path, progress: Progress, options: LoadOptions, *, alone: bool) -> Backend:
        async with self._looking:
            same = (one for one in self._workers if (one.path, one.options) == (path, options) and one.usable)
            shared = next((one for one in same if not (alone or one.alone)), None)
            if shared is None:
                await self._check_room(path, options)
                loading = asyncio.create_task(self._load(path, options), name="load model")
                shared = _Shared(path, options, loading, alone=alone)
                self._workers.append(shared)
            shared.users += 1
        shared.listeners.append(progress)
        try:
            return await asyncio.shield(shared.loading)
        except BaseException:
            await self._leave(shared)
            raise
        finally:
            shared.listeners.remove(progress)

    async def _load(self, path: Path, options: LoadOptions) -> LocalBackend:
        from playground.backends.local import LocalBackend
        from playground.services.recent_models import remember_model

        def tell(fraction: float) -> None:
            for shared in self._workers:
                if (shared.path, shared.options) == (path, options) and not shared.loading.done():
                    for listener in shared.listeners:
                        listener(fraction)

        backend = await LocalBackend.load(str(path), options, log_dir(), tell)
        remember_model(path)
        return backend

    async def _leave(self, shared: _Shared) -> None:
        shared.users -= 1
        if shared.users > 0:
            return
        if shared in self._workers:
            self._workers.remove(shared)
        if not shared.loading.done():
            shared.loading.cancel()
            await asyncio.wait({shared.loading})
        if shared.backend is not None:
            await shared.backend.close()

    async def _check_room(self, path: Path, options: LoadOptions) -> None:
        """A second model must fit beside the first; alone, the loader itself finds out. Raises OutOfMemory."""
        if not any(shared.usable for shared in self._workers):
            return
        from playground.engine.memory import estimate_memory

        estimate = await asyncio.to_thread(estimate_memory, str(path), options)
        if not estimate.enough:
            need = estimate.weights_bytes + estimate.kv_bytes
            raise OutOfMemory(
                f"{path.name} needs about {size_text(need)} beside what is loaded, and "
                f"{size_text(estimate.free_bytes)} are free.",
                "Close a pane with another model first, or choose a smaller model or context.",
            )

    async def _open_hosted(self, ref: ModelRef, stand_in: ModelRef | None) -> Backend:
        from playground.services.references import open_reference

        backend = await open_reference(ref, self.settings, files=self, fallback=stand_in.text if stand_in else "")
        self._hosted.append(backend)
        try:
            await backend.prepare()
        except BaseException:
            await self.close(backend)
            raise
        return backend

    async def open_file(self, name: str) -> Backend:
        """A model on this machine by a part of its name, or its path, as a stand-in for a hosted one."""
        ref = await asyncio.to_thread(self.find, name)
        return await self.open(ref, lambda _fraction: None)
