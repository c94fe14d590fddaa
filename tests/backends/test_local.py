"""The local backend over its real worker process."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import psutil
import pytest

from playground.domain.errors import BadInput
from playground.domain.events import Failed, Finished, ParamsChanged, PromptProgress, Started, StopReason
from playground.domain.sampling import NEUTRAL, SamplingParams
from tests.backends.conftest import Load
from tests.backends.support import Sink
from tests.conftest import TinyModels
from tests.engine.support import chat, request

STORY = "Here is a short story about a river."
LONG = SamplingParams(temperature=0.0, max_tokens=-1, ignore_eos=True)


async def test_a_request_over_the_pipe(load: Load, starter_gguf: Path) -> None:
    fractions: list[float] = []
    backend = await load(starter_gguf, fractions.append)
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0
    info = backend.info
    assert info is not None
    assert (info.architecture, info.n_ctx, info.n_vocab, info.device) == ("llama", 512, 49152, "CPU")
    sink = Sink()
    await backend.generate(request(1, chat("Say hello."), max_tokens=12), sink)
    assert isinstance(sink.events[0], Started)
    assert isinstance(sink.events[1], PromptProgress)
    finished = sink.events[-1]
    assert isinstance(finished, Finished)
    assert finished.usage.completion_tokens == len(sink.ids)
    again = Sink()
    await backend.generate(request(2, chat("Say hello."), max_tokens=12), again)
    assert again.ids == sink.ids
    assert isinstance(again.events[0], Started)
    assert again.events[0].cached_tokens


async def test_questions_that_need_no_stream(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    view = await backend.view_prompt(chat("Hi."))
    assert view.text.endswith("<|im_start|>user\nHi.<|im_end|>\n<|im_start|>assistant\n")
    assert (await backend.count_tokens("Hi.")).tokens == 2
    assert (await backend.count_tokens("")).tokens == 0
    longer = await backend.view_prompt(chat("Hi."), [504, 29])
    assert longer.ids == (*view.ids, 504, 29)
    assert backend.capabilities.logprobs == "full"


async def test_stop_and_live_parameters(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    sink = Sink()
    running = asyncio.create_task(backend.generate(request(1, STORY, LONG), sink))
    await sink.until(lambda: len(sink.ids) >= 3)
    await backend.set_params(1, SamplingParams(temperature=0.0, max_tokens=-1, ignore_eos=True, top=2))
    await sink.until(lambda: any(isinstance(event, ParamsChanged) for event in sink.events))
    with pytest.raises(BadInput, match="not one token"):
        await backend.set_params(1, SamplingParams(logit_bias={"no one token": 1.0}))
    seen = len(sink.ids)
    await sink.until(lambda: len(sink.ids) > seen)
    await backend.stop(1)
    await running
    finished = sink.events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is StopReason.CANCELLED


async def test_bans_travel_over_the_pipe(load: Load, tiny_models: TinyModels) -> None:
    backend = await load(tiny_models("base"))
    sink = Sink()
    params = SamplingParams(temperature=0.0, max_tokens=3, logit_bias={" the": -math.inf, "#7": 2.5})
    await backend.generate(request(1, "the water", params), sink)
    assert isinstance(sink.events[0], Started)
    assert sink.events[0].params == params
    assert isinstance(sink.events[-1], Finished)


async def test_a_stop_during_a_long_prompt(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf, context=4096)
    sink = Sink()
    running = asyncio.create_task(backend.generate(request(1, STORY * 300, LONG), sink))
    await sink.until(lambda: any(isinstance(event, Started) for event in sink.events))
    await backend.stop(1)
    await running
    finished = sink.events[-1]
    assert isinstance(finished, Finished)
    assert finished.reason is StopReason.CANCELLED
    assert not sink.ids
    after = Sink()
    await backend.generate(request(2, "Hello"), after)
    assert len(after.ids) == 8


async def test_cancelling_the_task_stops_the_stream(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    sink, after = Sink(), Sink()
    running = asyncio.create_task(backend.generate(request(1, STORY, LONG), sink))
    await sink.until(lambda: len(sink.ids) >= 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    seen = len(sink.events)
    await backend.generate(request(2, STORY), after)
    assert len(sink.events) == seen
    assert isinstance(after.events[-1], Finished)


async def test_several_streams_at_once(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf, context=1024)
    sinks = [Sink() for _ in range(4)]
    seeds = (5, 5, 6, 7)
    await asyncio.gather(
        *(
            backend.generate(request(n, STORY, NEUTRAL, seed=seed, max_tokens=12), sink)
            for n, (seed, sink) in enumerate(zip(seeds, sinks, strict=True))
        )
    )
    assert all(len(sink.ids) == 12 for sink in sinks)
    assert sinks[0].ids == sinks[1].ids
    assert len({tuple(sink.ids) for sink in sinks}) == 3


async def test_two_backends_at_once(load: Load, starter_gguf: Path, tiny_models: TinyModels) -> None:
    first, second = await asyncio.gather(load(starter_gguf), load(tiny_models("chat")))
    assert first.pid != second.pid
    sinks = Sink(), Sink()
    await asyncio.gather(
        first.generate(request(1, STORY), sinks[0]), second.generate(request(1, chat("the water")), sinks[1])
    )
    assert [type(sink.events[-1]) for sink in sinks] == [Finished, Finished]


async def test_closing_while_tokens_stream_ends_the_worker(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    sink = Sink()
    worker = psutil.Process(backend.pid)
    running = asyncio.create_task(backend.generate(request(1, STORY, LONG), sink))
    await sink.until(lambda: len(sink.ids) >= 2)
    await backend.close()
    await running
    assert isinstance(sink.events[-1], Failed)
    assert not worker.is_running()
    assert not backend.died.done(), "it did not end by itself"


async def test_half_characters_are_refused_and_the_worker_lives(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    sink, after = Sink(), Sink()
    await backend.generate(request(1, "a \ud83d b"), sink)
    (event,) = sink.events
    assert isinstance(event, Failed)
    assert event.problem.kind == "BadInput"
    with pytest.raises(BadInput, match="half a character"):
        await backend.count_tokens("\udcff")
    await backend.generate(request(2, STORY), after)
    assert isinstance(after.events[-1], Finished)
