"""`llm-playground compare`: one prompt, several models or presets, one table."""

from __future__ import annotations

import asyncio
import csv
import io
import secrets
import signal
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from playground.cli.options import models_option, presets_option, private_option
from playground.cli.run_output import INTERRUPTED, say, write_json
from playground.cli.status_line import StatusLine
from playground.cli.tables import print_table, shortened, terminal_width
from playground.domain.counts import count_of
from playground.domain.display import display_line, display_text
from playground.domain.errors import BudgetReached, HistoryUnusable

if TYPE_CHECKING:
    from playground.domain.compare_rows import CompareRow
    from playground.services.model_comparison import Candidate, ModelComparison, Outcome
    from playground.services.settings import Settings

_Form = Literal["table", "json", "csv", "markdown"]
_ON_A_PIPE: Final = 160
"""Cells of a reply's beginning that no terminal shows."""
_TEXTS: Final = {1: 24, 2: 8, 10: 8}
"""Columns of the table that hold no figures, model, preset and end, and how far they are cut."""
_LEAST: Final = (6, 9, 5, 10)
"""Columns that a narrow terminal goes without: cached, perplexity, in, end."""


@click.command("compare")
@click.option("--prompt", "-p", metavar="TEXT|-", required=True, help="The prompt; - reads standard input.")
@models_option("GGUF file, part of the name of one on disk, or ENDPOINT/MODEL; repeatable.")
@presets_option("Sampling preset; repeatable: each model is asked with each.")
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="A sampling parameter; repeatable.")
@click.option("--seed", type=int, default=None, help="Seed, the same for all; without one, a drawn one.")
@click.option("--max-tokens", type=int, default=None, help="End each reply after this many tokens.")
@click.option("--system", metavar="TEXT", default=None, help="System prompt.")
@click.option("--raw", is_flag=True, help="Send the text as it is: special tokens parsed, no chat template.")
@click.option("--full", is_flag=True, help="Print the replies whole.")
@click.option("--yes", "-y", is_flag=True, help="Send it even where a budget would be overdrawn.")
@private_option
@click.option("--json", "form", flag_value="json", help="One JSON object for each reply, with its text.")
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values, with the replies.")
@click.option("--markdown", "form", flag_value="markdown", help="A Markdown table; with --full the replies below.")
def compare_command(form: _Form | None, full: bool, yes: bool, **given: Any) -> None:
    """Send one prompt to several models, or with several presets, and put figures and replies side by side.

    Models on servers are asked at once, those on this machine one after another, so that they do not slow each other
    down. One that fails has a line with the reason, and the exit status is 1. What servers will cost is estimated
    beforehand and held against the budgets in the settings.

    \b
    Examples:
      llm-playground compare --prompt "Why is the sky blue?" --model SmolLM2 --model Qwen3
      llm-playground compare --prompt "A haiku." --preset balanced --preset creative --full
      llm-playground compare -p - -m SmolLM2 -m anthropic/claude-haiku-4-5 --max-tokens 200 --csv < question.txt
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    try:
        status = asyncio.run(_compare(form or "table", full, yes, given))
    except BudgetReached as error:
        _ask_for_money(error)
        status = asyncio.run(_compare(form or "table", full, True, given))
    sys.exit(status)


async def _compare(form: _Form, full: bool, yes: bool, given: dict[str, Any]) -> int:
    from playground.services.recent_models import recent_models, remember_model

    comparison = _prepared(given)
    loop, latest = asyncio.get_running_loop(), next(iter(recent_models()), None)
    stops: list[asyncio.Task[None]] = []
    try:
        comparison.find()
        await _check_money(comparison, yes)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: stops.append(asyncio.ensure_future(comparison.stop())))
        outcomes = await comparison.run()
    finally:
        _tell("")
        await comparison.close()
        if latest is not None:
            remember_model(latest)  # or else the next command would begin with the last one of these
    for outcome in outcomes:
        for note in outcome.notes:
            say(f"{outcome.row.model}: {note}")
    _print(outcomes, form, full)
    trouble = comparison.accounts.spending.take_trouble()
    if trouble:
        say(trouble)
    if stops:
        return INTERRUPTED
    return 1 if any(outcome.problem is not None for outcome in outcomes) else 0


def _prepared(given: dict[str, Any]) -> ModelComparison:
    from playground.cli.texts import prompt_argument
    from playground.services.history_keeping import HistoryKeeping
    from playground.services.model_comparison import ModelComparison
    from playground.services.model_pool import ModelPool
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    for error in errors:
        say(error)
    prompt = prompt_argument(given["prompt"])
    system = settings.system if given["system"] is None else given["system"]
    candidates = _candidates(settings, given)
    keeping = HistoryKeeping(private=given["private"] or not settings.history, tell=_tell_loss)
    pool = ModelPool(settings)
    return ModelComparison(pool, candidates, prompt, system=system, raw=given["raw"], tell=_tell, keeping=keeping)


def _candidates(settings: Settings, given: dict[str, Any]) -> list[Candidate]:
    from playground.domain.params import assigned_names, replace
    from playground.services.model_comparison import Candidate
    from playground.services.presets import load_presets
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    presets, errors = load_presets()
    for error in errors:
        say(error)
    chosen = [find_preset(presets, name) for name in given["presets"] or (settings.preset or DEFAULT_PRESET,)]
    if given["seed"] is None and "seed" not in assigned_names(given["assignments"]):
        given["seed"] = secrets.randbelow(1 << 31)  # with a seed each, what differs would be chance
        if sys.stderr.isatty():
            click.echo(f"seed {given['seed']} for all; --seed {given['seed']} repeats it", err=True)
    changes = {name: given[name] for name in ("seed", "max_tokens") if given[name] is not None}
    star = "*" if given["assignments"] else ""
    return [
        Candidate(
            model=model,
            preset=f"{preset.name}{star}",
            params=replace(starting_params(preset, given["assignments"]), **changes),
        )
        for model in given["models"] or ("",)
        for preset in chosen
    ]


def _ask_for_money(error: BudgetReached) -> None:
    """Raises BudgetReached unless somebody is there and says that a budget may be overdrawn."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise BudgetReached(error.message, "Nothing was sent. With --yes it is sent all the same.") from error
    if not click.confirm(f"{error.message} Send it all the same?", err=True):
        raise BudgetReached(error.message, "Nothing was sent.") from error


