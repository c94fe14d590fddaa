"""What a text costs at the models that count with a tokenizer."""

from __future__ import annotations

import pytest

from playground.domain.endpoints import ModelRef
from playground.domain.models import ModelCard
from playground.domain.prices import Price
from playground.services.endpoints import load_endpoints
from playground.services.prices import PriceTable
from playground.services.settings import Settings
from playground.services.token_costs import Known, bills, known_models

OWN = Settings(prices={"anthropic/claude-opus-4-8": Price(input_per_mtok=10.0, output_per_mtok=50.0)})


def test_with_no_hosted_model_in_use_a_well_known_one_stands_for_the_vocabulary() -> None:
    endpoints = load_endpoints(Settings())
    (bill,) = bills("o200k_base", 1000, [], endpoints, PriceTable())
    assert (bill.model, bill.tokens, bill.exact, bill.window) == ("gpt-4o", 1000, True, 128_000)
    assert bill.as_prompt is not None
    assert bill.as_reply is not None
    assert bill.as_reply > bill.as_prompt > 0
    assert bills("SmolLM2", 1000, [], endpoints, PriceTable()) == []


def test_the_models_on_screen_and_those_with_a_price_of_ones_own_are_reckoned() -> None:
    endpoints = load_endpoints(OWN)
    card = ModelCard(id="groq/some-model", short_name="some-model", provider="groq", n_ctx=4096)
    known = known_models([card], OWN, endpoints)
    assert known == [
        Known(ModelRef("groq", "some-model"), 4096),
        Known(ModelRef("anthropic", "claude-opus-4-8")),
    ]
    groq, claude = bills("o200k_base", 1000, known, endpoints, PriceTable(OWN.prices))
    assert (groq.tokens, groq.exact, groq.as_prompt, groq.window) == (1000, False, None, 4096), "unknown is not zero"
    assert (claude.tokens, claude.exact) == (1500, False)
    assert claude.as_prompt == pytest.approx(0.015)
    assert claude.as_reply == pytest.approx(0.075)
