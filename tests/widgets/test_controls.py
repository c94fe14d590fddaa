from __future__ import annotations

from collections.abc import Mapping

import pytest
from textual.events import MouseScrollDown

from playground.domain.param_specs import SPECS
from playground.domain.sampling import DEFAULT_ORDER, SamplingParams
from playground.widgets.controls import Controls, in_use
from playground.widgets.order_list import OrderList
from playground.widgets.rows import ActionRow, SeedInput
from playground.widgets.slider import ParamSlider
from tests.widgets.support import Stand, screen_text

PLAIN = SamplingParams()


def stand(params: SamplingParams = PLAIN, unsupported: Mapping[str, str] | None = None) -> Stand:
    def build() -> Controls:
        controls = Controls()
        controls.show(params, PLAIN, "balanced", unsupported)
        return controls

    return Stand(build)


def shown(app: Stand) -> set[str]:
    return {slider.spec.name for slider in app.query(ParamSlider) if slider.display}


COMMON = {name for name, spec in SPECS.items() if spec.common}


async def test_common_parameters_and_those_in_use_are_shown() -> None:
    app = stand(SamplingParams(xtc_probability=0.5))
    async with app.run_test(size=(60, 40)):
        assert shown(app) == COMMON | {"xtc_probability", "xtc_threshold"}


async def test_more_shows_everything_and_back() -> None:
    app = stand()
    async with app.run_test(size=(60, 40)) as pilot:
        assert "more (20)" in screen_text(app)
        await pilot.click("#controls-more")
        assert shown(app) == set(SPECS)
        app.query_one("#controls-more").focus()
        await pilot.press("enter")
        assert shown(app) == COMMON


def test_a_penalty_that_is_on_brings_its_window() -> None:
    assert in_use(SPECS["penalty_last_n"], SamplingParams(repeat_penalty=1.1))
    assert not in_use(SPECS["penalty_last_n"], PLAIN)
    assert in_use(SPECS["mirostat_tau"], SamplingParams(mirostat=2))


async def test_a_slider_speaks_through_the_panel() -> None:
    app = stand()
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        app.query_one("#param-top_k").focus()
        await pilot.press("right")
        await pilot.press("9", "9", "9", "9", "enter")
        await pilot.pause()
        (changed,) = app.posted(Controls.ParamChanged)
        assert (changed.name, changed.value, changed.final) == ("top_k", 42, True)
        (rejected,) = app.posted(Controls.Rejected)
        assert rejected.name == "top_k"


async def test_show_updates_the_same_widgets_silently() -> None:
    app = stand()
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        controls = app.query_one(Controls)
        before = list(app.query(ParamSlider))
        controls.show(SamplingParams(temperature=1.5, seed=7, stop=("\n\n", "[/x]")), PLAIN, "wild [b]")
        await pilot.pause()
        assert list(app.query(ParamSlider)) == before
        text = screen_text(app)
        assert "•temperature" in text
        assert "1.50" in text
        assert "wild [b]*" in text
        assert '"↵↵", "[/x]"' in text
        assert app.query_one(SeedInput).value == "7"
        assert not app.posted(Controls.ParamChanged)


async def test_the_preset_line_asks_for_the_list() -> None:
    app = stand()
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        await pilot.click("#controls-preset")
        app.query_one("#controls-preset").focus()
        await pilot.press("enter")
        await pilot.pause()
        assert len(app.posted(Controls.PresetRequested)) == 2


@pytest.mark.parametrize(("typed", "seed"), [("42", 42), ("0", 0)])
async def test_a_seed_is_taken_on_enter(typed: str, seed: int) -> None:
    app = stand()
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        app.query_one(SeedInput).focus()
        await pilot.press(*typed, "enter")
        await pilot.pause()
        (changed,) = app.posted(Controls.ParamChanged)
        assert (changed.name, changed.value) == ("seed", seed)


async def test_an_emptied_seed_is_random_and_leaving_the_field_takes_it() -> None:
    app = stand(SamplingParams(seed=42))
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        app.query_one(SeedInput).focus()
        await pilot.press("backspace", "backspace", "tab")
        await pilot.pause()
        (changed,) = app.posted(Controls.ParamChanged)
        assert (changed.name, changed.value) == ("seed", None)


