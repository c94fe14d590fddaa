"""Under what replies are written, found out beside the work: which model, how it was loaded, the hash of its file."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import structs

from playground import __version__
from playground.domain.errors import PlaygroundError
from playground.domain.history import Setting
from playground.services.model_identity import hash_until, setting_of

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.domain.messages import Prompt
    from playground.domain.models import LoadOptions, ModelInfo

_LEAST_NICE: Final = 19
_QUICK_BYTES: Final = 256 << 20
"""A file that is hashed within half a second or so."""


class KnownModels:
    """What is known of the models of a command. All methods belong to one event loop.

    A file whose hash is not known from before is read in a thread that takes only what time the others leave, and not
    before somebody says so: loading the model and its first token come first.
    """

    def __init__(self) -> None:
        self._known: dict[str, Setting] = {}
        """By the model's reference; without preset and options."""
        self._looking: set[asyncio.Task[None]] = set()
        self._unread: dict[str, int] = {}
        """Files that could be hashed, and their bytes."""
        self._hashing: asyncio.Task[None] | None = None
        self._quick = True
        self._stop = threading.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hash", initializer=_stand_back)

    def meet(self, backend: Backend, load: LoadOptions | None) -> None:
        """A model is about to write; what its file says is found out from now on."""
        from playground.backends.local import LocalBackend

        ref = backend.card.id
        if ref in self._known:
            return
        self._known[ref] = Setting(model_ref=ref, app_version=__version__)
        if isinstance(backend, LocalBackend) and backend.info is not None:
            task = asyncio.create_task(self._look(ref, backend.info, load), name="look at model")
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)

    async def _look(self, ref: str, info: ModelInfo, load: LoadOptions | None) -> None:
        self._known[ref] = found = await asyncio.to_thread(setting_of, ref, info=info, load=load)
        if not found.model_hash:
            self._unread[ref] = info.size_bytes

    def of(self, ref: str) -> Setting:
        """What is known by now of a model that was met."""
        return self._known.get(ref) or Setting(model_ref=ref, app_version=__version__)

    def hash_next(self, most_bytes: float = float("inf")) -> None:
        """Begin to read a file whose hash is not known and that is not larger, unless one is being read."""
        if self._hashing is not None and not self._hashing.done():
            return
        ref = next((ref for ref, size in self._unread.items() if size <= most_bytes), None)
        if ref is not None:
            self._hashing = asyncio.create_task(self._hash(ref, self._unread.pop(ref)), name="hash")

    async def _hash(self, ref: str, size: int) -> None:
        loop = asyncio.get_running_loop()
        self._quick = size <= _QUICK_BYTES
        with contextlib.suppress(PlaygroundError):  # whoever loads it next will say what is wrong with the file
            found = await loop.run_in_executor(self._thread, hash_until, Path(ref), self._stop)
            self._known[ref] = structs.replace(self._known[ref], model_hash=found)

    async def end(self, patience_s: float) -> None:
        """Finish what is quickly done, and leave the rest: a large file is not waited for."""
        if self._looking:
            await asyncio.wait(self._looking)
        if patience_s:
            self.hash_next(_QUICK_BYTES)
        if self._hashing is not None:
            if self._quick:
                await asyncio.wait({self._hashing}, timeout=patience_s)
            self._stop.set()
            await self._hashing
        self._thread.shutdown()


def _stand_back() -> None:
    """Let every other thread of the machine go first, where the system has a way to say so of a single one."""
    with contextlib.suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_NICE)


async def prompt_ids(backend: Backend, prompt: Prompt) -> tuple[int, ...]:
    """Ids of the tokens that a local model is given for a prompt; empty where nobody can tell."""
    if not backend.card.local or not backend.capabilities.view_prompt:
        return ()
    try:
        return tuple((await backend.view_prompt(prompt)).ids)
    except PlaygroundError:
        return ()
