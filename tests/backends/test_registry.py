"""The registry: the right module for each API, and none before it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from playground.backends.registry import list_models, open_hosted, open_replay
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.events import Finished
from playground.domain.session import Session
from playground.services.recordings import shipped_recordings
from tests.backends.support import Sink
from tests.fakes.hosted_api import FakeApi, fake_api

API = Literal["anthropic", "openai"]


def endpoint_of(fake: FakeApi, api: API) -> Endpoint:
    url = fake.anthropic_url if api == "anthropic" else fake.openai_url
    return Endpoint(name="fake", api=api, base_url=url)


@pytest.mark.parametrize("api", ["anthropic", "openai"])
async def test_a_model_of_either_api_answers_and_is_listed(api: API) -> None:
    async with fake_api() as fake:
        endpoint, key = endpoint_of(fake, api), Secret("sk-any-key")
        assert [card.id for card in await list_models(endpoint, key)] == ["fake/fake-1", "fake/fake-2"]
        backend, sink = open_hosted(endpoint, "fake-1", key, stall_s=30.0), Sink()
        await backend.generate(Session().send("hello"), sink)
        await backend.close()
    last = sink.events[-1]
    assert isinstance(last, Finished)
    assert last.text


async def test_a_recording_is_opened() -> None:
    path = shipped_recordings()[0]
    assert open_replay(path, speed=2.0).card.id == f"replay/{path.stem}"


def test_nothing_slow_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, playground.backends.registry, playground.backends.replay, playground.backends.resilient\n"
        "import playground.services.references\n"
        "print(*sorted(sys.modules))"
    )
    top = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=top, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "playground.backends.replay" in loaded, "else the test looks in the wrong place"
    slow = {"anthropic", "httpx2", "tiktoken", "genai_prices", "numpy", "tomlkit", "playground.backends.anthropic"}
    assert not loaded & slow
