"""Which models a load can be reckoned on, and which of them one could ask now."""

from __future__ import annotations

import pytest

from playground.domain.endpoints import Endpoint, Secret
from playground.domain.prices import Price
from playground.services.endpoint_settings import EndpointSettings
from playground.services.endpoints import PROVIDERS, load_endpoints
from playground.services.keys import save_key
from playground.services.priced_models import PricedModel, at_hand, is_resold, priced_models
from playground.services.prices import PriceTable
from playground.services.settings import Settings

PRICE = Price(input_per_mtok=1.0, output_per_mtok=2.0)


def test_models_with_a_price_and_those_an_endpoint_names_are_offered() -> None:
    endpoints = {
        name: Endpoint(name=name, api="openai", base_url=f"https://{name}.example.org/v1", models=models)
        for name, models in (("one", ()), ("box", ("qwen", "other")))
    }
    settings = Settings(
        prices={"one/m": PRICE, "box/other": PRICE},
        endpoints={"box": EndpointSettings(base_url="https://box.example.org/v1")},
    )
    found = priced_models(endpoints, PriceTable({**settings.prices, "one/n": PRICE}), settings)
    assert found == [
        PricedModel("one/m", at_hand=True, window=None),  # a price of one's own speaks of this model alone
        PricedModel("one/n", at_hand=False, window=None),
        PricedModel("box/qwen", at_hand=True, window=None),
        PricedModel("box/other", at_hand=True, window=None),
    ]
    assert is_resold("openrouter/openai/gpt-4o")
    assert not is_resold("openai/gpt-4o")


def test_an_endpoint_is_at_hand_with_a_key_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = load_endpoints(Settings())
    assert list(at_hand(endpoints.values(), Settings())) == []
    monkeypatch.setenv("GROQ_API_KEY", "gsk-no-real-key")
    monkeypatch.setenv("TOGETHER_API_KEY", "two words cannot be a key")
    save_key("mistral", PROVIDERS["mistral"].endpoint.base_url, Secret("no-real-key"))
    assert list(at_hand(endpoints.values(), Settings())) == ["groq", "mistral"]


def test_the_table_tells_how_much_a_model_can_take_and_what_writes_no_text_is_not_in_it() -> None:
    endpoints = load_endpoints(Settings())
    found = {model.name: model for model in priced_models(endpoints, PriceTable(), Settings())}
    assert found["openai/gpt-4o"].has_room(100_000)
    assert not found["openai/gpt-4o"].has_room(200_000)
    assert "openai/gpt-4o" in found
    assert not [name for name in found if any(part in name for part in ("embed", "-tts", "transcribe", "-image"))]
    assert "groq/meta-llama/llama-prompt-guard-2-22m" not in found
    own = Settings(prices={"mistral/mistral-embed": PRICE})
    named = priced_models(load_endpoints(own), PriceTable(own.prices), own)
    assert "mistral/mistral-embed" in [model.name for model in named], "who gives it a price wants to see it"
