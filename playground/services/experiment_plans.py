"""From what a person asks for to a plan of a sweep, and what the plan will take."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final

import msgspec

from playground.backends.base import Backend
from playground.domain.endpoints import REPLAY
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.experiments import Cell, CellResult, Sweep, check_sweep, grid, named_prompts
from playground.domain.messages import ChatPrompt, Message, Prompt, RawPrompt, Role
from playground.domain.models import LOCAL, ModelCard
from playground.domain.params import assigned_names, replace
from playground.domain.sampling import UNLIMITED, SamplingParams
from playground.domain.texts import check_text
from playground.services.accounts import Accounts
from playground.services.counting import TokenCounter
from playground.services.experiment_speeds import expected_tokens, known_speeds, most_seconds
from playground.services.model_pool import ModelPool
from playground.services.presets import Preset
from playground.services.start import starting_params
from playground.services.text_files import read_text_file
from playground.services.toml_files import one_line

DEFAULT_LIMIT: Final = 256
"""Tokens of a reply where nobody sets a limit: without one, a sweep has no end that could be told."""
MOST_SAMPLES: Final = 1000
_MOST_COUNTED: Final = 64
"""Prompts up to which a loaded model is asked to count them: more would keep whoever types waiting."""
_NEXT_RANGE: Final = re.compile(r"[\s;]+(?=[A-Za-z][\w-]*\s*=)")

PromptCount = Callable[[str, Sequence[Prompt]], Awaitable[Sequence[int]]]
"""Counts the tokens of prompts exactly, as the model in a file gets them; may raise PlaygroundError."""


class SweepEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep will take. Figures are estimates unless they say otherwise."""

    requests: int
    """Still to be run, exactly."""
    kept: int
    """Done already, exactly."""
    prompt_tokens: int
    """Exactly where `prompts_exact` says so."""
    completion_tokens: int
    """At most, where replies have a limit."""
    cost: float | None
    """US dollars when every reply goes to its limit; None when a price is unknown."""
    seconds: float | None
    """From replies of this sweep that were measured before, else at most at `speed`; None without either."""
    tokens_per_second: float | None = None
    """Of the slowest model that `seconds` was reckoned from; None when replies of it told."""
    costs: tuple[float | None, ...] = ()
    """Of every request."""
    prompts_exact: bool = False
    """Every prompt was counted by the model that gets it."""


