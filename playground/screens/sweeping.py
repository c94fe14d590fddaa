"""Sweeps beside the conversation: setting one up, running it behind whatever is on screen, coming back to it."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from playground.domain.display import display_text
from playground.domain.endpoints import REPLAY
from playground.domain.errors import BudgetReached, HistoryUnusable, PlaygroundError
from playground.domain.prices import usd_text
from playground.screens.choice_dialog import Answer, ChoiceDialog, Question

if TYPE_CHECKING:
    from pathlib import Path

    from textual.screen import Screen

    from playground.screens.pane import Pane
    from playground.screens.sweep_draft import Asked, Draft
    from playground.screens.sweep_estimate import Outlook
    from playground.screens.token_screen import TokenScreen
    from playground.services.accounts import Accounts
    from playground.services.experiment_job import SweepJob
    from playground.services.experiment_plans import SweepEstimate
    from playground.services.history_keeping import HistoryKeeping
    from playground.services.model_pool import ModelPool

GROUP: Final = "sweep"
"""Of the worker that runs one."""
_BADGE_S: Final = 0.5
_STOP_S: Final = 3.0
"""How long a model has, at the end of the program, to end its replies."""


def open_sweep(main: TokenScreen) -> None:
    """The entry of the list of experiments."""
    main.sweeping.open()


class Sweeping:
    """Runs one sweep at a time. It goes on while its screen is closed; every reply is on the disk as it ends."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self.job: SweepJob | None = None
        """The sweep that runs, or the last one."""
        self._unseen = False
        """True when it has ended behind the panes and nobody has looked since."""
        self._prefilled: Draft | None = None
        self._draft: Draft | None = None
        """What was typed the last time, and what had stood there to begin with."""
        self._together: dict[str, float] = {}
        """Tokens per second that the last sweep of each model had with all its requests."""

    @property
    def pool(self) -> ModelPool:
        """Where models are found."""
        return self._screen.pool

    @property
    def accounts(self) -> Accounts:
        """Prices, and what was spent."""
        return self._screen.accounts

    # -- the machine that is shared ----------------------------------------------------------------------------

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

    def speeds(self) -> dict[str, float]:
        """Tokens per second by model as measured in this session: of a sweep, else of the replies in the panes."""
        found = {}
        for pane in self._screen.all_panes:
            speed = pane.session.figures.tokens_per_second
            if pane.slot.ref is not None and pane.card is not None and speed:
                logged = self.accounts.latency.summary(pane.card.id).tokens_per_second.p50
                found[pane.slot.ref.text] = logged or speed
        return found | self._together

    # -- opening -----------------------------------------------------------------------------------------------

    def open(self) -> None:
        """The sweep that runs, or the one that has ended unseen; else a new one."""
        if self.job is not None and (self.job.running or self._unseen):
            self.show(self.job)
        else:
            self.new()

    def new(self) -> None:
        """Set one up."""
        from playground.screens.sweep_draft import bases_of, first_draft
        from playground.screens.sweep_form import SweepForm

        screen, pane = self._screen, self._screen.pane
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
        from playground.services.experiment_job import SweepJob
        from playground.services.experiment_shelf import folder_of

        job = await asyncio.to_thread(SweepJob.begun, asked.sweep, folder_of(asked.sweep))
        self.run(job, at_once=asked.at_once, anyway=asked.anyway)
        self.show(job)

    async def look(self, folder: Path) -> None:
        """Show a sweep of the disk. Raises BadInput."""
        from playground.services.experiment_job import SweepJob

        if self.job is not None and self.job.folder == folder:
            self.show(self.job)
        else:
            self.show(await asyncio.to_thread(SweepJob.look, folder))

    def show(self, job: SweepJob) -> None:
        """Its figures as they come."""
        from playground.screens.sweep_screen import SweepScreen

        if job is self.job:
            self._unseen = False
        self._screen.app.push_screen(SweepScreen(self, job), lambda _: self._badge())
        self._badge()

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

    # -- running -----------------------------------------------------------------------------------------------

    async def may_begin(self, outlook: Outlook) -> bool | None:
        """Ask what has to be asked. None: it is not to run; else whether the budget may be overdrawn."""
        memory = outlook.memory
        if self.job is not None and self.job.running:
            answers = [Answer("Stop it and run this one", "what it has done is kept, and it can go on later")]
            if await self._ask(Question("A sweep is running", "There is one at a time.", answers)) is None:
                return None
            await self.end()
        if memory is not None and not memory.enough:
            from playground.services.sizes import size_text

            text = (
                f"The model needs about {size_text(memory.needed)} and room to work, and {size_text(memory.free)} are "
                "free. Loading it may push other programs out of memory, or end in an error."
            )
            answers = [Answer("Run it all the same")]
            if await self._ask(Question("There is little memory", text, answers)) is None:
                return None
        return await self.affordable(outlook.estimate)

    async def affordable(self, estimate: SweepEstimate) -> bool | None:
        """Ask when a budget would be overdrawn; the answer as `may_begin` gives it."""
        try:
            self.accounts.spending.check_budget(*estimate.costs)
        except BudgetReached as error:
            cost = "an unknown sum" if estimate.cost is None else f"≈{usd_text(estimate.cost)} at most"
            text = f"{error.message}\n\n{estimate.requests:,} requests cost {cost}."
            answers = [Answer("Run it all the same")]
            return None if await self._ask(Question("A budget would be overdrawn", text, answers)) is None else True
        return False

    async def _ask(self, question: Question) -> int | None:
        return await self._screen.app.push_screen_wait(ChoiceDialog(question))

    def run(self, job: SweepJob, *, at_once: int, anyway: bool) -> None:
        """Run what is left of a sweep, behind whatever is on screen."""
        self.job, self._unseen, job.running = job, False, True
        work: Any = partial(self._run, job, at_once, anyway)
        self._screen.run_worker(work, group=GROUP)

    async def _run(self, job: SweepJob, at_once: int, anyway: bool) -> None:
        ticking = self._screen.set_interval(_BADGE_S, self._badge)
        try:
            async with await self._keeping() as keeping:
                await job.run(self.pool.settings, self.accounts, at_once=at_once, anyway=anyway, keeping=keeping)
        except PlaygroundError as error:
            job.errors.append(error)
        finally:
            ticking.stop()
        if job.speed is not None and len(job.sweep.models) == 1:
            self._together[job.sweep.models[0]] = job.speed
        self._badge()
        self._tell_end(job)

    async def _keeping(self) -> HistoryKeeping:
        """Its replies go where those of the panes go."""
        from playground.services.history_keeping import HistoryKeeping

        panes = self._screen.keeping
        private = panes.private or not await panes.ready()  # that it is not ready was said
        history = None if private else panes.file()
        return HistoryKeeping(private=private, tell=self._tell_loss, history=history, leave_out=lambda: panes.private)

    def _tell_loss(self, error: HistoryUnusable) -> None:
        text, title = display_text(error.hint), display_text(error.message)
        self._screen.notify(text, title=title, severity="warning", timeout=10, markup=False)

    async def end(self) -> None:
        """Stop it, and wait until that is done: for the end of the program, or for another sweep."""
        job = self.job
        if job is None or not job.running:
            return
        await job.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._screen.workers.wait_for_complete(
                    [worker for worker in self._screen.workers if worker.group == GROUP]
                )

    # -- behind the panes --------------------------------------------------------------------------------------

    def _on_screen(self) -> bool:
        from playground.screens.sweep_screen import SweepScreen

        return any(isinstance(screen, SweepScreen) for screen in self._screen.app.screen_stack)

    def _badge(self) -> None:
        """A row over the status bar while a sweep runs that is not on screen."""
        from playground.services.experiment_words import progress_line
        from playground.widgets.sweep_badge import SweepBadge

        if not self._screen.is_attached:
            return
        badges = self._screen.query(SweepBadge)
        wanted = self.job is not None and self.job.running and not self._on_screen()
        if not wanted or self.job is None:
            badges.remove()
        elif badges:
            badges.first().update(f"sweep {progress_line(self.job.progress)} · alt+f shows it")
        else:
            self._screen.mount(SweepBadge(self.open), before="#status")

    def _tell_end(self, job: SweepJob) -> None:
        if self._on_screen():
            return
        self._unseen = True
        text = f"{job.answered:,} of {job.progress.total:,} replies are there."
        text += f" {job.errors[0]}" if job.errors else ""
        self._screen.notify(
            display_text(f"{text} Alt+F, Sweep shows them."),
            title="The sweep is done" if job.complete else "The sweep has ended",
            severity="information" if job.complete else "warning",
            timeout=8,
            markup=False,
        )
