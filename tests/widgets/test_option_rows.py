from __future__ import annotations

from playground.domain.messages import CallOptions
from playground.widgets.controls import Controls
from tests.widgets.support import Stand, screen_text

OPTIONS = CallOptions(effort="high")


async def test_a_row_for_each_option_that_the_model_offers() -> None:
    app = Stand(Controls)
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        controls = app.query_one(Controls)
        assert "effort" not in screen_text(app)
        controls.set_options(OPTIONS, effort=("low", "high"), cache=("off", "5m", "1h"))
        await pilot.pause()
        text = screen_text(app)
        assert "effort      ◂ high ▸" in text
        assert "cache       ◂ off ▸" in text
        assert "thinking" not in text
        assert "legacy" not in text
        assert text.index("effort") < text.index("temperature")
        controls.set_options(OPTIONS, thinking=("off", "adaptive"), legacy=True)
        await pilot.pause()
        assert "thinking    ◂ default ▸" in screen_text(app)
        assert "legacy sampling ◂ off ▸" in screen_text(app)
        assert "effort" not in screen_text(app)
        controls.set_options(OPTIONS)
        await pilot.pause()
        assert "◂" not in screen_text(app)
        assert not app.posted(Controls.OptionsChanged)


async def test_options_are_changed_by_arrows_by_enter_and_by_click() -> None:
    app = Stand(Controls)
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        app.query_one(Controls).set_options(
            OPTIONS, effort=("low", "high"), thinking=("off",), cache=("off", "5m", "1h"), legacy=True
        )
        app.query_one("#controls-effort").focus()
        await pilot.press("left", "left", "left", "down", "enter", "down", "l")
        assert "5 min" in screen_text(app)
        await pilot.click("#controls-legacy_sampling", offset=(18, 0))
        await pilot.pause()
        sent = [message.options for message in app.posted(Controls.OptionsChanged)]
        assert [options.effort for options in sent[:3]] == ["low", "", "high"]
        assert sent[3].thinking == "off"
        assert sent[-1] == CallOptions(effort="high", thinking="off", cache="5m", legacy_sampling=True)
        await pilot.click("#controls-cache", offset=(13, 0))
        await pilot.pause()
        assert app.posted(Controls.OptionsChanged)[-1].options.cache == "off"


async def test_an_option_kept_from_another_model_is_told_apart() -> None:
    app = Stand(Controls)
    async with app.run_test(size=(60, 40)) as pilot:
        app.query_one(Controls).set_options(CallOptions(effort="max"), effort=("low",))
        row = app.query_one("#controls-effort")
        await pilot.pause()
        assert "◂ max ▸" in screen_text(app)
        assert "does not offer 'max'" in str(row.tooltip)


async def test_options_that_were_there_before_the_screen_are_drawn() -> None:
    def build() -> Controls:
        controls = Controls()
        controls.set_options(OPTIONS, effort=("high", "[/x]\x1b[2J"))
        return controls

    app = Stand(build)
    async with app.run_test(size=(60, 40)) as pilot:
        assert "◂ high ▸" in screen_text(app)
        app.query_one("#controls-effort").focus()
        await pilot.press("right")
        await pilot.pause()
        assert "◂ [/x]␛[2J ▸" in screen_text(app)
