"""A reply from the history, run again for real: the model opened, the run made and paid, the two runs compared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from playground.domain.display import display_line
from playground.domain.errors import BudgetReached, ModelFileError, Problem, as_error
from playground.domain.events import Event, Failed, Finished, TokenGenerated
from playground.domain.models import ModelCard
from playground.domain.prices import usd_text
from playground.domain.repeating import ReplayReport, check_figures, compare_runs
from playground.domain.scoring import ScoreRequest
from playground.domain.tokens import Token
from playground.services.model_identity import hash_file
from playground.services.replay_plan import ReplayPlan
from playground.services.runs import priced
from playground.services.toml_files import one_line

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.services.accounts import Accounts
    from playground.services.model_pool import ModelPool

Told = Callable[[str, float], None]
"""Takes what is being done, in words, and how far that is, 0 to 1."""

HOSTED: Final = "A hosted model need not repeat itself, whatever the seed."


# -- money -------------------------------------------------------------------------------------------------------------


async def money_question(plan: ReplayPlan, accounts: Accounts) -> str:
    """What a person is to be asked before a reply is run again; empty where it costs nothing.

    The estimate takes the prompt and the reply to be as long as they were, and the prompt to be in no cache.
    """
    if not plan.hosted:
        return ""
    await accounts.load()
    cost = estimate(plan, accounts)
    if cost == 0.0:
        return ""
    before = plan.entry.cost
    then = f"${before:.4f} then" if before is not None else "an unknown amount"
    now = f"costs ≈{usd_text(cost)}" if cost is not None else "costs what nobody knows here"
    parts = [
        f"{display_line(plan.model.text)} is hosted: it need not repeat itself, and the reply cost {then}.",
        f"To run it again {now}.",
    ]
    try:
        accounts.spending.check_budget(cost)
    except BudgetReached as error:
        parts.append(error.message)
    return " ".join(parts)


def estimate(plan: ReplayPlan, accounts: Accounts) -> float | None:
    """US dollars that running a reply again would cost about; None when nobody knows."""
    usage, card = plan.usage, _card(plan)
    if usage is None or usage.prompt_tokens is None:
        return 0.0 if accounts.costs_nothing(card) else None  # free is free, however long it is
    return accounts.estimate(card, usage.prompt_tokens, usage.completion_tokens)


def _card(plan: ReplayPlan) -> ModelCard:
    return ModelCard(id=plan.model.text, short_name=plan.model.name, provider=plan.model.endpoint)


# -- running -----------------------------------------------------------------------------------------------------------


async def check_model(plan: ReplayPlan) -> None:
    """Compare the file's hash with the one that was kept. Raises ModelFileError when another file is there now."""
    wanted = plan.setting.model_hash
    if plan.model.endpoint or not wanted:
        return
    found = await hash_file(Path(plan.model.name))
    if found != wanted:
        raise ModelFileError(
            f"Another model is at {one_line(plan.model.name)} now: its SHA-256 begins with {found[:12]}, and the reply "
            f"was written by one that begins with {wanted[:12]}.",
            "Put the old file back to repeat the reply.",
        )


def _nobody(_what: str, _share: float) -> None:
    """Nobody wants to know how far it is."""


async def replay(
    plan: ReplayPlan, pool: ModelPool, tell: Told = _nobody, accounts: Accounts | None = None
) -> ReplayReport:
    """Open the model, run the request again and compare. Cancelling this ends the run.

    Args:
        plan: From `plan_replay`.
        pool: Where models come from; the model is given back at the end.
        tell: Told what is being done.
        accounts: Where a hosted run is booked; a person was asked before.

    Raises:
        ModelFileError: another file is there now.
        PlaygroundError: the model cannot be opened, or the run broke before its first token.
    """
    tell("looking whether it is the same file", 0.0)
    await check_model(plan)
    report = await _open_and_run(plan, pool, tell, accounts)
    if report.difference is None or not plan.cached or not plan.earlier:
        return report
    # A prompt that is computed at once has other last bits, and more, than one that was written token by token.
    again = await _open_and_run(plan, pool, tell, accounts, with_earlier=True)
    replies = "the earlier reply" if len(plan.earlier) == 1 else f"the {len(plan.earlier)} earlier replies"
    first = report.difference.index + 1
    if again.difference is not None and again.difference.index + 1 <= first:
        why = (
            f"{plan.cached:,} tokens of its prompt came from the cache then; running {replies} first did not bring the "
            "same figures back."
        )
        return msgspec.structs.replace(report, sentences=[*report.sentences, why])
    why = (
        f"For this {replies} ran first, so that {plan.cached:,} tokens of the prompt came from the cache, as they did "
        f"then. With the whole prompt computed at once, token {first:,} differs: the batch's shape changes figures."
    )
    return msgspec.structs.replace(again, sentences=[*again.sentences, why])


