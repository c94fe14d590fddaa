"""A local GGUF model in a worker process, spoken to over pipes.

llama.cpp may abort, or be killed for memory: then this side reports it and everything that was shown stays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

from playground.backends.base import Capabilities, EventSink, silent
from playground.backends.local_questions import AskingBackend
from playground.backends.worker_process import WorkerProcess
from playground.domain.errors import BadInput, EngineDied, OutOfMemory, as_error, tells_of_no_memory
from playground.domain.events import Event, Failed, Finished
from playground.domain.messages import GenerationRequest
from playground.domain.models import LoadOptions, ModelCard, ModelInfo
from playground.domain.sampling import SamplingParams
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
    what_if=True,
    score=True,
    watch=True,
)
_LOADING: Final = 0
"""Ticket of the load; the others count from 1."""
_computing: Final[set[LocalBackend]] = set()
"""Backends with a run under way. Their workers divide the cores among themselves."""


class LocalBackend(AskingBackend):
    """One model in one worker. Make it with `LocalBackend.load`."""

    def __init__(self) -> None:
        super().__init__()
        self._worker: WorkerProcess | None = None
        self._sinks: dict[int, tuple[EventSink, asyncio.Future[None]]] = {}
        self._progress: Callable[[float], None] = lambda _: None
        self._closing = False
        self._sharing = 1
        """How many workers compute, as this one was told."""
        self.info: ModelInfo | None = None

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
        self._share_work()
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
            self._share_work()

    async def stop(self, stream: int) -> None:
        """See Backend."""
        self._send(protocol.Stop(stream))

    async def close(self) -> None:
        """End the worker; what still waits for it is told that it is gone."""
        self._closing = True
        if self._worker is not None:
            await self._worker.close()

    def _send(self, request: protocol.Request) -> None:
        assert self._worker is not None
        self._worker.send(request)

    def _share_work(self) -> None:
        if self._sinks or self._progresses:
            _computing.add(self)
        else:
            _computing.discard(self)
        _share_cores()

    def _dispatch(self, answer: protocol.Answer) -> None:
        match answer:
            case protocol.Loading():
                self._progress(answer.fraction)
            case protocol.Loaded():
                self._resolve(_LOADING, answer.info)
            case protocol.LoadFailed():
                self._refuse(_LOADING, as_error(answer.problem))
            case protocol.Answered() | protocol.Found():
                self._resolve(answer.ticket, answer.value)
            case protocol.Advanced():
                self._progresses.get(answer.ticket, silent)(answer.done, answer.total)
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