def read_prompts(text: str, name: str, *, system: str, raw: bool) -> list[Prompt]:
    """Prompts of a file: one a line, or JSON Lines with "prompt" or "messages". Raises BadInput naming the line."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not lines:
        raise BadInput(f"{name} has no prompts in it.", "Write one a line.")
    if not lines[0][1].lstrip().startswith("{"):
        return [as_prompt(line.strip(), system=system, raw=raw) for _, line in lines]
    return [_from_json(line, f"{name}, line {number}", system=system, raw=raw) for number, line in lines]


def read_prompt_file(path: Path, *, system: str, raw: bool) -> list[Prompt]:
    """The same of a file on disk. Raises BadInput."""
    name = one_line(str(path))
    if path.exists() and not path.is_file():  # one without an end would keep its reader for ever
        raise BadInput(f"{name} is not a file.", "Give the path of a text file.")
    return read_prompts(read_text_file(path), name, system=system, raw=raw)


def as_prompt(text: str, *, system: str, raw: bool) -> Prompt:
    """One prompt. Raises BadInput for an empty one, and for one that is not text."""
    check_text(text)
    check_text(system)
    if not text.strip():
        raise BadInput("A prompt is empty.", "Give a text.")
    if raw:
        return RawPrompt(text)
    return ChatPrompt((*([Message(Role.SYSTEM, system)] if system.strip() else ()), Message(Role.USER, text)))


def _from_json(line: str, where: str, *, system: str, raw: bool) -> Prompt:
    hint = 'Each line is an object with "prompt", a text, or "messages", a list of {"role", "content"}.'
    try:
        entry: dict[str, Any] = msgspec.json.decode(line, type=dict[str, Any])
        if "messages" in entry:
            messages = msgspec.convert(entry["messages"], tuple[Message, ...])
            if not messages:
                raise BadInput(f"{where}: there are no messages.", hint)
            return ChatPrompt(messages)
        return as_prompt(
            msgspec.convert(entry["prompt"], str),
            system=msgspec.convert(entry.get("system", system), str),
            raw=raw,
        )
    except (msgspec.MsgspecError, KeyError, RecursionError) as error:
        why = f"{error.args[0]} is missing" if isinstance(error, KeyError) else one_line(str(error))
        raise BadInput(f"{where} cannot be read: {why}.", hint) from error


def base_params(
    presets: Iterable[Preset], assignments: Sequence[str], max_tokens: int | None
) -> list[tuple[str, SamplingParams]]:
    """Each preset with assignments on top, and a limit where nobody set one. Raises BadInput."""
    named = assigned_names(assignments)
    for one in assignments:
        check_text(one)
    bases = []
    for preset in presets:
        params = starting_params(preset, assignments)
        if max_tokens is None and "max_tokens" in named:
            max_tokens = params.max_tokens
        bases.append((preset.name, limited(params, max_tokens, top=params.top if "top" in named else 1)))
    return bases


def limited(params: SamplingParams, max_tokens: int | None, *, top: int = 1) -> SamplingParams:
    """Parameters with a limit for replies: the one that is given, else their own, else `DEFAULT_LIMIT`.

    One candidate a token is enough for what a sweep reports, and spares the model the rest. Raises BadInput for a limit
    out of range.
    """
    if max_tokens is None:
        max_tokens = DEFAULT_LIMIT if params.max_tokens == UNLIMITED else params.max_tokens
    return replace(params, max_tokens=max_tokens, top=top)


def split_ranges(text: str) -> list[str]:
    """Several ranges written one after another, each as `parse_range` reads it."""
    return [part.strip(" ;") for part in _NEXT_RANGE.split(text) if part.strip(" ;")]


def make_sweep(
    pool: ModelPool,
    prompts: Iterable[Prompt],
    bases: Sequence[tuple[str, SamplingParams]],
    ranges: Sequence[str],
    models: Sequence[str],
    *,
    samples: int,
    seed: int,
    keep_logprobs: bool = False,
) -> Sweep:
    """The plan of what a person asks for. Looks for models on the disk, so it belongs in a thread.

    Args:
        pool: Finds the models.
        prompts: What is asked.
        bases: Names of presets, and their parameters.
        ranges: Parameters to be varied; see `parse_range`.
        models: As one writes them to choose them; an empty name is the one to begin with.
        samples: How often each is run.
        seed: Of the first sample.
        keep_logprobs: Keep the log-probability of every token.

    Raises:
        BadInput: it cannot be run, or is larger than anybody means.
    """
    refs = [pool.find(model) for model in models]
    if any(ref.endpoint == REPLAY for ref in refs):
        raise BadInput("A recording always gives the same reply.", "Choose a model.")
    sweep = Sweep(
        prompts=named_prompts(prompts),
        settings=grid(bases, ranges),
        models=tuple(dict.fromkeys(ref.text for ref in refs)),
        samples=samples,
        seed=seed,
        keep_logprobs=keep_logprobs,
    )
    check_sweep(sweep)
    return sweep


async def estimate_sweep(
    sweep: Sweep,
    todo: Sequence[Cell],
    pool: ModelPool,
    accounts: Accounts,
    results: Mapping[str, CellResult],
    at_once: int,
    backends: Mapping[str, Backend] | None = None,
    count: PromptCount | None = None,
    speeds: Mapping[str, float] | None = None,
) -> SweepEstimate:
    """What is still to be run, reckoned without loading a model.

    Args:
        sweep: The plan.
        todo: What of it is still to be run.
        pool: Finds the models.
        accounts: Prices.
        results: What an earlier run has left.
        at_once: Requests at a time.
        backends: Models of this machine that are loaded already, by their name in the plan; they count exactly.
        count: Counts exactly for those that are not loaded; without it, their prompts are estimated.
        speeds: Tokens per second that each model was seen to reach; without it, what the history knows.
    """
    cards = await _cards(sweep, pool, accounts)
    counter = TokenCounter(pool.endpoints)
    try:
        sizes, exact = await _prompt_sizes(sweep, todo, cards, counter, backends or {}, count)
    finally:
        await counter.close()
    costs = _costs(todo, sizes, cards, accounts)
    seconds, speed = _seconds(todo, results, at_once), None
    if seconds is None:
        speeds = await known_speeds(sweep.models, at_once) if speeds is None else speeds
        seconds = most_seconds(todo, speeds)
        speed = None if seconds is None else min(speeds[cell.model] for cell in todo)
    return SweepEstimate(
        requests=len(todo),
        kept=len(sweep.cells) - len(todo),
        prompt_tokens=sum(sizes[cell.model, cell.prompt] for cell in todo),
        completion_tokens=sum(expected_tokens(cell) for cell in todo),
        cost=None if None in costs else sum(cost or 0.0 for cost in costs),
        seconds=seconds,
        tokens_per_second=speed,
        costs=tuple(costs),
        prompts_exact=exact,
    )


async def _cards(sweep: Sweep, pool: ModelPool, accounts: Accounts) -> dict[str, ModelCard]:
    """What is known of each model before it is opened, with the prices at hand where one costs money."""
    refs = await asyncio.to_thread(lambda: {model: pool.find(model) for model in sweep.models})  # looks at the disk
    if any(ref.endpoint for ref in refs.values()):
        await accounts.load()
    known = {model: (ref.text, ref.endpoint or LOCAL) for model, ref in refs.items()}
    return {model: ModelCard(id=name, short_name=name, provider=whose) for model, (name, whose) in known.items()}


def _costs(
    todo: Sequence[Cell],
    sizes: Mapping[tuple[str, int], int],
    cards: Mapping[str, ModelCard],
    accounts: Accounts,
) -> list[float | None]:
    """What each request costs at most; None where the price is unknown."""
    prices: dict[tuple[str, int, int], float | None] = {}
    costs = []
    for cell in todo:
        what = (cell.model, sizes[cell.model, cell.prompt], cell.params.max_tokens)
        if what not in prices:
            prices[what] = accounts.estimate(cards[cell.model], *what[1:])
        costs.append(prices[what])
    return costs


async def _prompt_sizes(
    sweep: Sweep,
    todo: Sequence[Cell],
    cards: Mapping[str, ModelCard],
    counter: TokenCounter,
    backends: Mapping[str, Backend],
    count: PromptCount | None,
) -> tuple[dict[tuple[str, int], int], bool]:
    """Tokens of each prompt at each model that still gets it, and whether all of them were counted."""
    wanted: dict[str, dict[int, Prompt]] = {}
    for cell in todo:
        wanted.setdefault(cell.model, {})[cell.prompt] = sweep.prompts[cell.prompt].prompt
    few = len(sweep.prompts) <= _MOST_COUNTED
    sizes: dict[tuple[str, int], int] = {}
    exact = bool(todo)
    for model, prompts in wanted.items():
        if few and count is not None and cards[model].local and model not in backends:
            with contextlib.suppress(PlaygroundError):  # the run itself will say what is wrong
                tokens = await count(cards[model].id, [*prompts.values()])
                sizes |= {(model, at): size for at, size in zip(prompts, tokens, strict=True)}
                continue
        for at, prompt in prompts.items():
            counted = await counter.count_prompt(backends.get(model) if few else None, cards[model], prompt)
            exact = exact and counted.exact
            sizes[model, at] = counted.tokens
    return sizes, exact


def _seconds(todo: Sequence[Cell], results: Mapping[str, CellResult], at_once: int) -> float | None:
    """The median time of the replies that are there, for each model; None when one has none."""
    total = 0.0
    for model in dict.fromkeys(cell.model for cell in todo):
        known = [one.timings.total_ms for one in results.values() if one.model == model and one.timings.total_ms]
        if not known:
            return None
        total += sum(cell.model == model for cell in todo) * median(known) / 1000 / at_once
    return total
