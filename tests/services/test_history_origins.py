"""Where replies come from: told apart, a sweep in one line, files of before that nobody knew it in."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from playground.domain.history import ORIGINS, Entry, Query, ReplyText, Setting, TreeChange
from playground.domain.session import Session
from playground.services import history_schema
from playground.services.history import read_history
from playground.services.history_export import to_json_lines
from playground.services.history_import import import_file
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from tests.services.history_support import ask


def keep(path: Path, text: str, setting: Setting, *, at: float = 1000.0, title: str = "") -> str:
    """A conversation with one reply; returns its uid."""
    session, recorder = Session(), Recorder()
    ask(session, text, "Yes", cost=0.5)
    change = recorder.take(session, setting)
    assert change is not None
    store = HistoryStore(path, "test", lambda: at)
    store.apply(structs.replace(change, title=title))
    store.close()
    return recorder.uid


def found(path: Path, query: Query) -> list[Entry]:
    return read_history(path, lambda reader: reader.find(query))


def of_version_one(path: Path) -> None:
    """Make a file what the first version of the program has written."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        for index in ("runs_alone", "runs_of_batches"):
            connection.execute(f"DROP INDEX {index}")
        for column in ("origin", "batch", "title", "label"):
            connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 1")
        made = columns(connection)
    with contextlib.closing(sqlite3.connect(":memory:")) as first:
        for statement in history_schema._statements(history_schema._MIGRATIONS[0]):
            first.execute(statement)
        assert made == columns(first), "it is not what version 1 looked like"


def without(value: Any, *names: str) -> Any:
    """What was read from JSON, without some fields wherever they stand."""
    match value:
        case dict():
            return {name: without(one, *names) for name, one in value.items() if name not in names}
        case list():
            return [without(one, *names) for one in value]
    return value


def columns(connection: sqlite3.Connection) -> dict[str, list[tuple[object, ...]]]:
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for name in names if "sqlite" not in name}


