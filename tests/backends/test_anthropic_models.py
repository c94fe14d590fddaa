"""What a server tells about its models, and what is made of it; what nobody tells stays unknown."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from playground.backends.anthropic import AnthropicBackend, list_anthropic_models
from playground.backends.anthropic_models import ModelFacts, capabilities_of, card_of, takes_prefill
from playground.backends.base import Capabilities
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import KeyRefused, RequestRefused, ServerUnreachable, Unsupported
from playground.domain.events import Started
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from tests.backends.anthropic_support import HELLO, KEY, ask, backend, endpoint, failed, options, run
from tests.fakes.hosted_api import FakeApi, fake_api

CLAUDE = Endpoint(name="anthropic", api="anthropic", base_url="https://api.anthropic.com")
OWN = Endpoint(name="mine", api="anthropic", base_url="http://127.0.0.1:8080/v1", key_needed=False)


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as made:
        yield made


@asynccontextmanager
async def server(answers: dict[str, tuple[int, object]]) -> AsyncIterator[str]:
    """Address of a server that answers paths with a status and a body, and 404 otherwise."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode().partition("?")[0]
        status, body = answers.get(path, (404, {"detail": "Not Found"}))
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n"
        writer.write(f"{head}content-length: {len(raw)}\r\n\r\n".encode() + raw)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


async def prepared(address: str, model: str, *, key: Secret | None = None) -> tuple[ModelCard, Capabilities]:
    """Card and capabilities of a model at an address, after asking."""
    at = Endpoint(name="mine", api="anthropic", base_url=address, key_needed=False)
    made = AnthropicBackend(at, model, key)
    try:
        await made.prepare()
        return made.card, made.capabilities
    finally:
        await made.close()


async def test_a_model_of_the_list(fake: FakeApi) -> None:
    async with backend(fake, "fake-1") as made:
        assert made.card.n_ctx is None
        assert made.card.max_output is None
        await made.prepare()
        card, can = made.card, made.capabilities
    assert (card.id, card.short_name, card.provider) == ("claude/fake-1", "fake-1", "claude")
    assert (card.n_ctx, card.max_output, card.note, card.local) == (200_000, 64_000, "", False)
    assert can.params == {"max_tokens", "stop"}
    assert can.logprobs == "none"
    assert can.effort == ("low", "medium", "high")
    assert can.thinking == ("adaptive", "on")
    assert can.cache == ("off", "5m", "1h")
    assert can.exact_count
    for missing in ("raw", "fork", "stages", "live_params", "view_prompt"):
        assert getattr(can, missing) is False
    for missing in ("temperature", "min_p", "logprobs", "raw", "fork", "stages", "live_params", "view_prompt"):
        assert can.why_not(missing)
    assert not can.why_not("stop")


async def test_a_name_that_is_no_model_is_told_before_the_first_request(fake: FakeApi) -> None:
    async with backend(fake, "fakt-1") as made:
        with pytest.raises(RequestRefused) as raised:
            await made.prepare()
    assert "fakt-1" in raised.value.message
    assert "fake-1, fake-2" in raised.value.hint


async def test_the_list(fake: FakeApi) -> None:
    cards = await list_anthropic_models(endpoint(fake), Secret(KEY))
    assert [card.id for card in cards] == ["claude/fake-1", "claude/fake-2"]
    assert cards[0].n_ctx == 200_000
    await fake.until_open(0)


async def test_a_refused_key_is_told_at_once() -> None:
    refused = (401, {"type": "error", "error": {"type": "authentication_error", "message": f"bad {KEY}"}})
    async with server({"/v1/models": refused, "/v1/models/claude-sonnet-5": refused}) as address:
        with pytest.raises(KeyRefused) as raised:
            await prepared(address, "claude-sonnet-5", key=Secret(KEY))
        assert KEY not in str(raised.value.problem)
        at = Endpoint(name="c", api="anthropic", base_url=address, models=("claude-opus-5",))
        with pytest.raises(KeyRefused):
            await list_anthropic_models(at, Secret(KEY))
    with pytest.raises(ServerUnreachable):
        await prepared(address, "claude-sonnet-5")
    assert [card.id for card in await list_anthropic_models(at, Secret(KEY))] == ["c/claude-opus-5"]


@pytest.mark.parametrize(
    "answers",
    [
        {},
        {"/v1/models": (200, b"<html>Welcome to nginx</html>")},
        {"/v1/models": (200, {"object": "list"})},
        {"/v1/models/some-model": (529, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}})},
        {"/v1/models/some-model": (200, {"hello": "world"})},
    ],
)
async def test_a_server_that_tells_nothing_leaves_it_unknown(answers: dict[str, tuple[int, object]]) -> None:
    async with server(answers) as address:
        card, can = await prepared(address, "some-model")
    assert (card.n_ctx, card.max_output, can.effort, can.thinking) == (None, None, (), ())
    assert card.note


