"""What a person has typed for a sweep, and the plan that follows from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.experiments import Sweep, grid
from playground.domain.messages import Prompt, Role
from playground.domain.param_specs import SPECS
from playground.domain.sampling import UNLIMITED, SamplingParams
from playground.services.experiment_plans import (
    DEFAULT_LIMIT,
    MOST_SAMPLES,
    as_prompt,
    limited,
    make_sweep,
    read_prompt_file,
    split_ranges,
)
from playground.services.experiments import MOST_AT_ONCE
from playground.services.model_pool import ModelPool
from playground.services.paths import path_from
from playground.services.presets import Preset

if TYPE_CHECKING:
    from playground.screens.pane import Pane

T = TypeVar("T")

NOW: Final = ""
"""Name of the active pane's parameters among the presets."""
RANGE: Final = "temperature=0:1.5:0.25"
RANGES: Final = (
    *(RANGE, "top_p=0.5:1:0.1", "top_k=1,5,20,40,100", "min_p=0:0.2:0.05", "repeat_penalty=1:1.3:0.05"),
    *("typical_p=0.5:1:0.1", "xtc_probability=0:1:0.25", "dry_multiplier=0:1:0.25", "mirostat_tau=1:9:2"),
    *(f"{name}=" for name in SPECS if name not in ("max_tokens", "top")),
)
"""What is offered while a range is typed."""


class Base(NamedTuple):
    """A set of parameters to choose."""

    key: str
    name: str
    """What it is called in tables and at curves."""
    summary: str
    params: SamplingParams


class Draft(NamedTuple):
    """Everything that was typed and chosen."""

    prompts: str
    whole: bool
    """All of it is one prompt; else each line is one."""
    file: str
    bases: frozenset[str]
    """Keys of what was chosen; see `Base`."""
    ranges: str
    models: tuple[str, ...]
    samples: str = "4"
    seed: str = "1"
    max_tokens: str = ""
    at_once: str = "8"


class Wrong(NamedTuple):
    """What cannot be used, and the field of `Draft` it stands in; "whole" is the sweep as such."""

    field: str
    error: PlaygroundError


class _Misplaced(Exception):
    def __init__(self, wrong: Wrong) -> None:
        super().__init__(wrong.field)
        self.wrong = wrong


class Asked(NamedTuple):
    """What is to be run."""

    sweep: Sweep
    at_once: int
    anyway: bool = False
    """Go on beyond the budget."""
    expected_s: float | None = None
    """Seconds it is expected to take; None when nobody knows."""


def first_draft(pane: Pane, written: str, models: Sequence[str]) -> Draft:
    """A draft from what is in front of the person: what is written in the editor, else what was said last."""
    last = pane.session.transcript.last(Role.USER)
    text = written if written.strip() else last.text if last is not None else ""
    limit = pane.session.params.max_tokens
    return Draft(
        prompts=text,
        whole=len(text.strip().splitlines()) > 1,
        file="",
        bases=frozenset({NOW}),
        ranges=RANGE,
        models=tuple(models),
        max_tokens=str(DEFAULT_LIMIT if limit == UNLIMITED else limit),
    )


def bases_of(pane: Pane, presets: Mapping[str, Preset]) -> list[Base]:
    """The parameters that can be chosen: those of the pane as they are, then every preset."""
    params = pane.tuning.pending or pane.session.params
    preset = pane.tuning.preset
    same = limited(preset.apply(SamplingParams(seed=params.seed)), 1) == limited(params, 1)
    bases = [Base(NOW, preset.name if same else f"{preset.name}*", "as this pane has it now", params)]
    others = (other for other in presets.values() if not (same and other.name == preset.name))
    return bases + [Base(one.name, one.name, one.summary, one.apply(SamplingParams())) for one in others]


def asked(draft: Draft, bases: Sequence[Base], pool: ModelPool, *, system: str, raw: bool) -> Asked | Wrong:
    """The plan, or the first mistake. Looks for files, so it belongs in a thread.

    Args:
        draft: What was typed.
        bases: What `bases_of` gave.
        pool: Finds the models.
        system: Goes before every prompt.
        raw: Prompts go as they are, without a template.
    """
    try:
        return _asked(draft, bases, pool, system=system, raw=raw)
    except _Misplaced as misplaced:
        return misplaced.wrong


def _asked(draft: Draft, bases: Sequence[Base], pool: ModelPool, *, system: str, raw: bool) -> Asked:
    prompts = _in("prompts", lambda: _prompts(draft, system=system, raw=raw))
    chosen = [base for base in bases if base.key in draft.bases]
    if not chosen:
        raise _Misplaced(Wrong("bases", BadInput("No parameters are chosen.", "Space chooses.")))
    ranges = _in("ranges", lambda: _ranges(draft, chosen))
    if not draft.models:
        raise _Misplaced(Wrong("models", BadInput("No model is chosen.", "F5 finds one.")))
    samples = _number("samples", "samples", draft.samples, 1, MOST_SAMPLES)
    seed = _number("seed", "the seed", draft.seed, 0, 2**32 - 3)
    most = _number("max_tokens", "tokens of a reply", draft.max_tokens, 1, 1 << 20)
    at_once = _number("at_once", "requests at once", draft.at_once, 1, MOST_AT_ONCE)
    named = [(base.name, limited(base.params, most)) for base in chosen]
    sweep = _in("whole", lambda: make_sweep(pool, prompts, named, ranges, draft.models, samples=samples, seed=seed))
    return Asked(sweep, at_once)


def _ranges(draft: Draft, bases: Sequence[Base]) -> list[str]:
    ranges = split_ranges(draft.ranges)
    grid([(bases[0].name, bases[0].params)], ranges)
    return ranges


def _prompts(draft: Draft, *, system: str, raw: bool) -> list[Prompt]:
    lines = [draft.prompts] if draft.whole else draft.prompts.splitlines()
    prompts = [as_prompt(line.strip(), system=system, raw=raw) for line in lines if line.strip()]
    if draft.file.strip():
        prompts += read_prompt_file(path_from(draft.file.strip()), system=system, raw=raw)
    if not prompts:
        raise BadInput("There is no prompt.", "Write one, or give a file.")
    return prompts


def _number(field: str, what: str, text: str, least: int, most: int) -> int:
    try:
        number = int(text.strip().replace(",", ""))
    except ValueError:
        number = least - 1
    if not least <= number <= most:
        sentence = f"{what[0].upper()}{what[1:]}: a whole number from {least} to {most:,}."
        raise _Misplaced(Wrong(field, BadInput(sentence)))
    return number


def _in(field: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except BadInput as error:
        raise _Misplaced(Wrong(field, error)) from error
