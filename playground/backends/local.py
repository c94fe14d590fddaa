"""A local GGUF model in a worker process, spoken to over pipes.

llama.cpp may abort, or be killed for memory: then this side reports it and everything that was shown stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from playground.backends.base import Backend, Capabilities, EventSink
from playground.domain.display import display_text
from playground.domain.errors import BadInput, EngineDied, OutOfMemory, as_error, tells_of_no_memory
from playground.domain.events import Event, Failed, Finished
from playground.domain.messages import GenerationRequest, Prompt, PromptView
from playground.domain.models import LoadOptions, ModelInfo
from playground.domain.sampling import SamplingParams
from playground.engine import protocol

_CAPABILITIES: Final = Capabilities(
    params=frozenset(SamplingParams.__struct_fields__),
    logprobs="full",
    stages=True,
    live_params=True,
    exact_count=True,
    fork=True,
)
_LOG_LINES: Final = 12
_LOG_BYTES: Final = 1 << 16
_PATIENCE_S: Final = 2.0
_LOADING: Final = 0
"""Ticket of the load; the others count from 1."""


class LocalBackend(Backend):
    """One model in one worker. Make it with `LocalBackend.load`."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log
        self._sinks: dict[int, tuple[EventSink, asyncio.Future[None]]] = {}
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tickets = itertools.count(1)
        self._progress: Callable[[float], None] = lambda _: None
        self._closing = False
        self.info: ModelInfo | None = None
        self.died: asyncio.Future[EngineDied] = asyncio.get_running_loop().create_future()
        """Resolves when the worker ends by itself."""
        self._reader = asyncio.create_task(self._read(), name="engine answers")

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
        """
        log = log_folder / f"engine-{os.getpid()}-{next(_log_numbers)}.log"
        with _open_log(log) as stderr:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a file in the current folder must not pass for one of our modules
                "-m",
                "playground.engine",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=1 << 20,
                process_group=0,  # Ctrl-C in the terminal is for the app alone
            )
        backend = cls(process, log)
        backend._progress = progress
        try:
            answer = asyncio.get_running_loop().create_future()
            backend._waiting[_LOADING] = answer
            backend._send(protocol.Load(path, options))
            backend.info = await answer
        except BaseException:
            await backend.close()
            raise
        return backend

    @property
    def capabilities(self) -> Capabilities:
        """Everything: the logits are ours."""
        return _CAPABILITIES

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """See Backend."""
        if self.died.done():
            sink(Failed(stream=request.stream, problem=self.died.result().problem))
            return
        done = asyncio.get_running_loop().create_future()
        self._sinks[request.stream] = (sink, done)
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

    async def count_tokens(self, text: str) -> int:
        """See Backend."""
        return int(await self._ask(lambda ticket: protocol.CountTokens(ticket, text)))

    async def close(self) -> None:
        """End the worker: first by closing its input, then by force."""
        self._closing = True
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _PATIENCE_S)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        await self._reader
        with contextlib.suppress(OSError):
            self._log.unlink()

    def _send(self, request: protocol.Request) -> None:
        try:
            frame = protocol.encode(request)
        except UnicodeEncodeError as error:
            broken = display_text(error.object[max(0, error.start - 10) : error.end + 10])
            raise BadInput(f"There is half a character in {broken!r}.", "Type that part again.") from error
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(frame)

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

    async def _read(self) -> None:
        assert self._process.stdout is not None
        frames = protocol.answer_reader()
        broken = ""
        try:
            while data := await self._process.stdout.read(1 << 18):
                for answer in frames.feed(data):
                    self._dispatch(answer)
        except msgspec.DecodeError as error:
            broken = f"its answers cannot be read ({error})"
            self._process.kill()
        await self._process.wait()
        self._end(broken)

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

    def _end(self, broken: str) -> None:
        """The worker is gone: whoever waits is told why."""
        how, detail = broken or _how(self._process.returncode), self._log_tail()
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

    def _log_tail(self) -> str:
        try:
            text = self._log.read_bytes()[-_LOG_BYTES:].decode("utf-8", errors="replace")
        except OSError:
            return ""
        # Where Python was when llama.cpp gave up says less than what llama.cpp said.
        said, _, _ = text.partition("Fatal Python error")
        return "\n".join(said.strip().splitlines()[-_LOG_LINES:] or text.splitlines()[:_LOG_LINES])


_log_numbers = itertools.count(1)


def _open_log(log: Path) -> BinaryIO:
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("wb")


def _how(status: int | None) -> str:
    if status is None or status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    reason = {"SIGKILL": ", as happens when memory runs out", "SIGABRT": ", llama.cpp gave up"}.get(name, "")
    return f"ended by {name}{reason}"
