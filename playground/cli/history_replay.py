"""`llm-playground history replay`: the run, its progress and its report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from playground.cli.run_output import say, write_json
from playground.cli.status_line import StatusLine
from playground.domain.display import display_line
from playground.domain.repeating import ReplayReport, Verdict
from playground.domain.replay_rows import HEAD, CandidateRow, candidate_rows, parting
from playground.domain.tokens import Token, piece_text

if TYPE_CHECKING:
    from playground.services.accounts import Accounts
    from playground.services.model_pool import ModelPool
    from playground.services.replay_plan import ReplayPlan

_TOKEN_CELLS: Final = 20


def replay_number(number: int, ask: Callable[[str], None], *, as_json: bool) -> int:
    """Run a reply of the history again and report; returns the exit status. Raises PlaygroundError."""
    from playground.services.accounts import Accounts
    from playground.services.history import history_path
    from playground.services.model_pool import ModelPool
    from playground.services.replay_plan import find_plan
    from playground.services.replaying import money_question
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    for error in errors:
        say(error)
    pool = ModelPool(settings)
    plan = find_plan(history_path(), number, pool.find)
    accounts = Accounts(settings, lambda: pool.endpoints)
    question = asyncio.run(money_question(plan, accounts))
    if question:
        ask(f"{question} Run it again?")
    report = asyncio.run(_run(plan, pool, accounts))
    if as_json:
        write_json(_json(plan, report))
    else:
        for line in _lines(plan, report):
            click.echo(line)
    return 0 if report.verdict in (Verdict.EQUAL, Verdict.CHECKED) else 1


async def _run(plan: ReplayPlan, pool: ModelPool, accounts: Accounts) -> ReplayReport:
    from playground.services.replaying import replay

    status = StatusLine()
    try:
        return await replay(plan, pool, lambda what, share: status.show(f"{what} … {share:4.0%}"), accounts)
    finally:
        status.clear()


def _lines(plan: ReplayPlan, report: ReplayReport) -> list[str]:
    lines = [display_line(sentence) for sentence in report.sentences]
    if report.difference is None:
        return lines
    given = plan.request
    text = parting(plan.before, report.now, report.difference, len(given.reply_ids), given.reply_text)
    lines += [f"before:  {text.before}", f"then:    {text.then}", f"now:     {text.now}"]
    rows = candidate_rows(report.difference)
    if rows:
        lines += ["", f"{'':{_TOKEN_CELLS}}   {'then':<19}   now", *map(_line, [HEAD, *rows])]
    return lines


def _line(row: CandidateRow) -> str:
    from playground.widgets.bars import fit

    marks = [">" if chosen else " " for chosen in (row.was_chosen, row.is_chosen)]
    runs = [f"{mark} {one[0]:>9} {one[1]:>8}" for mark, one in zip(marks, (row.then, row.now), strict=True)]
    return f"{fit(row.token, _TOKEN_CELLS)} {runs[0]} {runs[1]}  {row.change:>8}"


def _json(plan: ReplayPlan, report: ReplayReport) -> dict[str, Any]:
    difference = report.difference
    return {
        "id": plan.entry.id,
        "model": plan.model.text,
        "verdict": str(report.verdict),
        "equal_tokens": report.tokens,
        "index": difference.index if difference is not None else None,
        "then": _token(difference.before) if difference is not None else None,
        "now": _token(difference.now) if difference is not None else None,
        "gap": report.gap,
        "drift": report.drift,
        "report": report.sentences,
    }


def _token(token: Token | None) -> dict[str, Any] | None:
    if token is None:
        return None
    return {
        "id": token.id,
        "text": token.special or piece_text(token.piece),
        "logprob": token.logprob,
        "prob": token.prob,
        "rank": token.rank,
        "top": [{**msgspec.structs.asdict(one), "piece": piece_text(one.piece)} for one in token.top],
    }
