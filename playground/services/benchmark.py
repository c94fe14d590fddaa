"""What seeing everything costs, measured against a bare loop in the same run.

Machines are noisy, so every figure is a ratio: a variant and its yardstick take turns, a few tokens each, and the
median of the pairs' ratios is what counts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from playground.backends.local import LocalBackend
from playground.domain.messages import ChatPrompt, Message, Role
from playground.domain.models import LoadOptions
from playground.engine.bare import BareLoop
from playground.engine.engine import Engine
from playground.engine.model import LoadedModel, open_model
from playground.services import measures
from playground.services.measures import PARAMS, STORY

_CONTEXT: Final = 4096
_BURST: Final = 16
"""Tokens after which the other one takes its turn: a processor's speed drifts within seconds."""
_SHARED: Final = 1000
"""Tokens of the prompt that several streams get at once."""

Measure = Callable[[], Awaitable[float]]
Report = Callable[[str], None]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the result."""

    name: str
    value: float
    """Median of the runs."""
    unit: str
    ratio: float | None
    """Median over the runs of this variant's figure divided by the yardstick's in the same turn."""
    against: str
    """What the ratio is to."""
    runs: int


class Plan(NamedTuple):
    """What is measured, and how often."""

    path: str
    options: LoadOptions
    pairs: int
    tokens: int
    """Tokens of each stream a pair, measured in bursts of 16, every burst beside one of the yardstick's."""
    history: int
    """Tokens of history before the follow-up turn, about."""
    streams: tuple[int, ...]
    """How many streams decode at once, one measurement after another; 1 brings what is measured with one alone."""
    report: Report
    """Is told what is being measured."""


def run_benchmark(plan: Plan) -> list[Row]:
    """Run all measurements, one after another. Raises what `open_model` raises."""
    room = max(plan.options.streams, *plan.streams)
    plan = plan._replace(options=msgspec.structs.replace(plan.options, context=_CONTEXT, streams=room))
    model = open_model(plan.path, plan.options)
    try:
        return asyncio.run(_Benchmark(model, plan).rows())
    finally:
        model.close()


