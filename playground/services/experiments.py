"""Running a sweep: local models one after another, each endpoint beside them, every result onto the disk at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from playground.backends.base import Backend
from playground.domain.endpoints import ModelRef
from playground.domain.errors import PlaygroundError
from playground.domain.experiments import Cell, CellResult, Sweep
from playground.domain.models import LoadOptions
from playground.services.accounts import Accounts
from playground.services.counting import TokenCounter
from playground.services.experiment_cells import ModelRun
from playground.services.experiment_store import CellFile
from playground.services.history_sweep import SweepHistory
from playground.services.model_pool import ModelPool
from playground.services.settings import Settings
from playground.services.spending import Spent

MOST_AT_ONCE: Final = 64


@dataclass
class SweepProgress:
    """How far a sweep is."""

    total: int
    """Cells of the whole sweep."""
    kept: int
    """Those that were there before."""
    done: int = 0
    """Those that were run now, failed ones among them."""
    failed: int = 0
    tokens: int = 0
    """Written now."""
    spent: Spent = field(default_factory=Spent)
    expected_s: float | None = None
    """Seconds that this run was expected to take before it began; None when nobody knew."""
    began_at: float | None = None
    """`time.monotonic()` of the first request."""
    loading: str = ""
    """What is being loaded, or empty."""

    @property
    def elapsed_s(self) -> float:
        """Seconds since the first request."""
        return 0.0 if self.began_at is None else time.monotonic() - self.began_at

    @property
    def tokens_per_second(self) -> float | None:
        """Of all requests together; None before there is a figure."""
        return self.tokens / self.elapsed_s if self.tokens and self.elapsed_s > 0.2 else None

    @property
    def left_s(self) -> float | None:
        """Seconds that are left, reckoned from the cells that were run now; before the first, from what was expected.

        None when nobody knows, as after a longer wait than was expected.
        """
        if not self.done:
            left_s = None if self.expected_s is None else self.expected_s - self.elapsed_s
            return left_s if left_s is not None and left_s > 0 else None
        return self.elapsed_s / self.done * (self.total - self.kept - self.done)


class SweepRun:
    """One run of a sweep, from the first cell that is not done to the last."""

    def __init__(
        self,
        sweep: Sweep,
        file: CellFile,
        pool: ModelPool,
        accounts: Accounts,
        *,
        at_once: int,
        anyway: bool = False,
        on_result: Callable[[CellResult], None] = lambda _: None,
        history: SweepHistory | None = None,
    ) -> None:
        """Prepare a run; `file` is open.

        Args:
            sweep: What is to be run.
            file: Where results go, and which are there already.
            pool: Opens the models; see `without_stand_ins`.
            accounts: Prices and budget.
            at_once: Requests at a time, on a local model and on each endpoint.
            anyway: Go on beyond the budget.
            on_result: Is given what came of each cell, after it is in the file.
            history: Keeps the replies whole.
        """
        self._sweep, self._file, self._pool, self._accounts = sweep, file, pool, accounts
        self._at_once, self._on_result, self._history = at_once, on_result, history
        self._anyway = anyway
        done = file.done()
        self.todo = [cell for cell in sweep.cells if cell.id not in done]
        self.progress = SweepProgress(total=len(sweep.cells), kept=len(sweep.cells) - len(self.todo))
        self.errors: list[PlaygroundError] = []
        """Why cells were left: a model that could not be opened or was given up, a budget, a full disk."""
        self.stopped = False
        self._runs: set[ModelRun] = set()
        self._stopping: asyncio.Future[None] | None = None
        self._opening: set[asyncio.Future[Backend]] = set()

    async def run(self) -> None:
        """Run what is left. What goes wrong with a model is in `errors`, with a cell in its result."""
        lanes: dict[str, list[tuple[ModelRef, list[Cell]]]] = {}
        for model in self._sweep.models:
            cells = [cell for cell in self.todo if cell.model == model]
            if cells:
                ref = await asyncio.to_thread(self._pool.find, model)
                lanes.setdefault(ref.endpoint, []).append((ref, cells))
        syncing = asyncio.create_task(self._file.keep_synced(), name="sync")
        try:
            await asyncio.gather(*(self._lane(models) for models in lanes.values()))
        finally:
            syncing.cancel()
            await asyncio.wait({syncing})

    async def stop(self) -> None:
        """End in good order: what is done is kept, what runs is left for another time."""
        self.stopped = True
        for opening in self._opening:
            opening.cancel()
        for run in list(self._runs):
            await run.stop()

    async def _lane(self, models: Iterable[tuple[ModelRef, list[Cell]]]) -> None:
        for ref, cells in models:
            if self.stopped:
                return
            try:
                await self._model(ref, cells)
            except PlaygroundError as error:
                self.errors.append(error)

    async def _model(self, ref: ModelRef, cells: list[Cell]) -> None:
        backend = await self._open(ref)
        if backend is None:
            return
        try:
            keep = await self._history.meet(backend, self._options, cells) if self._history is not None else None
            run = ModelRun(
                self._sweep,
                backend,
                cells,
                self._accounts,
                await self._sizes(backend, cells),
                on_result=self._take,
                on_token=self._count,
                anyway=self._anyway,
                keep=keep,
            )
            self._runs.add(run)
            if self.progress.began_at is None:
                self.progress.began_at = time.monotonic()
            if not self.stopped:
                await run.run(self._at_once)
            self._runs.discard(run)
            if run.error is not None:
                self.errors.append(run.error)
        finally:
            await self._pool.close(backend)

    @property
    def _options(self) -> LoadOptions:
        """How local models are loaded."""
        return msgspec.structs.replace(self._pool.settings.load, streams=self._at_once)

    async def _open(self, ref: ModelRef) -> Backend | None:
        """The model; None when the sweep was stopped meanwhile."""
        opening = asyncio.ensure_future(self._pool.open(ref, lambda _: None, options=self._options))
        self._opening.add(opening)
        self.progress.loading = ref.text
        try:
            await asyncio.wait({opening})
        finally:
            self._opening.discard(opening)
            self.progress.loading = ""
        return None if opening.cancelled() else opening.result()

    async def _sizes(self, backend: Backend, cells: list[Cell]) -> dict[int, int]:
        """Tokens of each prompt; of a local model the exact number."""
        counter = TokenCounter(self._pool.endpoints)
        sizes = {}
        try:
            for at in dict.fromkeys(cell.prompt for cell in cells):
                prompt = self._sweep.prompts[at].prompt
                asked = backend if backend.card.local else None  # a server would be asked once a prompt
                sizes[at] = (await counter.count_prompt(asked, backend.card, prompt)).tokens
        finally:
            await counter.close()
        return sizes

    def _count(self) -> None:
        self.progress.tokens += 1

    def _take(self, result: CellResult) -> None:
        try:
            self._file.add(result)
        except PlaygroundError as error:
            self.errors.append(error)
            self._give_everything_up()
            return
        self.progress.done += 1
        self.progress.failed += result.problem is not None
        self.progress.spent = self.progress.spent.plus(result.usage.cost if result.problem is None else None)
        self._on_result(result)

    def _give_everything_up(self) -> None:
        if not self.stopped:
            self.stopped = True
            self._stopping = asyncio.ensure_future(self.stop())


def without_stand_ins(settings: Settings) -> Settings:
    """The same settings with nobody who takes over: a sweep must not take another model's answers for one's own."""
    endpoints = {name: msgspec.structs.replace(one, fallback="") for name, one in settings.endpoints.items()}
    hosted = msgspec.structs.replace(settings.hosted, fallback="")
    return msgspec.structs.replace(settings, endpoints=endpoints, hosted=hosted)
