"""What is said is kept while it streams, comes back after a restart or a crash, and is not kept in private mode."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from playground.domain.history import Entry, Query, StoredTree, StoredTurn
from playground.domain.messages import Role
from playground.domain.tokens import Token
from playground.domain.transcript import INTERRUPTED
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.history_screen import HistoryScreen
from playground.screens.pane import Pane
from playground.services.history import history_path, read_history
from tests.app.support import FakeBackend, Player, make_app, playing, settings

WORDS = [b"One", b" two", b" three", b" four"]


def entries(**conditions: object) -> list[Entry]:
    """What the history lists, the newest first."""
    return read_history(history_path(), lambda reader: reader.find(Query(**conditions)))  # type: ignore[arg-type]


def tree_of(entry: Entry) -> StoredTree:
    """The conversation of a reply."""
    return read_history(history_path(), lambda reader: reader.tree(entry.tree))


def said(pane: Pane) -> list[tuple[StoredTurn, list[Token]]]:
    """Everything in a pane's tree, to the last figure."""
    return [(StoredTurn.of(turn), turn.tokens) for turn in pane.session.transcript.turns.values()]


async def open_history(player: Player) -> HistoryScreen:
    """The history, with its list read."""
    await player.press("alt+c")
    screen = player.app.screen
    assert isinstance(screen, HistoryScreen)
    await player.until(lambda: screen.rows.entries or "Nothing" in player.text, "list read")
    return screen


async def kept(player: Player, condition: Callable[[], object], what: str) -> None:
    """Wait until something stands in the file."""
    await player.until(lambda: history_path().exists() and condition(), what)


async def test_the_whole_tree_comes_back_after_a_restart(starter_gguf: Path) -> None:
    async with playing(make_app("seed=7", "max_tokens=12", "temperature=0.7")) as player:
        await player.ready()
        player.pane.session.system = "Be brief."
        await player.ask("Why is the sky blue?")
        await player.run("ctrl+r")
        await player.press("alt+left")
        await player.ask("And at night?")
        before, head = said(player.pane), player.pane.session.transcript.head
        params, text = player.pane.session.params, player.transcript
        await kept(player, lambda: len(tree_of(entries()[0]).settings) == 3, "replies")
        await kept(
            player,
            lambda: all(one.model_hash and one.prompt_ids for one in tree_of(entries()[0]).settings.values()),
            "what is found out about the model and the prompts",
        )
        settings_before = tree_of(entries()[0]).settings
        assert all(one.load and one.model_facts and one.llama_cpp_version for one in settings_before.values())
        assert {len(one.prompt_ids) for one in settings_before.values()} == {
            turn.started.prompt_tokens for turn in player.pane.session.transcript.turns.values() if turn.started
        }
        await player.press("ctrl+q")
    async with playing(make_app()) as player:
        await player.ready()
        screen = await open_history(player)
        assert [entry.prompt for entry in screen.rows.entries] == [
            "And at night?",
            "Why is the sky blue?",
            "Why is the sky blue?",
        ]
        await player.press("enter")
        await player.until(lambda: player.pane.session.transcript.turns, "opened")
        await player.until(lambda: player.transcript == text, "on screen as it was")
        session = player.pane.session
        assert said(player.pane) == before, "branches, parameters, and every figure of every token"
        assert (session.transcript.head, session.params, session.system) == (head, params, "Be brief.")
        assert player.pane.tuning.name == "balanced"
        assert not isinstance(player.app.screen, ChoiceDialog), "the model is the one that the pane has"
        await player.ask("Go on.")
        await kept(player, lambda: entries()[0].stop, "the reply ended in the file")
        assert {entry.tree for entry in entries()} == {entries()[0].tree}, "it went on under its own name"
        stored = tree_of(entries()[0])
        assert len(stored.turns) == len(before) + 2
        assert settings_before.items() <= stored.settings.items()
        await open_history(player)
        await player.press("n")
        await player.until(lambda: len(player.panes) == 2 and player.pane.card is not None, "beside, with its model")
        assert not isinstance(player.app.screen, ChoiceDialog), "it was the same model while it was loading"


