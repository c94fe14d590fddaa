"""`llm-playground run`: one prompt, streamed to standard output."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click
import msgspec

from playground.cli.completion import complete_model, complete_preset
from playground.cli.options import private_option
from playground.cli.run_output import INTERRUPTED, JsonOutput, Output, TextOutput, say, write_json
from playground.cli.status_line import StatusLine
from playground.cli.texts import prompt_argument
from playground.cli.unused import taken_options, tell_context, tell_unsent
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.messages import CallOptions
from playground.domain.params import assigned_names, replace
from playground.domain.sampling import SamplingParams
from playground.domain.texts import check_text
from playground.domain.watch_list import check_words
from playground.services.json_events import JsonEvents

if TYPE_CHECKING:
    from playground.backends.base import Backend
    from playground.domain.endpoints import ModelRef
    from playground.services.history_keeping import HistoryKeeping
    from playground.services.model_pool import ModelPool


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What was asked for, checked."""

    model: ModelRef
    pool: ModelPool
    options: CallOptions
    text: str
    system: str
    raw: bool
    preset: str
    params: SamplingParams
    context: int | None
    """Tokens of context that were asked for by name."""
    named: tuple[str, ...]
    """Parameters that were asked for by name."""
    watch: tuple[str, ...]
    as_json: bool
    private: bool


