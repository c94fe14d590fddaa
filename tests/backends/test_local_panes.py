"""Several panes on one local model: one prefill for all, and nobody's reply changes by who else is there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.backends.worker_process import WorkerProcess
from playground.domain.events import Event, Finished, PromptProgress, Started, StopReason
from playground.domain.messages import GenerationRequest
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.engine.protocol import Request, ShareCores
from tests.backends.conftest import Load
from tests.backends.support import Sink
from tests.conftest import TinyModels
from tests.engine.support import GREEDY, chat, request

STORY = "the water was about to go down and the people could see it from the side of the long way "
PRESETS = (
    SamplingParams(temperature=0.0, max_tokens=24, ignore_eos=True),
    SamplingParams(temperature=1.5, top_k=0, top_p=1.0, min_p=0.0, seed=11, max_tokens=24, ignore_eos=True),
    SamplingParams(temperature=0.7, top_k=5, repeat_penalty=1.3, seed=11, max_tokens=24, ignore_eos=True),
    SamplingParams(mirostat=2, seed=3, max_tokens=24, ignore_eos=True),
)


class Pane(Sink):
    """One pane's run and what came of it."""

    def __init__(self, backend: LocalBackend, wanted: GenerationRequest, log: list[Event] | None = None) -> None:
        super().__init__()
        self.log = log
        self.running = asyncio.create_task(backend.generate(wanted, self))

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        if self.log is not None:
            self.log.append(event)

    @property
    def started(self) -> Started:
        (event,) = [event for event in self.events if isinstance(event, Started)]
        return event

    @property
    def computed(self) -> int:
        """Prompt tokens that were computed so far."""
        return max((event.done for event in self.events if isinstance(event, PromptProgress)), default=0)

    async def end(self) -> Finished:
        await self.running
        assert isinstance(self.events[-1], Finished), self.events[-1]
        return self.events[-1]


async def test_panes_that_send_while_the_first_prefills_compute_nothing_of_their_own(
    load: Load, starter_gguf: Path
) -> None:
    backend = await load(starter_gguf, context=1024, batch=64)
    first = Pane(backend, request(1, STORY * 15))
    await first.until(lambda: first.computed > 0)
    assert not first.ids, "the prompt is still being computed"
    others = [Pane(backend, request(n, STORY * 15, NEUTRAL, seed=n, max_tokens=8)) for n in (2, 3, 4)]
    ends = [await pane.end() for pane in (first, *others)]
    size = first.started.prompt_tokens
    assert size is not None
    assert size > 250
    assert first.started.cached_tokens == 0
    assert [pane.started.cached_tokens for pane in others] == [size - 1] * 3
    assert (first.computed, [pane.computed for pane in others]) == (size, [1, 1, 1])
    assert [end.usage.cached_tokens for end in ends] == [0, size - 1, size - 1, size - 1]
    assert len({tuple(pane.ids) for pane in others}) == 3


@pytest.mark.parametrize("kind", ["base", "chat", "sliding window", "recurrent", "hybrid"])
async def test_every_preset_writes_what_it_would_alone(load: Load, tiny_models: TinyModels, kind: str) -> None:
    """A batch of four rounds otherwise than one row, by some millionths of a probability.

    That shows where a draw, or the choice between two best tokens, is as close as that; with these seeds none is.
    """
    backend = await load(tiny_models(kind))
    panes = [Pane(backend, request(n, STORY, params)) for n, params in enumerate(PRESETS)]
    for pane in panes:
        await pane.end()
    for n, params in enumerate(PRESETS):
        alone = Pane(await load(tiny_models(kind)), request(n, STORY, params))
        await alone.end()
        assert panes[n].ids == alone.ids
        assert len(alone.ids) == 24


async def test_stopping_the_first_pane_hands_its_prefill_on(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf, context=1024, batch=64)
    panes = [Pane(backend, request(n, STORY * 15)) for n in range(4)]
    await panes[0].until(lambda: panes[0].computed >= 128)
    await backend.stop(0)
    ends = [await pane.end() for pane in panes]
    assert [end.reason for end in ends] == [StopReason.CANCELLED, *[StopReason.LENGTH] * 3]
    size, done = panes[0].started.prompt_tokens, panes[0].computed
    assert size is not None
    assert 128 <= done < size
    assert sorted(pane.started.cached_tokens or 0 for pane in panes[1:]) == [done, size - 1, size - 1]
    assert not panes[0].ids
    assert panes[1].ids[0] == panes[2].ids[0] == panes[3].ids[0]


