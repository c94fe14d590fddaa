"""The key: the one that was given, there and nowhere else."""

from __future__ import annotations

import logging
import traceback
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from playground.backends.anthropic import list_anthropic_models
from playground.domain.endpoints import Secret, SecretHeaders
from playground.domain.errors import ConfigError, KeyMissing, KeyRefused, PlaygroundError
from tests.backends.anthropic_support import HELLO, KEY, backend, endpoint, failed, finished, run, run_fault
from tests.fakes.hosted_api import FakeApi, fake_api

OTHER = "sk-ant-of-somebody-else"


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as made:
        yield made


@pytest.fixture
def foreign_login(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything the SDK would find by itself: keys, an address, headers, a profile."""
    profile = sealed / "anthropic"
    (profile / "configs").mkdir(parents=True)
    (profile / "credentials").mkdir()
    (profile / "active_config").write_text("default")
    (profile / "configs" / "default.json").write_text(
        '{"base_url": "http://127.0.0.1:9", "authentication": {"type": "user_oauth"}}'
    )
    (profile / "credentials" / "default.json").write_text(f'{{"access_token": "{OTHER}", "version": "1.0"}}')
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(profile))
    monkeypatch.setenv("ANTHROPIC_PROFILE", "default")
    monkeypatch.setenv("ANTHROPIC_API_KEY", OTHER)
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", OTHER)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ANTHROPIC_CUSTOM_HEADERS", f"X-Foreign: 1\nAuthorization: Bearer {OTHER}\nX-Api-Key: {OTHER}")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.usefixtures("foreign_login")
async def test_nothing_of_the_environment_is_used(fake: FakeApi) -> None:
    async with backend(fake) as made:
        await made.prepare()
        finished(await run(made))
        await made.count_prompt(HELLO)
    await list_anthropic_models(endpoint(fake), Secret(KEY))
    for request in fake.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert OTHER not in str(request)
        assert "x-foreign" not in request.headers


@pytest.mark.usefixtures("foreign_login")
@pytest.mark.parametrize("key", [None, Secret("")])
async def test_without_a_key_nothing_is_sent(fake: FakeApi, key: Secret | None) -> None:
    async with backend(fake, key=key, name="anthropic") as made:
        with pytest.raises(KeyMissing) as raised:
            await made.prepare()
        problem = failed(await run(made)).problem
        with pytest.raises(KeyMissing):
            await made.count_prompt(HELLO)
    with pytest.raises(KeyMissing):
        await list_anthropic_models(endpoint(fake), key)
    assert problem == raised.value.problem
    assert "ANTHROPIC_API_KEY" in problem.hint
    assert "[endpoints.anthropic]" in problem.hint
    assert not fake.requests


@pytest.mark.usefixtures("foreign_login")
async def test_a_server_that_takes_anybody_gets_no_key_of_somebody(fake: FakeApi) -> None:
    async with backend(fake, key=None, key_needed=False) as made:
        await made.prepare()
        finished(await run(made))
    assert {request.headers["authorization"] for request in fake.requests} == {"Bearer none"}
    assert OTHER not in str(fake.requests)


async def test_a_key_in_a_header_of_the_settings(fake: FakeApi) -> None:
    headers = SecretHeaders({"X-Api-Key": KEY, "X-Team": "1"})
    async with backend(fake, key=None, headers=headers) as made:
        finished(await run(made))
    assert fake.requests[0].headers["x-api-key"] == KEY
    assert fake.requests[0].headers["x-team"] == "1"
    assert "authorization" not in fake.requests[0].headers


@pytest.mark.parametrize("key", ["sk-ant\nX-Evil: 1", "sk-änt", " "])
async def test_a_key_that_cannot_be_sent(fake: FakeApi, key: str) -> None:
    async with backend(fake, key=Secret(key)) as made:
        if key.strip():
            with pytest.raises(ConfigError) as raised:
                await made.prepare()
            assert key not in str(raised.value.problem)
            assert failed(await run(made)).problem.kind == "ConfigError"
        else:
            with pytest.raises(KeyMissing):
                await made.prepare()
    assert not fake.requests


@pytest.mark.parametrize("address", ["localhost:8080", "ftp://127.0.0.1", "http://"])
async def test_an_address_that_is_none(fake: FakeApi, address: str) -> None:
    async with backend(fake, base_url=address) as made:
        with pytest.raises(ConfigError):
            await made.prepare()
        assert failed(await run(made)).problem.kind == "ConfigError"


async def test_the_key_is_in_no_event_error_log_or_name(fake: FakeApi, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[object] = []
    async with backend(fake, "any:echo") as made:
        await made.prepare()
        caplog.set_level(logging.DEBUG)
        seen += await run(made)
        with pytest.raises(KeyRefused) as raised:
            await made.count_prompt(HELLO)
        seen += [made, vars(made), made.card, made.capabilities, vars(made._client), _everything(raised.value)]
    for fault in ("401", "429", "500html", "rst", "badjson", "overloaded", "redirect", "ok"):
        seen += await run_fault(fake, fault)
    encoded = [msgspec.json.encode(event).decode() for event in seen if isinstance(event, msgspec.Struct)]
    assert any("•••" in text for text in encoded)
    assert KEY not in repr(seen) + "".join(encoded) + caplog.text


def _everything(error: PlaygroundError) -> str:
    """All that a report of a crash could print of an error, and of those it came from."""
    chain: list[BaseException] = [error]
    while following := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(following)
    texts = [f"{link!r} {link} {vars(link)}" for link in chain]
    return "".join([*texts, *traceback.format_exception(error)])
