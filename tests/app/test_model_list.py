"""The list of models: what each takes, what its header says, and removing one."""

from __future__ import annotations

import shutil
from pathlib import Path

from textual.widgets import DataTable

from playground.screens.model_facts_screen import ModelFactsScreen
from playground.screens.model_picker import ModelPicker
from playground.services.model_folders import own_folder
from tests.app.support import Player, make_app, playing
from tests.conftest import TinyModels


async def _marked(player: Player, name: str) -> None:
    """Open the list, and mark the one model of this name."""
    await player.press("f5")
    await player.until(lambda: isinstance(player.app.screen, ModelPicker), "list open")
    await player.press(*name)
    table = player.app.screen.query_one(DataTable)
    await player.until(lambda: table.row_count == 1 and "is free" in player.text, "found")


def _pulled(model: Path, name: str) -> Path:
    path = own_folder() / "acme" / "Tiny-GGUF" / f"{name}.gguf"
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(model, path)
    return path


async def test_a_model_is_looked_at_and_removed(tiny_models: TinyModels, starter_gguf: Path) -> None:
    path = _pulled(tiny_models("chat"), "unwanted")
    async with playing(make_app(model=str(starter_gguf))) as player:
        await player.ready()
        await _marked(player, "unwanted")
        table = player.app.screen.query_one(DataTable)
        assert str(table.get_row_at(0)[3]).startswith("≈ "), "memory it would take"
        await player.press("f4")
        await player.until(lambda: isinstance(player.app.screen, ModelFactsScreen), "facts open")
        assert "chat template   yes" in player.text
        await player.press("escape")
        await player.press("f8")
        await player.until(lambda: "Remove this model?" in player.text, "asked")
        await player.press("enter")
        assert path.exists(), "the first answer keeps it"
        await player.press("f8")
        await player.until(lambda: "Remove this model?" in player.text, "asked again")
        await player.press("down", "enter")
        await player.until(lambda: not path.exists(), "gone")
        await player.until(lambda: table.row_count == 0, "off the list")


async def test_a_loaded_model_is_not_removed(tiny_models: TinyModels) -> None:
    path = _pulled(tiny_models("chat"), "wanted")
    async with playing(make_app(model=str(path))) as player:
        await player.ready()
        await _marked(player, "wanted")
        await player.press("f8")
        await player.until(lambda: "is loaded" in player.text, "refused")
        assert path.exists()


async def test_a_model_that_is_gone_takes_no_unfinished_download_with_it(tiny_models: TinyModels) -> None:
    path = _pulled(tiny_models("chat"), "unwanted")
    left = path.with_name(path.name + ".part")
    left.write_bytes(b"GGUF")
    async with playing(make_app()) as player:
        await player.ready()
        await _marked(player, "unwanted")
        path.unlink()
        await player.press("f8")
        await player.until(lambda: "is not there any more" in player.notices, "refused")
        assert left.exists()


async def test_the_mark_stays_on_its_model_while_others_are_found(tiny_models: TinyModels) -> None:
    _pulled(tiny_models("chat"), "second")
    async with playing(make_app()) as player:
        await player.ready()
        await _marked(player, "second")
        await player.press(*["backspace"] * len("second"))
        table = player.app.screen.query_one(DataTable)
        await player.until(lambda: table.row_count > 1, "all of them")
        assert "second" in str(table.get_row_at(table.cursor_row)[0])
