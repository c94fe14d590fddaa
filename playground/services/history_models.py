"""Under what replies are written, found out beside the work: which model, how it was loaded, the tokens of the prompt.

meet ─▶ what the file says (a thread) ─▶ hash_next: its hash (a thread that stands back)
                              │
ReplySettings.wrote, learn_prompt ─▶ known: whole settings, for the recorder to find what is new in them
                              │
want_hash ─▶ put_hashes, for what is in the history already and followed no more
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import structs

from playground import __version__
from playground.domain.errors import HistoryUnusable, PlaygroundError
from playground.domain.history import Setting
from playground.services.model_identity import hash_until, setting_of

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.domain.messages import Prompt
    from playground.domain.models import LoadOptions, ModelInfo
    from playground.domain.transcript import Turn
    from playground.services.history import History
    from playground.services.history_store import HistoryStore

_LEAST_NICE: Final = 19
_QUICK_BYTES: Final = 256 << 20
"""A file that is hashed within half a second or so."""
_OF_MODEL: Final = ("model_hash", "model_facts", "load", "app_version", "llama_cpp_version")


class KnownModels:
    """What is known of the models of a program. All methods belong to one event loop.

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
        self._wanted: set[tuple[str, str]] = set()
        """Conversations by their uid, and references of models whose hash is to be put to them when it is known."""

    def meet(self, backend: Backend, load: LoadOptions | None) -> None:
        """A model is about to write; what its file says is found out from now on, once."""
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
        """What is known by now of a model, whether it was met or not."""
        return self._known.get(ref) or Setting(model_ref=ref, app_version=__version__)

    def complete(self, setting: Setting) -> Setting:
        """The setting with what is known of its model by now."""
        known = self.of(setting.model_ref)
        return structs.replace(setting, **{name: getattr(known, name) for name in _OF_MODEL})

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

    def want_hash(self, uid: str, setting: Setting) -> None:
        """Nobody follows a conversation any more that was written under this: its hash is for `put_hashes` to put."""
        if setting.model_facts and not setting.model_hash:
            self._wanted.add((uid, setting.model_ref))

    def _found(self) -> set[tuple[str, str]]:
        return {(uid, ref) for uid, ref in self._wanted if self.of(ref).model_hash}

    @property
    def owing(self) -> bool:
        """True when `put_hashes` has something to do."""
        return bool(self._found())

    async def put_hashes(self, history: History) -> None:
        """Put the hashes that are known by now where they are wanted."""
        found = self._found()
        self._wanted -= found
        for uid, ref in sorted(found):
            with contextlib.suppress(HistoryUnusable):  # it was said, or will be when something is written
                await history.change(partial(_put_hash, uid=uid, ref=ref, known=self.of(ref).model_hash))

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
    if sys.platform == "linux":  # elsewhere the number of a thread may be that of some process
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LEAST_NICE)


def _put_hash(store: HistoryStore, uid: str, ref: str, known: str) -> None:
    store.learn_hash(uid, ref, known)


class ReplySettings:
    """Under what the replies of one conversation were written, as far as that was found out."""

    def __init__(self, models: KnownModels, kept: Mapping[int, Setting] | None = None) -> None:
        """Nothing was written yet.

        Args:
            models: What is known of the models.
            kept: Settings as they were read from the history, by turn. These stay as they are: their model's file may
                have become another one since.
        """
        self._models = models
        self._kept = dict(kept or {})
        self._own: dict[int, Setting] = {}
        self._asked: set[int] = set()
        """Replies whose prompts were asked about."""

    def __contains__(self, turn_id: int) -> bool:
        return turn_id in self._own or turn_id in self._kept

    def wrote(self, turn_id: int, setting: Setting) -> None:
        """A reply is being written, goes on, or was written since the last look; what is known of its prompt stays."""
        known = self._own.get(turn_id) or self._kept.pop(turn_id, setting)
        self._own[turn_id] = structs.replace(setting, prompt_ids=known.prompt_ids)

    def known(self) -> dict[int, Setting]:
        """All settings by turn, the last that was written last, with what is known by now."""
        return self._kept | {turn_id: self._models.complete(setting) for turn_id, setting in self._own.items()}

    def unasked(self, turns: Mapping[int, Turn], model: str) -> list[Turn]:
        """Replies of a model that ended, for `learn_prompts`: each is named once.

        Args:
            turns: Those of the conversation.
            model: Its short name.
        """
        new = [turns[turn_id] for turn_id in self._own if turn_id in turns and turn_id not in self._asked]
        replies = [turn for turn in new if turn.model == model and turn.prompt is not None and not turn.writing]
        self._asked |= {turn.id for turn in replies}
        return replies

    async def learn_prompts(self, replies: list[Turn], backend: Backend) -> None:
        """Find out about the tokens of the prompts of replies, now that the model has time."""
        for reply in replies:
            if reply.id in self._own and reply.prompt is not None:
                ids = await prompt_ids(backend, reply.prompt)
                own = self._own[reply.id]
                self._own[reply.id] = structs.replace(own, prompt_ids=ids or own.prompt_ids)

    def leave(self, uid: str) -> None:
        """Nobody follows the conversation any more: hashes that are found out later are put into the history."""
        doubtful = {setting.model_ref for setting in self._kept.values() if not setting.model_hash}
        for setting in self.known().values():
            if setting.model_ref not in doubtful:
                self._models.want_hash(uid, setting)


async def prompt_ids(backend: Backend, prompt: Prompt) -> tuple[int, ...]:
    """Ids of the tokens that a local model is given for a prompt; empty where nobody can tell."""
    if not backend.card.local or not backend.capabilities.view_prompt:
        return ()
    try:
        return tuple((await backend.view_prompt(prompt)).ids)
    except PlaygroundError:
        return ()