@pytest.mark.usefixtures("no_model")
async def test_a_reply_is_kept_while_it_is_written_and_its_end_at_once() -> None:
    async with playing(make_app()) as player:
        backend = FakeBackend(WORDS, hold_after=2)
        await player.attach(backend)
        await player.say("Count")
        await kept(player, lambda: [entry.tokens for entry in entries()] == [2], "two tokens")
        assert [(entry.stop, entry.preset, entry.prompt) for entry in entries()] == [("", "balanced", "Count")]
        backend.let_go.set()
        await kept(player, lambda: [entry.stop for entry in entries()] == ["stop"], "the end")
        assert [token.piece for _, tokens in tree_of(entries()[0]).turns for token in tokens] == WORDS
        setting = tree_of(entries()[0]).settings[2]
        assert setting.app_version
        assert setting.model_ref == backend.card.id


@pytest.mark.usefixtures("no_model")
async def test_a_reply_that_a_crash_cut_off_is_offered_at_the_next_start_and_goes_on() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend(WORDS, hold_after=2))
        await player.say("Count")
        await kept(player, lambda: [entry.tokens for entry in entries()] == [2], "two tokens")
    async with playing(make_app()) as player:
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "the question")
        assert "“Count” · 2 tokens so far" in player.text
        await player.press("enter")
        await player.until(lambda: "One two" in player.transcript, "opened")
        assert INTERRUPTED in player.transcript
        await player.attach(FakeBackend([b" three"]))
        await player.run("ctrl+g")
        assert "One two three" in player.transcript
        assert INTERRUPTED not in player.transcript
        await kept(player, lambda: [entry.stop for entry in entries()] == ["stop"], "the end")
        assert not tree_of(entries()[0]).turns[-1][0].notes, "nor in the file: it went on"
    async with playing(make_app()) as player:
        await open_history(player)
        assert "Go on where" not in player.text


@pytest.mark.usefixtures("no_model")
async def test_what_a_crash_cut_off_can_be_left_in_the_history() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend(WORDS, hold_after=2))
        await player.say("Count")
        await kept(player, lambda: [entry.tokens for entry in entries()] == [2], "two tokens")
    async with playing(make_app()) as player:
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "the question")
        await player.press("down", "enter")
        await player.until(lambda: not isinstance(player.app.screen, ChoiceDialog), "left")
        assert not player.pane.session.transcript.turns
        await player.until(lambda: not read_history(history_path(), lambda reader: reader.unfinished()), "noted")
    assert [entry.tokens for entry in entries()] == [2]


@pytest.mark.usefixtures("no_model")
async def test_quitting_in_mid_reply_stops_it_and_keeps_it_as_stopped() -> None:
    app = make_app()
    async with playing(app) as player:
        await player.attach(FakeBackend(WORDS, hold_after=2))
        await player.say("Count")
        await player.tokens(2)
        await app.action_quit()
    assert [(entry.tokens, entry.stop) for entry in entries()] == [(2, "cancelled")]
    assert read_history(history_path(), lambda reader: reader.unfinished()) == []


@pytest.mark.usefixtures("no_model")
async def test_panes_with_one_tree_are_one_conversation_and_others_are_their_own() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend(WORDS))
        await player.ask("First")
        await player.add_pane(FakeBackend(WORDS))
        await player.press("alt+a")
        await player.ask("Second")
        await kept(player, lambda: len(entries()) == 2, "two replies")
        assert len({entry.tree for entry in entries()}) == 2
        await player.press("alt+w")
        await player.until(lambda: len(player.panes) == 1, "closed")
    assert [entry.prompt for entry in entries()] == ["Second", "First"]


