"""Recording: nothing of an event is lost, and a file that cannot be written costs the recording alone."""

from __future__ import annotations

import math
import resource
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from playground.backends.recording import MAX_BYTES, read_recording
from playground.backends.replay import ReplayBackend
from playground.domain.endpoints import Secret
from playground.domain.errors import ConfigError, Problem
from playground.domain.events import (
    Event,
    Failed,
    FellBack,
    Finished,
    ParamsChanged,
    PromptProgress,
    Retrying,
    Started,
    StopReason,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, PromptParts, Role
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Stage, Token
from playground.domain.usage import Timings, Usage
from playground.services.recordings import (
    Recorder,
    find_recording,
    own_recordings,
    own_recordings_folder,
    shipped_recordings,
)

PARAMS = SamplingParams(temperature=1.5, logit_bias={"#7": -math.inf, "x": 2.5}, stop=("\n\n",))
PROBLEM = Problem(kind="Overloaded", message="busy", hint="Wait.", detail="d", retryable=True, retry_after_s=2.5)


@pytest.fixture
def source() -> ReplayBackend:
    """Any backend with a card and capabilities."""
    return ReplayBackend(shipped_recordings()[0])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "take.jsonl"


def asked(stream: int = 4) -> GenerationRequest:
    prompt = ChatPrompt((Message(Role.SYSTEM, "Be brief."), Message(Role.USER, "Grüße \x1b[31m")))
    return GenerationRequest(
        stream=stream, prompt=prompt, params=PARAMS, reply_text="Once", submitted_at=time.monotonic()
    )


def every_event(stream: int, now: float) -> list[Event]:
    token = Token(
        index=0,
        id=None,
        piece=b"\xf0\x9f",
        logprob=-math.inf,
        prob=0.1 + 0.2,
        rank=3,
        entropy=1e-17,
        top=(Candidate(None, b"\xff", -math.inf, None, special=True, cut_by=0), Candidate(1, b"a", -0.0, 1.0)),
        stages=(Stage("top_k", 40, 0.3333333333333333),),
        time_ms=12.345678901234567,
        special="<|im_end|>",
        chunk=True,
    )
    usage = Usage(prompt_tokens=9, cached_tokens=None, cache_write_1h_tokens=4, thinking_tokens=2, cost=0.012856)
    return [
        Retrying(stream=stream, problem=PROBLEM, attempt=1, attempts=4, resume_at=now + 2.5, change="without top_p"),
        FellBack(stream=stream, card=ModelCard(id="b", short_name="b", provider="local"), problem=PROBLEM),
        Started(
            stream=stream, prompt_tokens=None, cached_tokens=3, params=PARAMS, seed=2**63, parts=PromptParts(1, 2, 3)
        ),
        PromptProgress(stream=stream, done=3, total=9),
        ThinkingGenerated(stream=stream, text="hm \x1b", time_ms=3.0),
        TokenGenerated(stream=stream, token=token),
        ParamsChanged(stream=stream, index=1, params=PARAMS, changed=("temperature",)),
        Finished(
            stream=stream,
            reason=StopReason.REFUSAL,
            text="Once",
            usage=usage,
            timings=Timings(ttft_ms=1.0),
            trimmed_bytes=2,
            stop_string="\n\n",
            detail="x",
        ),
    ]


def test_every_kind_of_event_comes_back_as_it_was(source: ReplayBackend, file: Path) -> None:
    request, passed = asked(), list[Event]()
    sent = every_event(4, request.submitted_at)
    recorder = Recorder(passed.append, file, source, request)
    for event in sent:
        recorder(event)
    assert passed == sent
    header, entries = read_recording(file)
    assert (header.prompt, header.params, header.reply_text) == (request.prompt, PARAMS, "Once")
    assert (header.card, header.capabilities) == (source.card, source.capabilities)
    back = [msgspec.structs.replace(entry.event, stream=4) for entry in entries]
    assert isinstance(back[0], Retrying)
    assert back[0].resume_at == pytest.approx(2.5)
    assert back[1:] == sent[1:]
    assert [entry.ms for entry in entries] == sorted(entry.ms for entry in entries)
    assert file.stat().st_mode & 0o777 == 0o600


FIGURE = st.floats(max_value=0.0, allow_nan=False)
TOKENS = st.builds(
    Token,
    index=st.just(0),
    id=st.none() | st.integers(0, 2**31),
    piece=st.binary(max_size=8),
    logprob=st.none() | FIGURE,
    prob=st.none() | st.floats(0, 1),
    rank=st.none() | st.integers(1, 2**31),
    entropy=st.none() | st.floats(0, 20),
    top=st.lists(
        st.builds(Candidate, st.none() | st.integers(), st.binary(max_size=6), st.none() | FIGURE, st.floats(0, 1)),
        max_size=3,
    ).map(tuple),
    time_ms=st.floats(0, 1e6),
    special=st.text(max_size=5),
    chunk=st.booleans(),
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(token=TOKENS)
def test_every_figure_of_a_token_comes_back_as_it_was(source: ReplayBackend, file: Path, token: Token) -> None:
    file.unlink(missing_ok=True)
    with Recorder(lambda _: None, file, source, asked()) as recorder:
        recorder(TokenGenerated(stream=4, token=token))
    assert read_recording(file).entries[0].event == TokenGenerated(stream=0, token=token)


def test_each_event_is_in_the_file_before_the_next_one_comes(source: ReplayBackend, file: Path) -> None:
    recorder = Recorder(lambda _: None, file, source, asked())
    for count, event in enumerate(every_event(4, 0.0)[2:6], 1):
        recorder(event)
        assert len(read_recording(file).entries) == count
    recorder.close()


def test_other_streams_are_passed_on_and_not_recorded(source: ReplayBackend, file: Path) -> None:
    passed: list[Event] = []
    with Recorder(passed.append, file, source, asked()) as recorder:
        recorder(PromptProgress(stream=5, done=0, total=1))
        recorder(Failed(stream=4, problem=PROBLEM))
        recorder(PromptProgress(stream=4, done=0, total=1))
    assert len(passed) == 3
    assert [entry.event for entry in read_recording(file).entries] == [Failed(stream=0, problem=PROBLEM)]


def test_nothing_is_overwritten(source: ReplayBackend, file: Path) -> None:
    file.parent.mkdir()
    file.write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        Recorder(lambda _: None, file, source, asked())
    with pytest.raises(ConfigError, match="cannot be written"):
        Recorder(lambda _: None, file / "below", source, asked())
    assert file.read_text() == "mine"


def test_a_full_disk_costs_the_recording_and_not_the_run(source: ReplayBackend, file: Path) -> None:
    passed: list[Event] = []
    recorder = Recorder(passed.append, file, source, asked())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100, hard))
    try:
        for event in every_event(4, 0.0):
            recorder(event)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(passed) == 8
    assert "cannot be written" in recorder.problem
    assert not read_recording(file).complete, "what was written can still be played"


