"""A real llama.cpp server behind the Anthropic backend, found by its base address."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.backends.anthropic import AnthropicBackend, list_anthropic_models
from playground.domain.endpoints import Endpoint
from playground.domain.events import Started, StopReason, TokenGenerated
from playground.domain.messages import ChatPrompt, Message, Role
from playground.domain.sampling import SamplingParams
from tests.backends.anthropic_support import ask, failed, finished, run, stopped_when, text_of
from tests.backends.support import Sink
from tests.engine.test_server_truth import serving

pytest.importorskip("xllamacpp")

COUNT = ChatPrompt((Message(Role.USER, "Count from one to ten in words."),))
GREEDY = SamplingParams(temperature=0.0, top_k=1, top_p=1.0, max_tokens=24)


@pytest.fixture(scope="module")
def server(starter_gguf: Path) -> Iterator[str]:
    with serving(starter_gguf) as address:
        yield address


def at(address: str) -> AnthropicBackend:
    return AnthropicBackend(_endpoint(address), "starter", None)


def _endpoint(address: str) -> Endpoint:
    return Endpoint(name="mine", api="anthropic", base_url=f"{address}/v1", key_needed=False)


def openai_answer(address: str, **body: Any) -> Any:
    """The same server's other API, without a stream."""
    messages = [{"role": message.role.value, "content": message.content} for message in COUNT.messages]
    call = urllib.request.Request(
        f"{address}/v1/chat/completions",
        json.dumps({"messages": messages, **body}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call, timeout=120) as answer:
        return json.load(answer)


async def test_a_reply_of_a_real_server(server: str) -> None:
    made = at(server)
    await made.prepare()
    assert made.card.n_ctx == 1024
    assert made.capabilities.continue_reply
    count = await made.count_prompt(COUNT)
    events = await run(made, ask(COUNT, GREEDY))
    end = finished(events)
    theirs = openai_answer(server, temperature=0.0, top_k=1, top_p=1.0, max_tokens=24)
    assert end.text == text_of(events) == theirs["choices"][0]["message"]["content"]
    assert end.reason is StopReason.LENGTH
    assert (count.exact, count.tokens) == (True, theirs["usage"]["prompt_tokens"])
    assert (end.usage.prompt_tokens, end.usage.completion_tokens) == (count.tokens, 24)
    assert not end.usage.estimate
    assert end.timings.tokens_per_second
    again = finished(await run(made, ask(COUNT, GREEDY)))
    assert again.text == end.text
    assert again.usage.prompt_tokens == count.tokens
    assert again.usage.cached_tokens
    await made.close()


async def test_what_ends_a_reply_of_a_real_server(server: str) -> None:
    made = at(server)
    await made.prepare()
    whole = finished(await run(made, ask(COUNT, GREEDY))).text
    word = whole.split()[2]
    events = await run(made, ask(COUNT, SamplingParams(temperature=0.0, top_k=1, max_tokens=24, stop=(word,))))
    end = finished(events)
    assert (end.reason, end.stop_string) == (StopReason.STOP_STRING, word)
    assert end.text == whole[: whole.index(word)]
    beginning = whole[: len(whole) // 2].rstrip()
    events = await run(made, ask(COUNT, GREEDY, reply_text=beginning))
    assert finished(events).text.startswith(whole)
    long = ChatPrompt((Message(Role.USER, "word " * 3000),))
    problem = failed(await run(made, ask(long, GREEDY))).problem
    assert problem.kind == "PromptTooLong"
    assert "1,024" in problem.message
    await made.close()


async def test_stopping_a_real_server(server: str) -> None:
    made = at(server)

    async def reached(sink: Sink) -> None:
        await sink.until(lambda: any(isinstance(event, TokenGenerated) for event in sink.events))

    endless = ask(COUNT, SamplingParams(max_tokens=900))
    events = await stopped_when(made, reached, endless)
    assert finished(events).reason is StopReason.CANCELLED
    assert isinstance(events[0], Started)
    assert finished(await run(made, ask(COUNT, GREEDY))).reason is StopReason.LENGTH
    await made.close()


async def test_the_models_of_a_real_server(server: str) -> None:
    (card,) = await list_anthropic_models(_endpoint(server), None)
    assert card.n_ctx == 1024
    assert card.id.startswith("mine/")
