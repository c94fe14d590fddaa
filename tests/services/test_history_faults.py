"""What can happen to the history's file: it is said once, the program goes on, and nothing is destroyed."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import random
import sqlite3
import stat
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.domain.errors import HistoryNotWritten, HistoryUnusable
from playground.domain.events import Event
from playground.domain.history import Query, Setting, StoredTree
from playground.domain.messages import Role
from playground.domain.models import LoadOptions
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.tokens import join_text
from playground.services import history_schema
from playground.services.history import History, is_alive, read_history
from playground.services.history_check import check_history
from playground.services.history_preview import read_exchange
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from tests.services.history_killed import talk
from tests.services.history_support import ask, begin, closed, end, write

SETTING = Setting(preset="balanced")
ONLY_A_MIGRATION = "ALTER TABLE runs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'"


async def opened(path: Path) -> History:
    history = History(path)
    await history.open()
    return history


async def keep(history: History, recorder: Recorder, session: Session) -> bool:
    change = recorder.take(session, SETTING)
    return await history.keep([change] if change is not None else [])


async def with_a_reply(path: Path, *words: str) -> str:
    """A history with one conversation in it; returns its uid."""
    history, session, recorder = await opened(path), Session(), Recorder()
    ask(session, "Hello", *(words or ("Hi", " there")))
    assert await keep(history, recorder, session)
    await history.close()
    return recorder.uid


def said(path: Path, uid: str) -> list[str]:
    tree = read_history(path, lambda reader: reader.tree(uid))
    return texts(tree)


def kept_tree(path: Path, uid: str) -> StoredTree | None:
    """The conversation; None when nothing of it was kept yet."""
    known = read_history(path, lambda reader: [entry.tree for entry in reader.find(Query(limit=1000))])
    return read_history(path, lambda reader: reader.tree(uid)) if uid in known else None


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log."""
    return Path(f"{path}-wal")


def size_of(path: Path) -> int:
    """Bytes of the file, whose log is in it since it was closed."""
    assert not log_of(path).exists()
    return path.stat().st_size


def problem(history: History) -> str:
    """What is said about it; empty when all is well."""
    return str(history.problem or "")


def texts(tree: StoredTree) -> list[str]:
    return [turn.text or join_text([token.piece for token in tokens]) for turn, tokens in tree.turns]


def test_killed_fifty_times_it_opens_and_at_most_a_second_is_missing(tmp_path: Path) -> None:
    """`kill -9` while a program writes, at random moments, into one file that all of them share."""
    path, chance = tmp_path / "history.sqlite3", random.Random(5)
    programs = multiprocessing.get_context("forkserver")
    programs.set_forkserver_preload(["tests.services.history_killed"])
    kept_words = 0
    for number in range(50):
        ours, theirs = programs.Pipe(duplex=False)
        uid = f"conversation-{number}"
        program = programs.Process(target=talk, args=(path, uid, theirs))
        program.start()
        theirs.close()
        with os.fdopen(os.dup(ours.fileno())) as pipe:
            heard = [pipe.readline() for _ in range(chance.randrange(1, 100))]
            program.kill()
            killed_at = time.monotonic()
            heard += pipe.readlines()
        program.join()
        ours.close()
        kept = kept_tree(path, uid)
        lines = [line.split() for line in heard]
        spoken = [f" {reply}:{word}" for _, reply, word in lines]
        words = [token.piece.decode() for _, tokens in (kept.turns if kept else []) for token in tokens]
        assert words == spoken[: len(words)], f"round {number}: what is kept is what was said"
        missing = lines[len(words) :]
        assert all(float(at) >= killed_at - 1.0 for at, _, _ in missing), f"round {number}: over a second is missing"
        kept_words += len(words)
    assert kept_words > 500, "else nothing was tried"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert read_history(path, lambda reader: reader.unfinished()), "the next program can offer to go on"


