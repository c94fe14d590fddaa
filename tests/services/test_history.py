"""History: what was said is kept as it was, found again, and lost by nothing short of the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.domain.history import Query, Setting, StoredTurn, TreeChange
from playground.domain.messages import Role
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.services.history import History
from playground.services.history_recorder import Recorder
from tests.services.history_support import ask, begin, end, write

SETTING = Setting(model_ref="/models/toy.gguf", preset="balanced", app_version="1", llama_cpp_version="2")


@pytest.fixture
async def history(tmp_path: Path) -> History:
    history = History(tmp_path / "history.sqlite3")
    await history.open()
    return history


async def keep(history: History, recorder: Recorder, session: Session) -> TreeChange | None:
    change = recorder.take(session, SETTING)
    if change is not None:
        assert await history.keep([change])
    assert history.problem is None
    return change


async def test_what_was_kept_comes_back_as_it_was(history: History) -> None:
    session = Session(SamplingParams(logit_bias={" no": float("-inf")}), system="Be brief.")
    session.model = "Toy"
    recorder = Recorder()
    begin(session, "Hello", "Hi", " there")
    await keep(history, recorder, session)
    write(session, ",", " you")
    await keep(history, recorder, session)
    end(session)
    await keep(history, recorder, session)
    tree = await history.read(lambda reader: reader.tree(recorder.uid))
    assert (tree.info.head, tree.info.system, tree.info.params) == (
        session.transcript.head,
        "Be brief.",
        session.params,
    )
    assert [turn for turn, _ in tree.turns] == [StoredTurn.of(turn) for turn in session.transcript.turns.values()]
    reply = session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    assert tree.turns[1][1] == reply.tokens, "every figure of every token, to the bit"
    assert tree.turns[1][0].turn(tree.turns[1][1]).content == "Hi there, you"
    assert tree.settings[reply.id] == SETTING
    await history.close()


async def test_only_what_is_new_is_written(history: History) -> None:
    session, recorder = Session(), Recorder()
    ask(session, "Hello", "Hi")
    await keep(history, recorder, session)
    assert await keep(history, recorder, session) is None
    begin(session, "Again", "One")
    change = await keep(history, recorder, session)
    assert change is not None
    assert [turn.id for turn in change.turns] == [3, 4]
    assert [(tokens.turn, tokens.first, len(tokens.tokens)) for tokens in change.tokens] == [(4, 0, 1)]
    write(session, " two", " three")
    change = await keep(history, recorder, session)
    assert change is not None
    assert [(tokens.turn, tokens.first, len(tokens.tokens)) for tokens in change.tokens] == [(4, 1, 2)]
    await history.close()


async def test_tokens_that_were_taken_back_are_taken_back_there_too(history: History) -> None:
    session, recorder = Session(), Recorder()
    begin(session, "Hello", "a", "b", "c")
    await keep(history, recorder, session)
    assert session.active is not None
    del session.active.tokens[1:]
    write(session, "x")
    await keep(history, recorder, session)
    tree = await history.read(lambda reader: reader.tree(recorder.uid))
    assert [token.piece for token in tree.turns[1][1]] == [b"a", b"x"]
    await history.close()


async def test_a_deleted_branch_is_marked_and_its_undo_too(history: History) -> None:
    session, recorder = Session(), Recorder()
    ask(session, "Hello", "Hi")
    ask(session, "More", "Yes")
    await keep(history, recorder, session)
    session.transcript.delete(session.transcript.turns[3])
    await keep(history, recorder, session)
    assert (await history.read(lambda reader: reader.tree(recorder.uid))).deleted == {3, 4}
    session.transcript.undo()
    await keep(history, recorder, session)
    assert (await history.read(lambda reader: reader.tree(recorder.uid))).deleted == frozenset()
    await history.close()


async def test_entries_are_found_by_words_model_preset_time_and_cost(history: History) -> None:
    first, second = Session(), Session()
    first.model, second.model = "Toy", "claude-x"
    ask(first, "Why is the sky blue?", "Because", " of", " Rayleigh")
    ask(second, "Größe und Café", "Ja", cost=0.25)
    for session in (first, second):
        await keep(history, Recorder(), session)

    async def found(**conditions: object) -> list[str]:
        entries = await history.read(lambda reader: reader.find(Query(**conditions)))  # type: ignore[arg-type]
        return [entry.model for entry in entries]

    assert await found() == ["claude-x", "Toy"], "the newest first"
    assert await found(text="rayleigh blue") == ["Toy"], "words of prompt and reply, in any order and case"
    assert await found(text="cafe grosse") == []
    assert await found(text="cafe größe") == ["claude-x"], "accents do not matter"
    assert await found(text='"unclosed OR (') == []
    assert await found(text="?") == ["Toy"]
    assert await found(model="CLAUDE") == ["claude-x"]
    assert await found(preset="balanced", least_cost=0.2) == ["claude-x"]
    assert await found(since=4e9) == []
    (entry,) = await history.read(lambda reader: reader.find(Query(model="Toy")))
    assert (entry.prompt, entry.reply, entry.tokens, entry.stop) == (
        "Why is the sky blue?",
        "Because of Rayleigh",
        3,
        "stop",
    )
    await history.change(lambda store: store.set_title(entry, "The sky"))
    await history.change(lambda store: store.set_starred(entry.id, True))
    assert await found(text="the sky", starred=True) == ["Toy"]
    await history.change(lambda store: store.set_deleted(entry.id, True))
    assert await found() == ["claude-x"]
    assert await found(deleted=True) == ["Toy"]
    await history.change(lambda store: store.set_deleted(entry.id, False))
    assert len(await found()) == 2
    spending = await history.read(lambda reader: reader.spending())
    assert {(one.model, one.cost, one.unknown) for one in spending} == {("Toy", 0.0, 0), ("claude-x", 0.25, 0)}
    await history.close()


async def test_a_reply_left_in_the_middle_is_told_to_the_next_program_and_not_to_one_beside(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite3"
    crashed, beside = History(path), History(path)
    await crashed.open()
    await beside.open()
    session, recorder = Session(), Recorder()
    begin(session, "Hello", "Half", " a")
    await keep(crashed, recorder, session)
    assert await beside.left_open() == [], "the other one still writes it"
    await crashed.close()
    assert await beside.left_open() == [recorder.uid]
    await beside.change(lambda store: store.set_ended(recorder.uid))
    assert await beside.left_open() == []
    await beside.close()


async def test_nobody_else_on_the_machine_can_read_it_also_where_an_older_version_made_it(tmp_path: Path) -> None:
    def modes() -> set[int]:
        return {file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    path = tmp_path / "data" / "history.sqlite3"
    for _ in range(2):
        history = History(path)
        await history.open()
        session = Session()
        ask(session, "Hello", "Hi")
        await keep(history, Recorder(), session)
        assert modes() == {0o600}
        assert len(list(path.parent.iterdir())) == 3, "two are SQLite's own"
        await history.close()
        for file in path.parent.iterdir():
            file.chmod(0o644)
    assert path.parent.stat().st_mode & 0o777 == 0o700
