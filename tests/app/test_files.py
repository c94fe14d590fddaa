"""Mistakes in the person's files: the app opens with defaults and says which file and which key."""

from __future__ import annotations

import pytest

from playground.services.paths import user_config_dir
from tests.app.support import make_app, playing

pytestmark = pytest.mark.usefixtures("no_model")


def put(name: str, text: str) -> None:
    path = user_config_dir() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "text", "named"),
    [
        ("settings.toml", 'colour = "pink"', "settings.toml: colour is 'pink'"),
        ("settings.toml", "frames_per_second = 500", "frames_per_second is 500"),
        ("settings.toml", "themee = 'ember'", "Did you mean 'theme'?"),
        ("settings.toml", "theme = ", "is not valid TOML"),
        ("settings.toml", 'theme = "no-such"', "There is no theme 'no-such'"),
        ("settings.toml", "[load]\ncontext = -5", "load.context is -5"),
        ("settings.toml", '[keymap]\n"chat.stp" = "f12"', "Did you mean 'chat.stop'?"),
        ("settings.toml", '[keymap]\n"chat.new" = "hyperspace"', "keymap.chat.new: 'hyperspace' is no key"),
        ("settings.toml", '[keymap]\n"chat.new" = "f1"', "keymap.chat.new: 'f1' is already the key of 'Help'"),
        ("settings.toml", '[keymap]\n"chat.new" = "enter"', "keymap.chat.new: 'enter' is needed to write"),
        ("settings.toml", '[keymap]\n"chat.new" = "x"', "keymap.chat.new: 'x' is needed to write"),
        ("settings.toml", '[keymap]\n"chat.new" = ""', "keymap.chat.new: '' is no key"),
        ("presets/mine.toml", 'name = "mine"\nsummary = "x"\n[sampling]\ntemperature = 99', "sampling.temperature"),
        ("presets/mine.toml", 'name = "mine"\nsummary = "x"\n[sampling]\ntemprature = 1', "temprature"),
        ("themes/mine.toml", 'name = "mine"', "mine.toml has a mistake"),
        ("themes/mine.toml", "name = [", "mine.toml cannot be read"),
    ],
)
async def test_a_mistake_is_named_and_costs_nothing_else(file: str, text: str, named: str) -> None:
    put(file, text)
    async with playing(make_app()) as player:
        await player.until(lambda: player.notices, "told")
        assert named in player.notices
        assert file.rpartition("/")[2] in player.notices or "theme" in named
        assert player.app.theme == "ember"
        assert player.screen.tuning.name == "balanced"
        await player.press("f1")
        assert "Everywhere" in player.text


async def test_many_mistakes_are_one_notice() -> None:
    put("settings.toml", "\n".join(f"wrong_{number} = 1" for number in range(9)))
    async with playing(make_app()) as player:
        await player.until(lambda: player.notices, "told")
        assert "9 mistakes in your files" in player.notices
        assert "and 5 more" in player.notices


async def test_a_theme_chosen_is_kept_and_one_of_ones_own_can_be_chosen() -> None:
    from playground.services.paths import shipped
    from playground.services.settings import load_settings

    put("themes/mine.toml", (shipped("themes") / "lagoon.toml").read_text().replace('"lagoon"', '"mine"'))
    async with playing(make_app()) as player:
        player.app.theme = "mine"
        await player.until(lambda: load_settings()[0].theme == "mine", "saved")
    async with playing(make_app()) as player:
        assert player.app.theme == "mine"


async def test_settings_that_cannot_be_written_are_a_warning_only(monkeypatch: pytest.MonkeyPatch) -> None:
    async with playing(make_app()) as player:
        put("settings.toml", "theme = [")
        player.app.theme = "lagoon"
        await player.until(lambda: "settings.toml is not valid TOML" in player.notices, "told")
        assert player.app.theme == "lagoon"


async def test_no_color_draws_without_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with playing(make_app()) as player:
        filters = {type(line_filter).__name__ for line_filter in player.app.get_line_filters()}
        assert player.app.no_color
        assert {"Monochrome", "ControlGuard"} <= filters
