"""Questions to the worker of a local model, each with a ticket, and their answers."""

from __future__ import annotations

import asyncio
import itertools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from playground.backends.base import Backend, Progress, silent
from playground.domain.errors import EngineDied
from playground.domain.messages import Prompt, PromptView
from playground.domain.sampling import SamplingParams
from playground.domain.scoring import Score, ScoreRequest
from playground.domain.usage import TokenCount
from playground.domain.watching import WatchedWord
from playground.domain.what_if import (
    Continuation,
    Replay,
    ReplayRequest,
    WatchedReply,
    WatchRequest,
    WhatIf,
    WhatIfRequest,
)
from playground.engine import protocol

_counted: Final = partial(TokenCount, exact=True, method="tokenizer")


class AskingBackend(Backend):
    """The part of the local backend that asks and waits; `LocalBackend` runs streams and owns the process."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tickets = itertools.count(1)
        self._progresses: dict[int, Progress] = {}
        """Who wants to know how far a question is, by ticket."""
        self.died: asyncio.Future[EngineDied] = asyncio.get_running_loop().create_future()
        """Resolves when the worker ends by itself."""

    @abstractmethod
    def _send(self, request: protocol.Request) -> None:
        """Write to the worker."""

    @abstractmethod
    def _share_work(self) -> None:
        """What this worker has to compute has begun, or ended."""

    async def set_params(self, stream: int, params: SamplingParams) -> None:
        """See Backend."""
        await self._ask(lambda ticket: protocol.SetParams(ticket, stream, params))

    async def view_prompt(self, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
        """See Backend."""
        view = await self._ask(lambda ticket: protocol.ViewPrompt(ticket, prompt, tuple(reply_ids)))
        assert isinstance(view, PromptView)
        return view

    async def count_tokens(self, text: str) -> TokenCount:
        """See Backend."""
        return _counted(int(await self._ask(lambda ticket: protocol.CountTokens(ticket, text))))

    async def count_prompt(self, prompt: Prompt) -> TokenCount:
        """See Backend."""
        return _counted(len((await self.view_prompt(prompt)).ids))

    async def what_if(self, request: WhatIfRequest) -> WhatIf:
        """See Backend."""
        answer = await self._ask(lambda ticket: protocol.AskWhatIf(ticket, request))
        assert isinstance(answer, WhatIf)
        return answer

    async def replay(self, request: ReplayRequest, progress: Progress = silent) -> Replay:
        """See Backend."""
        answer = await self._ask_long(lambda ticket: protocol.AskReplay(ticket, request), progress)
        assert isinstance(answer, Replay)
        return answer

    async def watch_reply(self, request: WatchRequest, progress: Progress = silent) -> WatchedReply:
        """See Backend."""
        answer = await self._ask_long(lambda ticket: protocol.AskWatch(ticket, request), progress)
        assert isinstance(answer, WatchedReply)
        return answer

    async def tokenize_continuation(self, prompt: Prompt, reply_ids: Sequence[int], text: str) -> Continuation:
        """See Backend."""
        answer = await self._ask(lambda ticket: protocol.AskContinuation(ticket, prompt, tuple(reply_ids), text))
        assert isinstance(answer, Continuation)
        return answer

    async def watched_words(self, words: Sequence[str]) -> tuple[WatchedWord, ...]:
        """See Backend."""
        named = await self._ask(lambda ticket: protocol.NameWords(ticket, tuple(words)))
        assert isinstance(named, tuple)
        return named

    async def score(self, request: ScoreRequest, progress: Progress = silent) -> Score:
        """See Backend."""
        answer = await self._ask_long(lambda ticket: protocol.AskScore(ticket, request), progress)
        assert isinstance(answer, Score)
        return answer

    async def _ask_long(self, make: Callable[[int], protocol.Request], progress: Progress) -> Any:
        """Ask what takes a while: cancelling this ends the work."""
        ticket = next(self._tickets)
        self._progresses[ticket] = progress
        self._share_work()
        try:
            return await self._ask(make, ticket)
        except asyncio.CancelledError:
            self._send(protocol.Withdraw(ticket))
            raise
        finally:
            del self._progresses[ticket]
            self._share_work()

    async def _ask(self, make: Callable[[int], protocol.Request], ticket: int | None = None) -> Any:
        if self.died.done():
            raise self.died.result()
        ticket = next(self._tickets) if ticket is None else ticket
        answer = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._send(make(ticket))
            return await answer
        finally:
            self._waiting.pop(ticket, None)

    def _resolve(self, ticket: int, value: object) -> None:
        future = self._waiting.get(ticket)
        if future is not None and not future.done():
            future.set_result(value)

    def _refuse(self, ticket: int, error: Exception) -> None:
        future = self._waiting.get(ticket)
        if future is not None and not future.done():
            future.set_exception(error)
