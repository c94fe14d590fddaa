"""What the samples of one cell group have in common: the figures a sweep is run for."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Final, Literal

import msgspec

from playground.domain.experiments import CellResult, Sweep, Values
from playground.domain.text_measures import consistency, distinct, mean, perplexity, words
from playground.domain.usage import percentile

UnitKind = Literal["tokens", "words"]


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One prompt with one setting on one model, over its samples. None is "nobody knows"."""

    model: str
    prompt: str
    preset: str
    values: Values
    samples: int
    """Replies that are here."""
    failed: int
    consistency: float | None
    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    tokens: float | None
    """Mean length of a reply in tokens."""
    perplexity: float | None
    """Of the replies under the model's own probabilities, all their tokens taken together."""
    reasons: dict[str, int]
    """Why they ended, the most frequent first."""
    cost: float | None
    """US dollars of all replies together; None when the price of one is unknown."""
    ttft_p50_ms: float | None
    ttft_p95_ms: float | None
    """95 % of the replies began within this time."""
    speed_p50: float | None
    """Tokens per second of one reply."""
    speed_p5: float | None
    """95 % of the replies were at least this fast."""


MEASURES: Final = {
    "consistency": "consistency (mean Jaccard)",
    "distinct_1": "distinct-1",
    "distinct_2": "distinct-2",
    "distinct_3": "distinct-3",
    "tokens": "tokens a reply",
    "perplexity": "perplexity",
    "ttft_p50_ms": "TTFT p50 (ms)",
    "speed_p50": "tokens/s p50",
}
"""Fields of `Group` that can be drawn, and what stands at their axis."""


def unit_kind(results: Mapping[str, CellResult]) -> UnitKind:
    """What texts are compared by: tokens when every reply tells them, else words, for all of them alike."""
    done = [result for result in results.values() if result.problem is None]
    return "tokens" if done and all(result.tokens is not None for result in done) else "words"


def groups(sweep: Sweep, results: Mapping[str, CellResult]) -> list[Group]:
    """Every group that has at least one result, in the order of the plan. `results` is by the id of the cell."""
    own = {cell.id: results[cell.id] for cell in sweep.cells if cell.id in results}
    kind = unit_kind(own)
    found = []
    for model in sweep.models:
        for at in range(len(sweep.prompts)):
            for which in range(len(sweep.settings)):
                here = [own[cell.id] for cell in sweep.group(model, at, which) if cell.id in own]
                if here:
                    found.append(group_of(sweep, model, at, which, here, kind))
    return found


def group_of(sweep: Sweep, model: str, at: int, which: int, results: Sequence[CellResult], kind: UnitKind) -> Group:
    """The figures of one group: index `at` of the prompt, `which` of the setting, and its results."""
    setting, done = sweep.settings[which], [result for result in results if result.problem is None]
    units = [_units(result, kind) for result in done]
    scored = sum(result.logprob_count for result in done)
    waits = [result.timings.ttft_ms for result in done if result.timings.ttft_ms is not None]
    speeds = [result.timings.tokens_per_second for result in done if result.timings.tokens_per_second is not None]
    costs = [result.usage.cost for result in done]
    return Group(
        model=model,
        prompt=sweep.prompts[at].name,
        preset=setting.preset,
        values=setting.values,
        samples=len(done),
        failed=len(results) - len(done),
        consistency=consistency(units),
        distinct_1=distinct(units, 1),
        distinct_2=distinct(units, 2),
        distinct_3=distinct(units, 3),
        tokens=mean(result.usage.completion_tokens for result in done),
        perplexity=perplexity(math.fsum(result.logprob_sum or 0.0 for result in done), scored),
        reasons=dict(Counter(result.reason for result in done).most_common()),
        cost=None if not done or None in costs else math.fsum(cost or 0.0 for cost in costs),
        ttft_p50_ms=percentile(waits, 0.5),
        ttft_p95_ms=percentile(waits, 0.95),
        speed_p50=percentile(speeds, 0.5),
        speed_p5=percentile(speeds, 0.05),
    )


def _units(result: CellResult, kind: UnitKind) -> Sequence[Hashable]:
    return words(result.text) if kind == "words" or result.tokens is None else result.tokens
