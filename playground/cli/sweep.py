"""`llm-playground sweep`: prompts x settings x models x samples, as figures and curves."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from playground.cli.options import models_option, presets_option, private_option
from playground.cli.run_output import INTERRUPTED, say
from playground.domain.counts import count_of
from playground.domain.errors import BadInput, BudgetReached, PlaygroundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playground.cli.sweep_output import SweepOutput
    from playground.domain.experiments import Sweep
    from playground.domain.messages import Prompt
    from playground.services.experiment_plans import SweepEstimate
    from playground.services.experiment_store import CellFile
    from playground.services.experiments import SweepRun
    from playground.services.settings import Settings

_MEASURES: Final = ("consistency", "distinct_1", "distinct_2", "distinct_3", "tokens", "perplexity", "ttft_p50_ms")
_MOST_SAMPLES: Final = 1000


@click.command("sweep")
@click.option("--prompt", "-p", "texts", metavar="TEXT", multiple=True, help="A prompt; repeatable.")
@click.option(
    "--prompts",
    "files",
    metavar="FILE|-",
    multiple=True,
    help='Prompts of a file: one a line, or JSON Lines with "prompt" or "messages"; - reads standard input.',
)
@presets_option("A preset; repeatable.")
@click.option(
    "--range",
    "ranges",
    metavar="NAME=VALUES",
    multiple=True,
    help="A parameter to vary: from:to:step, or values with commas. Two make a grid.",
)
@models_option("GGUF file, part of the name of one on disk, or ENDPOINT/MODEL; repeatable.")
@click.option("--samples", "-n", type=click.IntRange(1, _MOST_SAMPLES), default=4, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True, help="Of the first sample; the others count on.")
@click.option("--max-tokens", type=int, default=None, help="End replies after this many tokens (256); -1 is no limit.")
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="A parameter for all; repeatable.")
@click.option("--system", metavar="TEXT", default=None, help="System prompt.")
@click.option("--raw", is_flag=True, help="Send texts as they are: special tokens parsed, no chat template.")
@click.option(
    "--streams",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    help="Requests at a time, in one batch of a local model and at each endpoint. What else is in a batch changes the "
    "last bits: 1 gives the same replies each time.",
)
@click.option("--logprobs", is_flag=True, help="Keep the log-probability of every token.")
@click.option("--output", "-o", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), default=None)
@click.option("--resume", metavar="DIR|FILE", type=click.Path(path_type=Path), default=None, help="Go on with a sweep.")
@click.option("--measure", type=click.Choice(_MEASURES), default=None, help="What the plot shows (consistency).")
@click.option("--plot/--no-plot", default=None, help="Draw curves; without either, on a terminal.")
@click.option("--dry-run", is_flag=True, help="Tell what it would take, and stop there.")
@click.option("--yes", "-y", is_flag=True, help="Go on beyond the budget without asking.")
@private_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line: plan, cells as they come, groups.")
def sweep_command(**given: Any) -> None:
    """Run prompts with many settings, models and seeds, and compare what comes.

    Every reply is on disk as it ends. Stopped by Ctrl+C or by a crash, the same command goes on where it was: no cell
    runs twice. Beside the cells (JSON Lines) the folder gets a table as CSV and Markdown, and the curves as SVG.
    With --private there is no folder, unless --output names one, and nothing to go on with.

    \b
    Examples:
      llm-playground sweep -p "Name a colour." --range temperature=0:1.5:0.25 --samples 8
      llm-playground sweep --prompts questions.txt --preset precise --preset creative --output out
      llm-playground sweep -p "Hi" --range top_p=0.8,0.9,1 -m SmolLM2 -m anthropic/claude-haiku-4-5 --dry-run
      llm-playground sweep --resume out
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    sys.exit(asyncio.run(_sweep(given)))


async def _sweep(given: dict[str, Any]) -> int:
    from playground.cli.sweep_output import SweepOutput
    from playground.services.experiments import without_stand_ins
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    for error in errors:
        say(error)
    settings = without_stand_ins(settings)
    plan, folder = _plan(settings, given)
    private = given["private"] or not settings.history
    keeps = not private or given["output"] is not None or given["resume"] is not None
    output = SweepOutput(as_json=given["as_json"], plot=given["plot"], measure=given["measure"], keeps=keeps)
    if given["dry_run"] and not (keeps and (folder / "cells.jsonl").exists()):
        return await _dry_run(settings, plan, output, given["streams"])
    with _file(folder) if keeps else _fleeting_file() as file:
        sweep = plan or file.plan
        if sweep is None:
            raise BadInput(f"{file.path} is empty.", "Begin anew with the command that made it.")
        if file.damaged:
            say(f"{count_of(file.damaged, 'line')} of {file.path} cannot be read; what stood there runs again.")
        return await _with_file(settings, sweep, file, output, given)


def _file(folder: Path) -> CellFile:
    from playground.services.experiment_store import CellFile

    return CellFile(folder)


@contextlib.contextmanager
def _fleeting_file() -> Iterator[CellFile]:
    """A file that has no name any more once it is open: even a killed program leaves nothing of it."""
    from playground.services.private_folder import PrivateFolder

    place = PrivateFolder()
    try:
        with _file(place.renew()) as file:
            place.remove()
            yield file
    finally:
        place.remove()


