"""Sweeps in the app that are stopped, left, or ended with the program: what is done is kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from playground.domain.endpoints import ModelRef
from playground.domain.experiment_groups import Group, group_of
from playground.screens.sweep_draft import asked
from playground.screens.sweep_form import SweepForm
from playground.screens.sweep_screen import SweepScreen
from playground.services.experiment_cells import ModelRun
from playground.services.experiment_shelf import folder_of, shelf, sweeps_folder
from playground.services.experiment_store import CellFile
from playground.services.history_keeping import HistoryKeeping
from playground.widgets.sweep_badge import SweepBadge
from playground.widgets.sweep_table import SweepTable
from tests.app.support import PATIENCE_S, make_app, playing
from tests.app.sweep_support import SMALL, app, begun, begun_hosted, cells, ended, fill, form, rows, watched
from tests.cli.support import run as run_command
from tests.fakes.hosted_settings import fake_in_settings
from tests.services.experiment_support import make_sweep
from tests.services.test_experiment_store import result


async def test_esc_stops_and_keeps_what_is_done_and_r_goes_on_where_it_was(starter_gguf: Path) -> None:
    async with playing(app(starter_gguf)) as player:
        await player.ready()
        screen = await begun(player, prompts="Hi", max_tokens="60", samples="6", at_once="2", ranges="temperature=0,1")
        await player.until(lambda: screen.job.progress.done >= 2, "some are done")
        await player.press("escape")
        await ended(player, screen.job)
        before = cells(screen.job)
        assert 2 <= len(before) < 12
        await player.until(lambda: f"{len(before)}/12 · r goes on" in player.text, "told")
        assert (screen.job.folder / "groups.csv").exists()
        await player.press("r")
        await player.until(lambda: screen.job.running, "goes on")
        await ended(player, screen.job)
        after = cells(screen.job)
        assert after[: len(before)] == before
        assert len({cell["id"] for cell in after}) == len(after) == 12
        runner, model = player.screen.sweeping.runner, screen.job.sweep.models[0]
        await player.until(lambda: not runner.running, "all is written")
        assert runner.speeds(2) == {model: screen.job.speed}
        assert runner.speeds(8) == {}, "a speed of two requests together says nothing of others"


async def test_it_goes_on_behind_the_panes_and_says_when_it_is_done(
    starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fake_in_settings(monkeypatch, SMALL) as fake, playing(app(starter_gguf)) as player:
        await player.ready()
        screen = await begun_hosted(player, "m:slow")
        await player.press("b")
        await player.until(lambda: player.app.screen is player.screen and player.screen.query(SweepBadge), "behind")
        await player.until(lambda: "f12 shows it" in player.text, "a row tells")
        await player.ask("And now?")
        fake.let_go.set()
        await ended(player, screen.job)
        await player.until(lambda: "The sweep is done" in player.notices, "notice")
        await player.until(lambda: not player.screen.query(SweepBadge), "the row is gone")
        await player.press("f12", "enter")
        assert (await watched(player)).job is screen.job
        await player.until(lambda: "8/8 · done" in player.text, "its figures, of both models")


@pytest.mark.usefixtures("no_model")
async def test_a_private_sweep_lies_where_it_goes_with_the_next_one_or_the_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with fake_in_settings(monkeypatch), playing(make_app(), size=(160, 40)) as player:
        await player.press("alt+q")
        await player.until(lambda: "private: nothing is kept" in player.text, "private")
        screen = await begun_hosted(player, "m:ok", samples="1")
        first = screen.job.folder
        await player.until(lambda: "1/1 · done" in player.text, "the sweep has ended")
        assert "private: gone when the program ends" in player.text
        assert (first.stat().st_mode & 0o777, (first / "groups.csv").exists()) == (0o700, True)
        await player.press("n")
        await player.until(lambda: isinstance(player.app.screen, SweepForm), "another form")
        await player.press("ctrl+s")
        await player.until(lambda: isinstance(player.app.screen, SweepScreen), "another sweep")
        second = await watched(player)
        await ended(player, second.job)
        assert second.job.progress.done == 1, "what was private before is not known any more"
        assert not first.exists()
        await player.press("e")
        await player.until(lambda: "There are none in" in player.text, "nothing is listed")
        assert second.job.folder.exists()
        await player.press("ctrl+q")
    assert not second.job.folder.exists()
    assert not sweeps_folder().exists()


@pytest.mark.usefixtures("no_model")
async def test_a_second_one_runs_only_when_the_first_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    other = make_sweep("box/m:ok", "Other")
    with CellFile(folder_of(other)) as file:
        file.begin(other)
    async with fake_in_settings(monkeypatch), playing(app()) as player:
        first = await begun_hosted(player, "m:slow")
        await player.press("b")
        await player.screen.sweeping.look(folder_of(other))
        await player.until(lambda: "0/3 · r goes on" in player.text, "an earlier one")
        await player.press("r")
        await player.until(lambda: "A sweep is running" in player.text, "question")
        await player.press("escape")
        assert first.job.running
        await player.press("r")
        await player.until(lambda: "A sweep is running" in player.text, "question again")
        await player.press("enter")
        await player.until(lambda: "3/3 · done" in player.text, "the earlier one")
        await ended(player, first.job)
        assert cells(first.job) == []


@pytest.mark.usefixtures("no_model")
async def test_enter_right_after_the_last_key_starts_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    looking, may_look = threading.Event(), threading.Event()

    def slowly(*args: Any, **named: Any) -> Any:
        looking.set()
        assert may_look.wait(PATIENCE_S)
        return asked(*args, **named)

    async with fake_in_settings(monkeypatch), playing(app()) as player:
        screen = await form(player)
        screen._add_model(ModelRef("box", "m:ok"))
        await fill(player, prompts="Hi", max_tokens="30", samples="1", ranges="", at_once="2")
        monkeypatch.setattr("playground.screens.sweep_form.asked", slowly)
        screen.query_one("#sweep-samples").focus()
        await player.press("2", "enter")
        await player.until(looking.is_set, "it is looked at")
        screen.set_timer(0.4, may_look.set)  # by then the pause after the last key is over
        job = (await watched(player)).job
        assert job.sweep.samples == 2, "with the last key"
        await ended(player, job)


@pytest.mark.usefixtures("no_model")
async def test_a_stop_before_the_first_request_is_a_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    may_begin = asyncio.Event()

    def held(ready: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        async def wait() -> bool:
            await may_begin.wait()
            return await ready()

        return wait

    async with fake_in_settings(monkeypatch) as fake, playing(app()) as player:
        monkeypatch.setattr(player.screen.keeping, "ready", held(player.screen.keeping.ready))
        screen = await begun_hosted(player, "m:ok")
        await player.press("escape")
        await player.until(lambda: "stopping" in player.text, "told")
        may_begin.set()
        await ended(player, screen.job)
        await player.until(lambda: "0/4 · r goes on" in player.text, "nothing was run")
        assert not fake.bodies
        await player.press("r")
        await player.until(lambda: "4/4 · done" in player.text, "now it is")
        assert len(fake.bodies) == 4


@pytest.mark.usefixtures("no_model")
async def test_the_program_ends_when_a_sweep_will_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def deaf(_: ModelRun) -> None:
        pass

    monkeypatch.setattr(ModelRun, "stop", deaf)
    monkeypatch.setattr("playground.screens.sweep_running._STOP_S", 0.2)
    async with fake_in_settings(monkeypatch) as fake, playing(app()) as player:
        screen = await begun_hosted(player, "m:stall")
        await fake.reached.wait()
        await asyncio.wait_for(player.app.action_quit(), PATIENCE_S)
        assert not screen.job.running
    with CellFile(screen.job.folder):
        pass  # nobody holds it any more


@pytest.mark.usefixtures("no_model")
async def test_the_program_does_not_end_before_the_last_reply_is_in_the_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_write, leave = asyncio.Event(), HistoryKeeping.__aexit__

    async def later(keeping: HistoryKeeping, *what: Any) -> None:
        await may_write.wait()
        await leave(keeping, *what)

    monkeypatch.setattr(HistoryKeeping, "__aexit__", later)
    async with fake_in_settings(monkeypatch), playing(app()) as player:
        screen = await begun_hosted(player, "m:ok")
        await ended(player, screen.job)
        quitting = asyncio.create_task(player.app.action_quit())
        await player.pilot.pause()
        assert not quitting.done()
        may_write.set()
        await asyncio.wait_for(quitting, PATIENCE_S)
    listed = await asyncio.to_thread(run_command, "history", "list", "--json")
    assert [entry["origin"] for entry in listed.objects] == ["sweep"]


@pytest.mark.usefixtures("no_model")
async def test_leaving_while_curves_are_reckoned_loses_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = make_sweep("/m.gguf", "Whole", ranges=["temperature=0:1:0.5"], samples=2)
    with CellFile(folder_of(sweep)) as file:
        file.begin(sweep)
        for at in range(6):
            file.add(result(sweep, at, f"reply {at}"))
    reckoning, may_go_on = threading.Event(), threading.Event()

    def slowly(*args: Any) -> Group:
        reckoning.set()
        assert may_go_on.wait(PATIENCE_S)
        return group_of(*args)

    monkeypatch.setattr("playground.domain.experiment_live.group_of", slowly)
    async with playing(app()) as player:
        await player.screen.sweeping.look(folder_of(sweep))
        screen = await watched(player)
        await player.until(lambda: reckoning.is_set() and "reckoning …" in player.text, "it is reckoned")
        await player.press("escape")
        await player.until(lambda: player.app.screen is player.screen, "left")
        may_go_on.set()
        player.screen.sweeping.show(screen.job)
        await player.until(lambda: player.app.screen.query(SweepTable) and len(rows(player)) == 3, "all groups")


async def test_leaving_the_program_keeps_what_is_done(starter_gguf: Path) -> None:
    async with playing(app(starter_gguf)) as player:
        await player.ready()
        screen = await begun(player, prompts="Hi", max_tokens="100", samples="8", at_once="2", ranges="")
        await player.until(lambda: screen.job.progress.done >= 1, "one is done")
        await player.press("ctrl+q")
        await player.until(lambda: not screen.job.running, "stopped")
    assert 1 <= len(cells(screen.job)) < 8
    assert next(shelf()).done == len(cells(screen.job))
    with CellFile(screen.job.folder):
        pass  # nobody holds it any more
