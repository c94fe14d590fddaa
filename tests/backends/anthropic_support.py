"""The Anthropic backend against the fake, and proof that nothing of it is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from playground.backends.anthropic import AnthropicBackend
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.events import Event, Failed, Finished, ThinkingGenerated, TokenGenerated
from playground.domain.messages import CallOptions, ChatPrompt, GenerationRequest, Message, Role
from playground.domain.sampling import SamplingParams
from tests.backends.support import Sink
from tests.fakes.hosted_api import FakeApi

KEY = "sk-ant-planted-0123456789"
HELLO = ChatPrompt((Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Say hello.")))
FEW = SamplingParams(max_tokens=64)


def endpoint(fake: FakeApi, **more: Any) -> Endpoint:
    """An endpoint called "claude" that is the fake."""
    return Endpoint(**{"name": "claude", "api": "anthropic", "base_url": fake.anthropic_url, **more})


def ask(prompt: ChatPrompt = HELLO, params: SamplingParams = FEW, *, stream: int = 1, **more: Any) -> GenerationRequest:
    """A request that was submitted just now."""
    import time

    return GenerationRequest(stream=stream, prompt=prompt, params=params, submitted_at=time.monotonic(), **more)


def options(**values: Any) -> CallOptions:
    return CallOptions(**values)


@asynccontextmanager
async def backend(fake: FakeApi, model: str = "any:ok", **more: Any) -> AsyncIterator[AnthropicBackend]:
    """A backend on the fake; afterwards no task of it runs, and no connection stands."""
    stall_s = more.pop("stall_s", 30.0)
    key = more.pop("key", Secret(KEY))
    made = AnthropicBackend(endpoint(fake, **more), model, key, stall_s=stall_s)
    before = asyncio.all_tasks()
    try:
        yield made
    finally:
        await made.close()
    await fake.until_open(0)
    left = [task for task in asyncio.all_tasks() - before if "FakeApi" not in repr(task.get_coro())]
    assert not left, left


async def run(made: AnthropicBackend, request: GenerationRequest | None = None) -> list[Event]:
    """All events of one request."""
    sink = Sink()
    await made.generate(request or ask(), sink)
    return sink.events


async def run_fault(fake: FakeApi, fault: str, **more: Any) -> list[Event]:
    """All events of a request that meets a fault."""
    async with backend(fake, f"any:{fault}", **more) as made:
        return await run(made)


def text_of(events: list[Event]) -> str:
    return b"".join(event.token.piece for event in events if isinstance(event, TokenGenerated)).decode()


def thinking_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, ThinkingGenerated))


def finished(events: list[Event]) -> Finished:
    """The last event, which must be the only end."""
    last = _end(events)
    assert isinstance(last, Finished), last
    return last


def failed(events: list[Event]) -> Failed:
    """The last event, which must be the only end."""
    last = _end(events)
    assert isinstance(last, Failed), last
    return last


def _end(events: list[Event]) -> Event:
    assert [isinstance(event, Finished | Failed) for event in events] == [False] * (len(events) - 1) + [True]
    return events[-1]


async def stopped_when(
    made: AnthropicBackend, reached: Callable[[Sink], Any], request: GenerationRequest | None = None
) -> list[Event]:
    """Events of a request that is stopped as soon as `reached` has happened; it awaits that."""
    sink = Sink()
    running = asyncio.create_task(made.generate(request or ask(), sink))
    await reached(sink)
    await made.stop(1)
    await running
    return sink.events
