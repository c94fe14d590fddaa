"""Everything that can go wrong behind Anthropic's API: the right sentence, and what arrived stays."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest

from playground.backends import anthropic_client
from playground.domain.errors import KeyMissing
from playground.domain.events import Event, Failed, Started, StopReason, TokenGenerated
from tests.backends.anthropic_support import (
    ask,
    backend,
    endpoint,
    failed,
    finished,
    run,
    run_fault,
    stopped_when,
    text_of,
    thinking_of,
)
from tests.backends.support import Sink
from tests.fakes.anthropic_events import ANSI_WORDS, HUGE, WORDS
from tests.fakes.hosted_api import FakeApi, fake_api

SO_FAR = "".join(WORDS[:3])
ALL = "".join(WORDS)


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as made:
        yield made


@pytest.mark.parametrize(
    ("fault", "kind", "words", "retryable", "retry_after_s"),
    [
        ("401", "KeyRefused", "does not accept the key", False, None),
        ("403", "KeyRefused", "any:403", False, None),
        ("404", "RequestRefused", "has no model any:404", False, None),
        ("400", "RequestRefused", "at least one message is required", False, None),
        ("refuse=max_tokens", "RequestRefused", "max_tokens", False, None),
        ("402", "RequestRefused", "credit", False, None),
        ("context", "PromptTooLong", "210,000", False, None),
        ("429", "RateLimited", "rate limit", True, 7.0),
        ("429long", "RateLimited", "rate limit", True, 3600.0),
        ("429now", "RateLimited", "rate limit", True, 0.01),
        ("529", "Overloaded", "overloaded", True, None),
        ("500", "ServerFailed", "(500)", True, None),
        ("500html", "ServerFailed", "(500)", True, None),
        ("badbody", "RequestRefused", "refused", False, None),
        ("redirect", "RequestRefused", "moved", False, None),
        ("empty", "StreamCutOff", "without a word", False, None),
    ],
)
async def test_a_refusal_has_its_sentence_and_is_asked_for_once(
    fake: FakeApi, fault: str, kind: str, words: str, retryable: bool, retry_after_s: float | None
) -> None:
    events = await run_fault(fake, fault)
    problem = failed(events).problem
    assert (problem.kind, problem.retryable, problem.retry_after_s) == (kind, retryable, retry_after_s)
    assert words in problem.message
    assert problem.hint
    assert "<" not in str(problem)
    assert len(events) == len(fake.requests) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("rst", "StreamCutOff", "broke in the middle"),
        ("drop", "StreamCutOff", "broke in the middle"),
        ("eof", "StreamCutOff", "before the reply was complete"),
        ("overloaded", "Overloaded", "broke the reply off"),
        ("badjson", "BadReply", "cannot be read"),
        ("badutf8", "BadReply", "cannot be read"),
    ],
)
async def test_a_broken_stream_keeps_what_arrived(fake: FakeApi, fault: str, kind: str, words: str) -> None:
    events = await run_fault(fake, fault)
    problem = failed(events).problem
    assert problem.kind == kind
    assert words in problem.message
    assert problem.hint
    assert isinstance(events[0], Started)
    assert text_of(events) == SO_FAR


async def test_a_server_that_falls_silent(fake: FakeApi) -> None:
    events = await run_fault(fake, "stall", stall_s=1.0)
    assert failed(events).problem.kind == "ServerStalled"
    assert text_of(events) == SO_FAR


@pytest.mark.parametrize("fault", ["slow", "slowfirst"])
async def test_a_server_that_is_silent_from_the_beginning(fake: FakeApi, fault: str) -> None:
    problem = failed(await run_fault(fake, fault, stall_s=0.2)).problem
    assert (problem.kind, problem.retryable) == ("ServerStalled", True)


@pytest.mark.parametrize("fault", ["slow", "slowfirst"])
async def test_a_first_byte_that_takes_its_time(fake: FakeApi, fault: str) -> None:
    async with backend(fake, f"any:{fault}") as made:
        running = asyncio.create_task(run(made))
        await fake.reached.wait()
        fake.let_go.set()
        assert finished(await running).text == ALL


async def test_every_byte_is_a_sign_of_life(fake: FakeApi) -> None:
    """A stream that takes longer than a server may be silent."""
    fake.gap_s = 0.15
    assert finished(await run_fault(fake, "ok", stall_s=1.2)).text == ALL


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("pieces", ALL),
        ("unknown", ALL),
        ("ansi", "".join(ANSI_WORDS)),
        ("huge", SO_FAR + HUGE + "".join(WORDS[3:])),
    ],
)
async def test_odd_streams_are_read_all_the_same(fake: FakeApi, fault: str, text: str) -> None:
    events = await run_fault(fake, fault)
    assert finished(events).text == text_of(events) == text


async def test_an_attempt_that_follows_a_failure_is_not_disturbed_by_it(fake: FakeApi) -> None:
    async with backend(fake, "any:drop*1") as made:
        assert failed(await run(made)).problem.kind == "StreamCutOff"
        assert finished(await run(made)).text == ALL


async def test_one_stream_fails_while_the_others_go_on(fake: FakeApi) -> None:
    async with backend(fake, "any:rst") as broken, backend(fake, "any:thinking") as whole:
        runs = await asyncio.gather(run(broken), *(run(whole, ask(stream=number)) for number in range(2, 7)))
    assert failed(runs[0]).problem.kind == "StreamCutOff"
    for events in runs[1:]:
        assert finished(events).text == ALL
        assert thinking_of(events) == "They greet me."


@pytest.mark.parametrize("fault", ["slow", "slowfirst", "stall", "endless"])
async def test_stopping_closes_the_connection_at_once(fake: FakeApi, fault: str) -> None:
    async def reached(sink: Sink) -> None:
        await fake.reached.wait()
        if fault in ("stall", "endless"):
            await sink.until(lambda: len(sink.events) >= 4)

    async with backend(fake, f"any:{fault}") as made:
        events = await stopped_when(made, reached)
        await fake.until_open(0)
    end = finished(events)
    assert end.reason is StopReason.CANCELLED
    assert end.text == text_of(events)
    assert end.usage.estimate
    tokens = [event for event in events if isinstance(event, TokenGenerated)]
    assert bool(end.usage.completion_tokens) == bool(tokens)
    assert end.usage.prompt_tokens == (3110 if tokens else None)
    assert bool(tokens) == (fault in ("stall", "endless"))


async def test_stopping_while_the_sdk_is_imported(fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    importing, go_on = threading.Event(), threading.Event()

    def slow_import(*given: Any) -> Any:
        importing.set()
        go_on.wait()
        raise KeyMissing("nobody waits for this any more")

    monkeypatch.setattr(anthropic_client, "_make", slow_import)
    async with backend(fake) as made:
        events = await stopped_when(made, lambda _: asyncio.to_thread(importing.wait))
        go_on.set()
    assert finished(events).reason is StopReason.CANCELLED
    assert not fake.requests


async def test_stopping_from_within_an_event_and_after_the_end(fake: FakeApi) -> None:
    async with backend(fake, "any:endless") as made:
        events: list[Event] = []
        stops: list[asyncio.Task[None]] = []

        def sink(event: Event) -> None:
            events.append(event)
            if isinstance(event, TokenGenerated) and not stops:
                stops.append(asyncio.ensure_future(made.stop(1)))

        await made.generate(ask(), sink)
        await asyncio.gather(*stops)
        await made.stop(1)
        await made.stop(99)
    assert finished(events).reason is StopReason.CANCELLED


async def test_closing_ends_what_runs(fake: FakeApi) -> None:
    async with backend(fake, "any:stall") as made:
        running = [asyncio.create_task(run(made, ask(stream=number))) for number in (1, 2)]
        await fake.until_open(2)
        await made.close()
        for events in await asyncio.gather(*running):
            assert finished(events).reason is StopReason.CANCELLED


async def test_cancelling_the_task_closes_the_connection(fake: FakeApi) -> None:
    async with backend(fake, "any:stall") as made:
        sink = Sink()
        running = asyncio.create_task(made.generate(ask(), sink))
        await sink.until(lambda: len(sink.events) >= 4)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await fake.until_open(0)
    assert not any(isinstance(event, Failed) for event in sink.events)


async def test_nobody_listens_there(fake: FakeApi) -> None:
    async with fake_api() as gone:
        address = endpoint(gone).base_url
    problem = failed(await run_fault(fake, "ok", base_url=address)).problem
    assert (problem.kind, problem.retryable) == ("ServerUnreachable", True)
    assert address.removeprefix("http://") in problem.message


async def test_a_page_instead_of_a_stream() -> None:
    async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 14\r\n\r\n<b>Log in!</b>\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    async with server, fake_api() as fake:
        port = server.sockets[0].getsockname()[1]
        problem = failed(await run_fault(fake, "ok", base_url=f"http://127.0.0.1:{port}")).problem
    assert problem.kind == "BadReply"
    assert "text/html" in problem.detail
    assert "address" in problem.hint
