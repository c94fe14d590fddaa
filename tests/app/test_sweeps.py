"""Sweeps in the app: setting one up, watching it, stopping, going on, reading its replies, and earlier ones."""

from __future__ import annotations

import asyncio
import csv
import json
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import DataTable, Input, SelectionList, TextArea

from playground.domain.endpoints import ModelRef
from playground.domain.errors import Problem
from playground.domain.experiment_groups import Group, group_of
from playground.domain.messages import ChatPrompt, Message, Role
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.sweep_draft import asked
from playground.screens.sweep_form import SweepForm
from playground.screens.sweep_replies import SweepReplies
from playground.screens.sweep_screen import SweepScreen
from playground.screens.sweep_shelf import SweepShelf
from playground.services.experiment_cells import ModelRun
from playground.services.experiment_job import SweepJob
from playground.services.experiment_shelf import folder_of, shelf, sweeps_folder
from playground.services.experiment_store import CellFile
from playground.services.history_keeping import HistoryKeeping
from playground.services.settings import settings_path
from playground.widgets.sweep_badge import SweepBadge
from playground.widgets.sweep_chart import SweepChart
from playground.widgets.sweep_table import SweepTable
from tests.app.support import PATIENCE_S, Player, make_app, open_experiment, playing, settings
from tests.cli.support import run as run_command
from tests.fakes.hosted_api import fake_api
from tests.fakes.hosted_settings import fake_in_settings
from tests.services.experiment_support import make_sweep
from tests.services.test_experiment_store import result

SMALL = """
[load]
context = 512
threads = 1
threads_batch = 1
"""


def app(model: Path | str = "", *assignments: str) -> Any:
    """The app with replies of four tokens that never end sooner."""
    if not settings_path().exists():
        settings(SMALL)
    return make_app("max_tokens=4", "ignore_eos=true", *assignments, model=str(model))


async def form(player: Player) -> SweepForm:
    """Open the form."""
    return await open_experiment(player, "Sweep", SweepForm)


async def fill(player: Player, **values: str) -> None:
    """Write into fields of the form, and wait until it was looked at."""
    screen = player.app.screen
    assert isinstance(screen, SweepForm)
    for name, value in values.items():
        field = player.app.screen.query_one(f"#sweep-{name}")
        if isinstance(field, TextArea):
            field.load_text(value)
        else:
            assert isinstance(field, Input)
            field.value = value

    def looked() -> bool:
        same = all(getattr(screen.draft, name) == value for name, value in values.items())
        return same and all(worker.is_finished for worker in screen.workers if worker.group == "estimate")

    await player.until(looked, "the form was looked at")


async def begun(player: Player, **values: str) -> SweepScreen:
    """Begin a sweep."""
    await form(player)
    await fill(player, **values)
    await player.press("ctrl+s")
    return await watched(player)


async def begun_hosted(player: Player, model: str, **values: str) -> SweepScreen:
    """Begin a sweep of four short replies on the fake."""
    screen = await form(player)
    screen._add_model(ModelRef("box", model))
    await fill(player, **({"prompts": "Hi", "max_tokens": "30", "samples": "4", "ranges": "", "at_once": "2"} | values))
    await player.press("ctrl+s")
    return await watched(player)


async def watched(player: Player) -> SweepScreen:
    """Wait for the screen of a sweep."""
    await player.until(lambda: isinstance(player.app.screen, SweepScreen), "screen of the sweep")
    screen = player.app.screen
    assert isinstance(screen, SweepScreen)
    return screen


async def ended(player: Player, job: SweepJob) -> None:
    """Wait for the end of a run."""
    await player.until(lambda: not job.running, "the sweep has ended")


def cells(job: SweepJob) -> list[dict[str, Any]]:
    """Lines of the file, without the plan."""
    lines = (job.folder / "cells.jsonl").read_bytes().splitlines()
    return [entry for entry in map(json.loads, lines) if "plan" not in entry]


