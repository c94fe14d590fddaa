"""What seeing everything costs, measured against a bare loop in the same run.

Machines are noisy, so every figure is a ratio: a variant and the bare loop take turns, and the median of the pairs'
ratios is what counts.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

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
_HISTORY_TOKENS: Final = 2000
_CONTEXT: Final = 4096

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


async def benchmark(path: str, options: LoadOptions, *, pairs: int, tokens: int, report: Report) -> list[Row]:
    """Run all measurements in turn; `report` is told what is being measured."""
    options = msgspec.structs.replace(options, context=_CONTEXT)
    model = open_model(path, options)
    try:
        return await _all_rows(model, path, options, pairs, tokens, report)
    finally:
        model.close()


async def _all_rows(
    model: LoadedModel, path: str, options: LoadOptions, pairs: int, tokens: int, report: Report
) -> list[Row]:
    prompt_ids = model.tokenize(_PROMPT, special=True, begin=True)
    rows: list[Row] = []
    for streams in (1, 2, 4):
        bare = BareLoop(model, PARAMS, options, n_ctx=_CONTEXT)
        engine = Engine(model, lambda _: None, batch=options.batch, streams=options.streams)

        async def run_bare(loop: BareLoop = bare, n: int = streams) -> float:
            return loop.run(prompt_ids, tokens, n)

        async def run_engine(target: Engine = engine, n: int = streams) -> float:
            return _engine_speed(target, tokens, n)

        report(f"engine, {streams} at once")
        rows += await _versus(run_engine, run_bare, f"engine, {streams} at once", "bare loop", pairs, streams == 1)
        if streams == 1:
            report("across the process boundary")
            worker = await LocalBackend.load(path, options, Path(tempfile.gettempdir()))

            async def run_worker(target: LocalBackend = worker) -> float:
                return await _worker_speed(target, tokens)

            rows += await _versus(run_worker, run_bare, "engine in its own process", "bare loop", pairs, False)
            await worker.close()
            report("create_completion(stream=True, logprobs=10)")
            stock = _stock(path, options)

            async def run_stock(llama: Any = stock) -> float:
                return _stock_speed(llama, min(tokens, 32))

            rows += await _versus(run_stock, run_bare, "create_completion(logprobs=10)", "bare loop", pairs, False)
            rows += await _versus(run_engine, run_stock, "engine", "create_completion", pairs, False)
            stock.close()
        bare.close()
        engine.forget()
    report("follow-up turn")
    rows.append(_follow_up(model, options, pairs))
    return rows


async def _versus(
    variant: Measure, yardstick: Measure, name: str, against: str, pairs: int, show_yardstick: bool
) -> list[Row]:
    """Take turns, each going first every other time, after one unmeasured round."""
    values, yards, ratios = [], [], []
    for turn in range(pairs + 1):
        if turn % 2:
            value, yard = await variant(), await yardstick()
        else:
            yard, value = await yardstick(), await variant()
        if turn:
            values.append(value)
            yards.append(yard)
            ratios.append(value / yard)
    row = Row(
        name=name,
        value=statistics.median(values),
        unit="tokens/s",
        ratio=statistics.median(ratios),
        against=against,
        runs=pairs,
    )
    if not show_yardstick:
        return [row]
    first = Row(name=against, value=statistics.median(yards), unit="tokens/s", ratio=1.0, against=against, runs=pairs)
    return [first, row]


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


def _follow_up(model: LoadedModel, options: LoadOptions, pairs: int) -> Row:
    """TTFT of a second turn whose history is cached, against computing the same tokens afresh."""
    words = "the river went on and the people on its banks told one another what they had seen that day "
    text = words * (_HISTORY_TOKENS // 19)
    first = (Message(Role.USER, text),)
    reply = "I see."
    second = (*first, Message(Role.ASSISTANT, reply), Message(Role.USER, "Who told it?"))
    cached, fresh, ratios = [], [], []
    engine = Engine(model, lambda _: None, batch=options.batch, streams=options.streams)
    for _ in range(pairs):
        engine.forget()
        _ttft_ms(engine, ChatPrompt(first))
        cached.append(_ttft_ms(engine, ChatPrompt(second)))
        engine.forget()
        fresh.append(_ttft_ms(engine, ChatPrompt(second)))
        ratios.append(cached[-1] / fresh[-1])
    return Row(
        name=f"first token of a follow-up turn after {_HISTORY_TOKENS:,} tokens",
        value=statistics.median(cached),
        unit="ms",
        ratio=statistics.median(ratios),
        against=f"fresh prefill ({statistics.median(fresh):,.0f} ms)",
        runs=pairs,
    )


def _ttft_ms(engine: Engine, prompt: Prompt) -> float:
    ended: list[Finished] = []
    engine.redirect(lambda event: ended.append(event) if isinstance(event, Finished) else None)
    engine.submit(_request(0, prompt, max_tokens=1))
    while engine.busy:
        engine.step()
    ttft = ended[0].timings.ttft_ms
    assert ttft is not None, "a run of one token has a first token"
    return ttft


def run_benchmark(path: str, options: LoadOptions, *, pairs: int, tokens: int, report: Report) -> list[Row]:
    """The same, for callers without an event loop."""
    return asyncio.run(benchmark(path, options, pairs=pairs, tokens=tokens, report=report))
