"""The same position at several temperatures, at little more than the price of one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import structs

from playground.domain.sampling import SamplingParams, active_stages, truncating_stages
from playground.domain.what_if import TEMPERATURES, Column
from playground.engine.bending import Bending, Survivors, unsure_stages
from playground.engine.libllama import Logits


def columns(bending: Bending, params: SamplingParams, logits: Logits, ids: Sequence[int]) -> tuple[Column, ...]:
    """Chances of `ids` at each of TEMPERATURES under parameters that are otherwise the same.

    `bending` has just looked at the position under `params`.
    """
    if not _temperature_is_last(params):
        return tuple(_run(bending, params, logits, ids, temperature) for temperature in TEMPERATURES)
    now = params.temperature
    if now <= 0.0:
        now = 1.0
        bending.configure(structs.replace(params, temperature=now))
        bending.read(logits)
        bending.look(1)
    ways = bending.survivors()
    warm = {wanted: _column(ways, ids, wanted, now) for wanted in TEMPERATURES if wanted > 0.0}
    # XTC may take the likeliest token away and does not run at temperature 0: nothing can be told from here then.
    xtc = "xtc" in active_stages(structs.replace(params, temperature=1.0))
    cold = _run(bending, params, logits, ids, 0.0) if xtc else _greedy(ways[0], ids)
    return tuple(warm.get(temperature, cold) for temperature in TEMPERATURES)


def _temperature_is_last(params: SamplingParams) -> bool:
    """True when all that happens at a temperature is that the logits that are left are divided by it."""
    stages = truncating_stages(structs.replace(params, temperature=0.5))
    return params.dynatemp_range <= 0.0 and stages[-1:] == ("temperature",) and not unsure_stages(params)


def _run(bending: Bending, params: SamplingParams, logits: Logits, ids: Sequence[int], temperature: float) -> Column:
    """By the samplers themselves."""
    bending.configure(structs.replace(params, temperature=temperature))
    bending.read(logits)
    throws = bending.look(1, ids)
    probs = tuple([sum([throw.chance * throw.prob(token) for throw in throws]) for token in ids])
    return Column(temperature, probs, max(throw.choice.stages[-1].candidates for throw in throws))


def _column(ways: Sequence[Survivors], ids: Sequence[int], temperature: float, now: float) -> Column:
    """Softmax of what is left, at another temperature than `now`, by which the logits are divided already."""
    chances = dict.fromkeys(ids, 0.0)
    for way in ways:
        weights = np.exp((way.logits - way.logits.max()) * np.float32(now / temperature))
        share = way.chance / float(weights.sum())
        for token, at in way.places(ids):
            chances[token] += share * float(weights[at])
    return Column(temperature, tuple(chances.values()), max(len(way.ids) for way in ways))


def _greedy(way: Survivors, ids: Sequence[int]) -> Column:
    best = int(way.ids[way.logits.argmax()])
    return Column(0.0, tuple(float(token == best) for token in ids), 1)
