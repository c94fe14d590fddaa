"""`llm-playground history replay`: the run, its progress and its report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click
import msgspec

from playground.cli.run_output import say, write_json
from playground.cli.status_line import StatusLine
from playground.domain.display import display_line, visible_piece
from playground.domain.repeating import ReplayReport, Verdict
from playground.domain.tokens import Token, piece_text

if TYPE_CHECKING:
    from playground.services.model_pool import ModelPool
    from playground.services.replaying import ReplayPlan


def replay_number(number: int, ask: Callable[[str], None], *, as_json: bool) -> int:
    """Run a reply of the history again and report; returns the exit status. Raises PlaygroundError."""
    from playground.services.history import history_path, read_history
    from playground.services.model_pool import ModelPool
    from playground.services.replaying import plan_replay
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    for error in errors:
        say(error)
    entry = read_history(history_path(), lambda reader: reader.entry(number))
    tree = read_history(history_path(), lambda reader: reader.tree(entry.tree))
    pool = ModelPool(settings)
    plan = plan_replay(tree, entry, pool.find)
    if plan.hosted:
        spent = f"${entry.cost:.4f}" if entry.cost is not None else "an unknown amount"
        ask(
            f"{display_line(plan.model.text)} is hosted: it need not repeat itself, and the reply cost {spent}. "
            "Run it again?"
        )
    report = asyncio.run(_run(plan, pool))
    if as_json:
        write_json(_json(plan, report))
    else:
        for line in _lines(plan, report):
            click.echo(line)
    return 0 if report.verdict is Verdict.EQUAL else 1


async def _run(plan: ReplayPlan, pool: ModelPool) -> ReplayReport:
    from playground.services.replaying import replay

    status = StatusLine()
    try:
        return await replay(
            plan,
            pool,
            lambda fraction: status.show(f"loading the model … {fraction:4.0%}"),
            lambda done, total: status.show(f"running it again … {done} of {total} tokens"),
        )
    finally:
        status.clear()


def _lines(plan: ReplayPlan, report: ReplayReport) -> list[str]:
    lines = [display_line(sentence) for sentence in report.sentences]
    if plan.hosted:
        lines.append("A hosted model need not repeat itself, whatever the seed.")
    if report.difference is not None:
        lines += _candidates("then", report.difference.before)
        lines += _candidates("now", report.difference.now)
    return lines


def _candidates(when: str, token: Token | None) -> list[str]:
    if token is None or not token.top:
        return []
    lines = [f"{when}:"]
    for candidate in token.top:
        chosen = ">" if (candidate.id, candidate.piece) == (token.id, token.piece or token.special.encode()) else " "
        logprob = "–" if candidate.logprob is None else f"{candidate.logprob:9.5f}"
        prob = "–" if candidate.prob is None else f"{candidate.prob:8.4%}"
        lines.append(f"  {chosen} {visible_piece(candidate.piece):<20} log-probability {logprob:>9}  chance {prob:>8}")
    return lines


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
