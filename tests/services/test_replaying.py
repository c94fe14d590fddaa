"""Replies that are run again for real: equal runs, bent runs, and what is said where they differ."""

from __future__ import annotations

import asyncio
import shutil
import time
from pathlib import Path

import msgspec
import pytest

from playground.backends.local import LocalBackend
from playground.domain.errors import BadInput, ModelFileError
from playground.domain.history import Entry, Setting, StoredTree
from playground.domain.messages import GenerationRequest, RawPrompt, Role
from playground.domain.models import LoadOptions
from playground.domain.params import replace
from playground.domain.repeating import ReplayReport, Verdict, compare_runs
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.session import Session
from playground.domain.stepping import put
from playground.domain.tokens import Candidate, Token
from playground.domain.what_if import WhatIfRequest
from playground.services.history_reader import HistoryReader
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from playground.services.model_identity import hash_file
from playground.services.model_pool import ModelPool
from playground.services.replay_plan import plan_replay
from playground.services.replaying import replay, run_again
from playground.services.runs import Runner
from playground.services.settings import Settings
from tests.services.history_support import ask, begin

OPTIONS = LoadOptions(context=512, threads=1, threads_batch=1)
BENT = replace(NEUTRAL, max_tokens=24, temperature=0.9)


def kept(folder: Path, session: Session, setting: Setting) -> tuple[StoredTree, Entry]:
    """The session as the history has it, and its newest reply."""
    path = folder / "history.sqlite3"
    store, recorder = HistoryStore(path, "test"), Recorder()
    change = recorder.take(session, setting)
    assert change is not None
    store.apply(change)
    store.close()
    reader = HistoryReader(path)
    try:
        return reader.tree(recorder.uid), reader.entries_of(recorder.uid)[-1]
    finally:
        reader.close()


async def live(runner: Runner, tokens: int) -> None:
    """Take events until the reply has some tokens, or has ended."""
    deadline = time.monotonic() + 120
    reply = runner.session.active
    assert reply is not None
    while runner.session.busy and len(reply.tokens) < tokens:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
        runner.drain()


async def test_a_run_that_was_bent_on_the_way_repeats_to_the_bit(starter_gguf: Path, tmp_path: Path) -> None:
    session = Session(BENT, system="You tell stories.")
    session.watch = (" Yes",)
    runner = Runner(session)
    runner.backend = backend = await LocalBackend.load(str(starter_gguf), OPTIONS, tmp_path)
    try:
        runner.start(session.send("Tell me about a lighthouse."))
        await live(runner, 4)
        await runner.set_params(replace(BENT, temperature=1.4, top_k=50, max_tokens=200))
        await live(runner, 12)
        await runner.stop()
        await runner.settle()
        runner.drain()
        reply = session.transcript.last(Role.ASSISTANT)
        assert reply is not None
        assert reply.marks
        session.params = replace(BENT, seed=99, max_tokens=6)
        runner.start(session.continue_reply())
        await runner.settle()
        runner.drain()
        second, continued = kept(tmp_path, session, Setting(model_ref=str(starter_gguf)))
        plan = plan_replay(second, continued, ModelPool(Settings()).find)
        assert len(plan.before) == 6
        assert len(plan.request.reply_ids) == len(reply.tokens) - 6
        report = await run_again(plan, backend)
        assert (report.verdict, report.tokens) == (Verdict.EQUAL, 6)
    finally:
        await backend.close()


async def test_changes_in_mid_stream_are_made_again_at_their_tokens(starter_gguf: Path, tmp_path: Path) -> None:
    session = Session(BENT)
    runner = Runner(session)
    runner.backend = backend = await LocalBackend.load(str(starter_gguf), OPTIONS, tmp_path)
    try:
        runner.start(session.send("Tell me about a lighthouse."))
        await live(runner, 3)
        await runner.set_params(replace(BENT, temperature=1.6))
        await live(runner, 8)
        await runner.set_params(replace(BENT, temperature=1.6, top_k=3))
        await runner.settle()
        runner.drain()
    finally:
        await backend.close()
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert len(reply.marks) == 2
    setting = Setting(model_ref=str(starter_gguf), model_hash=await hash_file(starter_gguf), load=OPTIONS)
    tree, entry = kept(tmp_path, session, setting)
    pool, heard = ModelPool(Settings()), []
    plan = plan_replay(tree, entry, pool.find)
    assert [at for at, _ in plan.request.changes] == [mark.at for mark in reply.marks]
    report = await replay(plan, pool, lambda what, share: heard.append((what, share)))
    assert report.verdict is Verdict.EQUAL, report.sentences
    assert heard[-1] == ("running it again: 24 of 24 tokens", 1.0)
    assert ("loading the model", 1.0) in heard
    assert "all 24 tokens came again" in report.sentences[0]
    unbent = msgspec.structs.replace(plan, request=msgspec.structs.replace(plan.request, changes=()))
    other = await replay(unbent, pool)
    assert other.difference is not None, "without the changes it is another reply"
    assert reply.marks[0].at <= other.difference.index


