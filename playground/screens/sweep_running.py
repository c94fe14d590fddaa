"""Running a sweep behind whatever is on screen, on a machine that the panes use as well."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from playground.domain.errors import BadInput, PlaygroundError
from playground.screens.notices import tell_loss
from playground.services.private_folder import PrivateFolder

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.domain.experiments import Sweep
    from playground.screens.pane import Pane
    from playground.screens.sweep_behind import SweepBehind
    from playground.screens.token_screen import TokenScreen
    from playground.services.accounts import Accounts
    from playground.services.experiment_job import SweepJob
    from playground.services.history_keeping import HistoryKeeping
    from playground.services.model_pool import ModelPool

_BADGE_S: Final = 0.5
_STOP_S: Final = 3.0
"""How long a sweep has to end when it is told to, and again when it is cancelled because it did not."""


class SweepRunner:
    """Runs one sweep at a time; every reply is on the disk as it ends."""

    def __init__(self, screen: TokenScreen, behind: SweepBehind) -> None:
        """Nothing runs yet; `behind` tells of a sweep that nobody looks at."""
        self._screen = screen
        self._behind = behind
        self.job: SweepJob | None = None
        """The sweep that runs, or the last one."""
        self._private = PrivateFolder()
        self._task: asyncio.Task[None] | None = None
        self._together: dict[tuple[str, int], float] = {}
        """Tokens per second of all requests together, by model and how many there were at once."""

    @property
    def pool(self) -> ModelPool:
        """Where models are found."""
        return self._screen.pool

    @property
    def accounts(self) -> Accounts:
        """Prices, and what was spent."""
        return self._screen.accounts

    @property
    def running(self) -> bool:
        """True until the last of it is written, its replies in the history included."""
        return self._task is not None and not self._task.done()

    @property
    def busy_panes(self) -> list[Pane]:
        """Panes in which a model of this machine writes just now."""
        return [pane for pane in self._screen.all_panes if pane.session.busy and pane.card and pane.card.local]

    @property
    def sharing(self) -> str:
        """Why it is slower than it could be; empty when nothing else runs."""
        panes = [self._screen.deck.number(pane) for pane in self.busy_panes]
        if not panes:
            return ""
        which = f"pane {panes[0]} writes" if len(panes) == 1 else f"panes {', '.join(map(str, panes))} write"
        return f"The machine is shared: {which} as well, so both are slower."

    def speeds(self, at_once: int) -> dict[str, float]:
        """Tokens per second by model, as measured in this session.

        Of a sweep with as many requests at once, which is of all of them together; else of single replies in the panes.
        """
        found = {}
        for pane in self._screen.all_panes:
            speed = pane.session.figures.tokens_per_second
            if pane.slot.ref is not None and pane.card is not None and speed:
                logged = self.accounts.latency.summary(pane.card.id).tokens_per_second.p50
                found[pane.slot.ref.text] = logged or speed
        return found | {model: speed for (model, count), speed in self._together.items() if count == at_once}

    @property
    def loaded(self) -> dict[str, Backend]:
        """Models of this machine that are loaded in panes, by the name a sweep has for them."""
        found = {}
        for pane in self._screen.all_panes:
            ref, backend = pane.slot.ref, pane.runner.backend
            if ref is not None and not ref.endpoint and backend is not None and backend.card.local:
                found[ref.text] = backend
        return found

    @property
    def private(self) -> bool:
        """True while nothing is kept: a sweep that begins now goes with the program."""
        return self._screen.keeping.private

    async def prepare(self, sweep: Sweep) -> SweepJob:
        """A sweep that can be run, with what an earlier run has left unless it is a private one. Raises RunFailed."""
        from playground.services.experiment_job import SweepJob
        from playground.services.experiment_shelf import folder_of

        private = self.private
        folder = await asyncio.to_thread(self._private.renew) if private else folder_of(sweep)
        job = await asyncio.to_thread(SweepJob.begun, sweep, folder)
        job.private = private
        return job

    def run(self, job: SweepJob, *, at_once: int, anyway: bool) -> None:
        """Run what is left of a sweep. Raises BadInput while another one runs."""
        if self.running:
            raise BadInput("A sweep has not ended yet.", "There is one at a time: try again in a moment.")
        if job.folder != self._private.path:
            self._private.remove()
        self.job, self._behind.unseen = job, False
        job.expect_run()
        self._task = task = asyncio.create_task(self._run(job, at_once, anyway), name="sweep")

        async def follow() -> None:
            await task

        # The worker ends it with the program, and shows what nobody expected; whoever waits for the end has the task.
        work: Any = follow
        self._screen.run_worker(work, group="sweep")

    async def _run(self, job: SweepJob, at_once: int, anyway: bool) -> None:
        ticking = self._screen.set_interval(_BADGE_S, lambda: self._behind.show(job))
        try:
            async with await self._keeping() as keeping:
                await job.run(self.pool.settings, self.accounts, at_once=at_once, anyway=anyway, keeping=keeping)
        except PlaygroundError as error:
            job.errors.append(error)
        finally:
            ticking.stop()
            job.running = False
        if job.speed is not None and len(job.sweep.models) == 1:
            self._together[job.sweep.models[0], at_once] = job.speed
        self._behind.ended(job)

    async def _keeping(self) -> HistoryKeeping:
        """Its replies go where those of the panes go."""
        from playground.services.history_keeping import HistoryKeeping

        panes = self._screen.keeping
        private = panes.private or not await panes.ready()  # that it is not ready was said
        history = None if private else panes.file()
        tell = partial(tell_loss, self._screen)
        return HistoryKeeping(private=private, tell=tell, history=history, leave_out=lambda: panes.private)

    async def end(self) -> None:
        """Stop it, and wait until everything is written: for another sweep."""
        task, job = self._task, self.job
        if task is not None and job is not None and not task.done():
            await self._end(task, job)

    async def close(self) -> None:
        """The same for the end of the program: what is private goes."""
        await self.end()
        await asyncio.to_thread(self._private.remove)

    async def _end(self, task: asyncio.Task[None], job: SweepJob) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await job.stop()
                await asyncio.wait({task})
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=_STOP_S)
            self._behind.show(job)
