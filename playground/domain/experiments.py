"""A sweep: prompts, settings of the samplers, models and samples, and every cell that comes of them."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Any, Final

import msgspec

from playground.domain.display import display_line
from playground.domain.errors import BadInput, Problem
from playground.domain.messages import ChatPrompt, Prompt
from playground.domain.param_specs import SPECS
from playground.domain.params import parse_assignment
from playground.domain.sampling import SamplingParams
from playground.domain.usage import Timings, Usage

MOST_VALUES: Final = 200
"""Values of one range."""
MOST_CELLS: Final = 100_000
"""Requests of one sweep."""
_LABEL: Final = 48
_RANGE_HELP: Final = "Examples: temperature=0:1.5:0.25 or top_p=0.8,0.9,1."

Values = dict[str, float]
"""Parameters that are varied, and the value each has."""


class SweepPrompt(msgspec.Struct, frozen=True):
    """One prompt, and what it is called in tables."""

    name: str
    prompt: Prompt


class Setting(msgspec.Struct, frozen=True):
    """One way of sampling."""

    preset: str
    values: Values
    """What ranges have set on top of the preset."""
    params: SamplingParams

    @property
    def name(self) -> str:
        """Such as "balanced, temperature 0.5"."""
        return ", ".join((self.preset, *(f"{name} {value:g}" for name, value in self.values.items())))


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a sweep."""

    id: str
    """The same for the same prompt, parameters, seed and model, whatever else is in the sweep."""
    model: str
    prompt: int
    """Index into `Sweep.prompts`."""
    setting: int
    """Index into `Sweep.settings`."""
    sample: int
    """From 1."""
    params: SamplingParams
    """With the sample's own seed."""


class CellResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a cell. None is "nobody told"."""

    id: str
    model: str
    prompt: str
    """Name of the prompt; the whole of it is in the plan."""
    preset: str
    values: Values
    sample: int
    seed: int | None
    text: str = ""
    reason: str = ""
    """Why the reply ended, as `StopReason` has it; empty when it failed."""
    detail: str = ""
    usage: Usage = Usage()
    timings: Timings = Timings()
    tokens: tuple[int | str, ...] | None = None
    """Ids of the reply's tokens, or their texts where a server tells no ids; None where it tells no tokens."""
    logprob_sum: float | None = None
    """Sum of the natural log-probabilities of the tokens that have one."""
    logprob_count: int = 0
    logprobs: tuple[float | None, ...] | None = None
    """Of each token, when they were asked for."""
    answered_by: str = ""
    """Model that took over; empty when the one that was asked has answered."""
    problem: Problem | None = None
    """Why it failed; None when it did not."""


