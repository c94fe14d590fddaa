"""Changing sampling parameters safely: every value is checked against the table before it is used."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from playground.domain.errors import BadInput
from playground.domain.grammars import check_constraint
from playground.domain.param_specs import SPECS
from playground.domain.sampling import DEFAULT_ORDER, SamplingParams


def replace(params: SamplingParams, **changes: Any) -> SamplingParams:
    """A copy with some fields changed; BadInput names an unknown field, a wrong type or a value out of range."""
    unknown = sorted(set(changes) - set(SamplingParams.__struct_fields__))
    if unknown:
        names = ", ".join(SamplingParams.__struct_fields__)
        raise BadInput(f"There is no parameter {unknown[0]!r}.", f"Known ones: {names}.")
    merged = {name: getattr(params, name) for name in SamplingParams.__struct_fields__} | changes
    try:
        new = msgspec.convert(merged, SamplingParams, strict=True)
    except msgspec.ValidationError as error:
        raise BadInput(f"A parameter has the wrong type: {error}.") from error
    check(new)
    return new


def check(params: SamplingParams) -> None:
    """Raise BadInput naming the first value that is out of range, or what a reply could not be written with."""
    check_ranges(params)
    if any(not text for text in params.stop):
        raise BadInput("A stop string is empty.", "Leave it out, or give at least one character.")
    if "" in params.logit_bias:
        raise BadInput("A logit bias names no token.", _expected("logit_bias"))
    check_constraint(params)


def check_ranges(params: SamplingParams) -> None:
    """Raise BadInput naming the first value that no reply, not even one of long ago, can have been written with.

    Texts are not looked at: what was once taken may be refused today, and can still be shown.
    """
    for name, spec in SPECS.items():
        value = getattr(params, name)
        if not spec.low <= value <= spec.high:
            shown = f"{value if isinstance(value, float) else Decimal(value):.6g}"  # not every whole number is a float
            raise BadInput(f"{name} is {shown}, outside {spec.low:g} to {spec.high:g}.", f"{spec.label}: {spec.help}")
    wrong = [name for name in params.order if name not in DEFAULT_ORDER]
    if wrong or len(set(params.order)) != len(params.order):
        what = f"{wrong[0]!r} is no stage" if wrong else "a stage stands there twice"
        raise BadInput(f"The sampler order is wrong: {what}.", f"Stages: {', '.join(DEFAULT_ORDER)}.")
    if params.seed is not None and not 0 <= params.seed < 2**32 - 1:  # llama.cpp reads the last value as "random"
        raise BadInput(f"seed is {params.seed}, outside 0 to {2**32 - 2}.")
    if any(math.isnan(bias) or bias == math.inf for bias in params.logit_bias.values()):
        raise BadInput("A logit bias must be a number, or -inf to ban the token.")


def assigned_names(assignments: Iterable[str]) -> tuple[str, ...]:
    """The parameters that texts such as "top-k=20" set, as `parse_assignment` reads their names."""
    return tuple(one.partition("=")[0].strip().replace("-", "_") for one in assignments)


def parse_assignment(params: SamplingParams, text: str) -> SamplingParams:
    """Apply `name=value` as typed on a command line; raises BadInput with the reason.

    Lists (`order`, `stop`, `dry_breakers`) are separated by commas, a logit bias is `logit_bias=TOKEN:BIAS`.
    """
    name, equals, raw = text.partition("=")
    name = name.strip().replace("-", "_")
    if not equals:
        raise BadInput(f"{text!r} is not of the form name=value.", "Example: --set temperature=0.7")
    if name not in SamplingParams.__struct_fields__:
        raise BadInput(
            f"There is no parameter {name!r}.", f"Known ones: {', '.join(SamplingParams.__struct_fields__)}."
        )
    return replace(params, **{name: _parse_value(params, name, raw)})


def _parse_value(params: SamplingParams, name: str, raw: str) -> Any:
    try:
        if name in ("order", "stop", "dry_breakers"):
            return tuple(part.strip() if name == "order" else part for part in raw.split(",") if part)
        if name == "logit_bias":
            token, _, bias = raw.rpartition(":")
            return {**params.logit_bias, token: float(bias)}
        if name == "ignore_eos":
            return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[raw.strip().lower()]
        if name in ("grammar", "json_schema"):
            return raw
        if name == "seed":
            return None if raw.strip().lower() in ("", "none", "random") else int(raw)
        return int(raw) if SPECS[name].whole else float(raw)
    except (ValueError, KeyError) as error:
        raise BadInput(f"{name} cannot be {raw!r}.", _expected(name)) from error


def _expected(name: str) -> str:
    if name in SPECS:
        spec = SPECS[name]
        return f"Give a {'whole ' if spec.whole else ''}number from {spec.low:g} to {spec.high:g}."
    return {
        "logit_bias": "Give TOKEN:BIAS, for example ' Yes:2.5' or '#504:-inf'.",
        "ignore_eos": "Give true or false.",
        "seed": "Give a whole number, or random.",
    }.get(name, "")
