"""What history costs: the size of a token, the time of a search among 10,000 replies, and what writing takes.

Run it with `python -m tests.benchmarks.bench_history [REPLIES]` on a machine that does nothing else. The size is
that of the whole file over real tokens of the starter model with ten candidates each, written as the app writes them:
what is new, once a second. The replies to be searched are made of words with the frequencies of a language.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from playground.backends.local import LocalBackend
from playground.domain.events import Finished, Started, StopReason, TokenGenerated
from playground.domain.history import Query, Setting
from playground.domain.messages import Role
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import Token
from playground.domain.usage import Timings, Usage
from playground.services.history_reader import HistoryReader
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from playground.services.models import starter_model

REPLIES = 10_000
ROUNDS = 15
TOKENS = 800
GOAL_MS = 100.0
GOAL_BYTES = 400
VOCABULARY = 20_000
BATCH = 25
START_OF_TIME = 1_700_000_000.0


def median_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Median time of some work, in milliseconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


async def real_tokens(path: Path) -> list[Token]:
    """Tokens of the starter model, as they come from its worker."""
    session, tokens = Session(SamplingParams(seed=3, max_tokens=TOKENS, ignore_eos=True)), []
    backend = await LocalBackend.load(str(path), LoadOptions(), Path(tempfile.mkdtemp()))
    try:
        await backend.generate(
            session.send("Tell me a long story about a lighthouse."),
            lambda event: tokens.append(event.token) if isinstance(event, TokenGenerated) else None,
        )
    finally:
        await backend.close()
    return tokens


def bytes_a_token(tokens: list[Token], at_once: int) -> tuple[float, float]:
    """Size of a history file with these tokens, over an empty one, a token; and median milliseconds a write."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite3"
        store = HistoryStore(path, "bench")
        store.close()
        empty = path.stat().st_size
        store, session, recorder, times = HistoryStore(path, "bench"), Session(), Recorder(), []
        request = session.send("Tell me a long story about a lighthouse.")
        started = Started(stream=request.stream, prompt_tokens=20, cached_tokens=0, params=request.params, seed=3)
        session.apply(started)
        for first in range(0, len(tokens), at_once):
            for token in tokens[first : first + at_once]:
                session.apply(TokenGenerated(stream=request.stream, token=token))
            began = time.perf_counter()
            change = recorder.take(session, Setting(preset="balanced"))
            assert change is not None
            store.apply(change)
            times.append((time.perf_counter() - began) * 1000)
        store.close()
        return (path.stat().st_size - empty) / len(tokens), statistics.median(times)


def batch_of(number: int) -> str:
    """Every other run of conversations belongs to a sweep."""
    return f"sweep-{number // BATCH}" if number // BATCH % 2 else ""


def fill(path: Path, replies: int) -> list[str]:
    """Write replies of some hundred words, two to a conversation; returns the words, the commonest first."""
    chance = random.Random(1)
    words = [f"{chance.choice('bcdfgklmnprst')}{number:x}" for number in range(VOCABULARY)]
    weights = [1 / (rank + 1) for rank in range(VOCABULARY)]
    now = START_OF_TIME
    store = HistoryStore(path, "bench", lambda: now)
    for number in range(replies // 2):
        session, recorder = Session(), Recorder()
        session.model = ("SmolLM2-135M-Instruct-Q4_K_M", "claude-sonnet-5", "gpt-x")[number % 3]
        for _ in range(2):
            now += chance.uniform(0, 4000)
            request = session.send(" ".join(chance.choices(words, weights, k=30)))
            reply = chance.choices(words, weights, k=chance.randrange(50, 300))
            for index in range(0, len(reply), 50):
                piece = " ".join(reply[index : index + 50]).encode()
                token = Token(index, None, piece, None, None, None, None, chunk=True)
                session.apply(TokenGenerated(stream=request.stream, token=token))
            session.apply(
                Finished(
                    stream=request.stream,
                    reason=StopReason.STOP,
                    text="",
                    usage=Usage(cost=chance.random() / 10),
                    timings=Timings(ttft_ms=80.0, tokens_per_second=50.0),
                )
            )
        change = recorder.take(
            session, Setting(preset=("balanced", "min-p", "xtc")[number % 3], batch=batch_of(number))
        )
        assert change is not None
        store.apply(change)
    store.close()
    return words


def queries(words: list[str]) -> dict[str, Query]:
    """What one looks for, by what it is called in the table."""
    return {
        "nothing: the newest 200": Query(),
        "a word that is everywhere": Query(text=words[0]),
        "the beginning of a word": Query(text=words[0][0]),
        "the same with a sweep in one line": Query(text=words[0][0], grouped=True),
        "three words": Query(text=" ".join(words[3:6])),
        "a rare word": Query(text=words[9_000]),
        "a sign, no word": Query(text="?!"),
        "a model": Query(model="claude"),
        "a preset and a cost": Query(preset="min-p", least_cost=0.09),
        "a month": Query(since=START_OF_TIME + 5e6, until=START_OF_TIME + 7.6e6),
        "words, a model and a month": Query(
            text=words[40], model="gpt", since=START_OF_TIME, until=START_OF_TIME + 7.6e6
        ),
        "starred": Query(starred=True),
        "the last page": Query(offset=9_800),
    }


def main(replies: int) -> None:
    """Measure and print."""
    model = starter_model()
    if model is not None:
        tokens = asyncio.run(real_tokens(model))
        for at_once in (1, 5, 20, 60, len(tokens)):
            size, cost_ms = bytes_a_token(tokens, at_once)
            print(f"{size:6.0f} bytes a token, {cost_ms:5.2f} ms a write, {at_once} tokens at a time")
        print(f"       (goal {GOAL_BYTES} bytes)\n")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.sqlite3"
        began = time.perf_counter()
        words = fill(path, replies)
        took = time.perf_counter() - began
        print(f"{replies:,} replies in {path.stat().st_size / 1e6:.1f} MB, written in {took:.1f} s")

        def read(query: Query) -> int:
            reader = HistoryReader(path)
            try:
                return len(reader.find(query))
            finally:
                reader.close()

        print(f"{median_ms(lambda: HistoryStore(path, 'bench').close()):8.1f} ms  to open for writing, and to close")
        print(f"{median_ms(lambda: HistoryReader(path).close()):8.1f} ms  to open for reading")
        for name, query in queries(words).items():
            print(f"{median_ms(lambda query=query: read(query)):8.1f} ms  {name}: {read(query)} found")  # type: ignore[misc]
        reader = HistoryReader(path)
        print(f"{median_ms(reader.spending):8.1f} ms  sums by day and model: {len(reader.spending())} rows")
        print(f"{median_ms(reader.names):8.1f} ms  names of models and presets")
        print(f"{median_ms(reader.count):8.1f} ms  how many there are")
        uid = reader.find(Query())[0].tree
        print(f"{median_ms(lambda: reader.tree(uid)):8.1f} ms  one conversation")
        print(f"         (goal {GOAL_MS:.0f} ms)")
        assert any(turn.role is Role.ASSISTANT for turn, _ in reader.tree(uid).turns)
        reader.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REPLIES)
