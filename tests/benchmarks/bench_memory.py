"""What a long session keeps in the app's process: bytes a token, and the process as a whole.

    python -m tests.benchmarks.bench_memory [TOKENS] [ROUNDS]

The starter model writes a few hundred tokens with everything on: candidates, stages, two watched words. They are sent
again and again as the very frames the worker sends, each time with other figures, so that nothing is alike that would
not be alike in a real reply. Each measurement is a process of its own; shown are medians over the rounds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from msgspec import structs

from playground.backends.base import Backend, Capabilities, EventSink
from playground.domain.events import Event, Finished, Started, StopReason, TokenGenerated
from playground.domain.messages import GenerationRequest
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import Token
from playground.domain.usage import Timings, Usage
from playground.engine import protocol

TOKENS = 32_000
ROUNDS = 3
TOPS = (10, 25)
SAMPLES = 300
SIZE = (120, 40)
WATCH = (" the", " water")
STREAM = 1
PATIENCE_S = 120
GOAL_A_TOKEN, GOAL_MB = 2048, 150
PROMPT = "Tell me a story about a lighthouse keeper who finds a letter. Then explain it, with a list."
FRAME = 64
"""Tokens between two frames of the screen; a fast model writes fewer."""


async def samples(top: int) -> list[Token]:
    """Real tokens of the starter model."""
    from playground.backends.local import LocalBackend
    from playground.domain.models import LoadOptions
    from playground.services.models import starter_model

    with tempfile.TemporaryDirectory() as logs:
        backend = await LocalBackend.load(str(starter_model()), LoadOptions(context=2048), Path(logs))
        session = Session(SamplingParams(seed=5, max_tokens=SAMPLES, top=top, ignore_eos=True, repeat_penalty=1.1))
        session.watch = WATCH
        found: list[Event] = []
        await backend.generate(session.send(PROMPT), found.append)
        await backend.close()
    return [event.token for event in found if isinstance(event, TokenGenerated)]


def unlike(token: Token, index: int, chance: random.Random) -> Token:
    """The same token at another place: every figure that is measured differs a little, as it would."""

    def shaken(value: float | None) -> float | None:
        return value if value is None or value in (0.0, 1.0) else value * (1.0 - 1e-4 * chance.random())

    top = tuple(structs.replace(one, logprob=shaken(one.logprob), prob=shaken(one.prob)) for one in token.top)
    own = next((one for one in top if one.id == token.id), None)
    return structs.replace(
        token,
        index=index,
        logprob=own.logprob if own else shaken(token.logprob),
        prob=own.prob if own else shaken(token.prob),
        entropy=shaken(token.entropy),
        top=top,
        stages=tuple(structs.replace(one, mass=shaken(one.mass) or 0.0) for one in token.stages),
        watched=tuple(
            structs.replace(one, before=shaken(one.before) or 0.0, after=shaken(one.after) or 0.0)
            for one in token.watched
        ),
        time_ms=100.0 + index * 9.7 + chance.random(),
    )


def write_frames(path: Path, found: list[Token], count: int) -> None:
    """A reply of `count` tokens as it comes through the pipe."""
    chance = random.Random(1)
    with path.open("wb") as file:
        for index in range(count):
            token = unlike(found[index % len(found)], index, chance)
            file.write(protocol.encode(TokenGenerated(stream=STREAM, token=token)))


def read_frames(path: Path) -> Iterator[bytes]:
    """As the pipe gives them, whatever stands in them."""
    with path.open("rb", buffering=0) as file:
        while data := file.read(4096):
            yield data


class Pipe(Backend):
    """A loaded model that writes nothing of its own: it brings what a worker has written before."""

    def __init__(self, model: Backend, path: Path) -> None:
        self._model = model
        self._path = path

    @property
    def capabilities(self) -> Capabilities:
        return self._model.capabilities

    @property
    def card(self) -> ModelCard:
        return self._model.card

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        sink(Started(stream=STREAM, prompt_tokens=30, cached_tokens=0, params=request.params, seed=5))
        reader, waiting = protocol.answer_reader(), 0
        for data in read_frames(self._path):
            for event in reader.feed(data):
                assert isinstance(event, TokenGenerated)
                sink(event)
                waiting += 1
            if waiting >= FRAME:
                await asyncio.sleep(0.005)
                waiting = 0
        usage = Usage(prompt_tokens=30, cached_tokens=0, completion_tokens=1, cost=0.0)
        sink(Finished(stream=STREAM, reason=StopReason.LENGTH, text="", usage=usage, timings=Timings()))

    async def stop(self, stream: int) -> None:
        """Nothing ends it."""

    async def close(self) -> None:
        """The model closes itself."""


def resident() -> float:
    """Bytes of this process that are in memory, after everything was given back that can be."""
    gc.collect()
    return float(psutil.Process().memory_info().rss)


def apply_all(path: Path) -> Session:
    """The session by itself, without any screen."""
    session, reader = Session(), protocol.answer_reader()
    session.send(PROMPT)
    session.stream = STREAM
    for data in read_frames(path):
        for event in reader.feed(data):
            assert isinstance(event, TokenGenerated)
            session.apply(event)
    return session


def of_the_session(path: Path, count: int) -> dict[str, float]:
    """Bytes and microseconds a token of what was captured."""
    before, began = resident(), time.process_time()
    session = apply_all(path)
    spent = time.process_time() - began
    grown = resident() - before
    del session
    tracemalloc.start()
    kept = apply_all(path)
    gc.collect()
    traced, _ = tracemalloc.get_traced_memory()
    assert kept.active is not None
    assert len(kept.active.tokens) == count
    return {"rss": grown / count, "traced": traced / count, "us": spent / count * 1e6}


async def of_the_app(path: Path, count: int) -> dict[str, float]:
    """Bytes a token with the view, and the whole process before and after."""
    from playground.app import PlaygroundApp
    from playground.services.presets import load_presets
    from playground.services.settings import Settings
    from playground.services.start import DEFAULT_PRESET, find_preset, starting_params

    presets, _ = load_presets()
    preset = find_preset(presets, DEFAULT_PRESET)
    app = PlaygroundApp(Settings(), model="", presets=presets, preset=preset, params=starting_params(preset))
    async with asyncio.timeout(PATIENCE_S), app.run_test(size=SIZE) as pilot:
        screen = app.get_default_screen()
        while not screen.furnished or screen.pane.runner.backend is None:
            await pilot.pause(0.1)
        pane = screen.pane
        view = pane.transcript.view
        pane.attach(Pipe(pane.need_model(), path))
        pane.session.watch = WATCH
        await pilot.pause(0.5)
        before = resident()
        pane.send(PROMPT)
        pane.session.stream = STREAM
        while pane.session.busy:
            await pilot.pause(0.05)
        await pilot.pause(0.5)
        after = resident()
        view.follow = False
        while view.scroll_offset.y:  # everything was on the screen once
            view.scroll_relative(y=-view.size.height, animate=False)
            await pilot.pause()
        seen = resident()
        reply = pane.session.transcript.path()[-1]
        assert len(reply.tokens) == count
        assert len(view.store) > count
        await screen.pool.close_all()
    return {"before": before, "after": after, "seen": seen, "a token": (after - before) / count}


def imports() -> dict[str, float]:
    """Where an empty app's memory goes: the process after each layer of imports."""
    found = {"python": resident()}
    import textual.app
    import textual.widgets  # noqa: F401

    found["textual"] = resident()
    import playground.app  # noqa: F401

    found["playground.app"] = resident()
    return found


