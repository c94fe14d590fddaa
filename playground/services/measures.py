"""Single measurements for the benchmark: one burst of tokens, one prompt; each gives one figure."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from playground.backends.local import LocalBackend
from playground.domain.errors import as_error
from playground.domain.events import Event, Failed, TokenGenerated
from playground.domain.messages import GenerationRequest, Prompt, RawPrompt
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.engine.engine import Engine
from playground.engine.model import LoadedModel

PARAMS: Final = SamplingParams(seed=1)
STORY: Final = "Here is a long story about a river, told slowly and with many details. Once upon a time"
_WORDS: Final = "the river went on and the people on its banks told one another what they had seen that day "


def text_of(model: LoadedModel, tokens: int) -> str:
    """Text of about so many tokens, to within a few."""
    size = len(model.tokenize(_WORDS * 10, special=True, begin=False)) / 10
    return _WORDS * int(tokens / size) + " ".join(_WORDS.split()[: int(tokens % size)])


def request(stream: int, prompt: Prompt, **changes: Any) -> GenerationRequest:
    """A request with the benchmark's sampling parameters, submitted now."""
    params = msgspec.structs.replace(PARAMS, **changes)
    return GenerationRequest(stream=stream, prompt=prompt, params=params, submitted_at=time.monotonic())


def _requests(streams: int, text: str, tokens: int) -> list[GenerationRequest]:
    """One for each stream, all submitted at the same moment, each with its own seed."""
    first = request(0, RawPrompt(text), max_tokens=tokens)
    params = [msgspec.structs.replace(first.params, seed=seed) for seed in range(1, streams + 1)]
    return [msgspec.structs.replace(first, stream=stream, params=own) for stream, own in enumerate(params)]


def engine_speed(engine: Engine, tokens: int, streams: int) -> float:
    """Decode speed in tokens per second, all streams together, while all of them decode."""
    return _speed(_in_engine(engine, _requests(streams, STORY, tokens + streams)))


async def worker_speed(backend: LocalBackend, tokens: int, streams: int) -> float:
    """The same through a worker process."""
    return _speed(await _in_worker(backend, _requests(streams, STORY, tokens + streams)))


def engine_prefill_ms(engine: Engine, text: str, streams: int) -> float:
    """Time until every stream has its first token, when all get the same prompt and nothing is cached."""
    return _slowest_first_token_ms(_in_engine(engine, _requests(streams, text, 4)))


async def worker_prefill_ms(backend: LocalBackend, text: str, streams: int) -> float:
    """The same through a worker process that has not seen the prompt."""
    return _slowest_first_token_ms(await _in_worker(backend, _requests(streams, text, 4)))


def ttft_ms(engine: Engine, prompt: Prompt) -> float:
    """Time to the only token of a run."""
    return _slowest_first_token_ms(_in_engine(engine, [request(0, prompt, max_tokens=1)], forget=False))


def stock_llama(path: str, options: LoadOptions) -> Any:
    """llama-cpp-python's own `Llama`, set up to give log-probabilities."""
    from llama_cpp import Llama

    return Llama(path, n_ctx=512, n_batch=options.batch, logits_all=True, verbose=False)


def stock_speed(llama: Any, tokens: int) -> float:
    """Decode speed of its `create_completion` with log-probabilities, in tokens per second."""
    llama.reset()
    stream = llama.create_completion(
        STORY,
        stream=True,
        logprobs=10,
        max_tokens=tokens,
        temperature=PARAMS.temperature,
        top_k=PARAMS.top_k,
        top_p=PARAMS.top_p,
        min_p=PARAMS.min_p,
        repeat_penalty=1.0,
        seed=1,
    )
    times = [time.perf_counter() for _ in stream]
    return (len(times) - 1) / (times[-1] - times[0])


Times = dict[int, list[float]]
"""For each stream, when its tokens were chosen: milliseconds from submit."""


def _in_engine(engine: Engine, requests: Iterable[GenerationRequest], *, forget: bool = True) -> Times:
    events: list[Event] = []
    engine.redirect(events.append)
    for wanted in requests:
        engine.submit(wanted)
    while engine.busy:
        engine.step()
    if forget:
        engine.forget()
    return _times(events)


async def _in_worker(backend: LocalBackend, requests: Iterable[GenerationRequest]) -> Times:
    events: list[Event] = []
    await asyncio.gather(*(backend.generate(wanted, events.append) for wanted in requests))
    return _times(events)


def _times(events: Iterable[Event]) -> Times:
    times: Times = defaultdict(list)
    for event in events:
        if isinstance(event, TokenGenerated):
            times[event.stream].append(event.token.time_ms)
        elif isinstance(event, Failed):
            raise as_error(event.problem)
    return times


def _speed(times: Times) -> float:
    """Tokens per second over whole steps: from a token of the stream that began last to a later one of the same."""
    last = max(times.values(), key=lambda own: own[0])
    limit = min(own[-1] for own in times.values())
    begin, end = last[0], max(at for at in last if at <= limit)
    return 1000 * sum(begin < at <= end for own in times.values() for at in own) / (end - begin)


def _slowest_first_token_ms(times: Times) -> float:
    return max(own[0] for own in times.values())
