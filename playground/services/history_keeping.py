"""Keeps what commands write, as it streams. Nothing that happens to the file holds them up or changes their end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

from msgspec import structs

from playground.domain.errors import HistoryUnusable
from playground.domain.history import Setting
from playground.domain.messages import CallOptions

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.domain.history import TreeChange
    from playground.domain.models import LoadOptions
    from playground.domain.session import Session
    from playground.domain.transcript import Turn
    from playground.services.history import History
    from playground.services.history_models import KnownModels, ReplySettings
    from playground.services.history_recorder import Recorder

LOOK_S: Final = 0.5
"""How often is looked what is new: with the time that writing takes, a crash costs a second at most, even when busy."""
_HASH_S: Final = 0.5
"""How long a command waits at its end, at most, for the hash of a model's file."""


class Source(Protocol):
    """Something that is being written."""

    def take(self) -> list[TreeChange]:
        """What became new since the last call."""
        ...


class HistoryKeeping:
    """Follows what a command writes, from `async with` to its end. All methods belong to one event loop."""

    def __init__(
        self,
        *,
        private: bool,
        tell: Callable[[HistoryUnusable], None] = lambda _: None,
        history: History | None = None,
        leave_out: Callable[[], bool] = lambda: False,
    ) -> None:
        """Nothing is opened yet.

        Args:
            private: Keep nothing, and touch no file.
            tell: Is told when something cannot be kept: once for each spell in which nothing can be written, as
                `History.keep` says it; and when the file cannot be opened.
            history: One that is open already, and stays open; None opens the file when there is something to keep.
            leave_out: True while what comes is not to be kept, though what came before is.
        """
        self._leave_out = leave_out
        self.private = private
        self._tell = tell
        self._given = history
        self._sources: list[Source] = []
        self._begun, self._ending = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.models: KnownModels | None = None
        """What is found out about the models; None in private mode."""

    async def __aenter__(self) -> HistoryKeeping:
        """Get ready, beside whatever comes next."""
        if not self.private:
            from playground.services.history_models import KnownModels

            self.models = KnownModels()
            self._task = asyncio.create_task(self._run(self.models), name="keep history")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the last change and let go of the file."""
        self._ending.set()
        self._begun.set()
        if self._task is not None:
            await self._task

    def follow(self, source: Source) -> None:
        """Keep what comes from here, from now on."""
        self._sources.append(source)
        self._begun.set()

    async def _run(self, models: KnownModels) -> None:
        await asyncio.to_thread(import_writing)
        await self._begun.wait()
        history = await self._opened()
        if history is not None:
            while not self._ending.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ending.wait(), LOOK_S)
                if not self._ending.is_set():
                    await self._look(history)
                    models.hash_next()
            await self._look(history)
        await models.end(_HASH_S if history is not None else 0.0)
        if history is not None:
            await self._look(history)
            await models.put_hashes(history)
        if history is not None and self._given is None:
            await history.close()

    async def _opened(self) -> History | None:
        """The file, open for writing; None when there is nothing to keep, or no way to."""
        if not self._sources:
            return None
        if self._given is not None:
            return self._given
        from playground.services.history import History

        history = History()
        try:
            await history.open()
        except HistoryUnusable as error:
            self._tell(error)
            await history.close()
            return None
        return history

    async def _look(self, history: History) -> None:
        changes = [change for source in self._sources for change in source.take()]
        if not await history.keep([] if self._leave_out() else changes) and history.problem is not None:
            self._tell(history.problem)


class Conversation:
    """One tree with the replies that a command lets be written in it, each in a session that looks at the tree."""

    def __init__(
        self, keeping: HistoryKeeping, session: Session, origin: str, look: Callable[[], object] = lambda: None
    ) -> None:
        """Nothing is kept yet.

        Args:
            keeping: Keeps it, unless it is private.
            session: One that looks at the tree.
            origin: The command; see ORIGINS.
            look: Brings the tree up to date, where that is not done as events come.
        """
        self._keeping = keeping
        self._session = session
        self._origin = origin
        self._look = look
        self._recorder: Recorder | None = None
        self._replies: ReplySettings | None = None

    def wrote(self, turn: Turn, backend: Backend, preset: str, load: LoadOptions, options: CallOptions) -> None:
        """A reply is being written, or was.

        Args:
            turn: The reply.
            backend: What writes it.
            preset: Name of the preset that its parameters come from.
            load: How the model was loaded, if it is a local one.
            options: What a hosted model takes beside parameters.
        """
        models = self._keeping.models
        if models is None:
            return
        models.meet(backend, load)
        setting = Setting(model_ref=backend.card.id, preset=preset, options=options, origin=self._origin)
        if self._replies is None:
            from playground.services.history_models import ReplySettings

            self._replies = ReplySettings(models)
            self._keeping.follow(self)
        self._replies.wrote(turn.id, setting)

    async def learn_prompt(self, turn: Turn, backend: Backend) -> None:
        """Find out about the tokens of the prompt of a reply, now that the model has time."""
        if self._replies is not None:
            await self._replies.learn_prompts([turn], backend)

    def take(self) -> list[TreeChange]:
        """See Source."""
        from playground.services.history_recorder import Recorder

        self._look()
        self._recorder = self._recorder or Recorder()
        assert self._replies is not None, "it is followed from the first on"
        own = self._replies.known()
        last = structs.replace(next(reversed(own.values())), prompt_ids=())
        change = self._recorder.take(self._session, last, own)
        return [change] if change is not None else []


def import_writing() -> None:
    """Import what writing needs; belongs in a thread, because it takes a while."""
    import playground.services.history
    import playground.services.history_models
    import playground.services.history_recorder
    import playground.services.history_store

    del playground
