"""The worker's loop: requests from a pipe, one engine step after another, answers into a pipe."""

from __future__ import annotations

import gc
import os
import queue
import threading
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from playground.domain.errors import EngineDied, PlaygroundError, Superseded
from playground.domain.events import Failed, Finished, Started, TokenGenerated
from playground.domain.messages import PromptView
from playground.domain.scoring import Score
from playground.domain.watching import WatchedWord
from playground.domain.what_if import Continuation, Replay, WatchedReply, WhatIf
from playground.engine.engine import Engine
from playground.engine.model import LoadedModel, open_model
from playground.engine.protocol import (
    Advanced,
    Answer,
    Answered,
    AskContinuation,
    AskReplay,
    AskScore,
    AskWatch,
    AskWhatIf,
    CountTokens,
    Found,
    Generate,
    Load,
    Loaded,
    LoadFailed,
    Loading,
    NameWords,
    Question,
    Refused,
    Request,
    SetParams,
    ShareCores,
    Stop,
    ViewPrompt,
    Withdraw,
    encode,
    request_reader,
)
from playground.engine.watch import watched_word

_HOLD_S: Final = 0.02
"""How long tokens may lie here before they are written: less than a frame of the screen.

Each write wakes the app up, on a processor that the model wants. Only tokens wait, and never a reply's first one.
"""


class Asked(NamedTuple):
    """A question that somebody waits for."""

    ticket: int
    emit: Callable[[Answer], None]

    def tell(self, answer: WhatIf | Replay | Score | WatchedReply | Continuation | PlaygroundError) -> None:
        """Send the answer."""
        if isinstance(answer, PlaygroundError):
            self.emit(Refused(self.ticket, answer.problem))
        else:
            self.emit(Found(self.ticket, answer))

    def advanced(self, done: int, total: int) -> None:
        """Say how far it is."""
        self.emit(Advanced(self.ticket, done, total))


class Worker:
    """Owns the model. A thread reads requests, so that a stop reaches a running decode."""

    def __init__(self, read: Callable[[], bytes], write: Callable[[bytes], None]) -> None:
        self._read = read
        self._write = write
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._outbox: list[bytes] = []
        self._written_at = 0.0
        self._silent: set[int] = set()
        """Streams that have begun and not brought a token yet."""
        self._newest: dict[int, int] = {}
        """Ticket of the last what-if of each asker that was read, answered or not."""
        self._model: LoadedModel | None = None
        self._engine: Engine | None = None

    def run(self) -> None:
        """Serve until the pipe is closed."""
        threading.Thread(target=self._receive, name="requests", daemon=True).start()
        while True:
            busy = self._engine is not None and self._engine.busy
            while not busy or not self._requests.empty():
                request = self._requests.get()
                if request is None:
                    return
                self._handle(request)
                busy = self._engine is not None and self._engine.busy
            if self._engine is not None:
                self._engine.step()
                if time.monotonic() - self._written_at >= _HOLD_S:
                    self._flush()

    def _receive(self) -> None:
        reader = request_reader()
        while data := self._read():
            for request in reader.feed(data):
                if isinstance(request, Stop) and self._engine is not None:
                    self._engine.request_stop(request.stream)
                elif isinstance(request, AskWhatIf):
                    self._newest[request.request.asker] = request.ticket
                self._requests.put(request)
        self._requests.put(None)

    def _emit(self, answer: Answer) -> None:
        self._outbox.append(encode(answer))
        if isinstance(answer, TokenGenerated) and answer.stream not in self._silent:
            return
        if isinstance(answer, Started):
            self._silent.add(answer.stream)
        elif isinstance(answer, TokenGenerated | Finished | Failed):
            self._silent.discard(answer.stream)
        self._flush()

    def _flush(self) -> None:
        if self._outbox:
            data, self._outbox = b"".join(self._outbox), []
            self._write(data)
            self._written_at = time.monotonic()

    def _handle(self, request: Request) -> None:
        match request:
            case Load():
                self._load(request)
            case Generate():
                self._need().submit(request.request)
            case Stop():
                self._need().request_stop(request.stream)
            case ShareCores():
                self._need().model.share_cores(request.workers)
            case AskWhatIf() | AskReplay() | AskScore() | AskWatch() | AskContinuation():
                self._ask(request)
            case Withdraw():
                self._need().questions.withdraw(request.ticket)
            case SetParams() | ViewPrompt() | CountTokens() | NameWords():
                try:
                    self._emit(Answered(request.ticket, self._answer(request)))
                except PlaygroundError as error:
                    self._emit(Refused(request.ticket, error.problem))

    def _answer(
        self, request: SetParams | ViewPrompt | CountTokens | NameWords
    ) -> PromptView | int | tuple[WatchedWord, ...] | None:
        engine = self._need()
        match request:
            case SetParams():
                engine.set_params(request.stream, request.params)
                return None
            case ViewPrompt():
                return engine.view_prompt(request.prompt, request.reply_ids)
            case CountTokens():
                return len(engine.model.tokenize(request.text, special=True, begin=False))
            case NameWords():
                return tuple(watched_word(engine.model, word) for word in request.words)

    def _ask(self, question: Question) -> None:
        asked, questions = Asked(question.ticket, self._emit), self._need().questions
        match question:
            case AskWhatIf(ticket, request) if self._newest[request.asker] != ticket:
                asked.tell(Superseded("A newer question took this one's place."))
            case AskWhatIf(_, request):
                questions.what_ifs.ask(request, asked.tell)
            case AskReplay(ticket, request):
                questions.replay(ticket, request, asked.tell, asked.advanced)
            case AskScore(ticket, request):
                questions.score(ticket, request, asked.tell, asked.advanced)
            case AskWatch(ticket, request):
                questions.watch(ticket, request, asked.tell, asked.advanced)
            case AskContinuation():
                asked.tell(questions.continuation(question.prompt, question.reply_ids, question.text))

    def _need(self) -> Engine:
        if self._engine is None:
            raise EngineDied("A request came before a model was loaded.")
        return self._engine

    def _load(self, request: Load) -> None:
        shown = -1.0

        def progress(fraction: float) -> bool:
            nonlocal shown
            if fraction - shown >= 0.01 or fraction >= 1.0:
                shown = fraction
                self._emit(Loading(fraction))
            return True

        try:
            self._model = open_model(request.path, request.options, progress)
        except PlaygroundError as error:
            self._emit(LoadFailed(error.problem))
            return
        # What is here now stays: the collector need not look at it again and again while tokens are made.
        gc.collect()
        gc.freeze()
        options = request.options
        self._engine = Engine(self._model, self._emit, batch=options.batch, streams=options.streams)
        self._emit(Loaded(self._model.info))


def serve() -> None:
    """Run a worker on this process's standard input and output.

    The real standard output is kept for frames alone: whatever else prints to file descriptor 1 lands in the log.
    """
    frames_in, frames_out = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def write(data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(frames_out, view) :]

    def read() -> bytes:
        data = os.read(frames_in, 1 << 16)
        if not data:
            # The app is gone. Nobody waits for the load, the decode or the template that may be under way.
            os._exit(0)
        return data

    try:
        Worker(read, write).run()
    except BrokenPipeError:
        return  # the app is gone; there is nobody left to tell