@pytest.mark.usefixtures("no_model")
async def test_private_in_the_settings_keeps_nothing() -> None:
    settings("history = false\n")
    async with playing(make_app()) as player:
        await player.attach(FakeBackend(WORDS))
        assert "private: nothing is kept" in player.text
        await player.ask("Secret")
        await open_history(player)
        assert "Nothing is kept yet." in player.text
        await player.press("escape", "ctrl+q")
    assert not history_path().exists()


@pytest.mark.usefixtures("no_model")
async def test_what_was_said_in_private_is_never_kept_nor_what_was_said_behind_it() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend(WORDS))
        await player.ask("Public")
        await player.press("alt+q")
        await player.until(lambda: "private: nothing is kept" in player.text, "private")
        await player.ask("Secret")
        await player.press("alt+q")
        await player.until(lambda: "private: nothing is kept" not in player.text, "public again")
        await player.until(lambda: "this conversation goes on unkept" in player.notices, "said")
        assert "this conversation is not kept" in player.text
        await player.ask("Behind it")
        assert "this conversation is not kept" in player.text
        await player.press("ctrl+n")
        await player.until(lambda: "this conversation is not kept" not in player.text, "another conversation")
        await player.ask("Anew")
        await kept(player, lambda: len(entries()) == 2, "two replies")
        await player.press("ctrl+q")
    assert [entry.prompt for entry in entries()] == ["Anew", "Public"]
    stored = tree_of(entries()[0])
    assert [turn.text for turn, _ in stored.turns if turn.role is Role.USER] == ["Public", "Anew"]
    assert b"Secret" not in history_path().read_bytes()


@pytest.mark.usefixtures("no_model")
async def test_a_reply_that_goes_private_in_the_middle_is_kept_up_to_there_and_wants_no_rescue() -> None:
    async with playing(make_app()) as player:
        backend = FakeBackend(WORDS, hold_after=2)
        await player.attach(backend)
        await player.say("Count")
        await player.tokens(2)
        await player.press("alt+q")
        await player.until(lambda: "private: nothing is kept" in player.text, "private")
        backend.let_go.set()
        await player.answered()
        await player.press("alt+q")
        await player.until(lambda: "private: nothing is kept" not in player.text, "public again")
        await player.press("ctrl+q")
    assert [(entry.tokens, entry.stop) for entry in entries()] == [(2, "")]
    assert read_history(history_path(), lambda reader: reader.unfinished()) == []


async def test_the_program_ends_at_once_while_a_large_file_is_read(starter_gguf: Path, tmp_path: Path) -> None:
    def read() -> bool:
        return any(thread.name.startswith("hash_") for thread in threading.enumerate())

    settings("history = false\n")
    model = tmp_path / "large.gguf"
    shutil.copyfile(starter_gguf, model)
    app = make_app(model=str(model))
    async with playing(app) as player:
        await player.ready()
        os.truncate(model, 1 << 40)  # more than any machine hashes while a test runs
        await player.press("alt+q")
        await player.until(read, "the file is read")
        await app.action_quit()
    assert not read()


def damage(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"SQLite format 3\0" + b"nonsense " * 1000)


def put_a_file_in_the_way(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.write_text("no folder")


def write_by_a_newer_program(path: Path) -> None:
    import sqlite3

    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 999")
    connection.close()


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("spoil", [damage, put_a_file_in_the_way, write_by_a_newer_program])
async def test_what_cannot_be_kept_is_said_once_and_the_app_goes_on(spoil: Callable[[Path], None]) -> None:
    spoil(history_path())
    before = history_path().read_bytes() if history_path().is_file() else None
    async with playing(make_app()) as player:
        await player.attach(FakeBackend(WORDS))
        await player.until(lambda: "history" in player.notices.lower(), "said")
        said_before = player.notices
        await player.ask("Count")
        await player.ask("Again")
        assert player.notices == said_before, "once"
        assert player.transcript.count("One two three four") == 2
    assert (history_path().read_bytes() if before is not None else None) == before, "nothing was destroyed"
