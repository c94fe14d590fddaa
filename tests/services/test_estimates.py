"""Costs and waiting times of a load."""

from __future__ import annotations

import pytest

from playground.domain.endpoints import Endpoint
from playground.domain.errors import BadInput
from playground.domain.loads import Load, Times, reads_to_break_even
from playground.domain.prices import Price
from playground.services.estimates import caching, estimate
from playground.services.prices import PriceTable

ENDPOINTS = {
    "mine": Endpoint(name="mine", api="anthropic", base_url="https://example.com"),
    "other": Endpoint(name="other", api="openai", base_url="https://example.org/v1"),
}
PRICES = PriceTable(
    {
        "mine/m": Price(input_per_mtok=10.0, output_per_mtok=50.0, cache_read_per_mtok=1.0),
        "other/m": Price(input_per_mtok=1.0, output_per_mtok=2.0),
    }
)
LOAD = Load(requests_per_day=100, prompt_tokens=1_000, completion_tokens=200)


def test_a_load_costs_what_its_tokens_cost() -> None:
    mine, other, here = estimate(LOAD, ["mine/m", "other/m", "here.gguf"], ENDPOINTS, PRICES)
    assert mine.request == pytest.approx(1_000 * 10e-6 + 200 * 50e-6)
    assert mine.day == pytest.approx(100 * 0.02)
    assert mine.month == pytest.approx(3000 * 0.02)
    assert other.request == pytest.approx(0.0014)
    assert here.day == 0.0
    assert other.caching == ()


def test_what_is_read_from_the_cache_costs_less() -> None:
    (row,) = estimate(
        Load(requests_per_day=1, prompt_tokens=1_000, completion_tokens=0, cached_share=0.9),
        ["mine/m"],
        ENDPOINTS,
        PRICES,
    )
    assert row.request == pytest.approx(100 * 10e-6 + 900 * 1e-6)
    five, hour = row.caching
    assert (five.kept, five.pays_from_reads, hour.kept, hour.pays_from_reads) == ("5m", 1, "1h", 2)
    assert [five.write, hour.write] == pytest.approx([900 * 12.5e-6, 900 * 20e-6])
    assert (five.pays_from_requests_per_day, hour.pays_from_requests_per_day) == (288, 24)
    assert five.cost(3) == pytest.approx(five.write + 2 * five.read)
    assert row.uncached_request == pytest.approx(1_000 * 10e-6)


def test_a_provider_that_charges_nothing_for_writing_pays_from_the_second_request_on() -> None:
    price = Price(input_per_mtok=1.0, output_per_mtok=2.0, cache_read_per_mtok=0.0)
    (auto,) = caching(LOAD, "other/m", ENDPOINTS, PriceTable({"other/m": price}))
    assert (auto.kept, auto.write, auto.read, auto.pays_from_reads) == ("auto", auto.plain, 0.0, 1)
    assert auto.pays_from_requests_per_day is None


@pytest.mark.parametrize(
    ("price", "prompt_tokens", "share"),
    [
        (Price(input_per_mtok=0.0, output_per_mtok=2.0, cache_read_per_mtok=0.0), 2_000, 0.5),  # a prompt is free
        (Price(input_per_mtok=10.0, output_per_mtok=50.0, cache_read_per_mtok=1.0), 1, 0.01),  # a share is no token
        (Price(input_per_mtok=10.0, output_per_mtok=50.0, cache_read_per_mtok=1.0), 0, 0.0),
    ],
)
def test_nothing_is_reckoned_for_a_cache_where_there_is_nothing_to_save(
    price: Price, prompt_tokens: int, share: float
) -> None:
    load = Load(requests_per_day=1, prompt_tokens=prompt_tokens, completion_tokens=10, cached_share=share)
    assert caching(load, "mine/m", ENDPOINTS, PriceTable({"mine/m": price})) == ()


def test_a_model_that_was_measured_is_as_fast_as_it_was() -> None:
    load = Load(requests_per_day=1, prompt_tokens=1, completion_tokens=101, ttft_ms=500, tokens_per_second=50)
    slow, other = estimate(load, ["a.gguf", "b.gguf"], ENDPOINTS, PRICES, {"a.gguf": Times(2000.0, 10.0)})
    assert (slow.waiting_s, slow.writing_s, slow.response_s) == (2.0, 10.0, 12.0)
    assert (other.waiting_s, other.writing_s) == (0.5, 2.0)


@pytest.mark.parametrize(
    ("write", "read", "reads"), [(1.25, 0.1, 1), (2.0, 0.1, 2), (1.0, 0.5, 1), (1.25, 1.0, None), (4.0, 0.0, 4)]
)
def test_break_even(write: float, read: float, reads: int | None) -> None:
    assert reads_to_break_even(1.0, write, read) == reads
    if reads is not None:
        assert write + reads * read < reads + 1
        assert write + (reads - 1) * read >= reads


def test_the_whole_reply_takes_ttft_and_then_one_token_after_another() -> None:
    load = Load(requests_per_day=1, prompt_tokens=1, completion_tokens=101, ttft_ms=500, tokens_per_second=50)
    assert estimate(load, ["x"], ENDPOINTS, PRICES)[0].response_s == pytest.approx(0.5 + 2.0)
    assert estimate(LOAD, ["x"], ENDPOINTS, PRICES)[0].response_s is None


def test_an_unknown_price_is_unknown() -> None:
    (row,) = estimate(LOAD, ["other/never-heard-of"], ENDPOINTS, PRICES)
    assert (row.request, row.day, row.month) == (None, None, None)


def test_what_cannot_be_is_said() -> None:
    with pytest.raises(BadInput, match="no endpoint 'nosuch'"):
        estimate(LOAD, ["nosuch/m"], ENDPOINTS, PRICES)
    with pytest.raises(BadInput, match="cached share"):
        estimate(
            Load(requests_per_day=1, prompt_tokens=1, completion_tokens=1, cached_share=80), ["x"], ENDPOINTS, PRICES
        )
