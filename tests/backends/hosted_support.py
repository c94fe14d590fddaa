"""What tests of hosted backends share: requests, and what came of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from playground.backends.base import Backend
from playground.backends.openai import OpenAIBackend
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.events import Event, Failed, Finished, Retrying, Started, ThinkingGenerated, TokenGenerated
from playground.domain.messages import CallOptions, ChatPrompt, GenerationRequest, Message, Prompt, RawPrompt, Role
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from tests.backends.support import Sink
from tests.fakes.hosted_api import FakeApi

CHAT = ChatPrompt((Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Hello?")))
RAW = RawPrompt("Once upon a time")
KEY = "sk-planted-0123456789abcdef"
TEXT = "Hello, world! 你好 bye"
"""What the fake writes."""
SO_FAR = "Hello, world"
"""What it writes before a fault in the middle."""
Make = Callable[..., OpenAIBackend]


@asynccontextmanager
async def openai_backends(fake: FakeApi) -> AsyncIterator[Make]:
    """Makes backends for models of the fake; at the end nothing of them may be left: no task, no connection."""
    made: list[OpenAIBackend] = []
    before = asyncio.all_tasks()

    def make(model: str = "m:ok", stall_s: float = 30.0) -> OpenAIBackend:
        endpoint = Endpoint(name="shop", api="openai", base_url=fake.openai_url)
        made.append(OpenAIBackend(endpoint, model, Secret(KEY), stall_s=stall_s))
        return made[-1]

    yield make
    for one in made:
        await one.close()
    await asyncio.wait_for(fake.until_open(0), 5)
    await asyncio.sleep(0)  # the fake's last task ends right behind its connection
    assert asyncio.all_tasks() - before - {asyncio.current_task()} == set()


def asking(
    prompt: Prompt = CHAT, stream: int = 1, options: CallOptions | None = None, reply_text: str = "", **params: Any
) -> GenerationRequest:
    return GenerationRequest(
        stream=stream,
        prompt=prompt,
        params=SamplingParams(**params),
        options=options or CallOptions(),
        reply_text=reply_text,
        submitted_at=time.monotonic(),
    )


class Outcome:
    """The events of one run."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.tokens: list[Token] = [event.token for event in events if isinstance(event, TokenGenerated)]
        self.text = b"".join(token.piece for token in self.tokens).decode(errors="replace")
        self.thinking = "".join(event.text for event in events if isinstance(event, ThinkingGenerated))
        self.retries = [event for event in events if isinstance(event, Retrying)]
        self.started = [event for event in events if isinstance(event, Started)]

    @property
    def finished(self) -> Finished:
        last = self.events[-1]
        assert isinstance(last, Finished), last
        return last

    @property
    def failed(self) -> Failed:
        last = self.events[-1]
        assert isinstance(last, Failed), last
        return last


async def run(backend: Backend, request: GenerationRequest) -> Outcome:
    """Run a request to its end. Exactly one event ends it, and it is the last."""
    sink = Sink()
    await backend.generate(request, sink)
    assert [isinstance(event, Finished | Failed) for event in sink.events].count(True) == 1
    return Outcome(sink.events)