@click.command("run")
@click.option("--prompt", "-p", metavar="TEXT|-", required=True, help="The prompt; - reads standard input.")
@click.option(
    "--model",
    "-m",
    metavar="PATH|NAME",
    default="",
    shell_complete=complete_model,
    help="GGUF file, part of the name of one on disk, or ENDPOINT/MODEL.",
)
@click.option("--system", metavar="TEXT", default=None, help="System prompt.")
@click.option("--raw", is_flag=True, help="Send the text as it is: special tokens parsed, no chat template.")
@click.option("--preset", metavar="NAME", default="", shell_complete=complete_preset, help="Sampling preset.")
@click.option("--set", "assignments", metavar="NAME=VALUE", multiple=True, help="A sampling parameter; repeatable.")
@click.option("--seed", type=int, default=None, help="Seed; the same seed gives the same tokens.")
@click.option("--max-tokens", type=int, default=None, help="End the reply after this many tokens.")
@click.option("--stop", "stops", metavar="TEXT", multiple=True, help="End the reply before this text; repeatable.")
@click.option("--top", type=int, default=None, help="Candidates kept for each token (10).")
@click.option(
    "--watch",
    metavar="TEXT|#ID",
    multiple=True,
    help='Tell how likely a word is, e.g. " Yes" with its space; 8 at most.',
)
@click.option("--grammar", metavar="FILE", default="", help="Hold the reply to the grammar (GBNF) in a file.")
@click.option("--json-schema", metavar="FILE", default="", help="Hold the reply to the JSON schema in a file.")
@click.option("--context", type=int, default=None, help="Context window in tokens.")
@click.option("--effort", default="", metavar="LEVEL", help="How hard a hosted model works, e.g. low or high.")
@click.option("--thinking", default="", metavar="MODE", help="Whether a hosted model thinks first, e.g. off.")
@click.option(
    "--cache", type=click.Choice(["off", "5m", "1h"]), default="off", help="Let the provider keep the prompt."
)
@private_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, with everything captured.")
def run_command(as_json: bool, **given: Any) -> None:
    """Send one prompt and stream the reply.

    \b
    Examples:
      llm-playground run --prompt "Why is the sky blue?"
      llm-playground run --prompt - --preset deterministic --json < question.txt
      llm-playground run --raw --prompt "Once upon a time" --set temperature=1.2 --seed 7
      llm-playground run --prompt "Is it? Yes or No." --watch Yes --watch No --max-tokens 1
      llm-playground run --model anthropic/claude-haiku-4-5 --effort low --prompt "Hello"
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    sys.exit(_status(as_json, given))


def _status(as_json: bool, given: dict[str, Any]) -> int:
    try:
        return asyncio.run(_run(_plan(as_json=as_json, **given)))
    except PlaygroundError as error:
        say(error)
        if as_json:
            write_json({"event": "failed", **msgspec.to_builtins(error.problem)})
        return error.exit_status


def _plan(
    *,
    prompt: str,
    model: str,
    system: str | None,
    raw: bool,
    preset: str,
    assignments: tuple[str, ...],
    as_json: bool,
    private: bool,
    **limits: Any,
) -> _Plan:
    from playground.services.model_pool import ModelPool
    from playground.services.presets import load_presets
    from playground.services.settings import load_settings
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    settings, errors = load_settings()
    presets, preset_errors = load_presets()
    for error in (*errors, *preset_errors):
        say(error)
    chosen = find_preset(presets, preset or settings.preset or DEFAULT_PRESET)
    params = starting_params(chosen, assignments)
    changes = _changes(limits)
    text = prompt_argument(prompt)
    for given in (system or "", *limits["stops"], *assignments):
        check_text(given, "An argument")
    options = settings.load
    if limits["context"] is not None:
        if limits["context"] < 1:
            raise BadInput("--context must be at least 1 token.")
        options = msgspec.structs.replace(options, context=limits["context"])
    pool = ModelPool(msgspec.structs.replace(settings, load=options))
    return _Plan(
        model=pool.find(model),
        pool=pool,
        options=CallOptions(effort=limits["effort"], thinking=limits["thinking"], cache=limits["cache"]),
        text=text,
        system=settings.system if system is None else system,
        raw=raw,
        preset=chosen.name,
        params=replace(params, **changes),
        context=limits["context"],
        named=(*changes, *assigned_names(assignments)),
        watch=_watched(limits["watch"]),
        as_json=as_json,
        private=private or not settings.history,
    )


def _changes(limits: dict[str, Any]) -> dict[str, Any]:
    """Parameters that have an option of their own."""
    changes = {name: limits[name] for name in ("seed", "max_tokens", "top") if limits[name] is not None}
    if limits["stops"]:
        changes["stop"] = tuple(limits["stops"])
    return changes | {name: _read_file(limits[name]) for name in ("grammar", "json_schema") if limits[name]}


def _watched(words: tuple[str, ...]) -> tuple[str, ...]:
    """Words to watch, each once. Raises BadInput."""
    for word in words:
        check_text(word, "An argument")
    watch = tuple(dict.fromkeys(words))
    check_words(watch)
    return watch


def _read_file(name: str) -> str:
    from playground.services.toml_files import read_text

    text = read_text(Path(name))
    if not text.strip():
        raise BadInput(f"The file {name!r} is empty.", "Leave the option out to hold the reply to nothing.")
    return text


async def _run(plan: _Plan) -> int:
    from playground.services.history_keeping import HistoryKeeping

    async with HistoryKeeping(private=plan.private, tell=say) as keeping:
        return await _answered(plan, keeping)


async def _answered(plan: _Plan, keeping: HistoryKeeping) -> int:
    from playground.domain.schema_support import unheld_note

    stop_now = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_now.set)
    loading = asyncio.ensure_future(plan.pool.open(plan.model, _loading(StatusLine())))
    stopped = asyncio.ensure_future(stop_now.wait())
    await asyncio.wait({loading, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not loading.done():
        loading.cancel()
        await asyncio.wait({loading})
        return INTERRUPTED
    backend = await loading
    try:
        if plan.params.json_schema and backend.card.local and (note := unheld_note(plan.params.json_schema)):
            say(note)
        tell_unsent(backend.capabilities, plan.named)
        tell_context(backend.card, plan.context, hosted=bool(plan.model.endpoint))
        plan = dataclasses.replace(plan, options=taken_options(backend, plan.options, raw=plan.raw))
        if plan.watch:
            await backend.watched_words(plan.watch)  # refused before anything is computed or paid for
        output = _output(plan, backend)
        output.when_broken = stop_now.set
        await _write(plan, backend, output, stopped, keeping)
        return output.close()
    finally:
        stopped.cancel()
        await plan.pool.close(backend)


def _output(plan: _Plan, backend: Backend) -> Output:
    from playground.services.accounts import Accounts

    known = getattr(backend, "info", None) or backend.card
    output = JsonOutput(JsonEvents(known)) if plan.as_json else TextOutput(sys.stdout, plan.params.stop)
    output.answering = backend.card
    output.price = Accounts(plan.pool.settings, lambda: plan.pool.endpoints).price
    return output


async def _write(
    plan: _Plan, backend: Backend, output: Output, stopped: asyncio.Task[Literal[True]], keeping: HistoryKeeping
) -> None:
    """Let the model write, up to its end or until somebody stops it, and keep it in the history as it comes."""
    from playground.domain.session import Session
    from playground.services.history_keeping import Conversation

    session = Session(plan.params, plan.system)
    session.mode = "raw" if plan.raw else "chat"
    session.options, session.watch, session.model = plan.options, plan.watch, backend.card.short_name
    request = session.send(plan.text)
    output.follow = session.apply
    reply, kept = session.active, Conversation(keeping, session, "run")
    assert reply is not None, "one was asked for"
    kept.wrote(reply, backend, plan.preset, plan.pool.settings.load, plan.options)
    running = asyncio.ensure_future(backend.generate(request, output.take))
    await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        await backend.stop(request.stream)
    await running
    await kept.learn_prompt(reply, backend)


def _loading(status: StatusLine) -> Callable[[float], None]:
    """Shows how far loading is, until it is done."""

    def show(fraction: float) -> None:
        if fraction >= 1.0:
            status.clear()
        else:
            status.show(f"loading the model … {fraction:4.0%}")

    return show
