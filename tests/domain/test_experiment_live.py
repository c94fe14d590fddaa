"""Groups that grow have the same figures as groups that are reckoned all at once."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace

from playground.domain.errors import Problem
from playground.domain.experiment_groups import groups, unit_kind
from playground.domain.experiment_live import LiveGroups
from playground.domain.experiments import Cell, CellResult, Sweep, grid, named_prompts
from playground.domain.messages import RawPrompt
from playground.domain.sampling import NEUTRAL
from playground.domain.usage import Timings, Usage

SWEEP = Sweep(
    prompts=named_prompts([RawPrompt("a"), RawPrompt("b")]),
    settings=grid([("one", NEUTRAL), ("same as one", NEUTRAL)], ["temperature=0,1"]),
    models=("x", "box/y"),
    samples=4,
    seed=1,
)


def result(cell: Cell, chance: random.Random, *, words: bool) -> CellResult:
    tokens = tuple(chance.choices(range(9), k=5))
    return CellResult(
        id=cell.id,
        model=cell.model,
        prompt=SWEEP.prompts[cell.prompt].name,
        preset="one",
        values={},
        sample=cell.sample,
        seed=cell.params.seed,
        text=" ".join(map(str, tokens)),
        reason="stop",
        usage=Usage(completion_tokens=5, cost=0.5),
        timings=Timings(ttft_ms=chance.random(), tokens_per_second=1 + chance.random()),
        tokens=None if words else tokens,
        logprob_sum=-chance.random(),
        logprob_count=5,
        problem=Problem(kind="EngineDied", message="gone") if chance.random() < 0.1 else None,
    )


@pytest.mark.parametrize("words", [False, True])
def test_they_are_the_same_at_every_step(words: bool) -> None:
    chance = random.Random(7)
    live, results = LiveGroups(SWEEP), dict[str, CellResult]()
    cells = list(SWEEP.cells)
    chance.shuffle(cells)
    for number, cell in enumerate(cells):
        results[cell.id] = result(cell, chance, words=words and number > 9)
        live.add(results[cell.id])
        if number % 5 == 0 or number == len(cells) - 1:
            before = live.changed
            live.reckon()
            assert (before, live.changed) == (True, False)
            assert live.groups == groups(SWEEP, results)
    assert live.kind == unit_kind(results) == ("words" if words else "tokens")
    assert len(live.places) == len(live.groups) == 16, "two presets that are equal share their replies, each has a row"


def test_what_is_run_again_takes_the_place_of_what_failed_and_strangers_are_passed_over() -> None:
    cell, chance = SWEEP.cells[0], random.Random(1)
    good = replace(result(cell, chance, words=False), problem=None)
    live = LiveGroups(SWEEP, [replace(good, problem=Problem(kind="EngineDied", message="gone"))])
    live.reckon()
    assert (live.groups[0].samples, live.groups[0].failed) == (0, 1)
    live.add(good)
    live.add(replace(good, id="another sweep's"))
    live.reckon()
    assert (live.groups[0].samples, live.groups[0].failed) == (1, 0)
    assert live.results(live.places[0]) == [good]


def test_nothing_is_lost_when_somebody_gives_up_reckoning_or_more_comes_meanwhile() -> None:
    chance, results = random.Random(3), dict[str, CellResult]()
    live = LiveGroups(SWEEP)
    for cell in SWEEP.cells[:6]:
        results[cell.id] = result(cell, chance, words=False)
        live.add(results[cell.id])
    live.take()
    assert live.changed, "what was taken and never came back is still to be reckoned"
    taken = live.take()
    late = SWEEP.cells[6]
    results[late.id] = result(late, chance, words=False)
    live.add(results[late.id])
    live.put(live.reckoned(*taken))
    assert live.changed, "one has come meanwhile"
    live.reckon()
    assert live.groups == groups(SWEEP, results)
    assert not live.changed