async def _check_money(comparison: ModelComparison, yes: bool) -> None:
    """Tell what it will cost, and raise BudgetReached when a budget would be overdrawn."""
    from playground.domain.prices import usd_text

    costs = await comparison.estimate()
    known = [cost for cost in costs if cost is not None]
    if costs and sys.stderr.isatty():
        unknown = f", and {len(costs) - len(known)} of unknown price" if len(known) < len(costs) else ""
        requests = count_of(len(costs), "request")
        click.echo(f"{requests} to servers, ≈{usd_text(sum(known))} with replies{unknown}", err=True)
    comparison.accounts.spending.check_budget(*costs, anyway=yes)


def _tell(what: str) -> None:
    """What is being done, on a terminal's standard error; an empty text takes it away."""
    if what:
        StatusLine().show(f"{display_line(what)} …", at_once=True)
    else:
        StatusLine().clear()


def _tell_loss(error: HistoryUnusable) -> None:
    _tell("")
    say(error)


def _print(outcomes: Sequence[Outcome], form: _Form, full: bool) -> None:
    from playground.domain.compare_rows import as_csv, as_markdown

    rows = [outcome.row for outcome in outcomes]
    match form:
        case "json":
            for outcome in outcomes:
                problem = {"kind": outcome.problem.kind, "hint": outcome.problem.hint} if outcome.problem else None
                write_json({**asdict(outcome.row), "text": outcome.text, "problem": problem})
        case "csv":
            click.echo(_with_replies(as_csv(rows), outcomes), nl=False)
        case "markdown":
            click.echo(as_markdown(rows).replace("pane", "no.", 1), nl=False)
            for outcome in outcomes if full else ():
                quoted = "\n> ".join(display_text(outcome.text).splitlines())
                click.echo(f"\n{outcome.row.number}. {display_line(outcome.row.model)}\n\n> {quoted}")
        case "table":
            _print_table(outcomes, full)


def _with_replies(table: str, outcomes: Sequence[Outcome]) -> str:
    """The table with the texts as a last column, none of which a spreadsheet takes for a formula."""
    head, *lines = csv.reader(io.StringIO(table))
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", *head[1:], "reply"])  # there are no panes here
    for line, outcome in zip(lines, outcomes, strict=True):
        text = display_text(outcome.text)
        writer.writerow([*line, f"'{text}" if text[:1] in tuple("=+-@＝＋－＠\t\r") and text else text])
    return out.getvalue()


def _print_table(outcomes: Sequence[Outcome], full: bool) -> None:
    heads = ("", "model", "preset", "TTFT ms", "tokens/s", "in", "cached", "out", "cost", "perplexity", "end")
    print_table(heads, [_cells(outcome.row) for outcome in outcomes], texts=_TEXTS, least=_LEAST)
    room = terminal_width() or _ON_A_PIPE
    for outcome in outcomes:
        if outcome.problem is not None:
            click.echo(f"\n{outcome.row.number}  failed: {display_line(str(outcome.problem))}")
        if outcome.text and full:
            click.echo(f"\n{outcome.row.number}  {display_text(outcome.text)}")
        elif outcome.text:
            click.echo(f"\n{outcome.row.number}  {shortened(display_line(outcome.text), room - 3)}")


def _cells(row: CompareRow) -> tuple[str, ...]:
    from playground.domain.compare_rows import PaneState
    from playground.domain.prices import usd_text

    def figure(value: float | None, form: str, estimate: bool = False) -> str:
        return "–" if value is None else f"{'≈' if estimate else ''}{value:{form}}"

    about = "≈" if row.cost_estimate else ""
    return (
        str(row.number),
        display_line(row.model),
        display_line(row.preset),
        figure(row.ttft_ms, ",.0f"),
        figure(row.tokens_per_second, ",.1f", row.speed_estimate),
        figure(row.prompt_tokens, ",d", row.tokens_estimate),
        figure(row.cached_tokens, ",d", row.tokens_estimate),
        figure(row.completion_tokens, ",d", row.tokens_estimate),
        "–" if row.cost is None else f"{about}{usd_text(row.cost)}",
        figure(row.perplexity, ",.2f"),
        "failed" if row.state is PaneState.FAILED else display_line(row.ending),
    )