async def _dry_run(settings: Settings, sweep: Sweep | None, output: SweepOutput, streams: int) -> int:
    """Tell what a new sweep would take, without a trace on the disk."""
    from playground.services.accounts import Accounts
    from playground.services.experiment_plans import estimate_sweep
    from playground.services.model_pool import ModelPool
    from playground.services.probing import count_prompts

    assert sweep is not None, "without a file there is nothing to resume"
    pool = ModelPool(settings)
    accounts = Accounts(settings, lambda: pool.endpoints)
    estimate = await estimate_sweep(sweep, sweep.cells, pool, accounts, {}, streams, count=count_prompts)
    output.planned(sweep, estimate, dry=True)
    return 0


async def _with_file(
    settings: Settings, sweep: Sweep, file: CellFile, output: SweepOutput, given: dict[str, Any]
) -> int:
    from playground.services.accounts import Accounts
    from playground.services.experiment_plans import estimate_sweep
    from playground.services.experiments import SweepRun
    from playground.services.history_keeping import HistoryKeeping
    from playground.services.history_sweep import SweepHistory
    from playground.services.model_pool import ModelPool
    from playground.services.probing import count_prompts

    pool = ModelPool(settings)
    accounts = Accounts(settings, lambda: pool.endpoints)
    done = file.done()
    todo = [cell for cell in sweep.cells if cell.id not in done]
    count = count_prompts if output.tells_estimate else None
    estimate = await estimate_sweep(sweep, todo, pool, accounts, file.results, given["streams"], count=count)
    output.planned(sweep, estimate, dry=given["dry_run"])
    if given["dry_run"]:
        return 0
    anyway = given["yes"] or _asked(accounts.spending.check_budget, estimate)
    file.begin(sweep)
    untold: list[PlaygroundError] = []
    try:
        async with HistoryKeeping(private=given["private"] or not settings.history, tell=untold.append) as keeping:
            run = SweepRun(
                sweep,
                file,
                pool,
                accounts,
                at_once=given["streams"],
                anyway=anyway,
                on_result=output.cell,
                history=SweepHistory(sweep, keeping),
            )
            run.progress.expected_s = estimate.seconds
            await _until_done(run, output)
    finally:
        await pool.close_all()
    output.results(sweep, file)
    for error in (*untold, *run.errors):
        say(error)
    left = len(sweep.cells) - len([cell for cell in sweep.cells if cell.id in file.done()])
    if left:
        output.left(left, file.path.parent)
    if run.errors:
        return max(error.exit_status for error in run.errors)
    return INTERRUPTED if run.stopped else int(left > 0)


def _asked(check: Any, estimate: SweepEstimate) -> bool:
    """True when the budget is to be overdrawn; raises BudgetReached where nobody can be asked, or who was says no."""
    try:
        check(*estimate.costs)
    except BudgetReached as error:
        if sys.stdin.isatty() and sys.stderr.isatty():
            say(error.message)
            click.confirm("Run it all the same?", abort=True, err=True)
            return True
        raise BudgetReached(error.message, "Give --yes to run it all the same, or make it smaller.") from error
    return False


async def _until_done(run: SweepRun, output: SweepOutput) -> None:
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)  # a second one ends it at once
        stopping.append(loop.create_task(run.stop()))

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    output.when_broken = stop
    shown = asyncio.create_task(output.show(run.progress))
    try:
        await run.run()
    finally:
        shown.cancel()
        await asyncio.wait({shown, *stopping})
        output.clear()


def _plan(settings: Settings, given: dict[str, Any]) -> tuple[Sweep | None, Path]:
    """The plan that was asked for, and its folder; None for the plan of a file."""
    from playground.services.experiment_store import find_cells

    if given["resume"] is not None:
        asked = ("texts", "files", "presets", "ranges", "models", "assignments", "output")
        if any(given[name] for name in asked):
            raise BadInput("--resume goes on with the plan of the file.", "Leave prompts, settings and models out.")
        return None, find_cells(given["resume"])
    sweep = _new_plan(settings, given)
    if given["output"] is not None:
        return sweep, given["output"]
    from playground.services.experiment_shelf import folder_of

    return sweep, folder_of(sweep)


def _new_plan(settings: Settings, given: dict[str, Any]) -> Sweep:
    from playground.services.experiment_plans import base_params, make_sweep
    from playground.services.model_pool import ModelPool
    from playground.services.presets import load_presets
    from playground.services.start import DEFAULT_PRESET, find_preset

    presets, errors = load_presets()
    for error in errors:
        say(error)
    prompts = _prompts(settings, given)
    if not prompts:
        raise BadInput("There is no prompt.", "Give --prompt TEXT or --prompts FILE.")
    names = dict.fromkeys(given["presets"] or (settings.preset or DEFAULT_PRESET,))
    bases = base_params([find_preset(presets, name) for name in names], given["assignments"], given["max_tokens"])
    models = given["models"] or ("",)
    return make_sweep(
        ModelPool(settings),
        prompts,
        bases,
        given["ranges"],
        models,
        samples=given["samples"],
        seed=given["seed"],
        keep_logprobs=given["logprobs"],
    )


def _prompts(settings: Settings, given: dict[str, Any]) -> list[Prompt]:
    from playground.cli.texts import read_stdin
    from playground.services.experiment_plans import as_prompt, read_prompt_file, read_prompts

    system, raw = settings.system if given["system"] is None else given["system"], given["raw"]
    prompts = [as_prompt(text, system=system, raw=raw) for text in given["texts"]]
    for name in given["files"]:
        if name == "-":
            prompts += read_prompts(read_stdin(), "Standard input", system=system, raw=raw)
        else:
            prompts += read_prompt_file(Path(name), system=system, raw=raw)
    return prompts