def test_a_file_of_before_is_read_as_it_is_and_brought_up_to_date_by_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    uid = keep(path, "Hello", Setting(preset="balanced"), title="A talk")
    before = found(path, Query()), read_history(path, lambda reader: reader.tree(uid))
    of_version_one(path)
    old = path.read_bytes()
    assert (found(path, Query()), read_history(path, lambda reader: reader.tree(uid))) == before
    assert [entry.origin for entry in found(path, Query(text="hello", grouped=True))] == ["app"]
    assert path.read_bytes() == old, "reading changes nothing"
    HistoryStore(path, "newer").close()
    assert (found(path, Query()), read_history(path, lambda reader: reader.tree(uid))) == before
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (history_schema.VERSION,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    keep(path, "Again", Setting(origin="run"))
    assert [entry.origin for entry in found(path, Query())] == ["run", "app"]


def test_a_file_of_before_in_a_folder_that_cannot_be_written_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    path = folder / "history.sqlite3"
    keep(path, "Hello", Setting())
    of_version_one(path)
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert [entry.prompt for entry in found(path, Query())] == ["Hello"]
    finally:
        folder.chmod(stat.S_IRWXU)


def test_replies_are_told_apart_by_where_they_were_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    for number, origin in enumerate(ORIGINS):
        keep(path, origin, Setting(origin=origin), at=float(number))
    assert [entry.prompt for entry in found(path, Query())] == [*reversed(ORIGINS)]
    for origin in ORIGINS:
        assert [(entry.prompt, entry.origin) for entry in found(path, Query(origins=(origin,)))] == [(origin, origin)]
    assert len(found(path, Query(origins=("app", "run")))) == 2


def test_a_sweep_is_one_line_with_its_sums(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    keep(path, "Before", Setting(), at=1.0)
    for number in range(5):
        sweep = Setting(origin="sweep", batch="one" if number < 3 else "other")
        keep(path, f"Cell {number}", sweep, at=2.0 + number, title=f"sweep {sweep.batch}")
    keep(path, "After", Setting(origin="run"), at=9.0)
    lines = found(path, Query(grouped=True))
    assert [(line.prompt, line.batch, line.more) for line in lines] == [
        ("After", "", 0),
        ("Cell 4", "other", 1),
        ("Cell 2", "one", 2),
        ("Before", "", 0),
    ]
    assert (lines[2].tokens, lines[2].cost, lines[2].ttft_ms) == (3, 1.5, None)
    assert [line.id for line in found(path, Query(grouped=True, limit=2, offset=1))] == [line.id for line in lines[1:3]]
    assert [(line.prompt, line.more) for line in found(path, Query(grouped=True, text="cell"))] == [
        ("Cell 4", 1),
        ("Cell 2", 2),
    ]
    assert len(found(path, Query(origins=("sweep",)))) == 5
    store = HistoryStore(path, "test")
    store.set_all_deleted([line.id for line in found(path, Query()) if line.batch == "one"], True)
    assert [line.prompt for line in found(path, Query(grouped=True))] == ["After", "Cell 4", "Before"]
    assert [(line.prompt, line.more) for line in found(path, Query(grouped=True, deleted=True))] == [("Cell 2", 2)]
    store.close()


def test_a_title_is_given_once_and_belongs_to_the_person_then(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    store, session, recorder = HistoryStore(path, "test"), Session(), Recorder()
    for text in ("One", "Two"):
        ask(session, text, "Yes")
        change = recorder.take(session, Setting())
        assert change is not None
        store.apply(structs.replace(change, title="sweep abc"))
        (entry, *_) = found(path, Query())
        assert entry.title == ("sweep abc" if text == "One" else "mine")
        store.set_title(entry, "mine")
    store.close()


def test_a_hash_that_is_known_later_goes_to_the_replies_of_that_model(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    uid = keep(path, "Hello", Setting(model_ref="/a.gguf", origin="sweep"))
    store = HistoryStore(path, "test")
    store.learn_hash(uid, "/b.gguf", "00")
    store.learn_hash(uid, "/a.gguf", "11")
    store.learn_hash(uid, "/a.gguf", "22")
    (setting,) = read_history(path, lambda reader: reader.tree(uid)).settings.values()
    assert (setting.model_hash, setting.origin) == ("11", "sweep")
    store.close()


def test_only_the_way_to_a_reply_is_read(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    session, recorder, store = Session(), Recorder(), HistoryStore(path, "test")
    ask(session, "Question", "One")
    user = session.transcript.path()[0]
    for word in ("Two", "Three"):
        session.transcript.head = user.id
        session.transcript.add(session.transcript.turns[2].role, user.id, tokens=session.transcript.turns[2].tokens[:])
        ask(session, f"After {word}", word)
    change = recorder.take(session, Setting())
    assert change is not None
    store.apply(change)
    store.close()
    last = max(turn.id for turn in change.turns)
    part = read_history(path, lambda reader: reader.tree(recorder.uid, up_to=last))
    assert [turn.id for turn, _ in part.turns] == [turn.id for turn in session.transcript.path(last)]
    assert part.turns[-1][1][0].piece == b"Three"
    whole = read_history(path, lambda reader: reader.tree(recorder.uid))
    assert len(whole.turns) > len(part.turns)


def test_an_export_carries_where_a_reply_came_from_and_one_of_before_comes_from_the_app(tmp_path: Path) -> None:
    path, other, file = tmp_path / "one.sqlite3", tmp_path / "other.sqlite3", tmp_path / "talks.jsonl"
    uid = keep(path, "Hello", Setting(origin="sweep", batch="abc"), title="sweep abc")
    tree = read_history(path, lambda reader: reader.tree(uid))
    entries = read_history(path, lambda reader: reader.entries_of(uid))
    lines = list(to_json_lines([(tree, entries)]))
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    store = HistoryStore(other, "test")
    import_file(file, store)
    assert found(other, Query()) == entries
    store.close()
    old = [json.dumps(without(json.loads(line), "origin", "batch", "more")) for line in lines]
    assert old != [json.dumps(json.loads(line)) for line in lines]
    file.write_text("\n".join(old) + "\n", encoding="utf-8")
    third = HistoryStore(tmp_path / "third.sqlite3", "test")
    import_file(file, third)
    third.close()
    (entry,) = found(tmp_path / "third.sqlite3", Query())
    assert (entry.origin, entry.batch, entry.title) == ("app", "", "sweep abc")


@pytest.mark.parametrize("began", [None, 5.0])
def test_a_reply_can_say_when_it_began(tmp_path: Path, began: float | None) -> None:
    path = tmp_path / "history.sqlite3"
    session, recorder, store = Session(), Recorder(), HistoryStore(path, "test", lambda: 9.0)
    ask(session, "Hello", "Hi")
    change = recorder.take(session, Setting())
    assert isinstance(change, TreeChange)
    store.apply(structs.replace(change, replies={2: ReplyText(1, "Hi", began)}))
    store.close()
    assert [entry.began_at for entry in found(path, Query())] == [9.0 if began is None else began]
