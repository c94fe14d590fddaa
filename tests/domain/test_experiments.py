"""The plan of a sweep: ranges, grids, cells and their names; and the figures of a group."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from playground.domain.errors import BadInput, Problem
from playground.domain.experiment_groups import groups, unit_kind
from playground.domain.experiments import (
    Cell,
    CellResult,
    Setting,
    Sweep,
    check_sweep,
    grid,
    named_prompts,
    parse_range,
    plan_dict,
    plan_from,
)
from playground.domain.messages import RawPrompt
from playground.domain.sampling import NEUTRAL
from playground.domain.usage import Timings, Usage


def make_sweep(**changes: Any) -> Sweep:
    plan: dict[str, Any] = {
        "prompts": named_prompts([RawPrompt("One"), RawPrompt("Two")]),
        "settings": grid([("neutral", NEUTRAL)], ["temperature=0:1:0.5"]),
        "models": ("/a.gguf", "box/b"),
        "samples": 2,
        "seed": 7,
    }
    return Sweep(**(plan | changes))


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("temperature=0:1.5:0.25", "temperature", (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)),
        ("temperature=0:0.3:0.1", "temperature", (0.0, 0.1, 0.2, 0.3)),
        ("top-k=10:35:10", "top_k", (10.0, 20.0, 30.0)),
        ("top_p=0.8,0.9,1", "top_p", (0.8, 0.9, 1.0)),
        ("min_p= 0.1 , 0.1", "min_p", (0.1,)),
        ("temperature=1:1:0.5", "temperature", (1.0,)),
    ],
)
def test_a_range_is_read(text: str, name: str, values: tuple[float, ...]) -> None:
    assert parse_range(text) == (name, values)


@pytest.mark.parametrize(
    "text",
    [
        *("temperature", "temperature=", "nosuch=1,2", "temperature=1:0:0.1", "temperature=0:1:0", "temperature=0:1"),
        *("temperature=0:1:1:1", "temperature=a,b", "temperature=0:1:-0.1", "temperature=nan,1", "temperature=0:1e9:1"),
        *("temperature=inf:1:1", "temperature=1,,2", "max_tokens=1,2", "seed=1,2", "temperature=0:NaN:1"),
    ],
)
def test_a_range_that_is_none_is_refused_with_a_hint(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_range(text)
    assert caught.value.hint


def test_two_ranges_and_two_presets_make_a_grid() -> None:
    settings = grid([("a", NEUTRAL), ("b", NEUTRAL)], ["temperature=0.5,1", "top_k=0,40"])
    assert [setting.name for setting in settings[:3]] == [
        "a, temperature 0.5, top_k 0",
        "a, temperature 0.5, top_k 40",
        "a, temperature 1, top_k 0",
    ]
    assert len(settings) == 8
    assert (settings[1].params.temperature, settings[1].params.top_k) == (0.5, 40)


def test_a_value_out_of_range_and_a_parameter_twice_are_refused() -> None:
    with pytest.raises(BadInput, match="outside"):
        grid([("a", NEUTRAL)], ["temperature=1,99"])
    with pytest.raises(BadInput, match="two ranges"):
        grid([("a", NEUTRAL)], ["top_p=0.5,1", "top-p=0.1,0.2"])


def test_every_cell_is_there_once_and_the_same_seeds_are_in_every_group() -> None:
    sweep = make_sweep()
    assert len(sweep.cells) == 2 * 3 * 2 * 2
    assert len({cell.id for cell in sweep.cells}) == 24
    assert [cell.params.seed for cell in sweep.cells[:4]] == [7, 8, 7, 8]


def test_a_cell_keeps_its_name_whatever_else_is_in_the_sweep() -> None:
    cells = {cell.id for cell in make_sweep().cells}
    larger = make_sweep(
        samples=3,
        models=("box/b", "/c.gguf", "/a.gguf"),
        prompts=named_prompts([RawPrompt("Zero"), RawPrompt("Two"), RawPrompt("One")]),
    )
    assert cells < {cell.id for cell in larger.cells}
    for other in (
        make_sweep(seed=70),
        make_sweep(models=("/d.gguf",)),
        make_sweep(prompts=named_prompts([RawPrompt("3")])),
    ):
        assert not cells & {cell.id for cell in other.cells}


def test_settings_that_come_to_the_same_share_their_cells() -> None:
    sweep = make_sweep(settings=(Setting("a", {}, NEUTRAL), Setting("b", {}, NEUTRAL)))
    assert len(sweep.cells) == 2 * 2 * 2
    result = {cell.id: reply(sweep, cell, [1]) for cell in sweep.cells}
    assert [group.samples for group in groups(sweep, result)] == [2] * 8


def test_a_plan_survives_json_with_a_ban_in_it() -> None:
    banned = msgspec.structs.replace(NEUTRAL, logit_bias={"x": -math.inf, "#5": 2.5})
    sweep = make_sweep(settings=(Setting("a", {"temperature": 1.0}, banned),))
    again = plan_from(msgspec.json.decode(msgspec.json.encode(plan_dict(sweep))))
    assert again == sweep
    assert [cell.id for cell in again.cells] == [cell.id for cell in sweep.cells]
    assert again.name == sweep.name == make_sweep(settings=sweep.settings, samples=9).name


def test_prompts_get_names_that_differ_and_cannot_steer_a_terminal() -> None:
    long = "word " * 40
    named = named_prompts(
        [RawPrompt(long + "a"), RawPrompt(long + "b"), RawPrompt("\x1b[31m\nred"), RawPrompt(long + "a")]
    )
    assert len(named) == 3
    assert len({one.name for one in named}) == 3
    assert "\x1b" not in named[2].name
    assert "\n" not in named[2].name


@pytest.mark.parametrize(
    "changes", [{"samples": 0}, {"prompts": ()}, {"samples": 10**6}, {"seed": -1}, {"seed": 2**32 - 2}]
)
def test_a_sweep_of_nothing_or_too_much_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        check_sweep(make_sweep(**changes))


def reply(sweep: Sweep, cell: Cell, tokens: list[int] | None, **more: Any) -> CellResult:
    values: dict[str, Any] = {
        "id": cell.id,
        "model": cell.model,
        "prompt": sweep.prompts[cell.prompt].name,
        "preset": "neutral",
        "values": {},
        "sample": cell.sample,
        "seed": cell.params.seed,
        "reason": "stop",
        "tokens": None if tokens is None else tuple(tokens),
        "usage": Usage(completion_tokens=len(tokens or ()), cost=0.5),
    }
    return CellResult(**(values | more))


def test_a_group_has_the_figures_of_its_samples() -> None:
    sweep = make_sweep(models=("/a.gguf",), prompts=named_prompts([RawPrompt("One")]), samples=3)
    first = sweep.group("/a.gguf", 0, 0)
    half = math.log(0.5)
    results = {
        first[0].id: reply(sweep, first[0], [1, 2], logprob_sum=half, logprob_count=2, timings=Timings(ttft_ms=10)),
        first[1].id: reply(sweep, first[1], [2, 3], logprob_sum=half, logprob_count=2, timings=Timings(ttft_ms=30)),
        first[2].id: reply(sweep, first[2], None, problem=Problem(kind="Overloaded", message="No."), reason=""),
    }
    (group,) = groups(sweep, results)
    assert (group.samples, group.failed, group.reasons) == (2, 1, {"stop": 2})
    assert group.consistency == pytest.approx(1 / 3)
    assert (group.distinct_1, group.distinct_2, group.distinct_3) == (3 / 4, 1.0, None)
    assert group.tokens == 2.0
    assert group.perplexity == pytest.approx(math.sqrt(2))  # two bits over four tokens
    assert group.cost == 1.0
    assert group.ttft_p50_ms == 20.0
    assert group.ttft_p95_ms == pytest.approx(29.0)
    assert group.speed_p50 is None


def test_words_are_compared_as_soon_as_one_reply_tells_no_tokens() -> None:
    sweep = make_sweep(models=("/a.gguf",), prompts=named_prompts([RawPrompt("One")]))
    cells = sweep.group("/a.gguf", 0, 0)
    both = {
        cells[0].id: reply(sweep, cells[0], [1, 2], text="The cat."),
        cells[1].id: reply(sweep, cells[1], None, text="the dog.", usage=Usage()),
    }
    assert unit_kind(both) == "words"
    (group,) = groups(sweep, both)
    assert group.consistency == 2 / 4  # "the" and "." of the, cat, dog, .
    assert group.cost is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("temperature=1:0:0.5", "The step leads away from the end"),
        ("temperature=0:1:-0.5", "The step leads away from the end"),
        ("temperature=1:0:-0.5", "The step leads downwards"),
        ("temperature=0:1:0", "is 0."),
        ("temperature=0:inf:1", "no numbers"),
    ],
)
def test_a_range_that_cannot_be_walked_says_why(text: str, told: str) -> None:
    with pytest.raises(BadInput, match=told):
        parse_range(text)