class Sweep(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What is to be run: every prompt with every setting on every model, as many times as there are samples."""

    prompts: tuple[SweepPrompt, ...]
    settings: tuple[Setting, ...]
    models: tuple[str, ...]
    """As one writes them to choose them: a path, or ENDPOINT/MODEL."""
    samples: int
    seed: int
    """Of the first sample; the others have the numbers behind it, the same ones in every group."""
    keep_logprobs: bool = False

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell once, in the order they run: what shares a prompt is together, so that it is computed once."""
        cells: dict[str, Cell] = {}
        for model, at, which in itertools.product(self.models, range(len(self.prompts)), range(len(self.settings))):
            for cell in self.group(model, at, which):
                cells.setdefault(cell.id, cell)
        return tuple(cells.values())

    def group(self, model: str, prompt: int, setting: int) -> list[Cell]:
        """The samples of one prompt with one setting on one model."""
        given, params = self.prompts[prompt].prompt, self.settings[setting].params
        cells = []
        for sample in range(1, self.samples + 1):
            own = msgspec.structs.replace(params, seed=self.seed + sample - 1)
            name = cell_id(model, given, own, sample)
            cells.append(Cell(id=name, model=model, prompt=prompt, setting=setting, sample=sample, params=own))
        return cells

    @property
    def name(self) -> str:
        """A name that tells sweeps apart and stays the same when samples are added."""
        whole = (self.prompts, self.settings, self.models, self.seed)
        return hashlib.sha256(msgspec.msgpack.encode(whole)).hexdigest()[:10]


def check_sweep(sweep: Sweep) -> None:
    """Raise BadInput for a sweep that is empty, or larger than anybody means."""
    if not (sweep.prompts and sweep.settings and sweep.models and sweep.samples > 0):
        raise BadInput("There is nothing to run.", "Give at least one prompt.")
    size = len(sweep.prompts) * len(sweep.settings) * len(sweep.models) * sweep.samples
    if size > MOST_CELLS:
        raise BadInput(f"That would be {size:,} requests; {MOST_CELLS:,} is the most.", "Take fewer values or samples.")
    if not 0 <= sweep.seed <= 2**32 - 2 - sweep.samples:
        raise BadInput(f"The seed {sweep.seed} leaves no room for {sweep.samples:,} samples.", "Take a smaller one.")


def cell_id(model: str, prompt: Prompt, params: SamplingParams, sample: int) -> str:
    """A name for a request that depends on nothing else."""
    return hashlib.sha256(msgspec.msgpack.encode((model, prompt, params, sample))).hexdigest()[:20]


def prompt_name(prompt: Prompt) -> str:
    """The beginning of what is asked, on one line."""
    text = prompt.messages[-1].content if isinstance(prompt, ChatPrompt) else prompt.text
    line = display_line(text[: 4 * _LABEL]) or "(empty)"
    return line if len(line) <= _LABEL else line[: _LABEL - 1] + "…"


def named_prompts(prompts: Iterable[Prompt]) -> tuple[SweepPrompt, ...]:
    """Prompts with names that differ; one that comes twice is taken once."""
    named: dict[str, SweepPrompt] = {}
    for prompt in dict.fromkeys(prompts):
        name = base = prompt_name(prompt)
        for number in itertools.count(2):
            if name not in named:
                break
            name = f"{base} ({number})"
        named[name] = SweepPrompt(name, prompt)
    return tuple(named.values())


def parse_range(text: str) -> tuple[str, tuple[float, ...]]:
    """Read `name=from:to:step` or `name=value,value`; raises BadInput. The end belongs to it when a step falls on it.

    Steps are counted in decimals, so that 0:1:0.1 gives 0.3 and not 0.30000000000000004.
    """
    name, equals, raw = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals or not raw.strip():
        raise BadInput(f"{display_line(text)!r} is no range.", _RANGE_HELP)
    if name not in SPECS or name in ("max_tokens", "top"):
        known = ", ".join(one for one in SPECS if one not in ("max_tokens", "top"))
        raise BadInput(f"There is no parameter {display_line(name)!r} to vary.", f"Known ones: {known}.")
    try:
        values = _steps(raw) if ":" in raw else tuple(float(Decimal(part.strip())) for part in raw.split(","))
    except (InvalidOperation, ValueError, OverflowError) as error:
        raise BadInput(f"{display_line(raw)!r} is no range of {name}.", _RANGE_HELP) from error
    if not all(map(math.isfinite, values)):
        raise BadInput(f"{display_line(raw)!r} has values that are no numbers.", _RANGE_HELP)
    return name, tuple(dict.fromkeys(values))


def _steps(raw: str) -> tuple[float, ...]:
    first, last, step = (Decimal(part.strip()) for part in raw.split(":"))
    if not (first.is_finite() and last.is_finite() and step.is_finite()):
        raise BadInput(f"The range {display_line(raw)!r} has values that are no numbers.", _RANGE_HELP)
    if step == 0:
        raise BadInput(f"The step of the range {display_line(raw)!r} is 0.", _RANGE_HELP)
    if step < 0 or last < first:
        way = "The step leads away from the end" if (step < 0) != (last < first) else "The step leads downwards"
        raise BadInput(f"{way} in the range {display_line(raw)!r}.", "Write the lower value first, and a step above 0.")
    count = int((last - first) / step) + 1
    if count > MOST_VALUES:
        raise BadInput(f"The range {display_line(raw)!r} has {count:,} values.", f"{MOST_VALUES} is the most.")
    return tuple(float(first + at * step) for at in range(count))


def grid(bases: Sequence[tuple[str, SamplingParams]], ranges: Sequence[str]) -> tuple[Setting, ...]:
    """Every preset with every combination of the ranges' values. Raises BadInput for a value out of range."""
    read = [parse_range(text) for text in ranges]
    names = [name for name, _ in read]
    if len(set(names)) < len(names):
        raise BadInput("A parameter has two ranges.", "Write its values into one.")
    settings = []
    for preset, params in bases:
        for combination in itertools.product(*(values for _, values in read)):
            own, values = params, dict(zip(names, combination, strict=True))
            for name, value in values.items():
                own = parse_assignment(own, f"{name}={_number(name, value)}")
            settings.append(Setting(preset, values, own))
    return tuple(settings)


def _number(name: str, value: float) -> str:
    return str(int(value)) if SPECS[name].whole and value == int(value) else repr(value)


def plan_dict(sweep: Sweep) -> dict[str, Any]:
    """A sweep as JSON can hold it; see `plan_from`. Infinite biases become text."""
    plan: dict[str, Any] = msgspec.to_builtins(sweep)
    for setting in plan["settings"]:
        biases = setting["params"].get("logit_bias", {})
        setting["params"] |= {"logit_bias": {token: repr(bias) for token, bias in biases.items()}} if biases else {}
    return plan


def plan_from(plan: dict[str, Any]) -> Sweep:
    """A sweep from what `plan_dict` gave. Raises BadInput when it is none."""
    try:
        for setting in plan["settings"]:
            biases = setting["params"].get("logit_bias", {})
            if biases:
                setting["params"]["logit_bias"] = {token: float(bias) for token, bias in biases.items()}
        sweep = msgspec.convert(plan, Sweep)
    except (msgspec.ValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"The plan of the sweep cannot be read: {display_line(str(error))}.") from error
    check_sweep(sweep)
    return sweep
