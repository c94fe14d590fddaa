"""Sweeps in the app: setting one up, watching it, reading its replies, earlier ones, and what is asked before."""

from __future__ import annotations

import asyncio
import csv
from pathlib import Path

import pytest
from textual.widgets import DataTable, SelectionList

from playground.domain.endpoints import ModelRef
from playground.domain.errors import Problem
from playground.domain.messages import ChatPrompt, Message, Role
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.sweep_form import SweepForm
from playground.screens.sweep_replies import SweepReplies
from playground.screens.sweep_screen import SweepScreen
from playground.screens.sweep_shelf import SweepShelf
from playground.services.experiment_shelf import folder_of, sweeps_folder
from playground.services.experiment_store import CellFile
from playground.widgets.sweep_chart import SweepChart
from tests.app.support import playing, settings
from tests.app.sweep_support import app, begun, cells, ended, fill, form, rows, watched
from tests.cli.support import run as run_command
from tests.fakes.hosted_api import fake_api
from tests.services.experiment_support import make_sweep
from tests.services.test_experiment_store import result


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
        assert screen.query_one("#sweep-ranges").has_class("-wrong")
        places = [(field.id, field.region) for field in screen.query("Input, TextArea, Choices, #sweep-estimate")]
        await fill(player, ranges="temperature=0,1")
        await player.until(lambda: "Requests: 16 (2 prompts x 2 settings" in player.text, "right")
        fields = screen.query("Input, TextArea, Choices, #sweep-estimate")
        assert [(field.id, field.region) for field in fields] == places, "nothing moves under the mouse"
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
