"""Whatever is typed, a parameter is in range or refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.domain.errors import BadInput
from playground.domain.param_specs import SPECS
from playground.domain.params import check, parse_assignment, replace
from playground.domain.sampling import DEFAULT_ORDER, SamplingParams

NAMES = st.sampled_from(SamplingParams.__struct_fields__)
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.sampled_from(["nan", "-inf", "1e400", "0x10", "١٢", " 1 ", "1_0", ""])
)


def in_range(params: SamplingParams) -> None:
    for name, spec in SPECS.items():
        value = getattr(params, name)
        assert spec.low <= value <= spec.high
        assert math.isfinite(value)
        assert isinstance(value, int) or not spec.whole
    assert set(params.order) <= set(DEFAULT_ORDER)
    assert len(set(params.order)) == len(params.order)
    assert params.seed is None or 0 <= params.seed < 2**32 - 1
    assert all(params.stop)
    assert not any(math.isnan(bias) or bias == math.inf for bias in params.logit_bias.values())


@given(NAMES, st.one_of(NUMBERS.map(str), st.text(), st.sampled_from([",".join(DEFAULT_ORDER), "top_k,top_k", "a:1"])))
def test_an_accepted_assignment_is_in_range(name: str, value: str) -> None:
    try:
        params = parse_assignment(SamplingParams(), f"{name}={value}")
    except BadInput:
        return
    in_range(params)


@given(st.text())
def test_any_text_is_an_assignment_or_refused(text: str) -> None:
    try:
        params = parse_assignment(SamplingParams(), text)
    except BadInput:
        return
    in_range(params)


@given(NAMES, st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.text())))
def test_a_replaced_value_has_its_type_and_range(name: str, value: object) -> None:
    try:
        params = replace(SamplingParams(), **{name: value})
    except BadInput:
        return
    in_range(params)


@pytest.mark.parametrize("name", SPECS)
def test_both_ends_of_a_range_are_in_it_and_what_lies_beyond_is_not(name: str) -> None:
    spec = SPECS[name]
    for value in (spec.low, spec.high):
        assert getattr(parse_assignment(SamplingParams(), f"{name}={value:g}"), name) == value
    for value in (spec.low - 1, spec.high + 1):
        with pytest.raises(BadInput, match=name):
            parse_assignment(SamplingParams(), f"{name}={value:g}")


def test_the_defaults_and_every_off_value_are_in_range() -> None:
    check(SamplingParams())
    for name, spec in SPECS.items():
        if spec.off is not None:
            check(replace(SamplingParams(), **{name: int(spec.off) if spec.whole else spec.off}))


def test_lists_and_tokens() -> None:
    params = SamplingParams()
    assert parse_assignment(params, "order=min_p, temperature").order == ("min_p", "temperature")
    assert parse_assignment(params, "stop=a,b c").stop == ("a", "b c")
    assert parse_assignment(params, "dry-breakers=\n").dry_breakers == ("\n",)
    assert parse_assignment(params, "logit_bias=a:b:-inf").logit_bias == {"a:b": -math.inf}
    twice = parse_assignment(parse_assignment(params, "logit_bias=x:1"), "logit_bias=#5:2")
    assert twice.logit_bias == {"x": 1.0, "#5": 2.0}
    assert parse_assignment(params, "seed=random").seed is None
    assert parse_assignment(params, "ignore_eos=yes").ignore_eos is True


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"nonsense": 1}, "no parameter"),
        ({"temperature": "hot"}, "wrong type"),
        ({"top_k": 1.5}, "wrong type"),
        ({"top_k": 1001}, "top_k is 1001, outside 0 to 1000"),
        ({"top_k": 10**400}, r"top_k is 1.*e\+400, outside 0 to 1000"),
        ({"temperature": math.nan}, "temperature is nan, outside 0 to 5"),
        ({"order": ("top_k", "top_k")}, "twice"),
        ({"logit_bias": {"a": math.nan}}, "logit bias"),
        ({"logit_bias": {"": 1.0}}, "names no token"),
        ({"seed": 2**32 - 1}, "seed"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        replace(SamplingParams(), **changes)
