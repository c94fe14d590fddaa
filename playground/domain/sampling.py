"""Sampling parameters, and the pipeline of stages they make.

Sampling narrows a distribution, one stage after another, and then picks. The stages and their meaning are llama.cpp's
own (`llama_sampler_init_*`); a stage whose parameter is at its "off" value does not run.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

DEFAULT_ORDER: Final = (
    "penalties",
    "dry",
    "top_n_sigma",
    "top_k",
    "typical_p",
    "top_p",
    "min_p",
    "xtc",
    "temperature",
)
"""Stages whose order can be changed, in llama.cpp's default order."""

FIRST_STAGES: Final = ("logit_bias", "grammar")
"""Stages that always come first, in this order."""

LAST_STAGES: Final = ("greedy", "dist", "mirostat", "mirostat_v2", "adaptive_p")
"""Stages that pick the token; exactly one runs, last."""

UNLIMITED: Final = -1
"""`max_tokens` of a reply that goes on until it ends or the context is full."""


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How the next token is chosen, and when to stop. Ranges and meanings: `param_specs.SPECS`."""

    temperature: float = 0.8
    dynatemp_range: float = 0.0
    dynatemp_exponent: float = 1.0
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    top_n_sigma: float = 0.0
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_last_n: int = -1
    dry_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    adaptive_target: float = 0.0
    adaptive_decay: float = 0.9
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    penalty_last_n: int = 64
    logit_bias: dict[str, float] = {}
    """Token text, or "#id", to what is added to its logit; -inf bans it."""
    grammar: str = ""
    """What the reply may be, in GBNF, llama.cpp's notation; empty: anything."""
    json_schema: str = ""
    """The same as a JSON schema, which llama-cpp-python turns into a grammar. Only one of the two may be set."""
    speculate: int = 0
    """How many tokens at most are guessed ahead and checked in one step; 0 is off. It changes the speed alone."""
    order: tuple[str, ...] = DEFAULT_ORDER
    """Stages in the order they run; one that is left out does not run."""
    min_keep: int = 1
    """Truncating stages leave at least this many candidates."""
    seed: int | None = None
    """None: a fresh one each run, reported in `Started`."""
    max_tokens: int = UNLIMITED
    stop: tuple[str, ...] = ()
    """Strings that end the reply; they may span tokens and are not part of it."""
    ignore_eos: bool = False
    top: int = 10
    """How many candidates are kept for each token."""


NEUTRAL: Final = SamplingParams(temperature=1.0, top_k=0, top_p=1.0, min_p=0.0)
"""Nothing is cut and nothing is bent: tokens are drawn from the model's own distribution."""


def truncating_stages(params: SamplingParams) -> tuple[str, ...]:
    """Stages of `params.order` that are not at their "off" value, temperature included."""
    greedy = params.temperature <= 0.0
    on = {
        "penalties": params.penalty_last_n != 0
        and (params.repeat_penalty != 1.0 or params.frequency_penalty != 0.0 or params.presence_penalty != 0.0),
        "dry": params.dry_multiplier > 0.0 and params.dry_base >= 1.0 and params.dry_last_n != 0,
        "top_n_sigma": params.top_n_sigma > 0.0,
        "top_k": params.top_k > 0,
        "typical_p": params.typical_p < 1.0,
        "top_p": params.top_p < 1.0,
        "min_p": params.min_p > 0.0,
        # XTC may remove the most likely token, and greedy is a promise to take it.
        "xtc": params.xtc_probability > 0.0 and params.xtc_threshold <= 0.5 and not greedy,
        "temperature": params.temperature != 1.0 or params.dynatemp_range > 0.0,
    }
    return tuple(name for name in params.order if on[name])


def active_stages(params: SamplingParams) -> tuple[str, ...]:
    """Every stage that will run, in order, the picking one last.

    As in llama.cpp, mirostat takes the place of the truncating stages and keeps temperature alone; temperature 0 is
    greedy whatever else is set.
    """
    on = {
        "logit_bias": bool(params.logit_bias) or params.ignore_eos,
        "grammar": bool(params.grammar or params.json_schema),
    }
    first = tuple(name for name in FIRST_STAGES if on[name])
    middle = truncating_stages(params)
    if params.temperature <= 0.0:
        return (*first, *middle, "greedy")
    if params.mirostat:
        last = "mirostat" if params.mirostat == 1 else "mirostat_v2"
        return (*first, *(name for name in middle if name == "temperature"), last)
    return (*first, *middle, "adaptive_p" if params.adaptive_target > 0.0 else "dist")


def changed_fields(old: SamplingParams, new: SamplingParams) -> dict[str, tuple[Any, Any]]:
    """Name to (old, new) of every field that differs."""
    return {
        name: (getattr(old, name), getattr(new, name))
        for name in SamplingParams.__struct_fields__
        if getattr(old, name) != getattr(new, name)
    }