class _Benchmark:
    """The measurements, all on one loaded model. The engine and the bare loop use its context in turn."""

    def __init__(self, model: LoadedModel, plan: Plan) -> None:
        self._model = model
        self._plan = plan
        self._burst = min(plan.tokens, _BURST)
        self._engine = Engine(model, lambda _: None, batch=plan.options.batch, streams=plan.options.streams)
        self._bare = BareLoop(model, PARAMS, batch=plan.options.batch)

    async def rows(self) -> list[Row]:
        rows: list[Row] = []
        for streams in self._plan.streams:
            rows += await self._at_once(streams)
            if streams > 1:
                rows += await self._shared_prompt(streams)
        if 1 in self._plan.streams:
            rows.append(await self._follow_up())
        return rows

    async def _at_once(self, streams: int) -> list[Row]:
        prompt = self._model.tokenize(STORY, special=True, begin=True)
        bare = _measure(self._bare.run, prompt, self._burst, streams)
        engine = _measure(measures.engine_speed, self._engine, self._burst, streams)
        bare_name = "bare loop" if streams == 1 else f"bare loop with {streams}"
        rows = await self._versus(engine, bare, f"engine, {streams} at once", bare_name, show_yardstick=True)
        rows.append(await self._in_workers(bare, streams, bare_name))
        return [*rows, *await self._stock(engine, bare)] if streams == 1 else rows

    async def _in_workers(self, bare: Measure, streams: int, bare_name: str) -> Row:
        """A fresh worker for each round: where in memory one comes to lie decides on some percent of its speed."""
        name = f"engine in its own process, {streams} at once"
        self._plan.report(f"{name} against {bare_name}")
        turns: list[tuple[float, float]] = []
        for _ in range(self._plan.pairs):
            async with self._worker() as backend:

                async def worker(backend: LocalBackend = backend) -> float:
                    return await measures.worker_speed(backend, self._burst, streams)

                turns += await self._round(worker, bare)
        return _speed_row(name, turns, bare_name)

    async def _stock(self, engine: Measure, bare: Measure) -> list[Row]:
        name = "create_completion(logprobs=10)"
        llama = measures.stock_llama(self._plan.path, self._plan.options)
        stock = _measure(measures.stock_speed, llama, self._burst)
        rows = await self._versus(stock, bare, name, "bare loop")
        rows += await self._versus(engine, stock, "engine", "create_completion")
        llama.close()
        return rows

    async def _versus(
        self, variant: Measure, yardstick: Measure, name: str, against: str, *, show_yardstick: bool = False
    ) -> list[Row]:
        self._plan.report(f"{name} against {against}")
        turns: list[tuple[float, float]] = []
        for _ in range(self._plan.pairs):
            turns += await self._round(variant, yardstick)
        row = _speed_row(name, turns, against)
        yard_row = _row(against, [yard for _, yard in turns], "tokens/s", [1.0], against)
        return [yard_row, row] if show_yardstick else [row]

    async def _round(self, variant: Measure, yardstick: Measure) -> list[tuple[float, float]]:
        """Both, burst by burst, each going first every other time, after one unmeasured turn of the variant."""
        await variant()
        turns = []
        for turn in range(max(1, self._plan.tokens // self._burst)):
            if turn % 2:
                turns.append((await variant(), await yardstick()))
            else:
                yard = await yardstick()
                turns.append((await variant(), yard))
        return turns

    async def _shared_prompt(self, streams: int) -> list[Row]:
        """Time until the last of several streams with one prompt has its first token, against one stream alone."""
        text = measures.text_of(self._model, _SHARED)

        async def in_engine(count: int) -> float:
            return measures.engine_prefill_ms(self._engine, text, count)

        async def in_worker(count: int) -> float:
            async with self._worker() as backend:
                await measures.worker_speed(backend, 8, 1)
                return await measures.worker_prefill_ms(backend, text, count)

        name = f"prompt of {_SHARED:,} tokens for {streams} at once"
        rows = []
        for where, measure in (("", in_engine), (", in its own process", in_worker)):
            self._plan.report(name + where)
            shared, alone = [], []
            for _ in range(self._plan.pairs):
                alone.append(await measure(1))
                shared.append(await measure(streams))
            ratios = [many / one for many, one in zip(shared, alone, strict=True)]
            rows.append(_row(name + where, shared, "ms", ratios, f"for one ({statistics.median(alone):,.0f} ms)"))
        return rows

    async def _follow_up(self) -> Row:
        """TTFT of a second turn whose history is cached, against computing the same tokens afresh."""
        self._plan.report("a follow-up turn")
        first = (Message(Role.USER, measures.text_of(self._model, self._plan.history)),)
        second = (*first, Message(Role.ASSISTANT, "I see."), Message(Role.USER, "Who told it?"))
        cached, fresh = [], []
        for _ in range(self._plan.pairs):
            self._engine.forget()
            measures.ttft_ms(self._engine, ChatPrompt(first))
            cached.append(measures.ttft_ms(self._engine, ChatPrompt(second)))
            self._engine.forget()
            fresh.append(measures.ttft_ms(self._engine, ChatPrompt(second)))
        self._engine.forget()
        ratios = [quick / slow for quick, slow in zip(cached, fresh, strict=True)]
        name = f"first token of a follow-up turn after {self._plan.history:,} tokens"
        return _row(name, cached, "ms", ratios, f"fresh prefill ({statistics.median(fresh):,.0f} ms)")

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[LocalBackend]:
        """A worker process of its own, with nothing cached."""
        with tempfile.TemporaryDirectory() as logs:
            backend = await LocalBackend.load(self._plan.path, self._plan.options, Path(logs))
            try:
                yield backend
            finally:
                await backend.close()


def _measure(function: Callable[..., float], *arguments: Any) -> Measure:
    async def once() -> float:
        return function(*arguments)

    return once


def _speed_row(name: str, turns: list[tuple[float, float]], against: str) -> Row:
    speeds = [speed for speed, _ in turns]
    return _row(name, speeds, "tokens/s", [speed / yard for speed, yard in turns], against)


def _row(name: str, values: list[float], unit: str, ratios: list[float], against: str) -> Row:
    middle = statistics.median
    return Row(name=name, value=middle(values), unit=unit, ratio=middle(ratios), against=against, runs=len(values))