def measured(*arguments: object) -> dict[str, float]:
    """Figures of one measurement in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.bench_memory", *map(str, arguments)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    figures: dict[str, float] = json.loads(answer.splitlines()[-1])
    return figures


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Each figure's median."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main(count: int, rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LLM_PLAYGROUND_HOME"] = folder
        path = Path(folder) / "frames"
        print(f"{count:,} tokens, {rounds} rounds; goals: {GOAL_A_TOKEN:,} bytes at top 10, {GOAL_MB} MB")
        for top in TOPS:
            write_frames(path, asyncio.run(samples(top)), count)
            alone = medians([measured("session", path, count) for _ in range(rounds)])
            app = medians([measured("app", path, count) for _ in range(rounds)])
            print(f"top {top}, {path.stat().st_size / count:,.0f} bytes a frame")
            print(f"  captured: {alone['traced']:,.0f} bytes a token traced, {alone['rss']:,.0f} resident")
            print(f"  decode and apply: {alone['us']:.1f} us a token")
            print(f"  with the view: {app['a token']:,.0f} bytes a token resident")
            print(
                f"  the app: {app['before'] / 1e6:.1f} MB before, {app['after'] / 1e6:.1f} MB after, "
                f"{app['seen'] / 1e6:.1f} MB once all of it was seen",
                flush=True,
            )
    print("  ".join(f"{name} {size / 1e6:.1f} MB" for name, size in measured("imports").items()))


if __name__ == "__main__":
    figures: dict[str, Any]
    match sys.argv[1:]:
        case ["session", path, count]:
            figures = of_the_session(Path(path), int(count))
        case ["app", path, count]:
            figures = asyncio.run(of_the_app(Path(path), int(count)))
        case ["imports"]:
            figures = imports()
        case arguments:
            figures = {}
            main(*(int(argument) for argument in [*arguments, *map(str, (TOKENS, ROUNDS)[len(arguments) :])]))
    if figures:
        print(json.dumps(figures))
