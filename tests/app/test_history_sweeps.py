"""Replies of sweeps in the history screen: where replies come from, and what deleting the line of a sweep deletes."""

from __future__ import annotations

import asyncio
import sqlite3
import threading

import pytest

from playground.domain.endpoints import ModelRef
from playground.domain.history import Query, Setting
from playground.domain.session import Session
from playground.screens.sweep_form import SweepForm
from playground.services.history import History, history_path
from playground.services.history_reader import HistoryReader
from playground.services.history_recorder import Recorder
from playground.widgets.history_list import HistoryList
from tests.app import sweep_support as sweeps
from tests.app.support import Player, make_app, open_experiment, playing
from tests.app.test_history import choose
from tests.app.test_keeping import entries, kept, open_history
from tests.fakes.hosted_settings import fake_in_settings
from tests.services.history_support import ask

pytestmark = pytest.mark.usefixtures("no_model")

BATCH = Setting(origin="sweep", batch="abc")


async def fill(*replies: tuple[str, str, Setting]) -> None:
    """Keep conversations of one exchange: model, prompt and setting; each newer than the one before."""
    history = History()
    await history.open()
    for model, prompt, setting in replies:
        session = Session()
        session.model = model
        ask(session, prompt, "Yes")
        change = Recorder().take(session, setting)
        assert change is not None
        await history.keep([change])
    await history.close()


def lines(player: Player) -> list[tuple[str, int]]:
    """What is listed, and how many others each line stands for."""
    return [(entry.prompt, entry.more) for entry in player.app.screen.query_one(HistoryList).entries]


def deleted() -> list[str]:
    return [entry.prompt for entry in entries(deleted=True)]


async def test_o_lists_what_one_command_asked_for_and_every_reply_of_sweeps() -> None:
    cells = [("Toy", f"Cell {number}", BATCH) for number in range(3)]
    await fill(("Toy", "Said", Setting()), *cells, ("Toy", "Run", Setting(origin="run")))
    async with playing(make_app(), size=(160, 40)) as player:
        await open_history(player)
        assert lines(player) == [("Run", 0), ("Cell 2", 2), ("Said", 0)]
        await choose(player, "o", "from the app")
        await player.until(lambda: lines(player) == [("Said", 0)], "of the app")
        await choose(player, "o", "by the command run")
        await player.until(lambda: lines(player) == [("Run", 0)], "of run")
        await choose(player, "o", "by the command compare")
        await player.until(lambda: "No reply is like that." in player.text, "of compare")
        await choose(player, "o", "every reply of sweeps")
        await player.until(lambda: lines(player) == [("Cell 2", 0), ("Cell 1", 0), ("Cell 0", 0)], "of sweeps")
        assert "every reply of sweeps" in player.text
        await choose(player, "o", "from anywhere")
        await player.until(lambda: len(lines(player)) == 3, "all")


async def test_deleting_the_line_of_a_sweep_deletes_what_it_stands_for_and_u_puts_just_that_back() -> None:
    await fill(*(("Toy", f"Cell {number}", BATCH) for number in range(4)))
    async with playing(make_app(), size=(160, 40)) as player:
        await open_history(player)
        await choose(player, "o", "every reply of sweeps")
        await player.until(lambda: len(lines(player)) == 4, "every one")
        await player.press("down", "d")
        await player.until(lambda: len(lines(player)) == 3, "one deleted by itself")
        await player.press("a")
        await player.until(lambda: lines(player) == [("Cell 3", 2)], "one line of three")
        await player.press("d")
        await player.until(lambda: "Nothing is kept yet." in player.text, "deleted")
        assert "3 replies of the sweep are deleted" in player.notices
        assert len(deleted()) == 4
        await player.press("u")
        await player.until(lambda: lines(player) == [("Cell 3", 2)], "put back")
        assert deleted() == ["Cell 2"], "which was deleted by itself"
        await player.press("u")
        await player.until(lambda: lines(player) == [("Cell 3", 3)], "that as well")


