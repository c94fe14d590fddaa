"""Presets from elsewhere, and to elsewhere, without leaving the app."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Input

from playground.screens.text_dialog import TextDialog
from playground.services.presets import preset_folders
from tests.app.support import Player, make_app, playing

pytestmark = pytest.mark.usefixtures("no_model")


async def type_path(player: Player, path: Path, clear: bool = False) -> None:
    await player.until(lambda: "accepts" in player.text, "asked for a path")
    if clear:
        await player.press("ctrl+u")
    await player.press(*(str(path)))
    await player.press("enter")


async def test_a_preset_of_another_program_is_imported_chosen_deleted_and_put_back(tmp_path: Path) -> None:
    file = tmp_path / "silly.json"
    file.write_text(json.dumps({"temp": 1.25, "min_p": 0.1, "tfs": 1}))
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        await player.press("f6", "i")
        await type_path(player, file)
        await player.until(lambda: "Imported" in player.text, "imported")
        assert "left out tfs: there is nothing like it in llama.cpp" in player.text
        await player.press("escape", "enter")
        await player.until(lambda: player.pane.session.params.temperature == 1.25, "in force")
        assert player.screen.tuning.name == "silly"
        await player.press("f6", "d")
        await player.until(lambda: "silly is deleted" in player.notices, "deleted")
        assert "silly" not in player.screen.tuning.presets
        assert not (preset_folders()[-1] / "silly.toml").exists()
        await player.press("u")
        await player.until(lambda: "silly" in player.screen.tuning.presets, "put back")
        assert (preset_folders()[-1] / "silly.toml").exists()


async def test_however_much_was_left_out_all_of_it_can_be_seen(tmp_path: Path) -> None:
    file = tmp_path / "long.json"
    file.write_text(json.dumps({"temp": 1.25, **{f"odd_{number:03}": 1 for number in range(150)}}))
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        await player.press("f6", "i")
        await type_path(player, file)
        await player.until(lambda: "left out odd_000" in player.text, "the first ones are there")
        assert "odd_149" not in player.text
        await player.press("end")
        await player.until(lambda: "left out odd_149" in player.text, "the last one too")
        await player.press("escape")
        await player.until(lambda: "Presets" in player.text, "back at the presets")


async def test_a_shipped_preset_is_exported_but_not_deleted(tmp_path: Path) -> None:
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        await player.press("f6", "d")
        await player.until(lambda: "came with the program" in player.notices, "refused")
        await player.press("e")
        await type_path(player, tmp_path / "out.ini", clear=True)
        await player.until(lambda: "Exported" in player.notices, "exported")
        assert "top-k = 40" in (tmp_path / "out.ini").read_text()
        await player.press("e")
        await type_path(player, tmp_path / "out.ini", clear=True)
        await player.until(lambda: "is there already" in player.notices, "nothing is overwritten")


@pytest.mark.parametrize(("key", "told"), [("i", "cannot be"), ("e", "Exported")])
async def test_a_path_may_begin_with_a_tilde_and_a_name_that_nobody_has(
    key: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        await player.press("f6", key)
        await type_path(player, Path("~nobody-here.json"), clear=True)
        await player.until(lambda: told in player.notices, "told")


@pytest.mark.parametrize("key", ["i", "e"])
async def test_a_path_that_is_too_long_is_a_sentence(key: str) -> None:
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        await player.press("f6", key)
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        player.app.screen.query_one(Input).value = f"{'x' * 300}.json"
        await player.press("enter")
        await player.until(lambda: "too long" in player.notices, "told")


async def test_a_file_that_is_no_preset_is_a_sentence(tmp_path: Path) -> None:
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        before = set(player.screen.tuning.presets)
        await player.press("f6", "i")
        await type_path(player, tmp_path / "nosuch.json")
        await player.until(lambda: "cannot be read" in player.notices, "told")
        assert set(player.screen.tuning.presets) == before


async def test_presets_that_others_save_meanwhile_are_there_and_broken_files_are_told_once() -> None:
    own = preset_folders()[-1]
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        await player.press("f6")
        await player.until(lambda: "Presets" in player.text, "open")
        await player.press("escape")
        own.mkdir(parents=True)
        (own / "calm.toml").write_text('name = "calm"\nsummary = "Cool."\n[sampling]\ntemperature = 0.2\n')
        (own / "broken.toml").write_text("name = ")
        await player.press("f6")
        await player.until(lambda: "calm" in player.text, "listed")
        await player.until(lambda: "broken.toml" in player.notices, "what is wrong with the other")
        told = player.notices.count("broken.toml")
        await player.press("escape", "f6")
        await player.until(lambda: "calm" in player.text, "listed again")
        assert player.notices.count("broken.toml") == told
        await player.press("escape")
        (own / "calm.toml").unlink()
        await player.press("f6")
        await player.until(lambda: "calm" not in player.text, "gone")