@pytest.mark.parametrize("typed", ["4294967295", "x", "-1"])
async def test_what_is_no_seed_is_explained(typed: str) -> None:
    app = stand()
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        field = app.query_one(SeedInput)
        field.focus()
        await pilot.press(*typed, "enter")
        await pilot.pause()
        assert field.value == typed
        (rejected,) = app.posted(Controls.Rejected)
        assert rejected.name == "seed"
        assert "whole number" in rejected.reason
        await pilot.press("escape")
        assert field.value == ""
        assert not app.posted(Controls.ParamChanged)


async def test_a_stage_can_be_moved_left_out_and_put_back() -> None:
    app = stand()
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        stages = app.query_one(OrderList)
        stages.focus()
        await pilot.press("down", "shift+up")
        await pilot.pause()
        assert app.posted(Controls.OrderChanged)[-1].order[:2] == ("dry", "penalties")
        assert stages.cursor == 0
        await pilot.press("shift+up")
        assert len(app.posted(Controls.OrderChanged)) == 1
        await pilot.press("space")
        await pilot.pause()
        assert "dry" not in app.posted(Controls.OrderChanged)[-1].order
        assert "left out" in app.row(stages, 8)
        await pilot.press("space")
        await pilot.pause()
        assert app.posted(Controls.OrderChanged)[-1].order[-1] == "dry"
        await pilot.press("r")
        await pilot.pause()
        assert app.posted(Controls.OrderChanged)[-1].order == DEFAULT_ORDER


async def test_the_arrows_walk_through_the_whole_panel() -> None:
    app = stand()
    async with app.run_test(size=(60, 40)) as pilot:
        app.query_one("#controls-preset").focus()
        walked = []
        for _ in range(7 + 9 + 4):
            await pilot.press("down")
            assert app.focused is not None
            walked.append(app.focused.id)
        assert walked[:2] == ["param-temperature", "param-top_k"]
        assert walked.count("controls-order") == 9
        assert walked[-1] == "controls-ignore_eos"
        await pilot.press("up", "up", "up", "up")
        assert app.focused is app.query_one(OrderList)


async def test_clicking_a_stage_selects_it() -> None:
    app = stand()
    async with app.run_test(size=(60, 40)) as pilot:
        await pilot.click(OrderList, offset=(4, 3))
        assert app.query_one(OrderList).cursor == 3


async def test_rows_that_need_an_editor_ask_for_one() -> None:
    app = stand()
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        await pilot.click("#controls-stop")
        await pilot.click("#controls-logit_bias")
        await pilot.click("#controls-ignore_eos")
        await pilot.pause()
        assert [m.name for m in app.posted(Controls.EditRequested)] == ["stop", "logit_bias"]
        (changed,) = app.posted(Controls.ParamChanged)
        assert (changed.name, changed.value) == ("ignore_eos", True)


async def test_what_the_backend_cannot_do_is_disabled_with_the_reason() -> None:
    reasons = {"min_p": "This server has no min-p.", "order": "Fixed order.", "seed": "No seed."}
    app = stand(unsupported=reasons)
    async with app.run_test(size=(60, 40)):
        slider = app.query_one("#param-min_p", ParamSlider)
        assert slider.disabled
        assert "no min-p" in str(slider.tooltip)
        assert app.query_one(OrderList).disabled
        assert "Fixed order." in str(app.query_one(OrderList).tooltip)
        assert app.query_one("#controls-seed").disabled
        app.query_one(Controls).show(PLAIN, PLAIN, "balanced")
        assert not app.query_one(OrderList).disabled
        assert "Fixed order." not in str(app.query_one(OrderList).tooltip)


async def test_it_scrolls_when_short_even_over_a_disabled_slider() -> None:
    app = stand(unsupported={"temperature": "no"})
    async with app.run_test(size=(60, 8)) as pilot:
        controls = app.query_one(Controls)
        await pilot._post_mouse_events([MouseScrollDown], "#param-temperature", offset=(3, 0))
        await pilot.pause()
        assert controls.scroll_target_y > 0


@pytest.mark.parametrize("width", [26, 30, 34])
async def test_narrow_panels_keep_labels_and_values(width: int) -> None:
    app = stand(SamplingParams(logit_bias={" Yes": 1.0}))
    async with app.run_test(size=(60, 40)) as pilot:
        app.query_one(Controls).styles.width = width
        await pilot.pause()
        for row in (*app.query(ParamSlider), *app.query(ActionRow), app.query_one(OrderList)):
            if row.display:
                assert row.render_line(0).cell_length == row.size.width
        text = screen_text(app)
        assert "temperature" in text
        assert "0.80" in text
        assert "1 token" in text
