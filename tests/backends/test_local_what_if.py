"""Questions about a text over the pipe of a real worker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from playground.domain.errors import BadInput, EngineDied, Superseded
from playground.domain.events import Finished, Started, TokenGenerated
from playground.domain.messages import RawPrompt
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.scoring import ScoreRequest
from playground.domain.what_if import ReplayRequest, WhatIfRequest
from tests.backends.conftest import Load
from tests.backends.support import Sink
from tests.engine.support import request

STORY = "Here is a short story about a river."
LONG = SamplingParams(temperature=0.0, max_tokens=-1, ignore_eos=True)


def question(params: SamplingParams, reply_ids: tuple[int, ...] = (), chosen: int | None = None) -> WhatIfRequest:
    return WhatIfRequest(prompt=RawPrompt(STORY), reply_ids=reply_ids, chosen=chosen, params=params)


async def test_every_question_over_the_pipe(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    assert backend.capabilities.what_if
    assert backend.capabilities.score
    sink = Sink()
    params = SamplingParams(seed=1, max_tokens=12)
    await backend.generate(request(1, STORY, params), sink)
    tokens = [event.token for event in sink.events if isinstance(event, TokenGenerated)]
    ids = tuple(token.id for token in tokens if token.id is not None)
    answer = await backend.what_if(question(params, ids[:4], ids[4]))
    assert answer.token.prob == pytest.approx(tokens[4].prob, abs=1e-3)
    done: list[tuple[int, int]] = []
    recorded = tuple(token.prob for token in tokens)
    asked = ReplayRequest(prompt=RawPrompt(STORY), reply_ids=ids, params=params, recorded=recorded)
    replay = await backend.replay(asked, lambda *how_far: done.append(how_far))
    assert [one.now for one in replay.tokens] == pytest.approx([one.then for one in replay.tokens], abs=2e-3)
    assert done[-1] == (len(ids), len(ids))
    score = await backend.score(ScoreRequest(prompt=RawPrompt(STORY), reply_ids=ids, only_reply=True))
    assert [one.logprob for one in score.tokens] == pytest.approx([one.logprob for one in tokens], abs=5e-3)
    forced = await backend.tokenize_continuation(RawPrompt(STORY), ids[:4], " and then")
    assert b"".join(forced.pieces) == b" and then"
    with pytest.raises(BadInput, match="other tokens"):
        await backend.what_if(question(params, (), 10**7))


async def test_questions_that_pile_up_leave_the_newest(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    values = [0.1 + 0.01 * step for step in range(60)]
    answers = await asyncio.gather(
        *(backend.what_if(question(SamplingParams(top_p=value, top_k=0))) for value in values), return_exceptions=True
    )
    superseded = [answer for answer in answers if isinstance(answer, Superseded)]
    assert len(superseded) > 1
    last = answers[-1]
    assert not isinstance(last, BaseException)
    assert last.params.top_p == values[-1]


async def test_questions_while_a_stream_runs(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    alone, sink = Sink(), Sink()
    await backend.generate(request(1, STORY, LONG, max_tokens=60), alone)
    running = asyncio.create_task(backend.generate(request(2, STORY, LONG, max_tokens=60), sink))
    await sink.until(lambda: len(sink.ids) >= 5)
    ids = tuple(token for token in sink.ids if token is not None)
    for place in range(5):
        answer = await backend.what_if(question(NEUTRAL, ids[:place], ids[place]))
        assert answer.token.rank == 1
    score = await backend.score(ScoreRequest(prompt=RawPrompt(STORY)))
    assert score.scored
    assert not running.done()
    await running
    assert isinstance(sink.events[-1], Finished)
    assert sink.ids == alone.ids


async def test_a_cancelled_score_ends_the_work(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf, context=4096, batch=64)
    begun = asyncio.Event()
    request_ = ScoreRequest(prompt=RawPrompt(STORY * 300))
    scoring = asyncio.create_task(backend.score(request_, lambda done, total: begun.set()))
    await begun.wait()
    scoring.cancel()
    with pytest.raises(asyncio.CancelledError):
        await scoring
    how_far: list[int] = []
    await backend.score(ScoreRequest(prompt=RawPrompt(STORY)), lambda done, total: how_far.append(total))
    assert how_far[0] < 50, "the next one does not wait behind the first"


async def test_whoever_asks_learns_that_the_worker_died(load: Load, starter_gguf: Path) -> None:
    import psutil

    backend = await load(starter_gguf, context=4096, batch=64)
    begun = asyncio.Event()
    scoring = asyncio.create_task(
        backend.score(ScoreRequest(prompt=RawPrompt(STORY * 300)), lambda done, total: begun.set())
    )
    await begun.wait()
    psutil.Process(backend.pid).kill()
    with pytest.raises(EngineDied):
        await scoring
    with pytest.raises(EngineDied):
        await backend.what_if(question(NEUTRAL))


async def test_words_to_watch_are_named_as_the_reply_will_name_them(load: Load, starter_gguf: Path) -> None:
    backend = await load(starter_gguf)
    assert backend.capabilities.watch
    words = (" river", "hippopotamus!", "#504")
    named = await backend.watched_words(words)
    assert [word.tokens > 1 for word in named] == [False, True, False]
    sink = Sink()
    wanted = structs.replace(request(1, STORY, SamplingParams(seed=1, max_tokens=2)), watch=words)
    await backend.generate(wanted, sink)
    (started,) = [event for event in sink.events if isinstance(event, Started)]
    assert named == started.watching
    with pytest.raises(BadInput, match="not one of this model"):
        await backend.watched_words(("#99999999",))
