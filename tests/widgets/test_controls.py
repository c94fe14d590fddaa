from __future__ import annotations

from collections.abc import Mapping

import pytest
from textual.events import MouseScrollDown

from playground.domain.param_specs import SPECS
from playground.domain.sampling import DEFAULT_ORDER, SamplingParams
from playground.widgets.controls import Controls
from playground.widgets.order_list import OrderList
from playground.widgets.rows import ActionRow, SeedInput
from playground.widgets.slider import ParamSlider
from playground.widgets.slider_group import in_use
from tests.widgets.support import Stand, screen_text

PLAIN = SamplingParams()


def stand(params: SamplingParams = PLAIN, reasons: Mapping[str, str] | None = None) -> Stand:
    def build() -> Controls:
        controls = Controls()
        controls.show(params, PLAIN, "balanced")
        controls.set_available(reasons or {})
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
        assert "more (21)" in screen_text(app)
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
        for _ in range(7 + 9 + 5):
            await pilot.press("down")
            assert app.focused is not None
            walked.append(app.focused.id)
        assert walked[:2] == ["param-temperature", "param-top_k"]
        assert walked.count("controls-order") == 9
        assert walked[-1] == "controls-ignore_eos"
        await pilot.press("up", "up", "up", "up", "up")
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


def bottom(app: Stand) -> str:
    """The last rows of the panel."""
    return "\n".join(screen_text(app).splitlines()[-3:])


async def test_what_the_model_does_not_take_says_why_and_keeps_its_value() -> None:
    reasons = {"min_p": "This server has no min-p.", "order": "Fixed order.", "seed": "No seed.", "stop": "No stops."}
    app = stand(SamplingParams(min_p=0.2, seed=7), reasons)
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        for row, key, reason in (
            ("#param-min_p", "right", "no min-p"),
            ("#controls-order", "shift+down", "Fixed order."),
            ("#controls-seed", "5", "No seed."),
            ("#controls-stop", "enter", "No stops."),
        ):
            assert reason in str(app.query_one(row).tooltip)
            app.query_one(row).focus()
            await pilot.pause()
            assert reason in bottom(app)
            await pilot.press(key, "enter")
        await pilot.click("#controls-stop")
        await pilot.click(SeedInput)
        await pilot.press("5", "enter")
        app.query_one("#param-top_k").focus()
        await pilot.pause()
        assert not any(reason in bottom(app) for reason in reasons.values())
        assert not [message for message in app.seen if message.__class__.__qualname__.startswith("Controls.")]
        assert app.query_one("#param-min_p", ParamSlider).value == 0.2
        assert app.query_one(SeedInput).value == "7"


async def test_another_model_makes_it_available_again() -> None:
    app = stand(reasons={"min_p": "No min-p.", "order": "Fixed order.", "seed": "No seed."})
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        app.query_one(Controls).set_available({})
        app.query_one("#param-min_p").focus()
        await pilot.press("right")
        app.query_one(SeedInput).focus()
        await pilot.press("4", "enter")
        app.query_one(OrderList).focus()
        await pilot.press("shift+down")
        await pilot.pause()
        assert [(m.name, m.value) for m in app.posted(Controls.ParamChanged)] == [("min_p", 0.06), ("seed", 4)]
        assert len(app.posted(Controls.OrderChanged)) == 1
        assert "Fixed order." not in str(app.query_one(OrderList).tooltip)


async def test_a_seed_that_is_being_typed_is_given_up_when_seeds_are_no_longer_taken() -> None:
    app = stand(SamplingParams(seed=7))
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        app.query_one(SeedInput).focus()
        await pilot.press("9")
        app.query_one(Controls).set_available({"seed": "No seed."})
        await pilot.press("9", "enter")
        await pilot.pause()
        assert app.query_one(SeedInput).value == "7"
        assert app.focused is app.query_one("#controls-seed")
        assert not app.posted(Controls.ParamChanged)


async def test_the_preset_says_which_of_its_values_are_lost_but_not_what_it_leaves_off() -> None:
    app = stand(reasons={"min_p": "No.", "xtc_probability": "No.", "top_k": "No.", "typical_p": "No.", "seed": "No."})
    async with app.run_test(size=(80, 40)) as pilot:
        controls = app.query_one(Controls)
        assert "not apply" not in screen_text(app)
        wild = SamplingParams(min_p=0.1, xtc_probability=0.5)
        controls.show(wild, wild, "wild", ["min_p", "xtc_probability", "typical_p", "temperature"])
        await pilot.pause()
        assert "2 values do not apply here" in screen_text(app)
        note = app.query_one("#controls-note")
        assert str(note.tooltip) == "Not applied here: min-p, XTC chance."
        note.focus()
        await pilot.pause()
        assert "min-p, XTC" in bottom(app)
        controls.styles.width = 60
        await pilot.pause()
        assert "2 of its values do not apply here" in screen_text(app)
        controls.set_available({})
        await pilot.pause()
        assert "not apply" not in screen_text(app)