@pytest.mark.parametrize(
    ("entry", "window", "continues"),
    [
        ({"id": "m", "object": "model", "owned_by": "vllm", "max_model_len": 4096}, 4096, False),
        ({"id": "m", "object": "model", "owned_by": "library"}, None, False),
        ({"id": "m", "object": "model", "owned_by": None, "capabilities": ["chat"], "meta": 1}, None, False),
        ({"id": "other.gguf", "object": "model", "owned_by": "llamacpp", "meta": {"n_ctx": 1024}}, 1024, True),
    ],
)
async def test_other_servers_that_speak_this_api(entry: dict[str, object], window: int | None, continues: bool) -> None:
    """They take sampling parameters, and have neither effort nor a cache that one could ask for."""
    async with server({"/v1/models": (200, {"object": "list", "data": [entry]})}) as address:
        card, can = await prepared(f"{address}/v1", "m")
    assert (card.n_ctx, card.max_output, can.continue_reply) == (window, None, continues)
    assert can.params == {"max_tokens", "stop", "temperature", "top_p", "top_k"}
    assert not can.legacy_sampling
    for missing in ("min_p", "effort", "thinking", "cache"):
        assert can.why_not(missing)


async def test_a_server_that_does_not_count(fake: FakeApi) -> None:
    async with server({}) as address:
        made = AnthropicBackend(Endpoint(name="o", api="anthropic", base_url=address, key_needed=False), "m", None)
        assert not made.capabilities.why_not("exact_count")
        for _ in range(2):
            with pytest.raises(Unsupported):
                await made.count_prompt(HELLO)
        assert not made.capabilities.exact_count
        assert made.capabilities.why_not("exact_count")
        await made.close()
    async with backend(fake, "any:404") as made:
        with pytest.raises(RequestRefused):
            await made.count_prompt(HELLO)
        assert made.capabilities.exact_count


async def test_sampling_goes_to_other_servers_without_being_asked_for(fake: FakeApi) -> None:
    async with backend(fake, "gemma:ok", key=None, key_needed=False) as made:
        params = SamplingParams(max_tokens=9, temperature=1.0, top_k=0, top_p=0.5)
        events = await run(made, ask(params=params, options=options(effort="high", cache="5m")))
    body = fake.bodies[0]
    assert (body["temperature"], body["top_k"], body["top_p"]) == (1.0, 0, 0.5)
    assert fake.requests[0].headers["anthropic-version"] == "2026-10-21"
    assert "output_config" not in body
    assert body["system"] == "Be brief."
    assert isinstance(events[0], Started)
    assert "Effort" in events[0].note


@pytest.mark.parametrize(
    ("model", "takes"),
    [
        ("claude-3-5-sonnet-20241022", True),
        ("claude-2.1", True),
        ("claude-instant-1.2", True),
        ("claude-opus-4-20250514", True),
        ("claude-sonnet-4-5-20250929", True),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-4-6-20260101", False),
        ("claude-sonnet-5", False),
        ("claude-haiku-5-5", False),
        ("claude-fable-5-2", False),
        ("claude-mythos-preview", False),
    ],
)
def test_which_claude_goes_on_from_the_beginning_of_a_reply(model: str, takes: bool) -> None:
    assert takes_prefill(model) is takes
    assert capabilities_of(CLAUDE, model, None).continue_reply is takes


def test_claude_behind_a_server_of_another_kind_keeps_its_rules() -> None:
    listed = ModelFacts(id="claude-sonnet-5", owned_by="litellm")
    can = capabilities_of(OWN, "claude-sonnet-5", listed)
    assert can.params == {"max_tokens", "stop", "json_schema"}, "nobody said that it takes none"
    assert can.cache


def test_ways_of_thinking_and_effort_are_those_the_model_names() -> None:
    types = {"adaptive": {"supported": True}, "disabled": {"supported": False}, "enabled": {"supported": False}}
    effort = {"supported": True, "xhigh": None, "max": {"supported": True}, "low": {"supported": True}, "new": 1}
    told = {"thinking": {"supported": True, "types": types}, "effort": effort}
    can = capabilities_of(CLAUDE, "claude-x", ModelFacts(id="claude-x", type="model", capabilities=told))
    assert (can.thinking, can.effort) == (("adaptive",), ("low", "max"))
    none = {"thinking": {"supported": False}, "effort": {"supported": False, "low": {"supported": True}}}
    can = capabilities_of(CLAUDE, "claude-x", ModelFacts(id="claude-x", type="model", capabilities=none))
    assert (can.thinking, can.effort) == ((), ())
    assert can.why_not("effort")


def test_a_model_that_goes_says_when() -> None:
    facts = ModelFacts(id="claude-x", type="model", lifecycle="deprecated", retires_at="2027-01-31T00:00:00Z")
    assert "2027-01-31" in card_of(CLAUDE, "claude-x", facts).note


async def test_raw_errors_of_a_model_that_nobody_prepared(fake: FakeApi) -> None:
    async with backend(fake, "any:404") as made:
        assert "any:404" in failed(await run(made)).problem.message
