"""Running the cells of one model: as many at once as there is room for, the next as soon as one ends."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from playground.backends.base import Backend
from playground.domain.errors import (
    BudgetReached,
    EngineDied,
    KeyMissing,
    KeyRefused,
    PlaygroundError,
    Problem,
    as_error,
)
from playground.domain.events import Event, Failed, FellBack, Finished, Started, StopReason, TokenGenerated
from playground.domain.experiments import Cell, CellResult, Sweep
from playground.domain.messages import GenerationRequest
from playground.domain.models import ModelCard
from playground.domain.sampling import UNLIMITED
from playground.services.accounts import Accounts
from playground.services.runs import priced

if TYPE_CHECKING:
    from playground.services.history_sweep import Keep

_HOPELESS: Final = frozenset(cls.__name__ for cls in (EngineDied, KeyMissing, KeyRefused))
"""After one of these no other cell of the model can do better."""
_MOST_FAILURES: Final = 8
"""After so many failures in a row, and no reply yet, a model is given up."""
_streams: Final = itertools.count(1)


class Collector:
    """Takes the events of one cell."""

    def __init__(self, on_token: Callable[[], None]) -> None:
        self._on_token = on_token
        self._sent_at = time.monotonic()
        self._queued_ms = 0.0
        self.tokens: list[int | str] = []
        self.logprobs: list[float | None] = []
        self.logprob_sum = 0.0
        self.logprob_count = 0
        self.chunks = False
        """A server sent pieces of text that are no tokens."""
        self.words = False
        self.card: ModelCard | None = None
        """Of the model that took over, if one did."""
        self.finished: Finished | None = None
        self.problem: Problem | None = None

    def take(self, event: Event) -> None:
        """Take one event; an `EventSink`."""
        if isinstance(event, TokenGenerated):
            self.words = True
            token = event.token
            self._on_token()
            if token.logprob is not None:
                self.logprob_sum += token.logprob
                self.logprob_count += 1
            if not token.special:
                self.chunks |= token.chunk
                self.tokens.append(token.id if token.id is not None else token.piece.decode(errors="replace"))
                self.logprobs.append(token.logprob)
        elif isinstance(event, Started):
            self._queued_ms = (time.monotonic() - self._sent_at) * 1000
        elif isinstance(event, FellBack):
            self.card = event.card
        elif isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, Failed):
            self.problem = event.problem

    def leave_out_the_queue(self) -> None:
        """Count the reply's times from where work on it began: it waited for a place, not for the model."""
        if self.finished is not None:
            times = self.finished.timings
            least = times.prefill_ms or 0.0  # word of the begin may come late on a busy machine
            ttft, total = (
                None if one is None else max(least, one - self._queued_ms) for one in (times.ttft_ms, times.total_ms)
            )
            self.finished = replace(self.finished, timings=replace(times, ttft_ms=ttft, total_ms=total))

    def result(self, sweep: Sweep, cell: Cell) -> CellResult:
        """What came of the cell."""
        setting, done = sweep.settings[cell.setting], self.finished
        common = CellResult(
            id=cell.id,
            model=cell.model,
            prompt=sweep.prompts[cell.prompt].name,
            preset=setting.preset,
            values=setting.values,
            sample=cell.sample,
            seed=cell.params.seed,
            problem=self.problem,
        )
        if done is None:
            return common
        scored = self.logprob_count > 0
        return replace(
            common,
            text=done.text,
            reason=str(done.reason),
            detail=done.detail,
            usage=done.usage,
            timings=done.timings,
            tokens=None if self.chunks else tuple(self.tokens),
            logprob_sum=self.logprob_sum if scored else None,
            logprob_count=self.logprob_count,
            logprobs=tuple(self.logprobs) if sweep.keep_logprobs and scored else None,
            answered_by=self.card.id if self.card else "",
        )