async def _open_and_run(
    plan: ReplayPlan, pool: ModelPool, tell: Told, accounts: Accounts | None, *, with_earlier: bool = False
) -> ReplayReport:
    """Open the model and run the request; before it, if so wanted, the earlier ones, whose outcome does not matter."""
    # Alone, as other streams would change the batch; and without a stand-in, which would be another model.
    backend = await pool.open(
        plan.model,
        lambda fraction: tell("loading the model", fraction),
        stand_in=plan.model,
        options=plan.setting.load,
        alone=True,
    )
    try:
        first = plan.earlier if with_earlier else []
        for number, request in enumerate(first):
            tell(f"it differs: running what came before it first, {number + 1} of {len(first)}", number / len(first))
            await backend.generate(request, lambda _event: None)
        return await run_again(plan, backend, tell, accounts)
    finally:
        await asyncio.shield(pool.close(backend))


async def run_again(
    plan: ReplayPlan, backend: Backend, tell: Told = _nobody, accounts: Accounts | None = None
) -> ReplayReport:
    """The same on a model that is open already. Raises PlaygroundError when the run broke before its first token."""
    if plan.by_hand:
        return await _look_again(plan, backend, tell)
    run = _Run(plan, tell)
    try:
        await backend.generate(plan.request, run.take)
    finally:
        cost = await asyncio.shield(run.book(accounts)) if accounts is not None and plan.hosted else 0.0
    task = asyncio.current_task()
    if task is not None and task.cancelling():  # in the middle of an answer some of what lies between ends it in order
        raise asyncio.CancelledError
    if run.problem is not None and not run.tokens:
        raise as_error(run.problem)
    ends = plan.ended, run.ended or "it broke"
    report = compare_runs(
        plan.before, run.tokens, plan.request, ends, cut_short=plan.cut_short, same_model=bool(plan.setting.model_hash)
    )
    extra = [f"The run broke: {run.problem}"] if run.problem is not None else []
    extra += plan.notes
    if plan.hosted:
        extra += [HOSTED] if report.difference is not None else []
        extra += ["What this run cost is not known."] if cost is None else [f"This run cost {usd_text(cost)}."]
    return msgspec.structs.replace(report, sentences=[*report.sentences, *extra], now=run.tokens)


async def _look_again(plan: ReplayPlan, backend: Backend, tell: Told) -> ReplayReport:
    """The tokens of a reply that a person chose, each behind those before it. Raises PlaygroundError."""
    what = "looking at its tokens where they stand"
    tell(what, 0.0)
    ids = tuple(token.id for token in plan.before if token.id is not None)
    request = ScoreRequest(prompt=plan.request.prompt, reply_ids=ids, only_reply=True)
    score = await backend.score(request, lambda done, total: tell(what, done / max(1, total)))
    report = check_figures(plan.before, score.tokens, plan.by_hand, same_model=bool(plan.setting.model_hash))
    return msgspec.structs.replace(report, sentences=[*report.sentences, *plan.notes])


class _Run:
    """What comes of it."""

    def __init__(self, plan: ReplayPlan, tell: Told) -> None:
        self._plan = plan
        self._tell = tell
        self._finished: Finished | None = None
        self.tokens: list[Token] = []
        self.problem: Problem | None = None
        self._show()

    @property
    def ended(self) -> str:
        """Why it ended, in words; empty when it did not."""
        return self._finished.reason.sentence if self._finished is not None else ""

    def take(self, event: Event) -> None:
        """Keep what matters."""
        if isinstance(event, TokenGenerated):
            self.tokens.append(event.token)
            self._show()
        elif isinstance(event, Finished):
            self._finished = event
        elif isinstance(event, Failed):
            self.problem = event.problem

    def _show(self) -> None:
        done, before = len(self.tokens), self._plan.before
        counted = "pieces" if any(token.chunk for token in before) else "tokens"
        self._tell(f"running it again: {done:,} of {len(before):,} {counted}", min(1.0, done / len(before)))

    async def book(self, accounts: Accounts) -> float | None:
        """Enter it into the books, also where it was ended before its time; returns US dollars, None when unknown."""
        card = _card(self._plan)
        if self._finished is not None:
            finished = priced(self._finished, card, accounts.price)
            await accounts.settle(card, finished)
            return finished.usage.cost
        if not self.tokens:
            return 0.0
        await accounts.settle_broken(card)
        return None
