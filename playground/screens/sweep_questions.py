"""What is asked before a sweep runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from playground.domain.errors import BudgetReached
from playground.domain.prices import usd_text
from playground.screens.choice_dialog import Answer, ChoiceDialog, Question

if TYPE_CHECKING:
    from textual.app import App

    from playground.screens.sweep_estimate import Outlook
    from playground.screens.sweep_running import SweepRunner
    from playground.services.experiment_job import Memory
    from playground.services.experiment_plans import SweepEstimate


async def may_begin(app: App[Any], runner: SweepRunner, outlook: Outlook) -> bool | None:
    """Ask what has to be asked. None: it is not to run; else whether the budget may be overdrawn."""
    if not await nothing_else_runs(app, runner):
        return None
    if outlook.memory is not None and not outlook.memory.enough and not await _has_room(app, outlook.memory):
        return None
    return await affordable(app, runner, outlook.estimate)


async def nothing_else_runs(app: App[Any], runner: SweepRunner) -> bool:
    """Ask whether the sweep that runs is to be stopped; once it has ended, or there is none, another one may run."""
    if runner.job is not None and runner.job.running:
        answers = [Answer("Stop it and run this one", "what it has done is kept, and it can go on later")]
        if not await _agreed(app, Question("A sweep is running", "There is one at a time.", answers)):
            return False
    await runner.end()  # one that has ended may still be written to the history
    return True


async def affordable(app: App[Any], runner: SweepRunner, estimate: SweepEstimate) -> bool | None:
    """Ask when a budget would be overdrawn; the answer as `may_begin` gives it."""
    try:
        runner.accounts.spending.check_budget(*estimate.costs)
    except BudgetReached as error:
        cost = "an unknown sum" if estimate.cost is None else f"≈{usd_text(estimate.cost)} at most"
        text = f"{error.message}\n\n{estimate.requests:,} requests cost {cost}."
        answers = [Answer("Run it all the same")]
        return True if await _agreed(app, Question("A budget would be overdrawn", text, answers)) else None
    return False


async def _has_room(app: App[Any], memory: Memory) -> bool:
    from playground.domain.sizes import size_text

    text = (
        f"The model needs about {size_text(memory.needed)} and room to work, and {size_text(memory.free)} are "
        "free. Loading it may push other programs out of memory, or end in an error."
    )
    return await _agreed(app, Question("There is little memory", text, [Answer("Run it all the same")]))


async def _agreed(app: App[Any], question: Question) -> bool:
    return await app.push_screen_wait(ChoiceDialog(question)) is not None
