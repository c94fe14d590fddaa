"""Which stages run, and in which order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from playground.domain.params import replace
from playground.domain.sampling import (
    DEFAULT_ORDER,
    LAST_STAGES,
    NEUTRAL,
    SamplingParams,
    active_stages,
    changed_fields,
)

EVERYTHING = SamplingParams(
    repeat_penalty=1.1,
    dry_multiplier=0.8,
    top_n_sigma=1.0,
    typical_p=0.9,
    xtc_probability=0.5,
    dynatemp_range=0.3,
)


def test_what_is_off_does_not_run() -> None:
    assert active_stages(NEUTRAL) == ("dist",)
    assert active_stages(SamplingParams()) == ("top_k", "top_p", "min_p", "temperature", "dist")
    assert active_stages(EVERYTHING) == (*DEFAULT_ORDER, "dist")


@given(st.permutations(DEFAULT_ORDER), st.integers(0, len(DEFAULT_ORDER)))
def test_the_order_is_the_one_that_was_chosen(order: list[str], length: int) -> None:
    chosen = tuple(order[:length])
    assert active_stages(replace(EVERYTHING, order=chosen)) == (*chosen, "dist")


def test_one_stage_picks_and_it_is_the_last() -> None:
    cases: dict[str, dict[str, float]] = {
        "dist": {},
        "mirostat": {"mirostat": 1},
        "mirostat_v2": {"mirostat": 2, "adaptive_target": 0.5},
        "adaptive_p": {"adaptive_target": 0.5},
        "greedy": {"temperature": 0.0, "mirostat": 2, "adaptive_target": 0.5},
    }
    for last, changes in cases.items():
        stages = active_stages(replace(EVERYTHING, **changes))
        assert [name for name in stages if name in LAST_STAGES] == [last]
        assert stages[-1] == last


def test_mirostat_takes_the_place_of_what_cuts() -> None:
    assert active_stages(replace(EVERYTHING, mirostat=1)) == ("temperature", "mirostat")


def test_greedy_is_never_robbed_of_the_best_token() -> None:
    assert "xtc" not in active_stages(replace(EVERYTHING, temperature=0.0))


def test_biases_come_first() -> None:
    for changes in ({"ignore_eos": True}, {"logit_bias": {"a": 1.0}}):
        assert active_stages(replace(NEUTRAL, **changes)) == ("logit_bias", "dist")


def test_penalties_without_a_window_do_nothing() -> None:
    assert "penalties" not in active_stages(replace(EVERYTHING, penalty_last_n=0))
    assert "dry" not in active_stages(replace(EVERYTHING, dry_last_n=0))


def test_changed_fields() -> None:
    assert changed_fields(NEUTRAL, NEUTRAL) == {}
    assert changed_fields(NEUTRAL, replace(NEUTRAL, top_k=3)) == {"top_k": (0, 3)}
