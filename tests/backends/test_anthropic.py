"""The Anthropic backend over real sockets: what comes out of a stream, and what went onto the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from playground.domain.errors import Unsupported
from playground.domain.events import Started, StopReason, TokenGenerated
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, RawPrompt, Role
from playground.domain.sampling import SamplingParams
from tests.backends.anthropic_support import (
    FEW,
    HELLO,
    KEY,
    ask,
    backend,
    failed,
    finished,
    options,
    run,
    run_fault,
    text_of,
    thinking_of,
)
from tests.fakes.anthropic_events import WORDS
from tests.fakes.hosted_api import FakeApi, fake_api

BENT = SamplingParams(max_tokens=64, temperature=0.4, top_k=0, top_p=0.9)
OLD = "claude-haiku-4-5:ok"


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as made:
        yield made


async def test_a_reply_streams_with_counts_and_times(fake: FakeApi) -> None:
    fake.gap_s = 0.002
    events = await run_fault(fake, "ok")
    started, *tokens = events[:-1]
    assert isinstance(started, Started)
    assert (started.prompt_tokens, started.cached_tokens, started.seed, started.note) == (3110, 2000, None, "")
    assert text_of(events) == "".join(WORDS)
    for index, event in enumerate(tokens):
        assert isinstance(event, TokenGenerated)
        token = event.token
        assert (token.index, token.chunk, token.piece.decode()) == (index, True, WORDS[index])
        assert (token.id, token.logprob, token.prob, token.rank, token.entropy, token.top) == (*[None] * 5, ())
    end = finished(events)
    assert (end.reason, end.text, end.detail) == (StopReason.STOP, "".join(WORDS), "")
    usage, timings = end.usage, end.timings
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (3110, 2000, 6)
    assert (usage.cache_write_5m_tokens, usage.cache_write_1h_tokens) == (100, 1000)
    assert (usage.thinking_tokens, usage.estimate, usage.cost) == (0, False, None)
    assert timings.ttft_ms is not None
    assert timings.total_ms is not None
    assert timings.tokens_per_second is not None
    assert 0 < timings.ttft_ms < timings.total_ms
    assert timings.tokens_per_second < 5 / 0.010
    assert timings.inter_token_p50_ms is None


async def test_thinking_is_apart_from_the_reply(fake: FakeApi) -> None:
    events = await run_fault(fake, "thinking")
    end = finished(events)
    assert thinking_of(events) == "They greet me."
    assert text_of(events) == end.text == "".join(WORDS)
    assert (end.usage.completion_tokens, end.usage.thinking_tokens) == (10, 4)
    first = next(event for event in events if not isinstance(event, Started))
    assert end.timings.ttft_ms == getattr(first, "time_ms", None)


@pytest.mark.parametrize(
    ("named", "reason", "detail"),
    [
        ("end_turn", StopReason.STOP, ""),
        ("max_tokens", StopReason.LENGTH, ""),
        ("stop_sequence", StopReason.STOP_STRING, ""),
        ("tool_use", StopReason.TOOL_USE, ""),
        ("pause_turn", StopReason.PAUSE, ""),
        ("model_context_window_exceeded", StopReason.CONTEXT, ""),
        ("refusal", StopReason.REFUSAL, "cyber: This could enable harm."),
        ("compaction", StopReason.UNKNOWN, "compaction"),
    ],
)
async def test_every_reason_for_the_end_has_its_name(
    fake: FakeApi, named: str, reason: StopReason, detail: str
) -> None:
    end = finished(await run_fault(fake, f"stop={named}"))
    assert (end.reason, end.detail) == (reason, detail)
    assert end.stop_string == ("END" if named == "stop_sequence" else "")


async def test_what_goes_onto_the_wire_unasked(fake: FakeApi) -> None:
    async with backend(fake) as made:
        await run(made, ask(params=SamplingParams(max_tokens=64, temperature=0.3, top_k=5, stop=("END",))))
    request = fake.requests[-1]
    assert request.path == "/v1/messages"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["anthropic-version"] == "2026-10-21"
    assert request.body == {
        "model": "any:ok",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Say hello."}],
        "max_tokens": 64,
        "stop_sequences": ["END"],
        "stream": True,
    }


async def test_legacy_sampling_is_sent_when_asked_for_and_only_what_is_not_neutral(fake: FakeApi) -> None:
    async with backend(fake) as made:
        assert made.capabilities.legacy_sampling == {"temperature", "top_p", "top_k"}
        assert "temperature" not in made.capabilities.params
        assert "effort" in made.capabilities.why_not("temperature")
        await run(made, ask(params=BENT, options=options(legacy_sampling=True)))
        await run(
            made, ask(params=SamplingParams(temperature=1.0, top_k=0, top_p=1.0), options=options(legacy_sampling=True))
        )
    bent, neutral = fake.requests
    assert bent.headers["anthropic-version"] == "2023-06-01"
    assert (bent.body["temperature"], bent.body["top_p"], "top_k" in bent.body) == (0.4, 0.9, False)
    assert neutral.headers["anthropic-version"] == "2026-10-21"
    assert not {"temperature", "top_p", "top_k"} & neutral.body.keys()


@pytest.mark.parametrize("kept", ["5m", "1h"])
async def test_a_cache_marks_the_system_prompt_and_the_last_message(fake: FakeApi, kept: str) -> None:
    async with backend(fake) as made:
        await run(made, ask(options=options(cache=kept)))
    mark = {"type": "ephemeral", "ttl": kept}
    (body,) = fake.bodies
    assert body["system"] == [{"type": "text", "text": "Be brief.", "cache_control": mark}]
    assert body["messages"][-1]["content"] == [{"type": "text", "text": "Say hello.", "cache_control": mark}]


async def test_effort_and_thinking(fake: FakeApi) -> None:
    async with backend(fake, "fake-1") as made:
        await made.prepare()
        await run(made, ask(options=options(effort="high", thinking="adaptive")))
        await run(made, ask(params=SamplingParams(max_tokens=3000), options=options(thinking="on")))
        events = await run(made, ask(options=options(effort="max", thinking="off")))
    adaptive, budget, none = fake.bodies
    assert adaptive["output_config"] == {"effort": "high"}
    assert adaptive["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert budget["thinking"] == {"type": "enabled", "budget_tokens": 1500, "display": "summarized"}
    assert not {"output_config", "thinking"} & none.keys()
    assert isinstance(events[0], Started)
    assert "Effort max" in events[0].note
    assert "Thinking off" in events[0].note


async def test_thinking_needs_room(fake: FakeApi) -> None:
    async with backend(fake) as made:
        events = await run(made, ask(options=options(thinking="on")))
    problem = failed(events).problem
    assert (problem.kind, fake.requests) == ("RequestRefused", [])
    assert "max_tokens is 64" in problem.message


async def test_an_unlimited_reply_asks_for_what_the_model_can_write(fake: FakeApi) -> None:
    async with backend(fake, "fake-1") as made:
        events = await run(made, ask(params=SamplingParams()))
        assert isinstance(events[0], Started)
        assert "4,096" in events[0].note
        await made.prepare()
        await run(made, ask(params=SamplingParams()))
        events = await run(made, ask(params=SamplingParams(max_tokens=100_000)))
        assert isinstance(events[0], Started)
        assert "64,000" in events[0].note
    assert [body["max_tokens"] for body in fake.bodies] == [4096, 64_000, 64_000]


async def test_a_reply_goes_on_where_the_model_lets_it(fake: FakeApi) -> None:
    async with backend(fake, OLD) as made:
        assert made.capabilities.continue_reply
        events = await run(made, ask(reply_text="Hi there "))
    assert finished(events).text == "Hi there " + "".join(WORDS)
    assert fake.bodies[0]["messages"][-1] == {"role": "assistant", "content": "Hi there"}


async def test_a_reply_does_not_go_on_where_the_model_refuses_it(fake: FakeApi) -> None:
    async with backend(fake, "claude-sonnet-5:ok") as made:
        assert not made.capabilities.continue_reply
        assert made.capabilities.why_not("continue_reply")
        problem = failed(await run(made, ask(reply_text="Hi"))).problem
    assert problem.kind == "RequestRefused"
    assert "does not go on" in problem.message
    assert not fake.requests


async def test_what_the_api_cannot_take_is_left_out(fake: FakeApi) -> None:
    """An empty reply, which a stop before the first word leaves behind; and half a character."""
    prompt = ChatPrompt((Message(Role.USER, "Hi"), Message(Role.ASSISTANT, ""), Message(Role.USER, "Go on \ud83d")))
    async with backend(fake) as made:
        finished(await run(made, ask(prompt)))
        problem = failed(await run(made, GenerationRequest(stream=1, prompt=RawPrompt("Once"), params=FEW))).problem
    assert [message["content"] for message in fake.bodies[0]["messages"]] == ["Hi", "Go on ?"]
    assert problem.kind == "Unsupported"


async def test_counting_before_sending(fake: FakeApi) -> None:
    async with backend(fake) as made:
        count = await made.count_prompt(HELLO)
        with pytest.raises(Unsupported):
            await made.count_prompt(RawPrompt("Once"))
    assert (count.tokens, count.exact, count.method) == (42, True, "server")
    assert fake.requests[0].path == "/v1/messages/count_tokens"
    assert fake.bodies[0] == {
        "model": "any:ok",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Say hello."}],
    }


async def test_no_connection_waits_for_more(fake: FakeApi) -> None:
    """Some servers close it behind a stream, and the next request would meet that."""
    async with backend(fake) as made:
        for _ in range(3):
            finished(await run(made))
            await fake.until_open(0)


async def test_streams_of_one_backend_do_not_disturb_each_other(fake: FakeApi) -> None:
    async with backend(fake) as made:
        runs = await asyncio.gather(*(run(made, ask(stream=number)) for number in range(6)))
    for number, events in enumerate(runs):
        assert finished(events).text == "".join(WORDS)
        assert {event.stream for event in events} == {number}
