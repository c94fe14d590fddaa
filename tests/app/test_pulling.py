"""Fetching a model in the app: found by its repository, watched as it comes, opened at the end."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from textual.widgets import DataTable, Input

from playground.screens.model_picker import ModelPicker
from playground.screens.pull_dialog import PullDialog
from playground.services.model_folders import own_folder
from tests.app.support import Player, make_app, playing
from tests.conftest import TinyModels
from tests.fakes.model_hub import FakeHub, fake_hub

REPOSITORY = "acme/Tiny-GGUF"

pytestmark = pytest.mark.usefixtures("no_model")


@pytest.fixture
def hub(tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    data = tiny_models("chat").read_bytes()
    with fake_hub() as fake:
        fake.repositories = {REPOSITORY: {"tiny-Q8_0.gguf": data, "tiny-Q4_K_M.gguf": data}}
        monkeypatch.setenv("HF_ENDPOINT", fake.url)
        yield fake


async def _open(player: Player) -> None:
    await player.until(lambda: player.pane.model_state == "no model", "looked for one")
    await player.press("f5")
    await player.until(lambda: isinstance(player.app.screen, ModelPicker), "picker open")
    await player.press("f5")
    await player.until(lambda: isinstance(player.app.screen, PullDialog), "dialog open")


async def test_a_model_is_found_fetched_and_opened(hub: FakeHub) -> None:
    async with playing(make_app()) as player:
        await _open(player)
        assert "SmolLM2 135M" in player.text
        assert "≈ 105 MB" in player.text
        await player.press(*REPOSITORY, "enter")
        await player.until(lambda: "tiny-Q8_0.gguf" in player.text, "files listed")
        assert "Licence: apache-2.0" in player.text
        table = player.app.screen.query_one(DataTable)
        assert str(table.get_row_at(table.cursor_row)[0]) == "Q4_K_M", "the marked one is the one to take"
        await player.press("enter")
        await player.ready()
        assert player.pane.card is not None
        assert player.pane.card.id == str(own_folder() / REPOSITORY / "tiny-Q4_K_M.gguf")


async def test_esc_stops_and_what_came_is_gone_on_with(hub: FakeHub) -> None:
    hub.repositories[REPOSITORY] = {"big-Q8_0.gguf": b"GGUF" + os.urandom(3_999_996)}
    hub.hold_after = 3_000_000
    async with playing(make_app()) as player:
        await _open(player)
        await player.press(*REPOSITORY, "enter")
        await player.until(lambda: "big-Q8_0.gguf" in player.text, "files listed")
        await player.press("enter")
        await player.until(lambda: "of 4 MB" in player.text, "progress drawn")
        assert "esc stops; what came is kept" in player.text
        await player.until(hub.held.is_set, "in the middle")
        await player.press("escape")
        await player.until(lambda: "Stopped. What came is kept" in player.text, "stopped")
        assert isinstance(player.app.screen, PullDialog)
        hub.hold_after = None
        hub.let_go.set()
        await player.press("enter")
        await player.until((own_folder() / REPOSITORY / "big-Q8_0.gguf").exists, "fetched")
        assert "range" in hub.files_asked()[-1].headers


async def test_what_goes_wrong_is_said_in_the_dialog(hub: FakeHub) -> None:
    async with playing(make_app()) as player:
        await _open(player)
        await player.press(*"acme/Tiny-GUFF", "enter")
        await player.until(lambda: f"There is: {REPOSITORY}" in player.text, "neighbours named")
        await player.press("escape")
        assert isinstance(player.app.screen, ModelPicker)


async def test_words_are_searched_for_and_lead_to_an_open_model(hub: FakeHub) -> None:
    async with playing(make_app()) as player:
        await _open(player)
        await player.press(*"nothing", "enter")
        await player.until(lambda: "has no GGUF model whose name holds 'nothing'" in player.text, "nothing found")
        player.app.screen.query_one(Input).value = ""
        player.app.screen.query_one(Input).focus()
        await player.press(*"tiny", "enter")
        await player.until(lambda: "1 found" in player.text, "found")
        assert "1,234" in player.text, "how often it was fetched"
        await player.press("enter")
        await player.until(lambda: "tiny-Q8_0.gguf" in player.text, "files listed")
        assert "of memory is free" in player.text
        await player.press("enter")
        await player.ready()
        assert player.pane.card is not None
        assert player.pane.card.id == str(own_folder() / REPOSITORY / "tiny-Q4_K_M.gguf")


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        ((401, {}), "does not search (401)"),
        ((403, {}), "does not search (403)"),
        ((404, {}), "does not search (404)"),
        ((429, {"Retry-After": "3600"}), "wants a pause: too many requests (429)"),
    ],
)
async def test_a_search_that_is_refused_is_one_sentence(
    hub: FakeHub, refusal: tuple[int, dict[str, str]], said: str
) -> None:
    async with playing(make_app()) as player:
        await _open(player)
        hub.refusals.append(refusal)
        await player.press(*"tiny", "enter")
        await player.until(lambda: said in player.text, "refusal told")
        await player.press("enter")
        await player.until(lambda: "1 found" in player.text, "asked again")