async def test_a_full_disk_is_said_once_and_what_waits_is_written_when_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.sqlite3"
    history, session, recorder = await opened(path), Session(), Recorder()
    monkeypatch.setattr("playground.services.history._PATIENCE_S", 0.0)
    ask(session, "Hello", "Hi")
    assert await keep(history, recorder, session)
    await history.change(lambda store: store._connection.execute("PRAGMA max_page_count = 1").fetchone())
    begin(session, "x" * 50_000, *(f" {random.Random(1).random()}" for _ in range(300)))
    assert not await keep(history, recorder, session)
    assert "full" in problem(history)
    write(session, " more")
    assert await keep(history, recorder, session), "it was said"
    assert len(said(path, recorder.uid)) == 2, "what was kept before is there"
    await history.change(lambda store: store._connection.execute("PRAGMA max_page_count = 1000000").fetchone())
    write(session, " end")
    assert await keep(history, recorder, session)
    assert not problem(history)
    assert said(path, recorder.uid)[-1].endswith(" more end")
    await history.close()


async def test_two_programs_write_at_once_and_one_waits_for_the_other(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    first, second = await opened(path), await opened(path)
    sessions = [(first, Session(), Recorder()), (second, Session(), Recorder())]
    for _, session, recorder in sessions:
        begin(session, f"Hello {recorder.uid}")
    for word in range(30):
        for _, session, _ in sessions:
            write(session, f" {word}")
        kept = await asyncio.gather(*(keep(history, recorder, session) for history, session, recorder in sessions))
        assert kept == [True, True]
    for _, _, recorder in sessions:
        assert said(path, recorder.uid) == [f"Hello {recorder.uid}", "".join(f" {word}" for word in range(30))]
    await asyncio.gather(first.close(), second.close())


async def test_one_that_holds_the_file_for_long_is_said_and_what_waited_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.sqlite3"
    monkeypatch.setattr(history_schema, "BUSY_S", 0.05)
    monkeypatch.setattr("playground.services.history._PATIENCE_S", 0.0)
    history, session, recorder = await opened(path), Session(), Recorder()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    ask(session, "Hello", "Hi")
    assert not await keep(history, recorder, session)
    assert "locked" in problem(history)
    holder.execute("ROLLBACK")
    holder.close()
    assert await history.keep([])
    assert not problem(history)
    assert said(path, recorder.uid) == ["Hello", "Hi"]
    await history.close()


async def test_two_who_go_on_with_the_same_conversation_keep_both(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    uid = await with_a_reply(path)
    first, second = await opened(path), await opened(path)
    looks = []
    for history in (first, second):
        session, recorder = Session(), Recorder(uid)
        ask(session, "Hello", "Hi", " there")
        recorder.knows(session)
        looks.append((history, session, recorder))
    for (history, session, recorder), word in zip(looks, ("one", "two"), strict=True):
        begin(session, f"Say {word}", word)
        assert await keep(history, recorder, session)
    for history, session, recorder in looks:
        write(session, "!")
        end(session)
        assert await keep(history, recorder, session)
    assert said(path, uid) == ["Hello", "Hi there", "Say one", "one!"]
    entries = read_history(path, lambda reader: reader.find(Query()))
    assert sorted(entry.reply for entry in entries) == ["Hi there", "one!", "two!"]
    (copy,) = {entry.tree for entry in entries} - {uid}
    assert said(path, copy) == ["Hello", "Hi there", "Say two", "two!"]
    await asyncio.gather(first.close(), second.close())


async def test_a_folder_that_cannot_be_written_is_a_sentence() -> None:
    history = History(Path("/proc/no-such-folder/history.sqlite3"))
    with pytest.raises(HistoryUnusable) as caught:
        await history.open()
    assert str(history.path) in str(caught.value)
    assert history.problem is caught.value
    session, recorder = Session(), Recorder()
    ask(session, "Hello", "Hi")
    assert await keep(history, recorder, session), "the program goes on, and it is not said again"
    await history.close()


async def test_a_file_in_a_folder_without_permission_to_write_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    path = folder / "history.sqlite3"
    uid = await with_a_reply(path)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    path.chmod(stat.S_IRUSR)
    if os.access(folder, os.W_OK):
        pytest.skip("this user may write everywhere")
    assert said(path, uid) == ["Hello", "Hi there"]
    with pytest.raises(HistoryUnusable, match="readonly"):
        await opened(path)
    folder.chmod(stat.S_IRWXU)


@pytest.mark.parametrize("place", ["closed", "loop"])
async def test_a_folder_that_cannot_be_entered_is_a_sentence_and_no_lock_is_kept(tmp_path: Path, place: str) -> None:
    path = tmp_path / "closed" / "history.sqlite3"
    uid = await with_a_reply(path)
    (tmp_path / "loop").symlink_to("loop")
    wrong = tmp_path / place / path.name
    reads: list[Callable[[], object]] = [
        partial(said, wrong, uid),
        partial(read_exchange, wrong, uid, 1),
        partial(check_history, wrong),
    ]
    history = History(wrong)
    with closed(path.parent):
        with pytest.raises(HistoryNotWritten, match="cannot be kept") as caught:
            await history.open()
        for read in reads:
            with pytest.raises(HistoryNotWritten, match=r"cannot be kept: .* Check .*/history\.sqlite3 "):
                read()
    assert history.problem is caught.value
    assert not is_alive(history.instance)
    await history.close()
    assert said(path, uid) == ["Hello", "Hi there"]


@pytest.mark.parametrize("damage", ["not SQLite", "second page", "cut in half"])
async def test_a_damaged_file_is_said_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "history.sqlite3"
    await with_a_reply(path, *(f" {random.Random(2).random()}" for _ in range(2000)))
    good = path.read_bytes()
    bad = {
        "not SQLite": b"This is a letter to my aunt.\n" * 1000,
        "second page": good[:4096] + b"\xff" * 8192 + good[12288:],
        "cut in half": good[: len(good) // 2],
    }[damage]
    path.write_bytes(bad)
    history = History(path)
    try:
        await history.open()
    except HistoryUnusable:
        pass
    else:
        session, recorder = Session(), Recorder()
        ask(session, "Hello", "Hi")
        await keep(history, recorder, session)
    assert history.problem is not None
    assert "damaged" in history.problem.message
    assert str(path) in history.problem.hint
    await history.close()
    assert path.read_bytes() == bad


async def test_damage_inside_a_row_costs_the_tokens_behind_it_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    history, session, recorder = await opened(path), Session(), Recorder()
    begin(session, "Hello", *(f" {word}" for word in range(100)))
    assert await keep(history, recorder, session)
    write(session, *(f" {word}" for word in range(100, 200)))
    assert await keep(history, recorder, session)
    await history.change(lambda store: store._execute("UPDATE tokens SET data = x'00ff' WHERE first = 100"))
    assert said(path, recorder.uid)[1] == "".join(f" {word}" for word in range(100))
    write(session, " 200")
    assert await keep(history, recorder, session), "what is new is kept all the same"
    await history.change(lambda store: store._execute("UPDATE turns SET data = x'00ff'"))
    with pytest.raises(HistoryUnusable, match="damaged"):
        said(path, recorder.uid)
    await history.close()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (f"PRAGMA application_id = {history_schema.APPLICATION}; PRAGMA user_version = 99", "newer version"),
        ("CREATE TABLE shopping (thing); PRAGMA user_version = 1", "another program's"),
        ("CREATE TABLE shopping (thing)", "another program's"),
        ("PRAGMA application_id = 7", "another program's"),
    ],
)
async def test_a_file_that_is_not_to_be_touched_is_not(tmp_path: Path, script: str, sentence: str) -> None:
    path = tmp_path / "history.sqlite3"
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(HistoryUnusable, match=sentence):
        await opened(path)
    with pytest.raises(HistoryUnusable, match=sentence):
        read_history(path, lambda reader: reader.count())
    assert path.read_bytes() == before


async def test_an_older_file_is_brought_up_to_date_with_everything_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.sqlite3"
    uid = await with_a_reply(path)
    older = await opened(path)
    monkeypatch.setattr(history_schema, "_MIGRATIONS", (*history_schema._MIGRATIONS, ONLY_A_MIGRATION))
    version = history_schema.VERSION
    monkeypatch.setattr(history_schema, "VERSION", version + 1)
    monkeypatch.setattr("playground.services.history_store.VERSION", version + 1)
    newer = await opened(path)
    assert said(path, uid) == ["Hello", "Hi there"]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT colour FROM runs").fetchall() == [("blue",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (version + 1,)
    monkeypatch.setattr(history_schema, "VERSION", version)
    session, recorder = Session(), Recorder()
    ask(session, "Hello", "Hi")
    assert not await keep(older, recorder, session), "an old program that runs on does not write into new tables"
    assert older.problem is not None
    assert "newer version" in older.problem.message
    await asyncio.gather(older.close(), newer.close())


async def test_a_migration_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "history.sqlite3"
    uid = await with_a_reply(path)
    broken = f"{ONLY_A_MIGRATION}; UPDATE runs SET nonsense = 1"
    with monkeypatch.context() as patch:
        patch.setattr(history_schema, "_MIGRATIONS", (*history_schema._MIGRATIONS, broken))
        patch.setattr(history_schema, "VERSION", history_schema.VERSION + 1)
        with pytest.raises(HistoryUnusable, match="nonsense"):
            await opened(path)
    history = await opened(path)
    assert said(path, uid) == ["Hello", "Hi there"]
    await history.close()


async def test_what_no_file_can_hold_is_said_and_the_next_reply_is_kept(tmp_path: Path) -> None:
    history = await opened(tmp_path / "history.sqlite3")
    session, recorder = Session(), Recorder()
    ask(session, "half \ud83d a character", "Hi")
    assert await keep(history, recorder, session)
    assert said(history.path, recorder.uid)[0] == "half ? a character"
    begin(session, "Count", "1")
    end(session, cost=None)
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    reply.thinking_ms = (10**40, 0.0)
    assert not await keep(history, recorder, session)
    assert history.problem is not None
    assert "could not be kept" in history.problem.message
    ask(session, "Go on", "Yes")
    assert await keep(history, recorder, session)
    assert said(history.path, recorder.uid)[-2:] == ["Go on", "Yes"]
    await history.close()


async def test_the_lock_of_a_program_that_crashed_is_cleared_away(tmp_path: Path) -> None:
    first = await opened(tmp_path / "history.sqlite3")
    assert is_alive(first.instance)
    assert first._lock is not None
    left = Path(first._lock.name)
    first._lock.close()
    second = await opened(tmp_path / "history.sqlite3")
    assert left.name not in os.listdir(left.parent)
    assert is_alive(second.instance)
    await asyncio.gather(first.close(), second.close())


async def test_what_is_purged_is_gone_and_what_another_program_shows_stays(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    history, session, recorder = await opened(path), Session(), Recorder()
    ask(session, "First question", "Forgettable")
    ask(session, "Second question", "Secret")
    assert await keep(history, recorder, session)
    second, first = read_history(path, lambda reader: reader.find(Query()))
    for entry in (first, second):
        await history.change(lambda store, entry=entry: store.set_deleted(entry.id, True))  # type: ignore[misc]
    beside = HistoryStore(path, "beside")
    assert beside.purge(time.time() + 9, is_alive) == 0
    await history.close()
    beside.set_deleted(first.id, False)
    assert beside.purge(time.time() + 9, is_alive) == 1
    assert said(path, recorder.uid) == ["First question", "Forgettable", "Second question"]
    beside.set_deleted(first.id, True)
    assert beside.purge(time.time() + 9, is_alive) == 1
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for table in ("trees", "turns", "tokens", "runs", "search"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
    beside.close()


async def test_a_real_token_with_ten_candidates_takes_at_most_400_bytes(starter_gguf: Path, tmp_path: Path) -> None:
    """Of the whole file, written a few tokens at a time as a slow model writes them."""
    session, path = Session(SamplingParams(seed=3, max_tokens=120, ignore_eos=True)), tmp_path / "history.sqlite3"
    await (await opened(path)).close()
    empty = size_of(path)
    events: list[Event] = []
    backend = await LocalBackend.load(str(starter_gguf), LoadOptions(context=512), tmp_path)
    try:
        await backend.generate(session.send("Tell me a story."), events.append)
    finally:
        await backend.close()
    history, recorder = await opened(path), Recorder()
    for number, event in enumerate(events):
        session.apply(event)
        if number % 7 == 0:
            assert await keep(history, recorder, session)
    assert await keep(history, recorder, session)
    await history.close()
    assert size_of(path) - empty <= 120 * 400
    tree = kept_tree(path, recorder.uid)
    assert tree is not None
    assert [len(token.top) >= 10 for token in tree.turns[1][1]] == [True] * 120
