"""What requests cost, against sums done by hand from the table's own figures."""

from __future__ import annotations

import sys
from decimal import Decimal
from subprocess import run
from typing import Any

import pytest
from msgspec import structs

from playground.domain.endpoints import Endpoint
from playground.domain.prices import Price
from playground.domain.usage import Usage
from playground.services.prices import PriceTable

ANTHROPIC = Endpoint(name="anthropic", api="anthropic", base_url="https://api.anthropic.com")
OPENAI = Endpoint(name="openai", api="openai", base_url="https://api.openai.com/v1")
LOOPBACK = Endpoint(name="box", api="openai", base_url="http://127.0.0.1:8080/v1", key_needed=False)
MIXED = Usage(
    prompt_tokens=12_345,
    cached_tokens=4_000,
    cache_write_5m_tokens=1_000,
    cache_write_1h_tokens=500,
    completion_tokens=678,
)


def figures(provider_id: str, model_id: str) -> Any:
    """The prices as they stand in the table, without its own arithmetic."""
    from genai_prices.data import providers

    (provider,) = (one for one in providers if one.id == provider_id)
    (model,) = (one for one in provider.models if one.id == model_id)
    return model.prices


async def test_claude_with_four_kinds_of_tokens() -> None:
    table = PriceTable()
    await table.load()
    price = figures("anthropic", "claude-sonnet-5")
    by_hand = (
        (12_345 - 4_000 - 1_000 - 500) * price.input_mtok
        + 4_000 * price.cache_read_mtok
        + 1_000 * price.cache_write_mtok
        + 500 * price.cache_write_1h_mtok
        + 678 * price.output_mtok
    ) / Decimal(1_000_000)
    assert table.cost(ANTHROPIC, "claude-sonnet-5", MIXED) == pytest.approx(float(by_hand), rel=1e-12)


def test_openai_with_a_cached_prefix() -> None:
    price = figures("openai", "gpt-4o")
    by_hand = ((2_000 - 1_024) * price.input_mtok + 1_024 * price.cache_read_mtok + 300 * price.output_mtok) / Decimal(
        1_000_000
    )
    usage = Usage(prompt_tokens=2_000, cached_tokens=1_024, completion_tokens=300)
    assert PriceTable().cost(OPENAI, "gpt-4o", usage) == pytest.approx(float(by_hand), rel=1e-12)


def test_a_long_prompt_is_charged_by_its_tier() -> None:
    table, price = PriceTable(), figures("anthropic", "claude-haiku-5-5")
    (tier,) = price.input_mtok.tiers
    below = table.estimate(ANTHROPIC, "claude-haiku-5-5", tier.start, 0)
    above = table.estimate(ANTHROPIC, "claude-haiku-5-5", tier.start + 1, 0)
    assert below == pytest.approx(float(price.input_mtok.base) * tier.start / 1e6)
    assert above == pytest.approx(float(tier.price) * (tier.start + 1) / 1e6)
    assert tier.price > price.input_mtok.base


@pytest.mark.parametrize(
    ("endpoint", "model"),
    [
        (ANTHROPIC, "claude-nobody-9"),
        (structs.replace(LOOPBACK, key_needed=True), "gpt-4o"),
        (Endpoint(name="proxy", api="openai", base_url="https://llm.example.org/v1"), "gpt-4o"),
        (Endpoint(name="odd", api="openai", base_url="https://a.example", price_provider="nobody"), "gpt-4o"),
    ],
)
def test_an_unknown_price_is_none_and_not_zero(endpoint: Endpoint, model: str) -> None:
    assert PriceTable().cost(endpoint, model, MIXED) is None


def test_a_server_on_this_machine_that_wants_no_key_is_free_unless_it_has_a_price() -> None:
    free = structs.replace(LOOPBACK, key_needed=False)
    assert PriceTable().cost(free, "gpt-4o", MIXED) == 0.0
    own = PriceTable({f"{free.name}/gpt-4o": Price(input_per_mtok=1.0, output_per_mtok=1.0)})
    assert own.cost(free, "gpt-4o", MIXED) == pytest.approx(13_023e-6)