class Room:
    """Lets requests into a context window that all share, as long as each can write to its limit there.

    Without this, a reply would be cut short because of what its neighbours wrote. A prompt that several have is
    counted once, where the model's memory can share it. `window` None: there is no such limit.
    """

    def __init__(self, window: int | None, shares: bool = True) -> None:
        self._window = window
        self._shares = shares
        self._prompts: Counter[tuple[int, int]] = Counter()
        """Index and tokens of the prompts that are in."""
        self._replies = 0
        self._changed = asyncio.Condition()

    async def enter(self, prompt: int, prompt_tokens: int, max_tokens: int) -> None:
        """Wait until a request has room; one that is alone is always let in."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._fits(prompt, prompt_tokens, max_tokens))
            self._prompts[prompt, prompt_tokens] += 1
            self._replies += self._reply(prompt_tokens, max_tokens)

    async def leave(self, prompt: int, prompt_tokens: int, max_tokens: int) -> None:
        """Give the room of a request back."""
        async with self._changed:
            self._prompts[prompt, prompt_tokens] -= 1
            self._replies -= self._reply(prompt_tokens, max_tokens)
            self._changed.notify_all()

    def _fits(self, prompt: int, prompt_tokens: int, max_tokens: int) -> bool:
        if self._window is None or not self._prompts.total():
            return True
        inside = self._prompts + Counter([(prompt, prompt_tokens)])
        prompts = sum(size * (1 if self._shares else times) for (_, size), times in inside.items())
        return prompts + self._replies + self._reply(prompt_tokens, max_tokens) <= self._window

    def _reply(self, prompt_tokens: int, max_tokens: int) -> int:
        if max_tokens != UNLIMITED:
            return max_tokens + 1
        return max(1, (self._window or 0) - prompt_tokens)


class ModelRun:
    """The cells of one model on its backend."""

    def __init__(
        self,
        sweep: Sweep,
        backend: Backend,
        cells: Iterable[Cell],
        accounts: Accounts,
        prompt_tokens: dict[int, int],
        *,
        on_result: Callable[[CellResult], None],
        on_token: Callable[[], None],
        anyway: bool,
        keep: Keep | None = None,
    ) -> None:
        """Prepare a run.

        Args:
            sweep: What all this belongs to.
            backend: The model, ready to be asked.
            cells: What is to be run, in this order.
            accounts: Prices and budget.
            prompt_tokens: Length of each prompt by its index.
            on_result: Is given what came of each cell; what it raises ends the run.
            on_token: Is called for every token.
            anyway: Go on beyond the budget.
            keep: Follows each cell for the history.
        """
        self._keep = keep
        self._sweep, self._backend, self._accounts = sweep, backend, accounts
        self._queue = deque(cells)
        self._prompt_tokens = prompt_tokens
        self._on_result, self._on_token, self._anyway = on_result, on_token, anyway
        local = backend.card.local
        info = getattr(backend, "info", None)
        self._room = Room(backend.card.n_ctx if local else None, shares=info is None or info.can_cut)
        self._running: set[int] = set()
        self._expected: dict[int, float | None] = {}
        """What the requests under way will cost, by stream."""
        self._replied = False
        self._failures = 0
        self._stopped = False
        self.error: PlaygroundError | None = None
        """Why the cells that are left were not run; None when nothing was given up."""

    async def run(self, at_once: int) -> None:
        """Run every cell, this many at once.

        A local model, loaded with as many places, is given as many again to keep: the next one takes a place in the
        very step in which it becomes free, and not after a way through the pipe and back.
        """
        sent = at_once * 2 if self._backend.card.local else at_once
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(sent, len(self._queue))):
                tasks.create_task(self._work())

    async def stop(self) -> None:
        """Begin nothing more and end what runs; its cells are left for another time."""
        self._stopped = True  # those that wait for room are in the queue no more
        self._queue.clear()
        for stream in list(self._running):
            await self._backend.stop(stream)

    async def _work(self) -> None:
        while self._queue:
            cell = self._queue.popleft()
            size, most = self._prompt_tokens.get(cell.prompt, 0), cell.params.max_tokens
            await self._room.enter(cell.prompt, size, most)
            try:
                if self._stopping(cell):
                    return
                await self._run(cell)
            finally:
                await self._room.leave(cell.prompt, size, most)

    def _stopping(self, cell: Cell) -> bool:
        """False when the cell can be run; the budget is looked at anew for each."""
        if self._stopped or self.error is not None:
            return True
        card = self._backend.card
        if card.local:
            return False
        size = self._prompt_tokens.get(cell.prompt, 0)
        expected = self._accounts.estimate(card, size, cell.params.max_tokens)
        try:
            self._accounts.spending.check_budget(*self._expected.values(), expected, anyway=self._anyway)
        except BudgetReached as error:
            self._give_up(error)
            return True
        return False

    async def _run(self, cell: Cell) -> None:
        stream, card = next(_streams), self._backend.card
        collector = Collector(self._on_token)
        request = GenerationRequest(
            stream=stream,
            prompt=self._sweep.prompts[cell.prompt].prompt,
            params=cell.params,
            submitted_at=time.monotonic(),
        )
        kept = self._keep(cell, request) if self._keep is not None else None
        size = self._prompt_tokens.get(cell.prompt, 0)
        self._running.add(stream)
        self._expected[stream] = self._accounts.estimate(card, size, cell.params.max_tokens)
        try:
            await self._backend.generate(request, collector.take if kept is None else kept.beside(collector.take))
        finally:
            self._running.discard(stream)
            del self._expected[stream]
        if card.local:
            collector.leave_out_the_queue()
        await self._settle(cell, collector, collector.card or card)
        if kept is not None:
            kept.end(collector.finished)

    async def _settle(self, cell: Cell, collector: Collector, card: ModelCard) -> None:
        if collector.finished is not None:
            collector.finished = priced(collector.finished, card, self._accounts.price)
            await self._accounts.settle(card, collector.finished)
            if collector.finished.reason is StopReason.CANCELLED:
                return
            self._replied, self._failures = True, 0
        elif collector.words:
            await self._accounts.settle_broken(card)
        if collector.problem is not None:
            self._failures += 1
            if collector.problem.kind in _HOPELESS or (self._failures >= _MOST_FAILURES and not self._replied):
                self._give_up(as_error(collector.problem))
        self._on_result(collector.result(self._sweep, cell))

    def _give_up(self, error: PlaygroundError) -> None:
        if self.error is None:
            self.error = error
        self._queue.clear()
