"""One sweep for somebody who watches: its results so far, and the run that adds to them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import NamedTuple, Self

from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.experiment_live import LiveGroups
from playground.domain.experiments import Cell, CellResult, Sweep
from playground.domain.models import LoadOptions
from playground.services.accounts import Accounts
from playground.services.experiment_output import write_outputs
from playground.services.experiment_store import CellFile
from playground.services.experiments import SweepProgress, SweepRun, without_stand_ins
from playground.services.history_keeping import HistoryKeeping
from playground.services.history_sweep import SweepHistory
from playground.services.model_pool import ModelPool
from playground.services.settings import Settings


class SweepJob:
    """Belongs to one event loop; making one counts every cell, so that belongs in a thread."""

    def __init__(self, sweep: Sweep, folder: Path, results: Iterable[CellResult] = ()) -> None:
        """A sweep whose results lie in `folder`, with those that are known already."""
        self.sweep, self.folder = sweep, folder
        known = {cell.id for cell in sweep.cells}
        self.results = {result.id: result for result in results if result.id in known}
        self.live = LiveGroups(sweep, self.results.values())
        self.failed = sum(result.problem is not None for result in self.results.values())
        """Cells whose last try failed; they are run again."""
        self.answered = len(self.results) - self.failed
        """Cells that have a reply."""
        self.progress = SweepProgress(total=len(sweep.cells), kept=self.answered)
        self.errors: list[PlaygroundError] = []
        """Why the last run has left cells."""
        self.files: list[Path] = []
        """What was written at its end, beside the cells."""
        self.at_once = 0
        """Requests at a time in the last run; 0 before there was one."""
        self.private = False
        """True when the folder goes with the program."""
        self.running = False
        self.speed: float | None = None
        """Tokens per second of all requests together in the run that ended last."""
        self.took_s = 0.0
        """Seconds from its first request to its end."""
        self.expected_s: float | None = None
        """Seconds that the next run will take, as far as anybody knows before its first reply."""
        self._run: SweepRun | None = None
        self._stop_wanted = False

    @classmethod
    def look(cls, folder: Path) -> Self:
        """A sweep of the disk, whoever is running it. Raises BadInput."""
        file = CellFile.look(folder)
        if file.plan is None:
            raise BadInput(f"{folder.name} was never begun.", "Begin a new sweep.")
        return cls(file.plan, folder, file.results.values())

    @classmethod
    def begun(cls, sweep: Sweep, folder: Path) -> Self:
        """A plan, with what an earlier run of it has left in its folder."""
        try:
            results = CellFile.look(folder).results
        except BadInput:
            results = {}
        return cls(sweep, folder, results.values())

    @property
    def todo(self) -> list[Cell]:
        """What has no reply yet."""
        return [cell for cell in self.sweep.cells if not self._answered(cell.id)]

    @property
    def complete(self) -> bool:
        """True when every cell has a reply."""
        return self.answered == len(self.sweep.cells)

    @property
    def stopping(self) -> bool:
        """True from the wish to stop until it has stopped."""
        return self.running and (self._stop_wanted or (self._run is not None and self._run.stopped))

    def _answered(self, name: str) -> bool:
        return name in self.results and self.results[name].problem is None

    def expect_run(self) -> None:
        """Say that a run is about to begin: from here on it counts as running, and can be stopped."""
        self.running, self.errors, self._stop_wanted = True, [], False

    async def run(
        self,
        settings: Settings,
        accounts: Accounts,
        *,
        at_once: int,
        anyway: bool = False,
        keeping: HistoryKeeping | None = None,
    ) -> None:
        """Run what is left; what came of it is in the folder, `errors` says why some of it is still left.

        Nothing is run when it was stopped between `expect_run` and here.

        Args:
            settings: How models are opened.
            accounts: Prices and budget.
            at_once: Requests at a time.
            anyway: Go on beyond the budget.
            keeping: Where its replies are kept whole.

        Raises:
            BadInput: another program runs this sweep.
            RunFailed: the disk takes no more.
        """
        if not self.running:
            self.expect_run()
        self.at_once = at_once
        pool = ModelPool(without_stand_ins(settings))
        try:
            async with _opened(self.folder) as file:
                await self._begin(file)
                history = SweepHistory(self.sweep, keeping) if keeping is not None else None
                await self._follow(
                    SweepRun(
                        self.sweep,
                        file,
                        pool,
                        accounts,
                        at_once=at_once,
                        anyway=anyway,
                        on_result=self._take,
                        history=history,
                    )
                )
                self.files = await asyncio.to_thread(write_outputs, self.folder, self.sweep, dict(file.results))
        finally:
            await pool.close_all()
            self.running, self._run = False, None

    async def _begin(self, file: CellFile) -> None:
        """Put the plan down, and take what somebody else has added to the file."""
        file.begin(self.sweep)
        for result in await asyncio.to_thread(self._unknown, file):
            self._take(result)

    async def _follow(self, run: SweepRun) -> None:
        """Let a run go to its end, unless it was stopped before, and take what it has to tell."""
        self._run, self.progress = run, run.progress
        self.progress.expected_s = self.expected_s
        if not self._stop_wanted:
            await run.run()
        self.errors = run.errors
        self.speed, self.took_s = self.progress.tokens_per_second, self.progress.elapsed_s

    async def stop(self) -> None:
        """End the run in good order, also one that has only begun to begin: what is done is kept."""
        self._stop_wanted = self.running
        if self._run is not None:
            await self._run.stop()

    def _unknown(self, file: CellFile) -> list[CellResult]:
        """What somebody else has added since this was read. Looks at all results, so it belongs in a thread."""
        own = {cell.id for cell in self.sweep.cells}
        return [one for one in file.results.values() if one.id in own and self.results.get(one.id) != one]

    def _take(self, result: CellResult) -> None:
        before = self.results.get(result.id)
        for one, step in ((before, -1), (result, 1)):
            if one is not None:
                self.failed += step * (one.problem is not None)
                self.answered += step * (one.problem is None)
        self.results[result.id] = result
        self.live.add(result)


@contextlib.asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[CellFile]:
    """The file of a sweep, open for writing; it is read in a thread, because a large one takes a while."""
    file = CellFile(folder)
    opening = asyncio.ensure_future(asyncio.to_thread(file.__enter__))
    try:
        yield await asyncio.shield(opening)
    finally:
        await asyncio.wait({opening})  # a thread cannot be cancelled: what it opens has to be closed
        file.__exit__(None, None, None)


class Memory(NamedTuple):
    """What the largest local model of a sweep takes, in bytes."""

    model: str
    needed: int
    free: int
    enough: bool


async def memory_for(refs: Iterable[ModelRef], options: LoadOptions) -> Memory | None:
    """The local model that needs most, against what is free: they are loaded one after another.

    None when there is none whose header tells. Reads headers in a thread.
    """
    from playground.engine.memory import estimate_memory

    found = []
    for ref in refs:
        if not ref.endpoint:
            try:
                one = await asyncio.to_thread(estimate_memory, ref.name, options)
            except PlaygroundError:
                continue  # loading it says what is wrong
            found.append(Memory(ref.name, one.weights_bytes + one.kv_bytes, one.free_bytes, one.enough))
    return max(found, key=lambda one: (not one.enough, one.needed), default=None)
