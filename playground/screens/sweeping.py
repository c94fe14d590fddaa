"""Sweeps beside the conversation: setting one up, showing the one that runs, coming back to earlier ones."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from playground.domain.endpoints import REPLAY
from playground.screens.sweep_behind import SweepBehind
from playground.screens.sweep_running import SweepRunner

if TYPE_CHECKING:
    from pathlib import Path

    from textual.screen import Screen

    from playground.screens.sweep_draft import Asked, Draft
    from playground.screens.token_screen import TokenScreen
    from playground.services.experiment_job import SweepJob


def open_sweep(main: TokenScreen) -> None:
    """The entry of the list of experiments."""
    main.sweeping.open()


class Sweeping:
    """Opens what has to do with sweeps. A sweep goes on while its screen is closed."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._behind = SweepBehind(screen, self.open)
        self.runner = SweepRunner(screen, self._behind)
        """Runs them."""
        self._prefilled: Draft | None = None
        self._draft: Draft | None = None
        """What was typed the last time, and what had stood there to begin with."""

    def open(self) -> None:
        """The sweep that runs, or the one that has ended unseen; else a new one."""
        job = self.runner.job
        if job is not None and (job.running or self._behind.unseen):
            self.show(job)
        else:
            self.new()

    def new(self) -> None:
        """Set one up."""
        from playground.screens.sweep_draft import bases_of, first_draft
        from playground.screens.sweep_form import SweepForm

        screen, pane = self._screen, self._screen.pane
        pane.tuning.look_again(screen)
        bases = bases_of(pane, pane.tuning.presets)
        fresh = first_draft(pane, screen.editor.text, self._models())
        draft = fresh if self._draft is None else self._draft
        if self._draft is not None and fresh != self._prefilled:  # another prompt: what is asked of it stays
            draft = fresh._replace(ranges=draft.ranges, samples=draft.samples, seed=draft.seed, at_once=draft.at_once)
        self._prefilled = fresh
        form = SweepForm(self, draft, bases, pane.session.system, pane.session.mode == "raw")
        screen.app.push_screen(form, partial(self._asked, form))

    def _models(self) -> list[str]:
        """The active pane's model first, then those of the others."""
        active = self._screen.pane
        panes = sorted(self._screen.all_panes, key=lambda pane: pane is not active)
        refs = [pane.slot.ref for pane in panes if pane.slot.ref is not None and pane.slot.ref.endpoint != REPLAY]
        return list(dict.fromkeys(ref.text for ref in refs))

    def _asked(self, form: object, asked: Asked | None) -> None:
        from playground.screens.sweep_form import SweepForm

        assert isinstance(form, SweepForm)
        self._draft = form.draft
        if asked is not None:
            self._screen.attempt_later(partial(self._begin, asked), "sweep begin")

    async def _begin(self, asked: Asked) -> None:
        from playground.services.experiment_words import nothing_run_line

        job = await self.runner.prepare(asked.sweep)
        complete, job.expected_s = job.complete, asked.expected_s
        self.runner.run(job, at_once=asked.at_once, anyway=asked.anyway)
        self.show(job)
        if complete:
            self._screen.notify(nothing_run_line(job.sweep), timeout=6, markup=False)

    async def look(self, folder: Path) -> None:
        """Show a sweep of the disk. Raises BadInput."""
        from playground.services.experiment_job import SweepJob

        job = self.runner.job
        if job is not None and job.folder == folder:
            self.show(job)
        else:
            self.show(await asyncio.to_thread(SweepJob.look, folder))

    def show(self, job: SweepJob) -> None:
        """Its figures as they come."""
        from playground.screens.sweep_screen import SweepScreen

        if job is self.runner.job:
            self._behind.unseen = False
        self._screen.app.push_screen(SweepScreen(self, job), lambda _: self._behind.show(self.runner.job))
        self._behind.show(self.runner.job)

    def show_shelf(self, over: Screen[Any]) -> None:
        """The earlier ones; the one that is chosen takes the place of what asked for the list."""
        from playground.screens.sweep_shelf import SweepShelf

        async def open_it(folder: Path) -> None:
            if over.is_attached:
                over.dismiss(None)
            await self.look(folder)

        def chosen(folder: Path | None) -> None:
            if folder is not None:
                self._screen.attempt_later(partial(open_it, folder), "sweep look")

        self._screen.app.push_screen(SweepShelf(), chosen)

    async def end(self) -> None:
        """Before the models are given up: stop the one that runs."""
        await self.runner.close()
