"""A token under other parameters, beside what was recorded of it: what no parameter can change stays as it was.

A position that is computed again rounds otherwise (see `engine.pinning`), so figures of the model itself would move
with the first slider, and a stage would keep another share although nothing before it or in it was changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import structs

from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Stage, Token

_SETTINGS: Final = {
    "logit_bias": ("logit_bias", "ignore_eos"),
    "grammar": ("grammar", "json_schema"),
    "penalties": ("repeat_penalty", "frequency_penalty", "presence_penalty", "penalty_last_n"),
    "dry": ("dry_multiplier", "dry_base", "dry_allowed_length", "dry_last_n", "dry_breakers"),
    "top_n_sigma": ("top_n_sigma",),
    "top_k": ("top_k", "min_keep"),
    "typical_p": ("typical_p", "min_keep"),
    "top_p": ("top_p", "min_keep"),
    "min_p": ("min_p", "min_keep"),
    "xtc": ("xtc_probability", "xtc_threshold", "min_keep"),
    "temperature": ("temperature", "dynatemp_range", "dynatemp_exponent"),
    "greedy": (),
    "dist": (),
    "mirostat": ("mirostat_tau", "mirostat_eta"),
    "mirostat_v2": ("mirostat_tau", "mirostat_eta"),
    "adaptive_p": ("adaptive_target", "adaptive_decay"),
}
"""The parameters that each stage follows."""
_BEST_FIRST: Final = frozenset(("top_n_sigma", "top_k", "top_p", "min_p", "temperature", "greedy", "dist"))
"""Stages that leave the likeliest tokens in the order that they found."""


def keep_recorded(now: Token, recorded: Token, was: SamplingParams, params: SamplingParams) -> Token:
    """The token as it would be under `params`, held to what was recorded of it when it was drawn under `was`.

    Its surprisal, rank and entropy are the model's own and stay. So do the stages up to the first that was changed. The
    share that a later stage leaves contradicts none that was recorded: so many of the likeliest tokens have one share.
    Neither share nor number of candidates ever grows from one stage to the next.
    """
    return structs.replace(
        now,
        logprob=now.logprob if recorded.logprob is None else recorded.logprob,
        rank=now.rank if recorded.rank is None else recorded.rank,
        entropy=now.entropy if recorded.entropy is None else recorded.entropy,
        stages=tuple(_stages(now.stages, tuple(recorded.stages), was, params)),
        time_ms=recorded.time_ms,
    )


def _stages(
    now: Sequence[Stage], recorded: Sequence[Stage], was: SamplingParams, params: SamplingParams
) -> Iterator[Stage]:
    kept = 0
    while kept < min(len(now), len(recorded)) and now[kept].name == recorded[kept].name:
        if not _same_settings(now[kept].name, was, params):
            break
        kept += 1
    yield from recorded[:kept]
    facts, in_order = _shares(recorded, kept), True
    last = recorded[kept - 1] if kept else None
    for computed in now[kept:]:
        stage, in_order = computed, in_order and computed.name in _BEST_FIRST
        if last is not None and not stage.at_least:
            stage = structs.replace(stage, candidates=min(stage.candidates, last.candidates))
        mass = _within(stage, facts) if in_order and not stage.at_least else stage.mass
        last = structs.replace(stage, mass=min(mass, last.mass if last is not None else 1.0))
        yield last


def _same_settings(name: str, was: SamplingParams, params: SamplingParams) -> bool:
    return all(getattr(was, field) == getattr(params, field) for field in _SETTINGS.get(name, ()))


def _shares(stages: Sequence[Stage], kept: int) -> dict[int, float]:
    """By number, the share that so many of the likeliest tokens have once the first `kept` stages put them in order."""
    found: dict[int, float] = {}
    for at, stage in enumerate(stages):
        if stage.name not in _BEST_FIRST:
            if at >= kept:
                break
            found.clear()
        if not stage.at_least:
            found[stage.candidates] = stage.mass
    return found


def _within(stage: Stage, facts: dict[int, float]) -> float:
    """The share of a stage, not below that of fewer tokens nor above that of more."""
    mass = stage.mass
    for count, share in facts.items():
        if stage.candidates <= count:
            mass = min(mass, share)
        if stage.candidates >= count:
            mass = max(mass, share)
    return mass
