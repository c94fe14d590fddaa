"""Teacher-forced passes: known tokens go through the model, and what it thinks at some of them is looked at.

A pass works in a sequence of its own, beside those of the streams. What a stream has computed of its tokens is shared,
and nothing of it is cut or lost. Each engine step brings one pass on by a piece, so that streams go on meanwhile.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final

from playground.domain.errors import PlaygroundError, PromptTooLong, RunFailed
from playground.domain.scoring import Score
from playground.domain.what_if import Replay, WatchedReply
from playground.engine.libllama import ABORTED, DECODED, NO_ROOM, Batch, Logits
from playground.engine.model import LoadedModel
from playground.engine.sequences import SequencePool, common_prefix

_SHARED_CHUNK: Final = 128
"""Tokens a step while streams decode: a whole batch would make them wait as long as it takes."""


Tell = Callable[[Score | Replay | WatchedReply | PlaygroundError], None]
Progress = Callable[[int, int], None]


class Pass(ABC):
    """Tokens to be computed, and what to do with the logits of those from `first` on."""

    def __init__(self, ids: Sequence[int], first: int) -> None:
        self.ids = ids
        self.first = first
        """Position of the first token whose logits are wanted; they tell what follows it."""
        self.next_read = first
        """Position of the next token whose logits are to be read: none is read twice by a pass that begins again."""
        self.unread = 0
        """Tokens at the end of the text that need not be computed, as nothing behind them is wanted."""
        self.cached = 0
        """How many of the tokens were there already."""

    @abstractmethod
    def read(self, position: int, logits: Logits) -> None:
        """Take the logits of the token at `position`: a view that is valid during this call."""

    @abstractmethod
    def finish(self) -> None:
        """All tokens are through."""

    @abstractmethod
    def fail(self, error: PlaygroundError) -> None:
        """It did not work."""

    def dropped(self) -> None:  # noqa: B027 - most passes keep nothing
        """It is no longer wanted; nobody waits for its result."""

    def advanced(self, done: int, total: int) -> None:  # noqa: B027 - most passes have nobody to tell
        """So many of the tokens to compute are through."""


class Told(Pass):
    """A pass with somebody who waits for its result and wants to know how far it is."""

    def __init__(self, ids: Sequence[int], first: int, tell: Tell, progress: Progress) -> None:
        super().__init__(ids, first)
        self.tell = tell
        self._progress = progress

    def fail(self, error: PlaygroundError) -> None:
        """See Pass."""
        self.tell(error)

    def advanced(self, done: int, total: int) -> None:
        """See Pass."""
        self._progress(done, total)


class Lane:
    """One sequence and the passes that wait for it, one after another."""

    def __init__(self, model: LoadedModel, pool: SequencePool, sequence: int, capacity: int) -> None:
        self._model = model
        self._context = model.context
        self._pool = pool
        self._sequence = sequence
        self._batch = Batch(capacity)
        self._queue: list[Pass] = []
        self._started = False
        self._held: list[int] = []
        """Tokens whose keys and values this lane's sequence holds."""
        self._context.remove(sequence, 0)

    @property
    def busy(self) -> bool:
        """True while a pass waits or runs."""
        return bool(self._queue)

    def submit(self, wanted: Pass) -> None:
        """Take a pass. Raises PromptTooLong when the context window cannot hold its tokens."""
        size, n_ctx = len(wanted.ids), self._context.n_ctx
        if size > n_ctx:
            last = " (the last one takes no room)" if wanted.unread else ""
            raise PromptTooLong(
                f"The text has {size + wanted.unread:,} tokens and the context window holds {n_ctx:,}.",
                f"Shorten it by {size - n_ctx:,} or more{last}, or load the model with a larger context.",
            )
        self._queue.append(wanted)

    def holds(self, one: Pass) -> bool:
        """True while this pass waits or runs."""
        return one in self._queue

    def drop(self, unwanted: Pass) -> None:
        """Forget a pass that is no longer wanted, with what was computed for it: see `_leave_no_holes`."""
        if unwanted in self._queue:
            if self._started and unwanted is self._queue[0]:
                self._clear()
                self._started = False
            self._queue.remove(unwanted)
            unwanted.dropped()

    def give_room(self) -> bool:
        """Empty the sequence if no pass needs it; False when that frees nothing."""
        if self._started or not self._held:
            return False
        self._clear()
        return True

    def break_off(self) -> bool:
        """End the pass under way for want of room; False when there is none."""
        if not self._started:
            return False
        self._end(self._no_room())
        return True

    def step(self, *, shared: bool) -> None:
        """Bring the first pass on by a piece; a smaller one while streams share the processor."""
        current = self._queue[0]
        if not self._started:
            self._start(current)
        done = len(self._held)
        chunk, rows = self._next_chunk(current, done, shared=shared)
        self._batch.clear()
        last = self._batch.add(chunk, done, self._sequence, want_last=rows > 0)
        if rows > 1:
            self._batch.want(last - rows + 1)
        result = self._context.decode(self._batch)
        if result != DECODED:
            self._recover(result)
            return
        self._held += chunk
        try:
            for row in range(len(chunk) - rows, len(chunk)):
                if done + row >= current.next_read:
                    current.read(done + row, self._context.logits(row))
                    current.next_read = done + row + 1
        except PlaygroundError as error:
            self._end(error)
            return
        current.advanced(len(self._held) - current.cached, len(current.ids) - current.cached)
        if len(self._held) == len(current.ids) and self._queue[:1] == [current]:
            self._queue.pop(0)
            self._started = False
            self._leave_no_holes(current)
            current.finish()

    def _next_chunk(self, current: Pass, done: int, *, shared: bool) -> tuple[list[int], int]:
        """The tokens to compute next, and of how many of the last ones the logits are wanted."""
        most = min(self._batch.capacity, _SHARED_CHUNK) if shared else self._batch.capacity
        most = min(most, max(current.first - done, 0) + self._context.most_outputs)
        chunk = list(current.ids[done : done + most])
        return chunk, max(0, done + len(chunk) - max(current.first, done))

    def _start(self, current: Pass) -> None:
        """Take over what is computed already, from this sequence itself or from a stream's."""
        self._started = True
        most = min(current.first, len(current.ids) - 1)
        own = min(common_prefix(self._held, current.ids), most) if self._model.info.can_cut else 0
        if own >= self._pool.shareable(current.ids, most):
            self._keep(own)
        else:
            self._clear()
            self._held = self._pool.share(current.ids, most, self._sequence)
        current.cached = len(self._held)

    def _leave_no_holes(self, current: Pass) -> None:
        """Hold nothing that the streams hold as well.

        What is held lies between the streams' cells and leaves holes when it goes. A position that is computed again in
        such a hole is summed up in another order than when it was written, and on a small quantised model that moves
        probabilities by some hundredths. Without holes the figures are the same to the bit.
        """
        most = min(current.first, len(current.ids) - 1)
        if self._pool.shareable(current.ids, most) >= most:
            self._clear()

    def _keep(self, length: int) -> None:
        if length and self._context.remove(self._sequence, length):
            del self._held[length:]
        else:
            self._clear()

    def _clear(self) -> None:
        self._context.remove(self._sequence, 0)
        self._held = []

    def _recover(self, result: int) -> None:
        """A piece did not go through: take back what part of it did, then make room or give up."""
        if not self._context.remove(self._sequence, len(self._held)):
            self._clear()
            self._started = False
        if result == ABORTED:
            self._context.abort.lower()
        elif result != NO_ROOM:
            self._end(RunFailed(f"llama.cpp could not compute a batch (code {result}).", "Reload the model."))
        elif not self._pool.evict():
            self._end(self._no_room())

    def _no_room(self) -> RunFailed:
        return RunFailed(
            "The context window has no room for this beside the replies that are being written.",
            "Wait until they are done, or load the model with a larger context.",
        )

    def _end(self, error: PlaygroundError) -> None:
        self._clear()
        self._started = False
        self._queue.pop(0).fail(error)