def rows(player: Player) -> list[list[str]]:
    """The table."""
    table = player.app.screen.query_one(SweepTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


async def test_a_sweep_is_set_up_from_the_pane_runs_and_can_be_read(starter_gguf: Path) -> None:
    async with playing(app(starter_gguf)) as player:
        await player.ready()
        await player.ask("Name a colour.")
        await form(player)
        await player.until(lambda: "Requests: 28 (1 prompt x 7 settings" in player.text, "the estimate")
        assert "Name a colour." in player.text
        assert "≈112 of replies at most" in player.text
        backend = player.pane.runner.backend
        assert backend is not None
        asked = await backend.count_prompt(ChatPrompt((Message(Role.USER, "Name a colour."),)))
        assert f"Tokens: {28 * asked.tokens:,} of prompts" in player.text, "counted by the model that is loaded"
        assert "tokens/s measured" in player.text, "a reply was measured before"
        assert "Memory: ≈" in player.text
        await fill(player, ranges="temperature=0,1", samples="2")
        await player.until(lambda: "Requests: 4 (" in player.text, "another estimate")
        await player.press("ctrl+s")
        screen = await watched(player)
        await ended(player, screen.job)
        await player.until(lambda: "4/4 · done" in player.text, "told")
        await player.until(lambda: len(rows(player)) == 2, "table")
        assert [row[:3] for row in rows(player)] == [["0", "2", "1.000"], ["1", "2", rows(player)[1][2]]]
        assert "●" in screen.query_one(SweepChart).text
        await player.until(
            lambda: "tab, then ← →, or a click, reads the values" in player.text, "the way to the curves"
        )
        await player.press("tab")
        await player.until(
            lambda: "  ← → or a click reads the values" in player.text, "the keys are those of the curves"
        )
        await player.press("right")
        await player.until(lambda: "temperature 0: ● 1" in player.text, "the values are read")
        await player.press("m")
        await player.until(lambda: "temperature 0: ● 1" not in player.text, "another figure")
        await player.press("enter")
        await player.until(lambda: isinstance(player.app.screen, SweepReplies), "replies")
        text = cells(screen.job)[0]["text"]
        await player.until(lambda: " ".join(text.split()) in " ".join(player.text.split()), "text of a reply")
        await player.press("escape", "n")
        await player.until(lambda: isinstance(player.app.screen, SweepForm), "the form")
        await player.press("ctrl+s")
        await player.until(lambda: isinstance(player.app.screen, SweepScreen), "the same sweep")
        await player.until(lambda: "All 4 cells were done already; nothing was run." in player.text, "told")
        await player.press("escape")
        assert player.app.screen is player.screen
    written = list(csv.DictReader((screen.job.folder / "groups.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["temperature"] for row in written] == ["0.0", "1.0"]
    assert "<polyline" in (screen.job.folder / "consistency.svg").read_text(encoding="utf-8")
    assert {cell["prompt"] for cell in cells(screen.job)} == {"Name a colour."}


async def test_what_cannot_be_is_told_where_it_stands_and_nothing_begins(starter_gguf: Path) -> None:
    async with playing(app(starter_gguf)) as player:
        await player.ready()
        screen = await form(player)
        await player.until(lambda: "There is no prompt." in player.text, "a prompt is missing")
        await fill(player, prompts="One\nTwo", ranges="temperature=0:9:1")
        await player.until(lambda: "outside 0 to 5" in player.text, "out of range")
        assert screen.query_one("#wrong-ranges").display
        await fill(player, ranges="hot")
        await player.until(lambda: "Examples: temperature=0:1.5:0.25 or top_p=" in player.text, "as one writes it here")
        await fill(player, ranges="heat=1,2")
        await player.until(lambda: "no parameter 'heat'" in player.text, "unknown")
        await fill(player, ranges="top_k=1,5 temperature=0,1", file="~nobody-of-this-name.txt")
        await player.until(lambda: "~nobody-of-this-name.txt cannot be read" in player.text, "no file")
        await fill(player, file="x" * 300)
        await player.until(lambda: "cannot be used" in player.text, "no name of a file")
        await fill(player, file="", samples="0")
        await player.until(lambda: "a whole number from 1" in player.text, "samples")
        await player.press("ctrl+s")
        await player.pilot.pause()
        assert player.app.screen is screen
        await fill(player, samples="3")
        await player.until(lambda: "Requests: 24 (2 prompts x 4 settings" in player.text, "two ranges make a grid")
        await player.press("f6")
        await player.until(lambda: "Requests: 12 (1 prompt x 4 settings" in player.text, "all of it is one prompt")
        await player.press("escape")
        await form(player)
        await player.until(lambda: "Requests: 12 (1 prompt" in player.text, "what was typed is there again")
        assert not sweeps_folder().exists()


async def test_presets_can_be_chosen_beside_what_the_pane_has(starter_gguf: Path) -> None:
    async with playing(app(starter_gguf, "temperature=1.1")) as player:
        await player.ready()
        screen = await form(player)
        await fill(player, prompts="Hi", ranges="")
        bases = screen.query_one("#sweep-bases", SelectionList)
        assert "balanced*" in player.text, "the pane has changed its preset"
        bases.focus()
        await player.press("down", "space", "down", "space")
        await player.until(lambda: "Requests: 12 (1 prompt x 3 settings" in player.text, "three")


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


async def test_the_figures_are_those_of_the_command_line(starter_gguf: Path) -> None:
    async with playing(app(starter_gguf, "seed=5")) as player:
        await player.ready()
        screen = await begun(player, prompts="Hi", samples="2", at_once="1", ranges="temperature=0,1", max_tokens="8")
        await ended(player, screen.job)
    again = await asyncio.to_thread(run_command, "sweep", "--resume", str(screen.job.folder), "--json")
    assert [entry for entry in again.objects if entry["event"] == "cell"] == [], "nothing is left to run"
    told = {
        entry["values"]["temperature"]: entry["consistency"] for entry in again.objects if entry["event"] == "group"
    }
    screen.job.live.reckon()
    assert told == {group.values["temperature"]: group.consistency for group in screen.job.live.groups}


@pytest.mark.usefixtures("no_model")
async def test_earlier_ones_are_listed_opened_and_deleted_after_a_question() -> None:
    whole, part = make_sweep("/m.gguf", "Whole"), make_sweep("/m.gguf", "[b]Part[/b]\x1b[2J")
    broken = Problem(kind="ServerFailed", message="It broke.")
    for sweep, count in ((whole, 3), (part, 2)):
        with CellFile(folder_of(sweep)) as file:
            file.begin(sweep)
            for at in range(count):
                file.add(result(sweep, at, f"[red]reply {at}\x1b[31m", broken if at == 1 else None))
    async with playing(app()) as player:
        await form(player)
        await player.press("f7")
        await player.until(lambda: isinstance(player.app.screen, SweepShelf), "list")
        table = player.app.screen.query_one(DataTable)
        await player.until(lambda: table.row_count == 2 and "2/3, 1 failed" in player.text, "both")
        assert "1/3, 1 failed" in player.text
        row = next(at for at in range(2) if "Part" in str(table.get_row_at(at)[2]))
        await player.press(*["down"] * row, "enter")
        screen = await watched(player)
        assert screen.job.sweep == part
        await player.until(lambda: "1 failed, r tries them again" in player.text, "what there is")
        assert "[b]Part[/b]" in player.text
        await player.press("enter", "down")
        await player.until(lambda: "It broke." in player.text, "why one failed")
        await player.press("up")
        await player.until(lambda: "[red]reply 0" in player.text, "its text as it is")
        assert "\x1b" not in player.text
        await player.press("escape", "e")
        await player.until(lambda: isinstance(player.app.screen, SweepShelf), "list again")
        table = player.app.screen.query_one(DataTable)
        await player.until(lambda: table.row_count == 2, "both")
        (folder_of(whole) / "notes.txt").write_text("mine")
        row = next(at for at in range(2) if "Whole" in str(table.get_row_at(at)[2]))
        await player.press(*["down"] * row, "d")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "question")
        await player.press("escape", "d")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "question again")
        assert (folder_of(whole) / "cells.jsonl").exists()
        await player.press("enter")
        await player.until(lambda: table.row_count == 1, "deleted")
    assert [path.name for path in folder_of(whole).iterdir()] == ["notes.txt"], "what is not ours stays"
    assert (folder_of(part) / "cells.jsonl").exists()


async def test_little_memory_and_a_sweep_under_way_are_asked_about(
    starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with playing(app(starter_gguf)) as player:
        await player.ready()
        screen = await begun(player, prompts="Hi", max_tokens="200", samples="8", at_once="1", ranges="")
        await player.until(lambda: screen.job.progress.tokens, "it writes")
        await player.press("b")
        player.screen.sweeping.new()
        await player.until(lambda: isinstance(player.app.screen, SweepForm), "form")
        monkeypatch.setattr("playground.engine.memory.available_bytes", lambda: 1 << 20)
        await fill(player, prompts="Another", max_tokens="4", samples="1", ranges="top_k=3")
        await player.press("ctrl+s")
        await player.until(lambda: "A sweep is running" in player.text, "one at a time")
        await player.press("enter")
        await player.until(lambda: "There is little memory" in player.text, "memory")
        assert not screen.job.running
        await player.press("escape")
        assert isinstance(player.app.screen, SweepForm)
        monkeypatch.undo()


@pytest.mark.usefixtures("no_model")
async def test_above_the_budget_there_is_a_question_and_nothing_is_sent_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BOX_KEY", "sk-planted-0123456789abcdef")
    async with fake_api() as fake:
        settings(
            f"""
            [endpoints.box]
            base_url = "{fake.openai_url}"
            api_key = "${{BOX_KEY}}"
            [prices."box/m:ok"]
            input_per_mtok = 0.0
            output_per_mtok = 10000.0
            [budget]
            per_day_usd = 1.0
            """
        )
        async with playing(app()) as player:
            screen = await form(player)
            screen._add_model(ModelRef("box", "m:ok"))
            await fill(player, prompts="Hi", max_tokens="30", samples="4", ranges="", at_once="2")
            await player.until(lambda: "Cost: ≈$1.20 at most" in player.text, "cost")
            await player.press("ctrl+s")
            await player.until(lambda: "A budget would be overdrawn" in player.text, "question")
            await player.press("escape")
            assert not fake.bodies
            await player.press("ctrl+s")
            await player.until(lambda: "A budget would be overdrawn" in player.text, "question again")
            await player.press("enter")
            watching = await watched(player)
            await ended(player, watching.job)
            await player.until(lambda: "4/4 · done" in player.text, "done")
            assert len(fake.bodies) == 4
            assert player.screen.accounts.spending.session.usd > 0


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)])
async def test_everything_has_room_at_every_size(size: tuple[int, int]) -> None:
    sweep = make_sweep("/m.gguf", "Whole", ranges=["temperature=0:1:0.5"], samples=2)
    with CellFile(folder_of(sweep)) as file:
        file.begin(sweep)
        for at in range(6):
            file.add(result(sweep, at, f"reply {at}"))
    async with playing(app(), size=size) as player:
        await form(player)
        for word in ("samples", "vary", "Parameters", "Models", "Start", "balanced"):
            assert word in player.text, word
        await player.press("escape")
        await player.screen.sweeping.look(folder_of(sweep))
        await watched(player)
        await player.until(lambda: "temperature" in player.text and "●" in player.text, "curves")
        for word in ("consistency", "samples", "Close", "6/6", "cells.jsonl"):
            assert word in player.text, word
