"""Replay: what was recorded comes again with its times, and a file that is no recording does no harm."""

from __future__ import annotations

import asyncio
import json
import math
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from playground.backends.base import Capabilities
from playground.backends.recording import Entry, Header, encode_line, read_recording
from playground.backends.replay import ReplayBackend
from playground.domain.errors import BadInput, ConfigError, ServerFailed
from playground.domain.events import (
    Event,
    Failed,
    Finished,
    ParamsChanged,
    Retrying,
    Started,
    StopReason,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, RawPrompt, Role
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import Candidate, Stage, Token
from playground.domain.usage import Timings, Usage
from playground.services.recordings import Recorder, shipped_recordings
from tests.backends.conftest import Load
from tests.backends.support import Sink

HOUR_MS = 3600 * 1000.0
HEADER = Header(
    recording=1,
    card=ModelCard(id="m", short_name="m", provider="local", n_ctx=512),
    capabilities=Capabilities(params=frozenset({"top_k"}), logprobs="maybe", stages=True, fork=True, exact_count=True),
    prompt=ChatPrompt((Message(Role.USER, "hello"),)),
    params=SamplingParams(),
)


def started(**more: Any) -> Started:
    return Started(stream=0, prompt_tokens=5, cached_tokens=1, params=SamplingParams(), seed=3, **more)


def token(index: int, piece: str, time_ms: float = 0.0, **more: Any) -> TokenGenerated:
    values = {"logprob": None, "prob": None, "rank": None, "entropy": None, **more}
    return TokenGenerated(stream=0, token=Token(index=index, id=index, piece=piece.encode(), time_ms=time_ms, **values))


def finished(text: str) -> Finished:
    usage = Usage(prompt_tokens=5, completion_tokens=2, cost=0.0)
    return Finished(stream=0, reason=StopReason.STOP, text=text, usage=usage, timings=Timings(ttft_ms=1.0))


def asked(stream: int = 1, **more: Any) -> GenerationRequest:
    values = {"prompt": RawPrompt("anything"), "params": SamplingParams(), "submitted_at": time.monotonic(), **more}
    return GenerationRequest(stream=stream, **values)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "take.jsonl"


def write(file: Path, *events: tuple[float, Event], header: Header = HEADER) -> Path:
    file.write_bytes(encode_line(header) + b"".join(encode_line(Entry(ms, event)) for ms, event in events))
    return file


def cut(file: Path, by: int) -> None:
    file.write_bytes(file.read_bytes()[:-by])


async def played(backend: ReplayBackend, request: GenerationRequest) -> list[Event]:
    sink = Sink()
    await backend.generate(request, sink)
    assert len(asyncio.all_tasks()) == 1
    return sink.events


@pytest.mark.parametrize("path", shipped_recordings(), ids=lambda path: path.stem)
async def test_a_shipped_recording_plays_with_all_its_figures(path: Path) -> None:
    backend = ReplayBackend(path, speed=math.inf)
    events = await played(backend, asked(7))
    assert events == [msgspec.structs.replace(entry.event, stream=7) for entry in read_recording(path).entries]
    tokens = [event.token for event in events if isinstance(event, TokenGenerated)]
    assert len(tokens) > 30
    for one in tokens:
        assert one.top
        assert one.stages
        assert None not in (one.id, one.logprob, one.prob, one.rank, one.entropy)
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.timings.tokens_per_second is not None
    assert last.usage.cost == 0.0


async def test_a_run_of_the_real_model_is_recorded_and_played_back_as_it_was(
    load: Load, starter_gguf: Path, file: Path
) -> None:
    local, session, sink = await load(starter_gguf), Session(), Sink()
    session.params = SamplingParams(max_tokens=8, seed=1, logit_bias={"#5": -math.inf})
    request = session.send("Say hello.")
    await local.generate(request, Recorder(sink, file, local, request))
    backend = ReplayBackend(file, speed=math.inf)
    assert await played(backend, asked(request.stream)) == sink.events
    assert backend.recording.header.prompt == request.prompt
    assert backend.recording.header.params == session.params
    assert str(starter_gguf.parent) not in encode_line(backend.recording.header).decode()
    again = Session()
    await backend.generate(again.send("Something else."), again.apply)
    reply = again.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert reply.content == "".join(event.text for event in sink.events if isinstance(event, Finished))


async def test_events_never_come_early(file: Path) -> None:
    write(file, (0.0, started()), (60.0, token(0, "a")), (90.0, finished("a")))
    for speed, least_s in ((1.0, 0.09), (3.0, 0.03)):
        began = time.monotonic()
        await played(ReplayBackend(file, speed=speed), asked())
        assert time.monotonic() - began >= least_s


async def test_speed_makes_an_hour_pass(file: Path) -> None:
    write(file, (0.0, started()), (HOUR_MS, finished("")))
    assert len(await played(ReplayBackend(file, speed=1e6), asked())) == 2


@pytest.mark.parametrize("speed", [0.0, -1.0, math.nan])
def test_a_speed_that_is_none(file: Path, speed: float) -> None:
    with pytest.raises(BadInput, match="above zero"):
        ReplayBackend(write(file, (0.0, started())), speed=speed)


async def test_stopping_keeps_what_was_played(file: Path) -> None:
    write(
        file,
        (0.0, started()),
        (1.0, ThinkingGenerated(stream=0, text="hm", time_ms=4.0)),
        (1.0, token(0, "Half", 10.0)),
        (2.0, token(1, " a", 20.0)),
        (HOUR_MS, finished("Half a reply")),
    )
    backend, sink = ReplayBackend(file), Sink()
    task = asyncio.create_task(backend.generate(asked(), sink))
    await sink.until(lambda: len(sink.ids) == 2)
    await backend.stop(1)
    await task
    last = sink.events[-1]
    assert isinstance(last, Finished)
    assert (last.reason, last.text) == (StopReason.CANCELLED, "Half a")
    assert (last.usage.prompt_tokens, last.usage.cached_tokens, last.usage.completion_tokens) == (5, 1, 2)
    assert last.usage.cost == 0.0
    assert (last.timings.ttft_ms, last.timings.tokens_per_second, last.timings.total_ms) == (4.0, 100.0, 20.0)


async def test_several_streams_play_at_once_and_stop_apart(file: Path) -> None:
    write(file, (0.0, started()), (1.0, token(0, "a")), (HOUR_MS, finished("a")))
    backend, sinks = ReplayBackend(file), [Sink(), Sink(), Sink()]
    tasks = [asyncio.create_task(backend.generate(asked(stream), sinks[stream])) for stream in range(3)]
    for stream, sink in enumerate(sinks):
        await sink.until(lambda sink=sink: bool(sink.ids))  # type: ignore[misc]
        assert {event.stream for event in sink.events} == {stream}
    await backend.stop(1)
    await tasks[1]
    assert not tasks[0].done()
    await backend.close()
    await asyncio.gather(*tasks)
    assert all(isinstance(sink.events[-1], Finished) for sink in sinks)
    assert len(asyncio.all_tasks()) == 1


async def test_a_reply_that_has_a_beginning_gets_the_recorded_one_behind_it(file: Path) -> None:
    params = SamplingParams(top_k=1)
    changed = ParamsChanged(stream=0, index=3, params=params, changed=("top_k",))
    header = msgspec.structs.replace(HEADER, reply_text="Old")
    events_then = (started(), token(2, " a"), changed, token(3, " b"), finished("Old a b"))
    write(file, *((0.0, event) for event in events_then), header=header)
    backend = ReplayBackend(file)
    events = await played(backend, asked(reply_ids=(1, 2, 3, 4, 5), reply_text="New"))
    assert [event.token.index for event in events if isinstance(event, TokenGenerated)] == [5, 6]
    assert [event.index for event in events if isinstance(event, ParamsChanged)] == [6]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.text == "New a b"
    events = await played(backend, asked())
    assert [event.token.index for event in events if isinstance(event, TokenGenerated)] == [0, 1]
    assert not backend.capabilities.continue_reply


async def test_a_countdown_is_a_countdown_again(file: Path) -> None:
    problem = ServerFailed("x failed").problem
    waiting = Retrying(stream=0, problem=problem, attempt=1, attempts=4, resume_at=10.0)
    write(file, (0.0, started()), (0.0, waiting), (1.0, finished("")))
    before = time.monotonic()
    events = await played(ReplayBackend(file, speed=2.0), asked())
    at = next(event.resume_at for event in events if isinstance(event, Retrying))
    assert before + 5.0 <= at <= time.monotonic() + 5.0


async def test_a_failure_plays_as_a_failure(file: Path) -> None:
    problem = ServerFailed("x failed", "Wait.", "detail").problem
    write(file, (0.0, started()), (0.0, token(0, "a")), (0.0, Failed(stream=0, problem=problem)))
    assert (await played(ReplayBackend(file), asked()))[-1] == Failed(stream=1, problem=problem)


async def test_a_recording_that_was_cut_off_says_so(file: Path) -> None:
    write(file, (0.0, started()), (0.0, token(0, "a")), (0.0, token(1, "b")))
    cut(file, 40)
    events = await played(ReplayBackend(file), asked())
    assert len(events) == 3
    assert isinstance(events[-1], Failed)
    assert "ends before the reply does" in events[-1].problem.message


def test_what_cannot_be_done_with_a_recording_has_its_reason(file: Path) -> None:
    backend = ReplayBackend(write(file, (0.0, started()), (0.0, token(0, "a", logprob=-0.5))))
    can = backend.capabilities
    assert (can.logprobs, can.stages) == ("top", True), "seen in the recording"
    for what in ("top_k", "temperature", "fork", "continue_reply", "live_params", "exact_count", "view_prompt"):
        assert can.why_not(what), what
    assert (backend.card.id, backend.card.provider, backend.card.local) == ("replay/take", "replay", False)
    assert backend.card.n_ctx == 512
    assert ReplayBackend(write(file, (0.0, started()))).capabilities.logprobs == "none"


GOOD = encode_line(Entry(5.0, token(0, "a")))


def bad_token(**more: Any) -> bytes:
    return encode_line(Entry(5.0, token(0, "a", **more)))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "is empty"),
        (b"hello\n", "line 1, is no part of a recording"),
        (b"\xff\xfe\n", "line 1, is no part of a recording"),
        (b"[" * 100_000 + b"\n", "line 1, is no part of a recording"),
        (b'{"recording": 1}\n', "line 1, is no part of a recording"),
        (encode_line(msgspec.structs.replace(HEADER, recording=2)), "format 2; this version plays format 1"),
        (encode_line(HEADER) + b"{}\n" + GOOD, "line 2, is no part of a recording"),
        (encode_line(HEADER) + b'{"ms":1,"event":{"type":"evil"}}\n', "line 2, is no part"),
        (encode_line(HEADER) + b'{"ms":NaN,"event":{}}\n', "line 2, is no part"),
        (
            encode_line(HEADER) + b'{"ms":{"float":"inf"},"event":{"type":"prompt","stream":0,"done":0,"total":0}}\n',
            "2",
        ),
        (encode_line(HEADER) + b'{"ms":{"float":"x"},"event":{"type":"prompt","stream":0}}\n', "line 2, is no part"),
        (encode_line(HEADER) + encode_line(Entry(-1.0, started())), "line 2: its time is impossible"),
        (encode_line(HEADER) + encode_line(Entry(1e9, started())), "line 2: its time is impossible"),
        (encode_line(HEADER) + GOOD + encode_line(Entry(4.0, finished(""))), "line 3: its time runs backwards"),
        (encode_line(HEADER) + GOOD + GOOD, "line 3: token 0 stands in the wrong place"),
        (encode_line(HEADER) + encode_line(Entry(1.0, finished(""))) + GOOD, "line 3: it goes on after its end"),
        (encode_line(HEADER) + bad_token(prob=7.0), "figures that cannot be"),
        (encode_line(HEADER) + bad_token(logprob=math.inf), "figures that cannot be"),
        (encode_line(HEADER) + bad_token(entropy=math.inf), "figures that cannot be"),
        (encode_line(HEADER) + bad_token(rank=0), "figures that cannot be"),
        (encode_line(HEADER) + bad_token(top=(Candidate(1, b"", -1.0, 0.0, cut_by=3),)), "figures that cannot be"),
        (encode_line(HEADER) + bad_token(stages=(Stage("top_k", 3, 9.0),)), "figures that cannot be"),
    ],
)
def test_what_is_no_recording_is_explained(file: Path, raw: bytes, said: str) -> None:
    file.write_bytes(raw)
    with pytest.raises(ConfigError) as caught:
        ReplayBackend(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_or_not_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no recording"):
        ReplayBackend(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="is not a file"):
        ReplayBackend(tmp_path)
    with (tmp_path / "big.jsonl").open("wb") as big:
        big.truncate(33 << 20)
    with pytest.raises(ConfigError, match="larger than 32 MB"):
        ReplayBackend(tmp_path / "big.jsonl")


def test_an_error_text_holds_no_escape_of_the_file(file: Path) -> None:
    file.write_bytes(encode_line(HEADER) + json.dumps({"ms": 1, "event": {"type": "\x1b]0;evil\x07"}}).encode() + b"\n")
    with pytest.raises(ConfigError) as caught:
        ReplayBackend(file)
    assert "\x1b" not in str(caught.value)