NO_SAMPLING = "This API takes no sampling parameters."
HOSTED = {name: NO_SAMPLING for name in (*SPECS, "order", "seed", "logit_bias", "ignore_eos") if name != "max_tokens"}


async def test_without_any_sampling_the_sliders_fold_into_one_line() -> None:
    app = stand(reasons=HOSTED)
    async with app.run_test(size=(60, 40), message_hook=app.note) as pilot:
        assert shown(app) == {"max_tokens"}
        text = screen_text(app)
        assert f"{len(HOSTED)} sampling controls are not available: {NO_SAMPLING}" in " ".join(text.split())
        assert "order of the stages" not in text
        assert "stop" in text
        await pilot.click("#controls-fold")
        assert shown(app) == COMMON
        assert "order of the stages" in screen_text(app)
        app.query_one("#controls-fold").focus()
        await pilot.press("enter")
        assert shown(app) == {"max_tokens"}
        app.query_one(Controls).set_available({})
        await pilot.pause()
        assert shown(app) == COMMON
        assert "not available" not in screen_text(app)


def places(app: Stand) -> dict[str, int]:
    return {str(widget.id): widget.region.y for widget in app.query("Controls *") if widget.id and widget.display}


async def test_nothing_moves_while_a_person_works_in_the_panel() -> None:
    app = stand()
    async with app.run_test(size=(60, 44)) as pilot:
        controls = app.query_one(Controls)
        before = places(app)
        await pilot.hover("#param-repeat_penalty", offset=(15, 0))
        controls.show(SamplingParams(repeat_penalty=1.2), PLAIN, "balanced")
        app.query_one("#param-repeat_penalty").focus()
        await pilot.pause()
        assert places(app) == before
        assert "•repeat penalty" in screen_text(app)
        await pilot.hover(controls, offset=(50, 20))
        await pilot.pause()
        assert places(app) == before
        app.set_focus(None)
        await pilot.pause()
        assert "penalty_last_n" in shown(app)
        await pilot.hover("#param-repeat_penalty", offset=(15, 0))
        controls.show(PLAIN, PLAIN, "balanced")
        await pilot.pause()
        assert "penalty_last_n" in shown(app)
        await pilot.hover(controls, offset=(50, 20))
        await pilot.pause()
        assert shown(app) == COMMON


async def test_the_line_that_shows_more_stays_under_the_pointer() -> None:
    app = stand(SamplingParams(xtc_probability=0.5))
    async with app.run_test(size=(60, 24)) as pilot:
        more = app.query_one("#controls-more")
        before = more.region
        for _ in range(3):
            await pilot.click(more)
            assert more.region == before


async def test_a_remark_at_the_foot_hides_no_row_and_moves_none() -> None:
    app = stand(reasons={"ignore_eos": "The server ends the reply where it likes.", "min_p": "No."})
    async with app.run_test(size=(60, 14)) as pilot:
        await pilot.pause()
        app.query_one("#controls-ignore_eos").focus()
        controls, row, foot = (app.query_one(name) for name in ("Controls", "#controls-ignore_eos", "PanelFoot"))
        await pilot.pause()
        await pilot.wait_for_scheduled_animations()
        assert row.region.bottom <= foot.region.y
        assert foot.region.bottom == controls.region.bottom
        assert "The server ends" in screen_text(app)
        before = places(app)
        app.query_one("#controls-stop").focus()
        await pilot.pause()
        assert places(app) == before


async def test_a_long_name_never_hides_that_the_preset_was_changed() -> None:
    app = stand()
    async with app.run_test(size=(60, 40)) as pilot:
        name = "a very long name of a preset, longer than the row"
        app.query_one(Controls).show(SamplingParams(seed=1), PLAIN, name)
        await pilot.pause()
        row = app.row(app.query_one("#controls-preset"))
        assert row.startswith("•preset")
        assert row.rstrip().endswith("…* ▾")
        app.query_one(Controls).show(PLAIN, PLAIN, name)
        assert "*" not in app.row(app.query_one("#controls-preset"))


async def test_it_scrolls_when_short_even_over_a_slider_that_is_not_available() -> None:
    app = stand(reasons={"temperature": "no"})
    async with app.run_test(size=(60, 8)) as pilot:
        controls = app.query_one(Controls)
        app.query_one("#param-temperature").focus()
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
        assert "·Yes +1" in text
