"""The OpenAI backend against a fake over a real socket: replies, parameters, keys, with chats and with raw text."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from playground.backends.openai import OpenAIBackend, list_openai_models
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import ConfigError, KeyMissing, ServerUnreachable, Unsupported
from playground.domain.events import StopReason
from playground.domain.messages import CallOptions, Prompt
from tests.backends.hosted_support import CHAT, KEY, RAW, TEXT, Make, asking, openai_backends, run
from tests.fakes.hosted_api import FakeApi, fake_api

PROMPTS = pytest.mark.parametrize("prompt", [CHAT, RAW], ids=["chat", "raw"])


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as server:
        yield server


@pytest.fixture
async def make(fake: FakeApi) -> AsyncIterator[Make]:
    async with openai_backends(fake) as backend:
        yield backend


def _logprobs(backend: OpenAIBackend) -> str:
    return backend.capabilities.logprobs


@PROMPTS
async def test_a_reply_comes_token_by_token_with_what_the_server_tells(make: Make, prompt: Prompt) -> None:
    backend = make()
    await backend.prepare()
    assert _logprobs(backend) == "maybe"
    done = await run(backend, asking(prompt))
    assert done.text == done.finished.text == TEXT
    assert done.finished.reason is StopReason.STOP
    assert [token.index for token in done.tokens] == list(range(6))
    assert all(token.logprob == -0.1 and token.prob is None and not token.chunk for token in done.tokens)
    assert all(token.rank == 1 and token.entropy is None for token in done.tokens)
    assert [candidate.piece for candidate in done.tokens[4].top] == [" 你好".encode(), b"x"]
    usage = done.finished.usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (10, 8, 6)
    assert usage.thinking_tokens == 0
    assert not usage.estimate
    assert usage.cost is None
    times = [token.time_ms for token in done.tokens]
    assert times == sorted(times)
    assert 0 < times[0] == done.finished.timings.ttft_ms
    assert len(done.started) == 1
    assert done.events[0] is done.started[0]
    assert _logprobs(backend) == "top"


@PROMPTS
async def test_a_server_without_log_probabilities_gives_chunks_and_is_remembered(make: Make, prompt: Prompt) -> None:
    backend = make("m:nologprobs")
    done = await run(backend, asking(prompt))
    assert done.text == TEXT
    assert all(token.chunk and token.logprob is None and token.top == () for token in done.tokens)
    assert backend.capabilities.logprobs == "none"
    assert "gives no log-probabilities" in backend.capabilities.why_not("logprobs")


async def test_an_entry_that_is_not_the_whole_text_lends_it_no_probability(make: Make) -> None:
    done = await run(make("m:merged"), asking())
    assert done.text == TEXT
    assert [(token.chunk, token.logprob) for token in done.tokens[:2]] == [(True, None), (False, -0.1)]


async def test_thinking_is_apart_from_the_reply(make: Make) -> None:
    done = await run(make("m:thinking"), asking())
    assert done.thinking == "They greet me."
    assert done.text == done.finished.text == TEXT
    assert done.finished.usage.thinking_tokens == 4
    first = next(event for event in done.events if getattr(event, "time_ms", 0.0))
    assert done.finished.timings.ttft_ms == getattr(first, "time_ms", None)


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", StopReason.STOP),
        ("length", StopReason.LENGTH),
        ("content_filter", StopReason.FILTERED),
        ("tool_calls", StopReason.TOOL_USE),
        ("brand_new", StopReason.UNKNOWN),
    ],
)
async def test_every_reason_has_its_name(make: Make, word: str, reason: StopReason) -> None:
    finished = (await run(make(f"m:stop={word}"), asking())).finished
    assert finished.reason is reason
    assert finished.detail == ("brand_new" if reason is StopReason.UNKNOWN else "")


@PROMPTS
@pytest.mark.parametrize("fault", ["pieces", "unknown"])
async def test_harmless_oddities_change_nothing(make: Make, fault: str, prompt: Prompt) -> None:
    done = await run(make(f"m:{fault}"), asking(prompt))
    assert done.finished.text == TEXT
    assert done.finished.usage.completion_tokens == 6


@PROMPTS
async def test_an_event_of_five_megabytes_arrives_whole(make: Make, prompt: Prompt) -> None:
    done = await run(make("m:huge"), asking(prompt))
    assert len(done.finished.text) == 5_000_000 + len(TEXT)
    assert max(len(token.piece) for token in done.tokens) == 5_000_000


async def test_escapes_of_a_model_pass_as_bytes_and_only_as_bytes(make: Make) -> None:
    done = await run(make("m:ansi"), asking())
    assert done.tokens[0].piece == b"\x1b[31mred"


async def test_a_refused_parameter_is_left_out_in_sight(make: Make, fake: FakeApi) -> None:
    backend = make("m:refuse=top_p")
    assert "top_p" in backend.capabilities.params
    done = await run(backend, asking())
    assert done.finished.text == TEXT
    assert [(retry.change, retry.attempt, retry.problem.kind) for retry in done.retries] == [
        ("without top_p", 1, "RequestRefused")
    ]
    assert ["top_p" in body for body in fake.bodies] == [True, False]
    assert fake.bodies[0].keys() - fake.bodies[1].keys() == {"top_p"}
    assert len(done.started) == 1
    again = await run(backend, asking(stream=2))
    assert not again.retries
    assert len(fake.bodies) == 3
    assert "top_p" not in backend.capabilities.params
    assert backend.capabilities.why_not("top_p")


@pytest.mark.parametrize("field", ["logprobs", "top_logprobs", "stream_options", "seed"])
async def test_every_field_that_can_be_done_without_is(make: Make, fake: FakeApi, field: str) -> None:
    done = await run(make(f"m:refuse={field}"), asking(seed=1))
    assert done.finished.text == TEXT
    assert field not in fake.bodies[-1]
    assert len(done.retries) == 1


async def test_a_message_is_never_left_out(make: Make, fake: FakeApi) -> None:
    done = await run(make("m:refuse=messages"), asking())
    assert done.failed.problem.kind == "RequestRefused"
    assert len(fake.bodies) == 1


async def test_the_key_is_in_one_header_and_nowhere_else(
    make: Make, fake: FakeApi, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    backend = make("m:echo")
    await backend.prepare()
    done = await run(backend, asking())
    assert done.failed.problem.kind == "KeyRefused"
    for request in fake.requests:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert KEY not in f"{request.path}{request.query}{request.body}"
        assert [name for name, value in request.headers.items() if KEY in value] == ["authorization"]
    seen = f"{done.events!r}{backend!r}{vars(backend)!r}{backend.card!r}{backend.capabilities!r}{caplog.text}"
    assert KEY not in seen
    assert KEY[:16] not in seen


@pytest.mark.parametrize("key", ["sk-two\nlines-0123456789", "sk-ünïcode-0123456789"])
async def test_a_key_that_cannot_be_sent_is_not_quoted(fake: FakeApi, key: str) -> None:
    backend = OpenAIBackend(Endpoint(name="shop", api="openai", base_url=fake.openai_url), "m:ok", Secret(key))
    done = await run(backend, asking())
    assert "0123456789" not in repr(done.events)
    assert done.failed.problem.hint
    await backend.close()


async def test_without_a_key_nothing_is_sent(fake: FakeApi) -> None:
    endpoint = Endpoint(name="shop", api="openai", base_url=fake.openai_url)
    with pytest.raises(KeyMissing):
        await OpenAIBackend(endpoint, "m", None).prepare()
    assert fake.requests == []


async def test_a_server_that_is_not_there_is_said_at_once() -> None:
    async with fake_api() as gone:
        endpoint = Endpoint(name="shop", api="openai", base_url=gone.openai_url, key_needed=False)
    backend = OpenAIBackend(endpoint, "m", None)
    with pytest.raises(ServerUnreachable, match=r"127\.0\.0\.1"):
        await backend.prepare()
    assert (await run(backend, asking())).failed.problem.kind == "ServerUnreachable"
    await backend.close()


async def test_an_empty_name_means_the_first_model(make: Make, fake: FakeApi) -> None:
    backend = make("")
    await backend.prepare()
    assert backend.card.id == "shop/fake-1"
    await run(backend, asking())
    assert fake.bodies[0]["model"] == "fake-1"


async def test_models_are_listed(fake: FakeApi) -> None:
    endpoint = Endpoint(name="shop", api="openai", base_url=fake.openai_url)
    cards = await list_openai_models(endpoint, Secret(KEY))
    assert [card.id for card in cards] == ["shop/fake-1", "shop/fake-2"]
    assert [card.n_ctx for card in cards] == [None, None]
    await asyncio.wait_for(fake.until_open(0), 5)


async def test_what_the_server_cannot_do_is_refused_with_the_reason(make: Make) -> None:
    backend = make()
    await backend.prepare()
    with pytest.raises(Unsupported, match="does not count"):
        await backend.count_tokens("x")
    with pytest.raises(Unsupported, match="does not show"):
        await backend.view_prompt(CHAT)
    assert not backend.capabilities.exact_count
    problem = (await run(backend, asking(reply_text="Hel"))).failed.problem
    assert problem.kind == "Unsupported"
    assert (await run(backend, asking(RAW, reply_text="Hel"))).finished.text == "Hel" + TEXT


async def test_options_of_a_model_without_them_are_not_sent(make: Make, fake: FakeApi) -> None:
    await run(make(), asking(options=CallOptions(effort="high", thinking="off")))
    assert not fake.bodies[0].keys() & {"reasoning_effort", "chat_template_kwargs"}


async def test_a_server_that_names_no_model_wants_one_named(fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fakes.openai_events.models", lambda _: {"data": []})
    endpoint = Endpoint(name="shop", api="openai", base_url=fake.openai_url)
    backend = OpenAIBackend(endpoint, "", Secret(KEY))
    with pytest.raises(ConfigError, match="which models"):
        await backend.prepare()
    await backend.close()
