"""Files that earlier versions of the program have written: everything in them is there, and nothing can go wrong."""

from __future__ import annotations

import asyncio
import contextlib
import html
import multiprocessing
import signal
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from playground.domain.endpoints import parse_model_ref
from playground.domain.errors import HistoryUnusable
from playground.domain.events import StopReason
from playground.domain.history import Query, Setting
from playground.domain.messages import ChatPrompt, Role
from playground.domain.models import LoadOptions
from playground.domain.transcript import restored
from playground.screens.page_colours import page_look
from playground.services import history_schema
from playground.services.history import History, read_history
from playground.services.history_check import check_history
from playground.services.history_export import find_branches, to_json_lines, to_markdown
from playground.services.history_html import to_html
from playground.services.history_import import import_file
from playground.services.history_preview import read_exchange
from playground.services.history_store import HistoryStore
from playground.services.replay_plan import plan_replay
from tests.services.old_history import VERSIONS, make_old, open_and_die, open_at_once

SEA, OPEN, GULL, RUN = "a" * 32, "b" * 32, "c" * 32, "d" * 32
SLEEP, PAINTS = "Where does a lighthouse keeper sleep?", "And who paints the tower?"


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> int:
    """Each version of the tables that was ever in use before this one."""
    return int(request.param)


@pytest.fixture
def old(tmp_path: Path, version: int) -> Path:
    """A file of that version."""
    path = tmp_path / "history.sqlite3"
    make_old(path, version)
    return path


@pytest.fixture(params=["as it is", "brought up to date"])
def path(old: Path, request: pytest.FixtureRequest) -> Path:
    """The same, read only by this program, or opened for writing by it."""
    if request.param == "brought up to date":
        HistoryStore(old, "test").close()
    return old


def found(path: Path, **query: Any) -> list[int]:
    return sorted(entry.id for entry in read_history(path, lambda reader: reader.find(Query(**query))))


