"""Time for one event of a hosted model, bytes in to event out, beside plain httpx2 and json.

    chrt -f 50 python -m tests.benchmarks.bench_hosted_event [EVENTS] [ROUNDS]

Both read the same stream over the same kind of client, without a network: what is measured is what we add. Each round
runs both, one after the other; shown are medians over the rounds, in microseconds an event. An event carries one token
and its five best candidates, with OpenAI's fields and with llama.cpp's.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from playground.backends.openai import OpenAIBackend
from playground.backends.openai_servers import ServerFacts, ServerKind
from playground.domain.endpoints import Endpoint
from playground.domain.events import Event
from playground.domain.messages import GenerationRequest, RawPrompt
from playground.domain.sampling import SamplingParams

ENDPOINT = Endpoint(name="bench", api="openai", base_url="http://127.0.0.1:9/v1", key_needed=False)
REQUEST = GenerationRequest(stream=1, prompt=RawPrompt("x"), params=SamplingParams(max_tokens=9))
CANDIDATES = 5
GOAL_US = 60.0
GOAL_RATIO = 3.0


def event(index: int, *, llama_cpp: bool) -> bytes:
    """One token as a server sends it."""
    names = [f" word{index}", " the", " a", " one", " some"][:CANDIDATES]
    ids = {"id": index} if llama_cpp else {}
    entries = [
        {**ids, "token": name, "bytes": list(name.encode()), "logprob": -0.5 - at} for at, name in enumerate(names)
    ]
    choice = {
        "index": 0,
        "delta": {"content": names[0]},
        "logprobs": {"content": [{**entries[0], "top_logprobs": entries}]},
        "finish_reason": None,
    }
    body: dict[str, Any] = {"id": "chatcmpl-0123456789", "object": "chat.completion.chunk", "created": 1795336899}
    body |= {"model": "some-model", "system_fingerprint": "fp_0123456789", "choices": [choice]}
    if llama_cpp:
        numbers = ("prompt_ms", "prompt_per_token_ms", "prompt_per_second", "predicted_ms")
        body["timings"] = {
            "cache_n": 0,
            "prompt_n": 24,
            "predicted_n": index + 1,
            **dict.fromkeys(numbers, 65.75054244197514),
        }
    return f"data: {json.dumps(body, separators=(',', ':'))}\n\n".encode()


def stream(events: int, *, llama_cpp: bool) -> list[bytes]:
    """The pieces of an answer, one event each."""
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    return [event(at, llama_cpp=llama_cpp) for at in range(events)] + [f"data: {json.dumps(end)}\n\n".encode()]


class Canned(httpx2.AsyncByteStream):
    """An answer that is there already."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


def client(pieces: list[bytes]) -> httpx2.AsyncClient:
    """A client whose server answers everything with this stream."""
    headers = {"content-type": "text/event-stream"}
    return httpx2.AsyncClient(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, headers=headers, stream=Canned(pieces)))
    )


async def plain(pieces: list[bytes]) -> float:
    """Seconds for reading a stream with httpx2 and json: text and candidates, kept."""
    kept = []
    async with client(pieces) as http:
        began = time.perf_counter()
        async with http.stream("POST", "http://127.0.0.1:9/v1/chat/completions", json={}) as response:
            async for line in response.aiter_lines():
                if not line.startswith("data:"):
                    continue
                for choice in json.loads(line[5:])["choices"]:
                    entries = (choice.get("logprobs") or {}).get("content") or []
                    best = [[(top["token"], top["logprob"]) for top in entry["top_logprobs"]] for entry in entries]
                    kept.append((choice["delta"].get("content"), best))
        spent = time.perf_counter() - began
    assert len(kept) == len(pieces)
    return spent


async def ours(pieces: list[bytes], kind: ServerKind) -> float:
    """Seconds for the same stream through the backend, to the events the screen gets."""
    backend = OpenAIBackend(ENDPOINT, "some-model", None)
    backend._facts, backend._prepared = ServerFacts(kind=kind, model="some-model"), True
    backend._client._client = client(pieces)
    events: list[Event] = []
    began = time.perf_counter()
    await backend.generate(REQUEST, events.append)
    spent = time.perf_counter() - began
    await backend.close()
    assert len(events) == len(pieces) + 1  # Started and Finished for the one that ends it
    return spent


async def measure(events: int, rounds: int) -> bool:
    """Print the figures; True when the goal is reached."""
    reached = True
    for kind in (ServerKind.OPENAI, ServerKind.LLAMA_CPP):
        pieces = stream(events, llama_cpp=kind is ServerKind.LLAMA_CPP)
        await plain(pieces), await ours(pieces, kind)
        pairs = []
        for _ in range(rounds):
            gc.collect()
            pairs.append((await plain(pieces) / events * 1e6, await ours(pieces, kind) / events * 1e6))
        theirs, own = statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)
        ratio = statistics.median(pair[1] / pair[0] for pair in pairs)
        reached = reached and (own <= GOAL_US or ratio <= GOAL_RATIO)
        print(f"{kind:>10}: {own:6.1f} µs an event; plain httpx2+json {theirs:6.1f} µs; ratio {ratio:.2f}")
    return reached


def main() -> None:
    given = [int(value) for value in sys.argv[1:3]]
    events, rounds = [*given, *(2000, 15)[len(given) :]]
    sys.exit(0 if asyncio.run(measure(events, rounds)) else 1)


if __name__ == "__main__":
    main()