async def test_a_pane_that_joins_while_others_write_shares_their_prompt(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    first = Pane(backend, request(1, STORY * 5, max_tokens=40, ignore_eos=True))
    await first.until(lambda: len(first.ids) >= 4)
    late = Pane(backend, request(2, STORY * 5))
    await late.until(lambda: len(late.ids) >= 1)
    assert not isinstance(first.events[-1], Finished), "both write at the same time"
    await first.end()
    await late.end()
    assert late.started.cached_tokens == (late.started.prompt_tokens or 0) - 1
    assert late.ids[0] == first.ids[0]


async def test_six_panes_go_on_for_three_turns_beside_a_long_reply(load: Load, tiny_models: TinyModels) -> None:
    """Seven of eight sequences run at a time, and each pane finds its own history computed."""
    backend = await load(tiny_models("chat"), context=1536)
    long = request(99, "one two " + STORY, GREEDY, max_tokens=300, ignore_eos=True)
    writer = Pane(backend, long)
    await writer.until(lambda: len(writer.ids) >= 2)
    words = ("the", "people", "could", "see", "long", "way")
    said = {word: [f"{word} {STORY}"] for word in words}
    computed: dict[str, int] = {}
    for turn in range(3):
        runs = {
            word: Pane(backend, request(turn * 10 + n, chat(*said[word]), max_tokens=12, ignore_eos=True))
            for n, word in enumerate(words)
        }
        for word, pane in runs.items():
            end = await pane.end()
            assert (end.reason, len(pane.ids)) == (StopReason.LENGTH, 12)
            assert (pane.started.cached_tokens or 0) >= computed.get(word, 0)
            computed[word] = pane.started.prompt_tokens or 0
            said[word] += [end.text, f"{word} again"]
    assert (await writer.end()).reason is StopReason.LENGTH
    alone = Pane(await load(tiny_models("chat"), context=1024), long)
    await alone.end()
    assert writer.ids == alone.ids


async def test_more_runs_than_sequences_wait_for_their_turn(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf, streams=2)
    log: list[Event] = []
    panes = [Pane(backend, request(n, f"{n} {STORY}", max_tokens=12, ignore_eos=True), log) for n in range(5)]
    await panes[0].until(lambda: len(panes[0].ids) >= 1)
    await backend.stop(4)
    ends = [await pane.end() for pane in panes]
    assert [end.reason for end in ends] == [*[StopReason.LENGTH] * 4, StopReason.CANCELLED]
    assert not any(isinstance(event, Started) for event in panes[4].events), "it never had a turn"
    running: set[int] = set()
    for event in log:
        if isinstance(event, Started):
            running.add(event.stream)
            assert len(running) <= 2
        elif isinstance(event, Finished):
            running.discard(event.stream)


async def test_two_models_at_work_divide_the_cores_until_one_is_done(
    load: Load, tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    send = WorkerProcess.send

    def listened(worker: WorkerProcess, wanted: Request) -> None:
        if isinstance(wanted, ShareCores):
            told.append((worker.pid, wanted.workers))
        send(worker, wanted)

    monkeypatch.setattr(WorkerProcess, "send", listened)
    one, two = await load(tiny_models("base"), context=2048), await load(tiny_models("chat"))
    alone = Pane(one, request(0, STORY))
    await alone.end()
    assert told == [], "one model has all cores"
    long = Pane(one, request(1, STORY, GREEDY, max_tokens=-1, ignore_eos=True))
    await long.until(lambda: len(long.ids) >= 2)
    short = Pane(two, request(2, STORY))
    await short.until(lambda: bool(short.events))
    assert sorted(told) == sorted([(one.pid, 2), (two.pid, 2)])
    await short.end()
    assert told[2:] == [(one.pid, 1)]
    await one.stop(1)
    await long.end()
    again = Pane(two, request(3, STORY))
    await again.end()
    assert told[3:] == [(two.pid, 1)]
