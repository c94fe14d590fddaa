"""Which hosted models are offered, and what is said of servers that have none."""

from __future__ import annotations

import pytest

from playground.services.endpoints import load_endpoints
from playground.services.offers import Offer, scan_offers
from playground.services.settings import Settings, load_settings, settings_path
from tests.fakes.hosted_api import FakeApi, fake_api


def configured(fake: FakeApi, port: int) -> Settings:
    """A server that answers, one without its key, one that is gone."""
    settings_path().parent.mkdir(parents=True, exist_ok=True)
    settings_path().write_text(
        f"""
        [endpoints.box]
        base_url = "{fake.openai_url}"
        [endpoints.claude]
        api = "anthropic"
        base_url = "{fake.anthropic_url}"
        [endpoints.bare]
        base_url = "{fake.openai_url}"
        api_key = "${{BARE_KEY}}"
        [endpoints.gone]
        base_url = "http://127.0.0.1:{port}/v1"
        """
    )
    settings, errors = load_settings()
    assert not errors
    return settings


async def offers(settings: Settings) -> dict[str, Offer]:
    return {offer.endpoint: offer async for offer in scan_offers(load_endpoints(settings), settings)}


async def test_servers_that_answer_offer_their_models_and_the_others_say_why_not() -> None:
    async with fake_api() as gone:
        port = gone.port
    async with fake_api() as fake:
        found = await offers(configured(fake, port))
        assert [card.id for card in found["box"].models] == ["box/fake-1", "box/fake-2"]
        assert [card.id for card in found["claude"].models] == ["claude/fake-1", "claude/fake-2"]
        assert {card.n_ctx for card in found["claude"].models} == {200_000}
        assert not found["bare"].models
        assert "There is no key for bare. Set the environment variable BARE_KEY" in found["bare"].problem
        assert found["gone"].problem == f"No connection to gone at 127.0.0.1:{port}."
        assert all(not offer.problem for name, offer in found.items() if offer.models)


async def test_what_nobody_set_up_is_not_mentioned_and_recordings_are_always_there() -> None:
    found = await offers(Settings())
    assert found["replay"].models
    assert not {"openai", "anthropic", "groq"} & found.keys()


async def test_a_key_that_is_refused_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_api() as fake:

        def refuse(*_: object) -> bytes:
            return b"HTTP/1.1 401 X\r\ncontent-length: 0\r\n\r\n"

        monkeypatch.setattr(fake, "_about_models", refuse)
        monkeypatch.setenv("BARE_KEY", "sk-planted-0123456789")
        found = await offers(configured(fake, fake.port))
        assert "bare does not accept the key." in found["bare"].problem
        assert "sk-planted" not in found["bare"].problem
