"""Money a person typed into the settings, and money as it is shown."""

from __future__ import annotations

import msgspec
import pytest

from playground.domain.prices import Budget, Price, usd_text
from playground.domain.usage import Usage

FULL = Price(
    input_per_mtok=3.0,
    output_per_mtok=15.0,
    cache_read_per_mtok=0.3,
    cache_write_5m_per_mtok=3.75,
    cache_write_1h_per_mtok=6.0,
)
MIXED = Usage(
    prompt_tokens=10_000,
    cached_tokens=4_000,
    cache_write_5m_tokens=1_000,
    cache_write_1h_tokens=500,
    completion_tokens=700,
)


def test_each_kind_of_token_has_its_price() -> None:
    by_hand = (4_500 * 3.0 + 4_000 * 0.3 + 1_000 * 3.75 + 500 * 6.0 + 700 * 15.0) / 1e6
    assert FULL.cost(MIXED) == pytest.approx(by_hand)


def test_what_is_not_priced_costs_as_much_as_input() -> None:
    plain = Price(input_per_mtok=3.0, output_per_mtok=15.0)
    assert plain.cost(MIXED) == pytest.approx((10_000 * 3.0 + 700 * 15.0) / 1e6)
    dearer = plain.cost(MIXED, write_5m_factor=1.25, write_1h_factor=2.0)
    assert dearer == pytest.approx((8_500 * 3.0 + 1_000 * 3.75 + 500 * 6.0 + 700 * 15.0) / 1e6)
    assert (
        Price(input_per_mtok=3.0, output_per_mtok=0.0, cache_read_per_mtok=0.0).cost(
            Usage(prompt_tokens=1_000, cached_tokens=1_000)
        )
        == 0.0
    ), "a price of zero is a price"


@pytest.mark.parametrize("usage", [Usage(completion_tokens=5), Usage(prompt_tokens=10, cached_tokens=11)])
def test_a_prompt_that_nobody_counted_has_no_cost(usage: Usage) -> None:
    assert FULL.cost(usage) is None


def test_a_misspelt_price_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"input_per_mtok": 1, "output_per_mtok": 2, "cache_reed_per_mtok": 1}, Price)
    assert msgspec.convert({"per_day_usd": 5}, Budget) == Budget(per_day_usd=5.0)


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0.0, "$0"), (0.00001, "<$0.0001"), (0.01286, "$0.0129"), (1.005, "$1.00"), (1234.5, "$1,234.50")],
)
def test_money_is_short_and_never_falsely_zero(usd: float, text: str) -> None:
    assert usd_text(usd) == text