def content(path: Path) -> list[str]:
    """Everything in the file, as SQL."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [line for line in connection.iterdump() if "sqlite_stat" not in line]


def version_of(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_replies_are_found_by_what_is_in_them(path: Path, version: int) -> None:
    later = [6, 7, 8, 9, 10] if version >= 2 else []
    assert found(path) == [1, 2, 3, 5, *later]
    assert found(path, deleted=True) == [4]
    assert found(path, text="lighthouse sleep") == [1, 2, 3]
    assert found(path, text="tower") == [3]
    assert found(path, text="light sea") == [1, 2, 3], "by the name a person gave"
    assert found(path, starred=True) == [2]
    assert found(path, least_cost=0.2) == [2, 3]
    assert found(path, origins=("app",)) == [1, 2, 3, 5]
    assert found(path, origins=("sweep",)) == later[:4]
    assert found(path, grouped=True) == [1, 2, 3, 5, *([9, 10] if version >= 2 else [])]
    assert read_history(path, lambda reader: reader.names()) == (["starter"], ["balanced"])
    health = check_history(path)
    assert health is not None
    assert (health.whole, health.replies) == (True, len(found(path)))


def test_the_list_has_every_figure(path: Path, version: int) -> None:
    entry = read_history(path, lambda reader: reader.entry(2))
    assert (entry.tree, entry.turn, entry.model, entry.preset) == (SEA, 3, "starter", "balanced")
    assert (entry.prompt, entry.reply) == (SLEEP, "A lighthouse keeper's sleep is")
    assert (entry.tokens, entry.cost, entry.stop, entry.starred, entry.deleted) == (6, 0.25, "length", True, False)
    assert entry.ttft_ms is not None
    assert entry.tokens_per_second is not None
    assert (entry.title, entry.origin, entry.batch) == ("Sea and light", "app", "")
    assert 1767268800.0 < entry.began_at < 1767269100.0
    left = read_history(path, lambda reader: reader.entry(5))
    assert (left.cost, left.stop, left.title) == (None, "", "")
    assert read_history(path, lambda reader: reader.unfinished()) == [(OPEN, "gone")], "it can be rescued"
    if version >= 2:
        sweep, run = (read_history(path, lambda reader, at=at: reader.entry(at)) for at in (7, 10))  # type: ignore[misc]
        assert (sweep.origin, sweep.batch, sweep.title) == ("sweep", "27aaef96e0", "sweep 27aaef96e0")
        assert (run.origin, run.batch, run.title) == ("run", "", "")


def test_the_preview_and_the_whole_tree_are_as_they_were(path: Path) -> None:
    asked, reply = read_exchange(path, SEA, 5).turns
    assert (asked.text, reply.content) == (PAINTS, "A lighthouse keeper's sleep is")
    assert [len(token.top) for token in reply.tokens] == [3] * 6
    tree = read_history(path, lambda reader: reader.tree(SEA))
    assert (tree.info.system, tree.info.mode, tree.info.head) == ("Be brief.", "chat", 5)
    assert tree.deleted == {6}
    turns = restored(turn.turn(tokens) for turn, tokens in tree.turns)
    (first,) = turns.children(None)
    assert [turn.content for turn in turns.children(first.id)] == [
        "A lighthouse keeper is often found",
        "A lighthouse keeper's sleep is",
    ]
    (second,) = turns.children(3)
    assert [(turn.id, turn.role) for turn in turns.children(second.id)] == [(5, Role.ASSISTANT), (6, Role.ASSISTANT)]
    began = turns.turns[5]
    assert began.params is not None
    assert (began.params.seed, began.params.temperature) == (12, 0.7)
    assert began.finished is not None
    assert began.finished.reason is StopReason.LENGTH
    for token in began.tokens:
        assert token.logprob is not None
        assert token.prob is not None
        assert token.rank is not None
        assert all(candidate.logprob is not None for candidate in token.top)


def test_it_can_be_exported_and_read_again(path: Path, tmp_path: Path) -> None:
    branches = read_history(path, lambda reader: find_branches(reader, [3]))
    for page in (to_markdown(branches), html.unescape(to_html(branches, page_look()))):
        for words in (SLEEP, PAINTS):
            assert words in page
    uids = list(dict.fromkeys(entry.tree for entry in read_history(path, lambda reader: reader.find(Query()))))
    trees = [
        read_history(path, lambda reader, uid=uid: (reader.tree(uid), reader.entries_of(uid)))  # type: ignore[misc]
        for uid in uids
    ]
    file, other = tmp_path / "all.jsonl", tmp_path / "other.sqlite3"
    file.write_text("".join(f"{line}\n" for line in to_json_lines(trees)), encoding="utf-8")
    store = HistoryStore(other, "test")
    assert import_file(file, store).conversations == len(uids)
    store.close()
    for tree, entries in trees:
        again = read_history(other, lambda reader, uid=tree.uid: reader.tree(uid))  # type: ignore[misc]
        lines = read_history(other, lambda reader, uid=tree.uid: reader.entries_of(uid))  # type: ignore[misc]
        assert again == tree
        assert [structs.replace(line, id=0) for line in lines] == [structs.replace(one, id=0) for one in entries]


def test_what_was_spent_is_what_was_spent(path: Path, version: int) -> None:
    spent = read_history(path, lambda reader: reader.spending())
    assert sum(one.cost for one in spent) == 0.875, "what was deleted has cost as well"
    assert sum(one.replies for one in spent) == (10 if version >= 2 else 5)
    assert sum(one.unknown for one in spent) == 0


def test_a_reply_can_be_run_again_from_it(path: Path, tmp_path: Path) -> None:
    model = tmp_path / "starter.gguf"
    model.touch()
    tree, entry = read_history(path, lambda reader: (reader.tree(SEA), reader.entry(3)))
    setting = tree.settings[entry.turn]
    assert setting == Setting(
        model_ref="/models/starter.gguf",
        model_hash="0f" * 32,
        model_facts={"architecture": "llama", "quantisation": "Q8_0"},
        preset="balanced",
        prompt_ids=(1, 2, 3),
        load=LoadOptions(context=512),
        app_version="0.4.0",
        llama_cpp_version="0.3.16",
    )
    here = structs.replace(tree, settings={entry.turn: structs.replace(setting, model_ref=str(model))})
    plan = plan_replay(here, entry, lambda ref: parse_model_ref(ref, set()))
    assert (plan.request.params.seed, plan.request.params.max_tokens, len(plan.before)) == (12, 6, 6)
    assert isinstance(plan.request.prompt, ChatPrompt)
    assert [message.content for message in plan.request.prompt.messages] == [
        *("Be brief.", SLEEP, "A lighthouse keeper's sleep is", PAINTS)
    ]
    assert (plan.setting.load, plan.cut_short, len(plan.earlier)) == (LoadOptions(context=512), False, 1)


def test_it_is_brought_up_to_date_once_and_for_its_owner_alone(old: Path, version: int) -> None:
    before = content(old)
    assert version_of(old) == version
    read_history(old, lambda reader: reader.find(Query()))
    assert (content(old), version_of(old)) == (before, version), "reading changes nothing"
    HistoryStore(old, "first").close()
    assert version_of(old) == history_schema.VERSION
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(old)) as ours, contextlib.closing(sqlite3.connect(":memory:")) as new:
        history_schema._prepare(new, write=True)
        tables = [set(one.execute("SELECT name FROM sqlite_master")) - {("sqlite_stat1",)} for one in (ours, new)]
        columns = [one.execute("SELECT name, type FROM pragma_table_info('runs')").fetchall() for one in (ours, new)]
    assert tables[0] == tables[1]
    assert columns[0] == columns[1]
    after = content(old)
    HistoryStore(old, "second").close()
    assert content(old) == after


async def test_it_is_written_on(old: Path) -> None:
    """Names, stars, deleting and purging as in a file of today."""
    history = History(old)
    await history.open()
    assert await history.left_open() == [OPEN]
    entry = await history.read(lambda reader: reader.entry(3))
    await history.change(lambda store: store.set_title(entry, "Towers"))
    await history.change(lambda store: store.set_starred(3, True))
    await history.change(lambda store: store.purge(2e9))
    await history.close()
    assert found(old, text="towers") == [1, 2, 3]
    assert found(old, starred=True) == [2, 3]
    assert found(old, deleted=True) == []


def steps(version: int) -> int:
    """How many statements bring a file of that version up to date."""
    return sum(len(history_schema._statements(script)) for script in history_schema._MIGRATIONS[version:])


def test_a_migration_that_breaks_anywhere_changes_nothing(
    old: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, all_of = content(old), history_schema._statements
    for at in range(steps(version)):
        left = at

        def some_of(script: str) -> list[str]:
            nonlocal left
            statements = all_of(script)
            if left < len(statements):
                statements[left:] = ["SELECT * FROM a_table_that_is_not_there"]
            left -= len(statements)
            return statements

        with monkeypatch.context() as patch:
            patch.setattr(history_schema, "_statements", some_of)
            with pytest.raises(HistoryUnusable, match="no such table"):
                HistoryStore(old, "broken")
        assert content(old) == before
    HistoryStore(old, "whole").close()
    assert version_of(old) == history_schema.VERSION
    assert found(old, text="tower") == [3]


def test_killed_in_the_middle_of_it_the_next_start_does_it(old: Path, tmp_path: Path, version: int) -> None:
    programs = multiprocessing.get_context("forkserver")
    programs.set_forkserver_preload(["tests.services.old_history"])
    whole = content(old)
    for after in range(steps(version)):
        copy = tmp_path / f"killed-{after}.sqlite3"
        make_old(copy, version)
        program = programs.Process(target=open_and_die, args=(copy, after))
        program.start()
        program.join(60)
        assert program.exitcode == -signal.SIGKILL
        assert found(copy, text="tower") == [3], "as it is left"
        assert (version_of(copy), content(copy)) == (version, whole)
        HistoryStore(copy, "next").close()
        assert version_of(copy) == history_schema.VERSION
        assert found(copy, text="tower") == [3]


def test_three_programs_that_start_at_once_all_open_it(tmp_path: Path, version: int) -> None:
    programs = multiprocessing.get_context("forkserver")
    programs.set_forkserver_preload(["tests.services.old_history"])
    for number in range(3):
        path = tmp_path / f"{number}.sqlite3"
        make_old(path, version)
        start = programs.Barrier(3)
        three = [programs.Process(target=open_at_once, args=(path, start)) for _ in range(3)]
        for program in three:
            program.start()
        for program in three:
            program.join(60)
        assert [program.exitcode for program in three] == [0, 0, 0]
        assert version_of(path) == history_schema.VERSION
        assert found(path, text="tower") == [3]


async def test_four_of_one_program_that_start_at_once_all_open_it(old: Path) -> None:
    histories = [History(old) for _ in range(4)]
    await asyncio.gather(*(history.open() for history in histories))
    await asyncio.gather(*(history.change(lambda store: store.set_starred(1, True)) for history in histories))
    await asyncio.gather(*(history.close() for history in histories))
    assert found(old, starred=True) == [1, 2]


@pytest.mark.parametrize("version", [2, 3])
def test_the_replies_of_a_sweep_are_told_apart_from_then_on(tmp_path: Path, version: int) -> None:
    path = tmp_path / "history.sqlite3"
    make_old(path, version)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE turns SET data = x'00' WHERE tree = 3 AND turn = 4")
        connection.commit()
    assert {entry.label for entry in read_history(path, lambda reader: reader.find(Query()))} == {""}
    HistoryStore(path, "test").close()
    labels = {entry.id: entry.label for entry in read_history(path, lambda reader: reader.find(Query()))}
    assert {at: labels[at] for at in range(6, 10)} == {
        6: "temperature 0.5 · sample 1",
        7: "temperature 0.5 · sample 2",
        8: "",  # damaged
        9: "temperature 1.2 · sample 2",
    }
    assert {labels[at] for at in labels if at not in range(6, 10)} == {""}
    (line,) = read_history(path, lambda reader: reader.find(Query(grouped=True, text="gull")))
    assert (line.id, line.label, line.more) == (9, "", 3)


def test_a_line_whose_conversation_is_missing_does_not_keep_the_file_shut(old: Path) -> None:
    """As another program, or damage, may leave it: nobody else could open the history any more."""
    with contextlib.closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(f"DELETE FROM trees WHERE uid = '{OPEN}'")
        connection.commit()
    HistoryStore(old, "test").close()
    assert version_of(old) == history_schema.VERSION
    assert found(old, text="tower") == [3]