def test_models_that_stand_in_the_table_without_a_price_are_unknown_too() -> None:
    from genai_prices.data import providers
    from genai_prices.types import ModelPrice

    free = [
        (Endpoint(name=one.id, api="openai", base_url="https://a.example", price_provider=one.id), model.id)
        for one in providers
        for model in one.models
        if isinstance(model.prices, ModelPrice) and model.prices.input_mtok is None
    ]
    assert len(free) > 50
    table = PriceTable()
    assert {table.cost(endpoint, model, Usage(prompt_tokens=9, completion_tokens=9)) for endpoint, model in free} == {
        None
    }


def test_prices_of_ones_own_win() -> None:
    own = Price(input_per_mtok=1.0, output_per_mtok=2.0)
    table = PriceTable({"openai/gpt-4o": own, "box/qwen": own, "anthropic/claude-sonnet-5": own})
    usage = Usage(prompt_tokens=1_000_000, completion_tokens=500_000, cost=99.0)
    assert table.cost(OPENAI, "gpt-4o", usage) == pytest.approx(2.0)
    assert table.cost(LOOPBACK, "qwen", usage) == pytest.approx(2.0)
    written = Usage(prompt_tokens=2_000_000, cache_write_5m_tokens=1_000_000, cache_write_1h_tokens=1_000_000)
    assert table.cost(ANTHROPIC, "claude-sonnet-5", written) == pytest.approx(1.25 + 2.0)
    assert table.cost(LOOPBACK, "qwen", written) is not None


def test_a_local_model_costs_nothing_and_a_server_may_say_what_it_charged() -> None:
    table = PriceTable()
    assert table.cost(None, "/models/x.gguf", Usage(prompt_tokens=5, completion_tokens=5)) == 0.0
    assert table.cost(LOOPBACK, "x", Usage(prompt_tokens=5, completion_tokens=5, cost=0.25)) == 0.25


def test_counts_that_nobody_gave_or_that_contradict_each_other_have_no_cost() -> None:
    table = PriceTable()
    assert table.cost(OPENAI, "gpt-4o", Usage(completion_tokens=5)) is None
    assert table.estimate(OPENAI, "gpt-4o", None, 100) is None
    assert table.estimate(OPENAI, "gpt-4o", 10, 0, cached_tokens=11) is None


def test_the_table_says_how_old_it_is_and_how_wide_windows_are() -> None:
    import re

    table = PriceTable()
    assert re.fullmatch(r"genai-prices \d+\.\d+\.\d+, latest change 20\d\d-\d\d-\d\d", table.date)
    assert table.context_window(ANTHROPIC, "claude-sonnet-5") == 1_000_000
    assert table.context_window(ANTHROPIC, "claude-nobody-9") is None


def test_the_table_is_not_imported_before_it_is_asked() -> None:
    code = "import sys, playground.services.prices as p; p.PriceTable({}); sys.exit('genai_prices' in sys.modules)"
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("prompt_tokens", [2_000, 500_000])
def test_rates_come_to_the_same_as_the_tables_own_arithmetic(prompt_tokens: int) -> None:
    mistral = Endpoint(name="mistral", api="openai", base_url="https://api.mistral.ai/v1")
    own = PriceTable({"anthropic/mine": Price(input_per_mtok=3.0, output_per_mtok=9.0, cache_read_per_mtok=0.3)})
    usage = structs.replace(MIXED, prompt_tokens=prompt_tokens, cached_tokens=400)
    count = 0
    for endpoint in (ANTHROPIC, OPENAI, mistral, LOOPBACK):
        for model in own.models(endpoint):
            rates = own.rates(endpoint, model, prompt_tokens)
            assert rates is not None
            small = structs.replace(usage, cache_write_5m_tokens=300, cache_write_1h_tokens=200)
            assert rates.cost(small) == pytest.approx(own.cost(endpoint, model, small), rel=1e-9), model
            count += 1
    assert count > 100
    assert own.rates(OPENAI, "nobody-knows-this", prompt_tokens) is None
    assert own.rates(None, "here.gguf", prompt_tokens) == Price(input_per_mtok=0.0, output_per_mtok=0.0)
