"""Continuous batching: every step decodes one batch in which all streams take part.

A decoding stream contributes its last token, a prefilling one a chunk of its prompt. The engine is synchronous and
knows no pipes; the worker drives it, and so do benchmarks and tests.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from typing import Final

from playground.domain.errors import PlaygroundError, PromptTooLong, RunFailed
from playground.domain.events import Failed, StopReason
from playground.domain.messages import GenerationRequest, Prompt, PromptView
from playground.domain.params import check
from playground.domain.sampling import SamplingParams
from playground.engine.capture import Distribution
from playground.engine.libllama import ABORTED, DECODED, NO_ROOM, Batch
from playground.engine.model import LoadedModel
from playground.engine.prompt import build_prompt
from playground.engine.questions import Questions
from playground.engine.sequences import SequencePool
from playground.engine.stream import Emit, Stream

_SHARED_CHUNK: Final = 128
"""Prompt tokens a step while others decode: a whole batch would make them wait as long as it takes."""


class Engine:
    """Runs streams on one loaded model. `request_stop` may be called from another thread, the rest may not."""

    def __init__(self, model: LoadedModel, emit: Emit, *, batch: int = 512, streams: int = 8) -> None:
        self.model = model
        self._emit = emit
        self._batch = Batch(batch)
        self._pool = SequencePool(model, streams)
        self.questions = Questions(model, self._pool, batch=batch, streams=streams)
        self._distribution = Distribution(model.info.n_vocab)
        self._waiting: list[Stream] = []
        self._running: list[Stream] = []
        self._in_batch: list[Stream] = []
        """Streams with tokens in the batch, in the order of their rows."""
        self._stopping: deque[int] = deque()
        self._prefilling: frozenset[int] = frozenset()

    @property
    def busy(self) -> bool:
        """True while any stream waits or runs, or a question has to be computed."""
        return bool(self._waiting or self._running or self.questions.busy)

    def redirect(self, emit: Emit) -> None:
        """Send the events of streams that are submitted from now on somewhere else."""
        self._emit = emit

    def forget(self) -> None:
        """Drop every cached prefix that no stream is using."""
        while self.questions.give_room() or self._pool.evict():
            pass

    def view_prompt(self, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
        """The exact prompt a request would send. Raises TemplateError."""
        return build_prompt(self.model, prompt, reply_ids)

    def submit(self, request: GenerationRequest) -> None:
        """Take a request; what is wrong with it is reported as a Failed event."""
        try:
            check(request.params)
            prompt = self.view_prompt(request.prompt, request.reply_ids)
            self._check_length(prompt)
            seed = request.params.seed if request.params.seed is not None else secrets.randbelow(2**32 - 1)
            self._waiting.append(Stream(self.model, request, prompt, seed, self._emit))
        except PlaygroundError as error:
            self._emit(Failed(stream=request.stream, problem=error.problem))

    def _check_length(self, prompt: PromptView) -> None:
        size, n_ctx = len(prompt.ids), self.model.context.n_ctx
        if size == 0:
            raise PromptTooLong("The prompt is empty.", "Write something first.")
        if size >= n_ctx:
            parts = prompt.parts
            raise PromptTooLong(
                f"The prompt has {size:,} tokens and the context window holds {n_ctx:,}.",
                f"Shorten it by {size - n_ctx + 1:,} or more (system {parts.system:,}, history {parts.history:,}, "
                f"message {parts.prompt:,}), or load the model with a larger context.",
            )

    def request_stop(self, stream: int) -> None:
        """End a stream at the next chance; a long prompt is broken off in the middle of its chunk."""
        self._stopping.append(stream)
        if stream in self._prefilling:
            self.model.context.abort.raise_()

    def set_params(self, stream: int, params: SamplingParams) -> None:
        """Change a stream's parameters from its next token on.

        Raises BadInput for a value out of range and a bias that is no token.
        """
        check(params)
        for candidate in (*self._waiting, *self._running):
            if candidate.id == stream:
                candidate.set_params(params)

    def step(self) -> None:
        """Decode one batch and choose a token for every stream whose prompt is done, and a piece for a question."""
        if self.questions.busy:
            self.questions.step(shared=bool(self._running))
        if self._stopping:
            self._handle_stops()
        if self._waiting:
            self._admit()
        self._fill_batch()
        if not self._batch.size:
            return
        context = self.model.context
        self._prefilling = frozenset([stream.id for stream in self._in_batch if stream.prefilling])
        if self._prefilling and not self._prefilling.isdisjoint(self._stopping):
            context.abort.raise_()
        result = context.decode(self._batch)
        if self._prefilling or result == ABORTED:
            self._prefilling = frozenset()
            context.abort.lower()
        if result == DECODED:
            self._sample()
        else:
            self._recover(result)

    def _handle_stops(self) -> None:
        while self._stopping:
            wanted = self._stopping.popleft()
            for stream in [s for s in (*self._waiting, *self._running) if s.id == wanted]:
                self._finish(stream, StopReason.CANCELLED)

    def _admit(self) -> None:
        if not self._pool.room:
            return
        for stream in list(self._waiting):
            if self._pool.awaited(stream.prompt.ids):
                continue
            got = self._pool.acquire(stream.prompt.ids)
            if got is None:
                return
            self._waiting.remove(stream)
            self._running.append(stream)
            stream.start(*got)

    def _fill_batch(self) -> None:
        self._batch.clear()
        self._in_batch.clear()
        prefilling = []
        # Every stream wants one row of logits for sure; what is left of them is for guesses.
        room = min(self.model.context.most_outputs, self._batch.capacity // 2) - len(self._running)
        for stream in self._running:
            if stream.prefilling:
                prefilling.append(stream)
            else:
                stream.guess(room // len(self._running))
                self._add(stream, self._batch.capacity)
        if prefilling:
            room = self._batch.capacity - self._batch.size
            room = min(room, _SHARED_CHUNK) if self._in_batch else room
            for stream in prefilling:
                room -= self._add(stream, room)

    def _add(self, stream: Stream, room: int) -> int:
        assert stream.slot is not None
        chunk = stream.pending
        room = min(room, self._batch.capacity - self._batch.size)
        last = len(chunk) <= room
        if not last:
            chunk = chunk[:room]
        if stream.draft and last:
            chunk = [*chunk, *stream.draft]
        if chunk:
            stream.row = self._batch.add(chunk, len(stream.slot.ids), stream.slot.sequence, want_last=last)
            if stream.draft and last:
                self._batch.want(stream.row - len(stream.draft))
            self._in_batch.append(stream)
        return len(chunk)

    def _sample(self) -> None:
        start = 0
        for stream in self._in_batch:
            count, start = stream.row - start + 1, stream.row + 1
            try:
                if stream.draft:
                    reason = stream.sample_draft(self._distribution, self._pool.cut)
                else:
                    stream.decoded(count)
                    if stream.pending:
                        continue
                    reason = stream.sample(self.model.context.logits(stream.row), self._distribution)
            except PlaygroundError as error:
                self._fail(stream, error)
                continue
            if reason is not None:
                self._finish(stream, reason)

    def _recover(self, result: int) -> None:
        """A batch did not go through: take back what part of it did, then make room or give up."""
        for stream in self._in_batch:
            assert stream.slot is not None
            if not self._pool.cut(stream.slot, len(stream.slot.ids)):
                stream.restart()
        if result == ABORTED:
            return
        if result == NO_ROOM:
            guessing = [stream for stream in self._in_batch if stream.draft]
            for stream in guessing:
                stream.may_guess = False
            if guessing:
                return
            if not self._make_room():
                longest = max(self._running, key=lambda s: len(s.prompt.ids) + len(s.generated))
                self._finish(longest, StopReason.CONTEXT)
            return
        for stream in list(self._running):
            self._fail(stream, RunFailed(f"llama.cpp could not compute a batch (code {result}).", "Reload the model."))

    def _make_room(self) -> bool:
        """Give up what no stream needs, least of all questions under way; False when there is nothing left."""
        return self.questions.give_room() or self._pool.evict() or self.questions.break_off()

    def _finish(self, stream: Stream, reason: StopReason) -> None:
        self._drop(stream)
        stream.finish(reason)

    def _fail(self, stream: Stream, error: PlaygroundError) -> None:
        self._drop(stream)
        stream.sampler.free()
        self._emit(Failed(stream=stream.id, problem=error.problem))

    def _drop(self, stream: Stream) -> None:
        if stream in self._waiting:
            self._waiting.remove(stream)
            return
        self._running.remove(stream)
        if stream.slot is not None:
            self._pool.release(stream.slot)