def test_secrets_are_not_written(source: ReplayBackend, file: Path) -> None:
    key = "sk-planted-0123456789"
    problem = Problem(kind="KeyRefused", message=f"No {key}.", detail=f"said {key}")
    with Recorder(lambda _: None, file, source, asked(), secrets=(Secret(key),)) as recorder:
        recorder(Failed(stream=4, problem=problem))
    assert key not in file.read_text()
    (entry,) = read_recording(file).entries
    assert isinstance(entry.event, Failed)
    assert entry.event.problem.message == "No •••."


def test_shipped_recordings_are_small_complete_and_found_by_name() -> None:
    paths = shipped_recordings()
    assert len(paths) >= 2
    assert sum(path.stat().st_size for path in paths) < 300_000 < MAX_BYTES
    for path in paths:
        assert read_recording(path).complete
        assert find_recording(path.stem) == path
        assert "/" not in read_recording(path).header.card.id, "no path of the machine it was made on"


def test_own_recordings_come_before_shipped_ones(sealed: Path) -> None:
    assert own_recordings() == []
    folder = own_recordings_folder()
    folder.mkdir(parents=True)
    shipped = shipped_recordings()[0]
    (folder / shipped.name).write_bytes(shipped.read_bytes())
    (folder / "notes.txt").write_text("x")
    assert own_recordings() == [folder / shipped.name]
    assert find_recording(shipped.stem) == folder / shipped.name
    assert find_recording("~/x.jsonl") == sealed / "x.jsonl"
    with pytest.raises(ConfigError, match=f"There are: .*{shipped.stem}"):
        find_recording("nothing")
