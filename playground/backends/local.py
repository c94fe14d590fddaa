"""A local GGUF model in a worker process, spoken to over pipes.

llama.cpp may abort, or be killed for memory: then this side reports it and everything that was shown stays.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from playground.backends.base import Backend, Capabilities, EventSink
from playground.backends.worker_process import WorkerProcess
from playground.domain.errors import BadInput, EngineDied, OutOfMemory, as_error, tells_of_no_memory
from playground.domain.events import Event, Failed, Finished
from playground.domain.messages import GenerationRequest, Prompt, PromptView
from playground.domain.models import LoadOptions, ModelCard, ModelInfo
from playground.domain.sampling import SamplingParams
from playground.domain.usage import TokenCount
from playground.engine import protocol

_CAPABILITIES: Final = Capabilities(
    params=frozenset(SamplingParams.__struct_fields__),
    logprobs="full",
    stages=True,
    live_params=True,
    exact_count=True,
    fork=True,
    continue_reply=True,
    raw=True,
    view_prompt=True,
)
_counted: Final = partial(TokenCount, exact=True, method="tokenizer")
_LOADING: Final = 0
"""Ticket of the load; the others count from 1."""
_computing: Final[set[LocalBackend]] = set()
"""Backends with a run under way. Their workers divide the cores among themselves."""


class LocalBackend(Backend):
    """One model in one worker. Make it with `LocalBackend.load`."""

    def __init__(self) -> None:
        self._worker: WorkerProcess | None = None
        self._sinks: dict[int, tuple[EventSink, asyncio.Future[None]]] = {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tickets = itertools.count(1)
        self._progress: Callable[[float], None] = lambda _: None
        self._closing = False
        self._sharing = 1
        """How many workers compute, as this one was told."""
        self.info: ModelInfo | None = None
        self.died: asyncio.Future[EngineDied] = asyncio.get_running_loop().create_future()
        """Resolves when the worker ends by itself."""

    @classmethod
    async def load(
        cls,
        path: str,
        options: LoadOptions,
        log_folder: Path,
        progress: Callable[[float], None] = lambda _: None,
    ) -> LocalBackend:
        """Start a worker and load a model into it. Cancelling this ends the worker.

        Raises:
            ModelFileError: the file is missing, damaged or no text model.
            OutOfMemory: weights or context do not fit.
            EngineDied: the worker ended while loading.
            BadInput: the path is not text.
        """
        backend = cls()
        backend._progress = progress
        answer = backend._waiting[_LOADING] = asyncio.get_running_loop().create_future()
        worker = backend._worker = await WorkerProcess.start(backend._dispatch, log_folder)
        worker.ended.add_done_callback(lambda _: backend._end())
        try:
            worker.send(protocol.Load(path, options))
            backend.info = await answer
        except BaseException:
            await backend.close()
            raise
        finally:
            del backend._waiting[_LOADING]
        return backend

    @property
    def capabilities(self) -> Capabilities:
        """Everything: the logits are ours."""
        return _CAPABILITIES

    @property
    def card(self) -> ModelCard:
        """See Backend."""
        assert self.info is not None, "the model is loaded"
        return self.info.card

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        assert self._worker is not None
        return self._worker.pid

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """See Backend."""
        if self.died.done():
            sink(Failed(stream=request.stream, problem=self.died.result().problem))
            return
        done = asyncio.get_running_loop().create_future()
        self._sinks[request.stream] = (sink, done)
        _computing.add(self)
        _share_cores()
        try:
            self._send(protocol.Generate(request))
            await done
        except BadInput as error:
            sink(Failed(stream=request.stream, problem=error.problem))
        except asyncio.CancelledError:
            self._send(protocol.Stop(request.stream))
            raise
        finally:
            self._sinks.pop(request.stream, None)
            if not self._sinks:
                _computing.discard(self)
                _share_cores()

    async def stop(self, stream: int) -> None:
        """See Backend."""
        self._send(protocol.Stop(stream))

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

    async def close(self) -> None:
        """End the worker; what still waits for it is told that it is gone."""
        self._closing = True
        if self._worker is not None:
            await self._worker.close()

    def _send(self, request: protocol.Request) -> None:
        assert self._worker is not None
        self._worker.send(request)

    async def _ask(self, make: Callable[[int], protocol.Request]) -> Any:
        if self.died.done():
            raise self.died.result()
        ticket = next(self._tickets)
        answer = self._waiting[ticket] = asyncio.get_running_loop().create_future()
        try:
            self._send(make(ticket))
            return await answer
        finally:
            self._waiting.pop(ticket, None)

    def _dispatch(self, answer: protocol.Answer) -> None:
        match answer:
            case protocol.Loading():
                self._progress(answer.fraction)
            case protocol.Loaded():
                self._resolve(_LOADING, answer.info)
            case protocol.LoadFailed():
                self._refuse(_LOADING, as_error(answer.problem))
            case protocol.Answered():
                self._resolve(answer.ticket, answer.value)
            case protocol.Refused():
                self._refuse(answer.ticket, as_error(answer.problem))
            case _:
                self._deliver(answer)

    def _deliver(self, event: Event) -> None:
        receiver = self._sinks.get(event.stream)
        if receiver is None:
            return
        sink, done = receiver
        sink(event)
        if isinstance(event, Finished | Failed) and not done.done():
            done.set_result(None)

    def _resolve(self, ticket: int, value: object) -> None:
        future = self._waiting.get(ticket)
        if future is not None and not future.done():
            future.set_result(value)

    def _refuse(self, ticket: int, error: Exception) -> None:
        future = self._waiting.get(ticket)
        if future is not None and not future.done():
            future.set_exception(error)

    def _end(self) -> None:
        """The worker is gone: whoever waits is told why."""
        assert self._worker is not None
        how, detail = self._worker.how_it_ended(), self._worker.last_words()
        error = EngineDied(
            f"The model's process ended unexpectedly: {how}.",
            "What was written stays; reload the model to go on.",
            detail,
        )
        if self.info is None and tells_of_no_memory(detail):
            hint = "Choose a smaller model, a smaller context or a smaller KV cache type."
            self._refuse(
                _LOADING, OutOfMemory(f"The memory ran out while the model was loading ({how}).", hint, detail)
            )
        for stream, (sink, done) in list(self._sinks.items()):
            if not done.done():
                sink(Failed(stream=stream, problem=error.problem))
                done.set_result(None)
        for ticket in list(self._waiting):
            self._refuse(ticket, error)
        if not self._closing:
            self.died.set_result(error)


def _share_cores() -> None:
    """Tell every worker that computes how many of them do, unless it knows."""
    workers = len(_computing)
    for backend in _computing:
        if backend._sharing != workers:
            backend._sharing = workers
            backend._send(protocol.ShareCores(workers))
