"""What seeing everything costs, measured against a bare loop in the same run.

Machines are noisy, so every figure is a ratio: a variant and the bare loop take turns, a few tokens each, and the
median of the pairs' ratios is what counts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from playground.backends.local import LocalBackend
from playground.domain.events import Event, Finished, TokenGenerated
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, Prompt, RawPrompt, Role
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.engine.bare import BareLoop
from playground.engine.engine import Engine
from playground.engine.model import LoadedModel, open_model

PARAMS: Final = SamplingParams(seed=1)
_PROMPT: Final = "Here is a long story about a river, told slowly and with many details. Once upon a time"
_CONTEXT: Final = 4096
_BURST: Final = 16
"""Tokens after which the other one takes its turn: a processor's speed drifts within seconds."""

Measure = Callable[[], Awaitable[float]]
Report = Callable[[str], None]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result."""

    name: str
    value: float
    """Median of the runs."""
    unit: str
    ratio: float | None
    """Median over the pairs of this variant's figure divided by the yardstick's."""
    against: str
    """What the ratio is to."""
    runs: int


class Plan(NamedTuple):
    """What is measured, and how often."""

    path: str
    options: LoadOptions
    pairs: int
    tokens: int
    """Tokens a run, in bursts of 16."""
    history: int
    """Tokens of history before the follow-up turn, about."""
    report: Report
    """Is told what is being measured."""


def run_benchmark(plan: Plan) -> list[Row]:
    """Run all measurements, one after another. Raises what `open_model` raises."""
    plan = plan._replace(options=msgspec.structs.replace(plan.options, context=_CONTEXT))
    model = open_model(plan.path, plan.options)
    try:
        return asyncio.run(_Benchmark(model, plan).rows())
    finally:
        model.close()


class _Benchmark:
    """The measurements, all on one loaded model."""

    def __init__(self, model: LoadedModel, plan: Plan) -> None:
        self._model = model
        self._plan = plan
        self._prompt_ids = model.tokenize(_PROMPT, special=True, begin=True)
        self._burst = min(plan.tokens, _BURST)

    async def rows(self) -> list[Row]:
        rows: list[Row] = []
        for streams in (1, 2, 4):
            rows += await self._at_once(streams)
        return [*rows, self._follow_up()]

    async def _at_once(self, streams: int) -> list[Row]:
        options = self._plan.options
        bare = BareLoop(self._model, PARAMS, options, n_ctx=_CONTEXT)
        engine = self._engine()
        run_bare = _measure(bare.run, self._prompt_ids, self._burst, streams)
        run_engine = _measure(_engine_speed, engine, self._burst, streams)
        name = f"engine, {streams} at once"
        rows = await self._versus(run_engine, run_bare, name, "bare loop", show_yardstick=streams == 1)
        if streams == 1:
            rows += await self._in_its_own_process(run_bare)
            rows += await self._stock(run_engine, run_bare)
        bare.close()
        engine.forget()
        return rows

    def _engine(self) -> Engine:
        options = self._plan.options
        return Engine(self._model, lambda _: None, batch=options.batch, streams=options.streams)

    async def _in_its_own_process(self, run_bare: Measure) -> list[Row]:
        with tempfile.TemporaryDirectory() as logs:
            worker = await LocalBackend.load(self._plan.path, self._plan.options, Path(logs))

            async def run_worker() -> float:
                return await _worker_speed(worker, self._burst)

            try:
                return await self._versus(run_worker, run_bare, "engine in its own process", "bare loop")
            finally:
                await worker.close()

    async def _stock(self, run_engine: Measure, run_bare: Measure) -> list[Row]:
        name = "create_completion(logprobs=10)"
        llama = _stock(self._plan.path, self._plan.options)
        run_stock = _measure(_stock_speed, llama, self._burst)
        rows = await self._versus(run_stock, run_bare, name, "bare loop")
        rows += await self._versus(run_engine, run_stock, "engine", "create_completion")
        llama.close()
        return rows

    async def _versus(
        self, variant: Measure, yardstick: Measure, name: str, against: str, *, show_yardstick: bool = False
    ) -> list[Row]:
        """Take turns, burst by burst, each going first every other time, after one unmeasured round."""
        pairs = self._plan.pairs
        self._plan.report(f"{name} against {against}")
        await yardstick()
        await variant()
        values, yards, ratios = [], [], []
        for _ in range(pairs):
            slowness, yard_slowness = [], []
            for turn in range(max(1, self._plan.tokens // self._burst)):
                if turn % 2:
                    slowness.append(1 / await variant())
                yard_slowness.append(1 / await yardstick())
                if not turn % 2:
                    slowness.append(1 / await variant())
            values.append(1 / statistics.mean(slowness))
            yards.append(1 / statistics.mean(yard_slowness))
            ratios.append(values[-1] / yards[-1])
        row = Row(
            name=name,
            value=statistics.median(values),
            unit="tokens/s",
            ratio=statistics.median(ratios),
            against=against,
            runs=pairs,
        )
        yard_row = Row(
            name=against, value=statistics.median(yards), unit="tokens/s", ratio=1.0, against=against, runs=pairs
        )
        return [yard_row, row] if show_yardstick else [row]

    def _follow_up(self) -> Row:
        """TTFT of a second turn whose history is cached, against computing the same tokens afresh."""
        self._plan.report("a follow-up turn")
        words = "the river went on and the people on its banks told one another what they had seen that day "
        first = (Message(Role.USER, words * (self._plan.history // 19)),)
        second = (*first, Message(Role.ASSISTANT, "I see."), Message(Role.USER, "Who told it?"))
        cached, fresh, ratios = [], [], []
        engine = self._engine()
        for _ in range(self._plan.pairs):
            engine.forget()
            _ttft_ms(engine, ChatPrompt(first))
            cached.append(_ttft_ms(engine, ChatPrompt(second)))
            engine.forget()
            fresh.append(_ttft_ms(engine, ChatPrompt(second)))
            ratios.append(cached[-1] / fresh[-1])
        engine.forget()
        return Row(
            name=f"first token of a follow-up turn after {self._plan.history:,} tokens",
            value=statistics.median(cached),
            unit="ms",
            ratio=statistics.median(ratios),
            against=f"fresh prefill ({statistics.median(fresh):,.0f} ms)",
            runs=self._plan.pairs,
        )


def _measure(function: Callable[..., float], *arguments: Any) -> Measure:
    async def once() -> float:
        return function(*arguments)

    return once


def _request(stream: int, prompt: Prompt, **changes: Any) -> GenerationRequest:
    params = msgspec.structs.replace(PARAMS, **changes)
    return GenerationRequest(stream=stream, prompt=prompt, params=params, submitted_at=time.monotonic())


def _engine_speed(engine: Engine, tokens: int, streams: int) -> float:
    """Decode speed of all streams together, from the first token of the last stream to start on."""
    events: list[tuple[float, Event]] = []
    engine.redirect(lambda event: events.append((time.perf_counter(), event)))
    for stream in range(streams):
        engine.submit(_request(stream, RawPrompt(_PROMPT), max_tokens=tokens + streams, seed=stream + 1))
    while engine.busy:
        engine.step()
    return _steady_speed(events, streams)


def _steady_speed(events: list[tuple[float, Event]], streams: int) -> float:
    """Tokens per second while all streams decode: after the last first token, until the first stream ends."""
    times = [(at, event.stream) for at, event in events if isinstance(event, TokenGenerated)]
    firsts = {stream: min(at for at, other in times if other == stream) for stream in range(streams)}
    lasts = {stream: max(at for at, other in times if other == stream) for stream in range(streams)}
    begin, end = max(firsts.values()), min(lasts.values())
    return sum(begin < at <= end for at, _ in times) / (end - begin)


async def _worker_speed(backend: LocalBackend, tokens: int) -> float:
    events: list[tuple[float, Event]] = []
    request = _request(0, RawPrompt(_PROMPT), max_tokens=tokens + 1)
    await backend.generate(request, lambda event: events.append((time.perf_counter(), event)))
    return _steady_speed(events, 1)


def _stock(path: str, options: LoadOptions) -> Any:
    from llama_cpp import Llama

    return Llama(path, n_ctx=512, n_batch=options.batch, logits_all=True, verbose=False)


def _stock_speed(llama: Any, tokens: int) -> float:
    llama.reset()
    stream = llama.create_completion(
        _PROMPT,
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


def _ttft_ms(engine: Engine, prompt: Prompt) -> float:
    ended: list[Finished] = []
    engine.redirect(lambda event: ended.append(event) if isinstance(event, Finished) else None)
    engine.submit(_request(0, prompt, max_tokens=1))
    while engine.busy:
        engine.step()
    ttft = ended[0].timings.ttft_ms
    assert ttft is not None, "a run of one token has a first token"
    return ttft
