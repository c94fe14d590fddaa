"""What a loss of power leaves behind: files that end too early, or in garbage. Nothing of them is thrown away."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from playground.domain.errors import HistoryUnusable
from playground.domain.history import Query, Setting
from playground.domain.session import Session
from playground.domain.tokens import join_text
from playground.services.history import History, read_history
from playground.services.history_check import check_history
from playground.services.history_preview import read_exchange
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from tests.services.history_support import ask, begin, write

WORDS = 60
CUTS = 100
"""Places at which a file is cut, by chance, but the same in every run."""


def log_of(path: Path) -> Path:
    """SQLite's write-ahead log."""
    return Path(f"{path}-wal")


class Whole:
    """A history that was not closed: the file, and the log with what is not in it yet."""

    def __init__(self, path: Path, *, in_file: int, in_log: int) -> None:
        """Keep conversations; so many of them are in the file itself, and one more, word by word, in the log."""
        store = HistoryStore(path, "test")
        for number in range(in_file):
            session, recorder = Session(), Recorder(f"old-{number}")
            ask(session, f"Question {number}", *(f" {random.Random(word).random()}" for word in range(200)))
            self._keep(store, session, recorder)
        store.close()
        self.uid = f"new-{in_log}"
        if in_log:
            store = HistoryStore(path, "test")
            session, recorder = Session(), Recorder(self.uid)
            begin(session, "Hello")
            for word in range(in_log):
                write(session, f" {word}")
                self._keep(store, session, recorder)
        self.file, self.log = path.read_bytes(), log_of(path).read_bytes() if in_log else b""
        store.close()

    @staticmethod
    def _keep(store: HistoryStore, session: Session, recorder: Recorder) -> None:
        change = recorder.take(session, Setting(preset="balanced"))
        assert change is not None
        store.apply(change)


def put(path: Path, file: bytes, log: bytes) -> None:
    """Put files there as the next start finds them."""
    for name in ("", "-wal", "-shm"):
        Path(f"{path}{name}").unlink(missing_ok=True)
    path.write_bytes(file)
    if log:
        log_of(path).write_bytes(log)


def said(path: Path, uid: str, turn: int = 2) -> str:
    """What is kept of a reply."""
    turns = read_exchange(path, uid, turn).turns
    return join_text([token.piece for token in turns[-1].tokens]) if turns else ""


def goes_on(path: Path) -> HistoryUnusable | None:
    """Keep another conversation, and see that it is there; returns why that cannot be, as it is told."""
    try:
        store = HistoryStore(path, "next")
    except HistoryUnusable as error:
        return error
    session, recorder = Session(), Recorder()
    ask(session, "And now?", "Yes")
    change = recorder.take(session, Setting())
    assert change is not None
    try:
        store.apply(change)
        assert said(path, recorder.uid) == "Yes"
    except HistoryUnusable as error:
        return error
    finally:
        store.close()
    return None


def places(size: int, seed: int) -> Iterator[int]:
    """Where to cut: anywhere, at the ends of pages and beside them, and at the very beginning."""
    chance = random.Random(seed)
    yield from (0, 1, 16, 99, 100, 511, 512, 4095, 4096, 4097, size - 4096, size - 1)
    yield from (chance.randrange(size) for _ in range(CUTS))


def sentence(error: HistoryUnusable, path: Path) -> None:
    """It says what happened and what to do, each in a line."""
    assert "\n" not in str(error)
    assert error.message.endswith(".")
    assert str(path) in error.hint or "Nothing in it was changed" in error.hint or "others can" in error.hint, error


@pytest.mark.parametrize("damage", ["cut", "zeros", "garbage"])
def test_a_log_that_ends_anywhere_leaves_a_beginning(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "cut.sqlite3"
    whole = Whole(tmp_path / "history.sqlite3", in_file=1, in_log=WORDS)
    reply = "".join(f" {word}" for word in range(WORDS))
    found = set()
    for place in places(len(whole.log), 1):
        end = {"cut": b"", "zeros": b"\0" * 9000, "garbage": random.Random(place).randbytes(9000)}[damage]
        put(path, whole.file, whole.log[:place] + end)
        kept = said(path, whole.uid)
        assert reply.startswith(kept)
        found.add(kept)
        assert said(path, "old-0").endswith(str(random.Random(199).random())), "what stands in the file is whole"
        assert goes_on(path) is None
        assert said(path, whole.uid) == kept
        health = check_history(path)
        assert health is not None
        assert health.whole
    assert len(found) > WORDS // 2


@pytest.mark.parametrize("in_log", [0, WORDS])
def test_a_file_that_ends_anywhere_is_said_and_stays_as_it_is(tmp_path: Path, in_log: int) -> None:
    path = tmp_path / "cut.sqlite3"
    whole = Whole(tmp_path / "history.sqlite3", in_file=8, in_log=in_log)
    wrong = 0
    for place in places(len(whole.file), 2):
        put(path, whole.file[:place], whole.log)
        try:
            read_all(path)
        except HistoryUnusable as error:
            sentence(error, path)
        problem = goes_on(path)
        if problem is None:
            unnoticed = place <= 1 and not in_log  # nothing was there
            assert unnoticed or place > len(whole.file) - 4096, f"cut at {place}"
            continue
        wrong += 1
        sentence(problem, path)
        assert path.read_bytes() == whole.file[:place], f"cut at {place}"
        assert not whole.log or log_of(path).read_bytes() == whole.log, f"cut at {place}"
    assert wrong > CUTS * 0.8


def read_all(path: Path) -> None:
    """What a person would look at."""
    for entry in read_history(path, lambda reader: reader.find(Query())):
        read_exchange(path, entry.tree, entry.turn)
        read_history(path, lambda reader, uid=entry.tree: reader.tree(uid))  # type: ignore[misc]


def test_a_log_whose_file_was_moved_away_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "cut.sqlite3"
    whole = Whole(tmp_path / "history.sqlite3", in_file=1, in_log=5)
    for number in (1, 2):
        put(path, b"", whole.log)
        path.unlink()
        assert goes_on(path) is None
        assert Path(f"{path}-wal.left-{number}").read_bytes() == whole.log
        assert said(path, whole.uid) == ""


async def test_a_program_that_finds_a_damaged_file_goes_on_and_keeps_again_once_it_is_moved(tmp_path: Path) -> None:
    path = tmp_path / "cut.sqlite3"
    whole = Whole(tmp_path / "history.sqlite3", in_file=8, in_log=WORDS)
    put(path, whole.file[:30_000], whole.log)
    history = History(path)
    with pytest.raises(HistoryUnusable, match=r"damaged: its page \d+ cannot be read\."):
        await history.open()
    session, recorder = Session(), Recorder()
    ask(session, "Hello", "Hi")
    change = recorder.take(session, Setting())
    assert change is not None
    assert await history.keep([change]), "it was said"
    await history.close()
    path.rename(tmp_path / "aside.sqlite3")
    again = History(path)
    await again.open()
    assert await again.keep([change])
    assert said(path, recorder.uid) == "Hi"
    await again.close()