async def test_under_a_filter_only_what_it_lets_through_is_deleted_and_put_back() -> None:
    await fill(*((model, f"{model} {number}", BATCH) for number in range(2) for model in ("Toy", "Big")))
    async with playing(make_app(), size=(160, 40)) as player:
        await open_history(player)
        await choose(player, "m", "Toy")
        await player.until(lambda: lines(player) == [("Toy 1", 1)], "of one model")
        await player.press("d")
        await player.until(lambda: "No reply is like that." in player.text, "deleted")
        assert deleted() == ["Toy 1", "Toy 0"]
        await player.press("a")
        await player.until(lambda: lines(player) == [("Big 1", 1)], "those of the other model")
        await player.press("d")
        await player.until(lambda: "Nothing is kept yet." in player.text, "deleted as well")
        await player.press("x")
        await player.until(lambda: lines(player) == [("Big 1", 3)], "all deleted ones in a line")
        await choose(player, "m", "Toy")
        await player.until(lambda: lines(player) == [("Toy 1", 1)], "of one model")
        await player.press("u")
        await player.until(lambda: deleted() == ["Big 1", "Big 0"], "put back what the line stood for")


async def test_replies_that_came_after_the_line_are_not_deleted_with_it() -> None:
    await fill(("Toy", "Cell 0", BATCH), ("Toy", "Cell 1", BATCH))
    async with playing(make_app(), size=(160, 40)) as player:
        await open_history(player)
        await fill(("Toy", "Cell 2", BATCH))
        await player.press("d")
        await player.until(lambda: lines(player) == [("Cell 2", 0)], "the new one stays")
        assert deleted() == ["Cell 1", "Cell 0"]


async def test_what_is_typed_while_replies_are_counted_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(("Toy", "One", Setting()), ("Toy", "Two", Setting()))
    counting, let_go, count = asyncio.Event(), threading.Event(), HistoryReader.count
    loop = asyncio.get_running_loop()

    def slow(reader: HistoryReader) -> int:
        loop.call_soon_threadsafe(counting.set)
        assert let_go.wait(30)
        return count(reader)

    monkeypatch.setattr(HistoryReader, "count", slow)
    async with playing(make_app()) as player:
        screen = await open_history(player)
        await player.press("slash")
        await asyncio.wait_for(counting.wait(), 30)
        await player.press(*"two")
        assert screen.finding.filters.query == Query(text="two", grouped=True)
        let_go.set()
        await player.until(lambda: lines(player) == [("Two", 0)], "the word that was typed last")


async def test_what_a_sweep_says_in_private_mode_is_not_kept_and_what_it_said_before_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with fake_in_settings(monkeypatch) as fake, playing(make_app(), size=(160, 40)) as player:
        form = await open_experiment(player, "Sweep", SweepForm)
        for model in ("m:ok", "m:stall"):
            form._add_model(ModelRef("box", model))
        await sweeps.fill(player, prompts="Hi", max_tokens="30", samples="1", ranges="", at_once="2")
        await player.press("ctrl+s")
        screen = await sweeps.watched(player)
        await kept(player, lambda: [entry.model for entry in entries()] == ["m:ok"], "what is said in public")
        await player.press("b", "alt+q")
        await player.until(lambda: "private: nothing is kept" in player.text, "private")
        fake.let_go.set()
        await sweeps.ended(player, screen.job)
        assert screen.job.complete
        await player.press("alt+q")
        await player.until(lambda: "private: nothing is kept" not in player.text, "public again")
        await player.press("ctrl+q")
    assert [entry.model for entry in entries()] == ["m:ok"]
    assert b"m:stall" not in history_path().read_bytes()


async def test_a_line_counts_the_replies_of_the_result_and_names_those_cut_short() -> None:
    await fill(*(("Toy", f"Cell {number}", BATCH) for number in range(4)))
    with sqlite3.connect(history_path()) as connection:
        connection.execute("UPDATE runs SET stop = 'cancelled' WHERE id = 2")
    connection.close()
    async with playing(make_app(), size=(120, 40)) as player:
        await open_history(player)
        assert lines(player) == [("Cell 3", 3)]
        assert "×3 +1 cut short" in player.text
        assert "the newest of 3 replies and 1 cut short" in player.text


async def test_the_filters_stand_with_their_keys_and_a_click_presses_them() -> None:
    await fill(("Toy", "Said", Setting()))
    for size in ((80, 24), (120, 40)):
        async with playing(make_app(), size=size) as player:
            await open_history(player)
            line = player.app.screen.query_one("#history-filters").render_line(0).text
            for key in ("m ", "p ", "t ", "c ", "o ", "f ", "x ", "a all"):
                assert f" {key}" in f" {line}"
            await player.pilot.click("#history-filters", offset=(line.index("f s"), 0))
            await player.until(lambda: "No reply is like that." in player.text, "only starred ones")
            assert "★ only" in player.text