async def test_a_later_reply_is_repeated_with_the_cache_it_had(starter_gguf: Path, tmp_path: Path) -> None:
    session = Session(replace(BENT, max_tokens=20, temperature=1.0))
    runner = Runner(session)
    runner.backend = backend = await LocalBackend.load(str(starter_gguf), OPTIONS, tmp_path)
    try:
        for text in ("Tell me about a lighthouse.", "Go on.", "And then?"):
            runner.start(session.send(text))
            await runner.settle()
            runner.drain()
    finally:
        await backend.close()
    tree, entry = kept(tmp_path, session, Setting(model_ref=str(starter_gguf), load=OPTIONS))
    pool = ModelPool(Settings())
    plan = plan_replay(tree, entry, pool.find)
    assert len(plan.earlier) == 2
    assert plan.cached > 20
    report = await replay(plan, pool)
    assert report.verdict is Verdict.EQUAL, report.sentences


async def test_a_model_that_is_gone_or_another_one_is_a_sentence(starter_gguf: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    shutil.copy(starter_gguf, model)
    session = Session()
    tree, entry = _asked(tmp_path, session, Setting(model_ref=str(model), model_hash="ab" * 32))
    pool = ModelPool(Settings())
    with pytest.raises(ModelFileError, match="begins with abababababab"):
        await replay(plan_replay(tree, entry, pool.find), pool)
    model.unlink()
    with pytest.raises(ModelFileError, match=r"gone: there is no file .*model\.gguf"):
        plan_replay(tree, entry, pool.find)


async def test_what_cannot_be_repeated_is_a_sentence(tmp_path: Path) -> None:
    tree, entry = _asked(tmp_path, Session(), Setting())
    with pytest.raises(BadInput, match="which model wrote it"):
        plan_replay(tree, entry, ModelPool(Settings()).find)
    session = Session()
    begin(session, "Hello")
    tree, entry = kept(tmp_path, session, Setting(model_ref="/x.gguf"))
    with pytest.raises(BadInput, match="no token"):
        plan_replay(tree, entry, ModelPool(Settings()).find)


def _asked(folder: Path, session: Session, setting: Setting) -> tuple[StoredTree, Entry]:
    ask(session, "Hello", "Hi", " there")
    return kept(folder, session, setting)


# -- the verdict -------------------------------------------------------------------------------------------------------


def token(index: int, *figures: tuple[int, float], chosen: int = 0) -> Token:
    """A token with candidates (id, log-probability), of which one was chosen."""
    top = tuple(Candidate(number, b"t%d" % number, logprob, 0.5) for number, logprob in figures)
    one = top[chosen]
    return Token(index, one.id, one.piece, one.logprob, 0.5, chosen + 1, 1.0, top)


def compared(before: list[Token], now: list[Token], temperature: float = 0.0, **known: bool) -> ReplayReport:
    params = SamplingParams(temperature=temperature)
    request = GenerationRequest(stream=1, prompt=RawPrompt("x"), params=params)
    return compare_runs(before, now, request, ("end of text", "length limit"), **known)


def test_a_near_tie_is_explained_with_its_figures() -> None:
    same = token(0, (1, -0.1), (2, -3.0))
    report = compared([same, token(1, (1, -0.70001), (2, -0.7002))], [same, token(1, (2, -0.70002), (1, -0.7003))])
    assert report.verdict is Verdict.NEAR_TIE
    assert report.difference is not None
    assert (report.tokens, report.difference.index) == (1, 1)
    assert report.gap == pytest.approx(0.00019)
    text = " ".join(report.sentences)
    assert "Token 2 differs: it was “t1”" in text
    assert "near tie" in text
    assert "0.00019 nats apart" in text


def test_a_draw_on_the_edge_is_told_from_another_computation() -> None:
    before = [token(0, (1, -0.7), (2, -2.0))]
    edge = compared(before, [token(0, (1, -0.70001), (2, -2.00001), chosen=1)], temperature=0.8)
    assert edge.verdict is Verdict.EDGE
    greedy = compared(before, [token(0, (2, -0.5), (1, -1.0))])
    assert greedy.verdict is Verdict.DIFFERENT
    assert "more than rounding" in greedy.sentences[-1]
    assert "another model" in greedy.sentences[-1]


def test_of_the_same_file_a_tie_is_one_within_what_the_runs_differ_by() -> None:
    before, now = [token(0, (1, -1.0), (2, -1.1))], [token(0, (2, -0.9), (1, -1.05))]
    assert compared(before, now).verdict is Verdict.DIFFERENT
    report = compared(before, now, same_model=True)
    assert report.verdict is Verdict.NEAR_TIE
    assert report.gap == pytest.approx(0.1)
    assert report.drift == pytest.approx(0.2)
    assert "differ by up to 0.2 nats, which is more than the 0.1 nats between the two tokens" in report.sentences[-1]
    assert "last bits" not in " ".join(report.sentences)


def test_an_end_that_came_earlier_is_a_difference_unless_somebody_stopped_it() -> None:
    tokens = [token(index, (index, -0.1)) for index in range(3)]
    report = compared(tokens[:2], tokens)
    assert report.difference is not None
    assert report.difference.before is None
    assert "the end (end of text)" in report.sentences[0]
    assert compared(tokens[:2], tokens, cut_short=True).verdict is Verdict.EQUAL


def test_pieces_of_a_server_are_compared_as_text() -> None:
    def pieces(*texts: str) -> list[Token]:
        return [
            Token(index, None, text.encode(), None, None, None, None, chunk=True) for index, text in enumerate(texts)
        ]

    assert compared(pieces("He", "llo you"), pieces("Hello", " you")).verdict is Verdict.EQUAL
    report = compared(pieces("Hel", "lo", " you"), pieces("Hello", " me"))
    assert report.difference is not None
    assert (report.difference.before, report.difference.now) == (pieces("", "", " you")[2], pieces("", " me")[1])
    assert report.verdict is Verdict.DIFFERENT
    assert "nothing can be said" in report.sentences[-1]


async def test_tokens_chosen_by_hand_are_looked_at_where_they_stand(starter_gguf: Path, tmp_path: Path) -> None:
    session = Session(replace(BENT, max_tokens=2))
    runner = Runner(session)
    runner.backend = backend = await LocalBackend.load(str(starter_gguf), OPTIONS, tmp_path)
    try:
        runner.start(session.send("Tell me about a lighthouse."))
        await runner.settle()
        runner.drain()
        reply = session.transcript.last(Role.ASSISTANT)
        assert reply is not None
        for choice in (3, 5):
            ids = tuple(token.id for token in reply.tokens if token.id is not None)
            assert reply.prompt is not None
            found = await backend.what_if(WhatIfRequest(prompt=reply.prompt, reply_ids=ids, params=BENT))
            put(session, reply, found, choice)
        setting = Setting(model_ref=str(starter_gguf), model_hash="0", load=OPTIONS)
        tree, entry = kept(tmp_path, session, setting)
        plan = plan_replay(tree, entry, ModelPool(Settings()).find)
        assert (len(plan.before), sorted(plan.by_hand), plan.notes) == (4, [2, 3], [])
        report = await run_again(plan, backend)
        told = " ".join(report.sentences)
        assert (report.verdict, report.tokens, report.difference) == (Verdict.CHECKED, 4, None)
        assert "2 of its 4 tokens were chosen by hand. They cannot be drawn again" in told
        assert "all 4 tokens could be checked" in told
        assert "seed" not in told
        # Another model would think otherwise of the same tokens.
        wrong = [msgspec.structs.replace(token, logprob=(token.logprob or 0.0) - 2, top=()) for token in plan.before]
        unsure = msgspec.structs.replace(plan, before=wrong, setting=Setting(model_ref=str(starter_gguf)))
        assert (await run_again(unsure, backend)).verdict is Verdict.DIFFERENT
    finally:
        await backend.close()
