from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.binding import BindingType

from playground.domain.param_specs import SPECS
from playground.widgets.slider import ParamSlider, columns
from playground.widgets.slider_scale import Number, SliderScale
from tests.widgets.support import Stand


def stand(name: str, value: Number, default: Number | None = None) -> Stand:
    return Stand(lambda: ParamSlider(SPECS[name], value, value if default is None else default))


async def press(name: str, value: Number, *keys: str, width: int = 40) -> tuple[Number, str, list[object]]:
    """The value after some keys, the row, and the values posted."""
    app = stand(name, value)
    async with app.run_test(size=(width, 3), message_hook=app.note) as pilot:
        slider = app.query_one(ParamSlider)
        slider.focus()
        await pilot.press(*keys)
        await pilot.pause()
        return slider.value, app.row(slider), [m.value for m in app.posted(ParamSlider.Changed)]


@pytest.mark.parametrize(
    ("name", "value", "keys", "expected"),
    [
        ("temperature", 0.8, "right", 0.85),
        ("temperature", 0.8, "h", 0.75),
        ("temperature", 0.8, "shift+right", 1.3),
        ("temperature", 0.8, "pagedown", 0.3),
        ("temperature", 0.83, "right", 0.85),
        ("temperature", 0.83, "left", 0.8),
        ("temperature", 0.8, "end", 5.0),
        ("temperature", 0.8, "home", 0.0),
        ("top_k", 40, "right", 42),
        ("top_k", 1, "left", 0),
        ("top_k", 0, "right", 1),
        ("top_k", 0, "left", 0),
        ("top_k", 2, "pagedown", 1),
        ("top_k", 40, "home", 0),
        ("max_tokens", -1, "right", 1),
        ("max_tokens", 1, "left", -1),
        ("penalty_last_n", 0, "left", -1),
        ("penalty_last_n", 64, "right", 67),
        ("top_p", 1.0, "right", 1.0),
        ("top_p", 0.95, "end", 1.0),
        ("mirostat", 0, "end", 2),
    ],
)
async def test_keys_move_the_value(name: str, value: Number, keys: str, expected: Number) -> None:
    result, _, posted = await press(name, value, keys)
    assert result == pytest.approx(expected)
    assert isinstance(result, int) == SPECS[name].whole
    assert posted == ([] if expected == value else [result])


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("top_k", 0, "off"),
        ("top_p", 1.0, "off"),
        ("max_tokens", -1, "off"),
        ("repeat_penalty", 1.0, "off"),
        ("top_k", 40, "40"),
        ("temperature", 0.8, "0.80"),
        ("max_tokens", 131072, "131072"),
        ("penalty_last_n", -1, "-1"),
    ],
)
async def test_shows_value_or_off(name: str, value: Number, shown: str) -> None:
    _, row, _ = await press(name, value)
    assert row.endswith(" " + shown)
    assert len(row) == 40


async def test_an_exact_number_can_be_typed() -> None:
    value, row, posted = await press("temperature", 0.8, "0", ".", "7", "2", "3", "enter")
    assert value == 0.723
    assert posted == [0.723]
    assert row.endswith("0.723")


async def test_letters_do_nothing_while_a_number_is_typed() -> None:
    value, row, _ = await press("temperature", 0.8, "1", "r", "l", "h", "5", "backspace", "9")
    assert value == 0.8
    assert row.endswith("19▏")


async def test_digits_typed_into_a_slider_trigger_no_shortcut() -> None:
    class Shortcuts(Stand):
        BINDINGS: ClassVar[list[BindingType]] = [("1", "quit"), ("l", "quit")]

    app = Shortcuts(lambda: ParamSlider(SPECS["temperature"], 0.8, 0.8))
    async with app.run_test(size=(40, 3)) as pilot:
        app.query_one(ParamSlider).focus()
        await pilot.press("1", "l", "enter")
        await pilot.pause()
        assert app.query_one(ParamSlider).value == 1.0
        assert app.is_running


async def test_escape_gives_the_entry_up() -> None:
    value, row, posted = await press("temperature", 0.8, "3", "escape")
    assert (value, posted) == (0.8, [])
    assert row.endswith("0.80")


@pytest.mark.parametrize(
    ("name", "typed", "reason"),
    [
        ("temperature", "9", "0 to 5"),
        ("top_k", "1.5", "whole number"),
        ("min_p", "-", "a number"),
        ("top_k", "-1", "0"),
    ],
)
async def test_what_cannot_be_taken_stays_and_is_explained(name: str, typed: str, reason: str) -> None:
    app = stand(name, SPECS[name].low)
    async with app.run_test(size=(40, 3), message_hook=app.note) as pilot:
        slider = app.query_one(ParamSlider)
        slider.focus()
        await pilot.press(*typed, "enter")
        await pilot.pause()
        assert slider.entry == typed
        assert slider.invalid
        (rejected,) = app.posted(ParamSlider.Rejected)
        assert rejected.name == name
        assert reason in rejected.reason
        assert not app.posted(ParamSlider.Changed)
        await pilot.press("escape")
        assert not slider.invalid


async def test_reset_goes_back_to_the_default_and_the_mark_goes() -> None:
    app = stand("temperature", 1.2, 0.8)
    async with app.run_test(size=(40, 3), message_hook=app.note) as pilot:
        slider = app.query_one(ParamSlider)
        assert app.row(slider).startswith("•temperature")
        slider.focus()
        await pilot.press("r")
        await pilot.pause()
        assert slider.value == 0.8
        assert app.row(slider).startswith(" temperature")
        assert [m.value for m in app.posted(ParamSlider.Changed)] == [0.8]


async def test_a_drag_tells_every_value_and_then_the_final_one() -> None:
    app = stand("top_p", 0.5)
    async with app.run_test(size=(40, 3), message_hook=app.note) as pilot:
        slider = app.query_one(ParamSlider)
        left, _ = columns(40)
        await pilot.mouse_down(slider, offset=(left + 2, 0))
        await pilot.hover(slider, offset=(left + 4, 0))
        await pilot.hover(slider, offset=(39, 0))
        await pilot.mouse_up(slider, offset=(39, 0))
        await pilot.pause()
        assert slider.value == 1.0
        finals = [m.final for m in app.posted(ParamSlider.Changed)]
        assert finals == [False, False, False, True]


async def test_a_drag_that_comes_back_still_ends_with_a_final_message() -> None:
    app = stand("mirostat", 0)
    async with app.run_test(size=(40, 3), message_hook=app.note) as pilot:
        left, width = columns(40)
        await pilot.mouse_down(ParamSlider, offset=(left, 0))
        await pilot.hover(ParamSlider, offset=(left + width - 1, 0))
        await pilot.hover(ParamSlider, offset=(left, 0))
        await pilot.mouse_up(ParamSlider, offset=(left, 0))
        await pilot.pause()
        assert [(m.value, m.final) for m in app.posted(ParamSlider.Changed)] == [(2, False), (0, False), (0, True)]


@pytest.mark.parametrize(("name", "place", "expected"), [("top_k", 0, 0), ("top_k", -1, 1000), ("top_p", -1, 1.0)])
async def test_a_click_at_an_end_of_the_bar_gives_the_end_of_the_range(name: str, place: int, expected: Number) -> None:
    app = stand(name, 0.5 if name == "top_p" else 40)
    async with app.run_test(size=(26, 3), message_hook=app.note) as pilot:
        slider = app.query_one(ParamSlider)
        left, width = columns(26)
        await pilot.click(slider, offset=(left + place % width, 0))
        await pilot.pause()
        assert slider.value == expected
        assert app.posted(ParamSlider.Changed)[-1].final


async def test_a_double_click_resets() -> None:
    app = stand("temperature", 1.2, 0.8)
    async with app.run_test(size=(40, 3)) as pilot:
        await pilot.click(ParamSlider, offset=(2, 0), times=2)
        await pilot.pause()
        assert app.query_one(ParamSlider).value == 0.8


async def test_the_wheel_needs_the_focus() -> None:
    app = stand("temperature", 1.0)
    async with app.run_test(size=(40, 3)) as pilot:
        slider = app.query_one(ParamSlider)
        app.set_focus(None)
        await pilot._post_mouse_events([wheel_up()], slider, offset=(3, 0))
        assert slider.value == 1.0
        slider.focus()
        await pilot.pause()
        await pilot._post_mouse_events([wheel_up()], slider, offset=(3, 0))
        assert slider.value == pytest.approx(1.05)


def wheel_up() -> type:
    from textual.events import MouseScrollUp

    return MouseScrollUp


async def test_set_value_is_silent_and_clamps() -> None:
    app = stand("temperature", 1.0)
    async with app.run_test(size=(40, 3), message_hook=app.note) as pilot:
        slider = app.query_one(ParamSlider)
        slider.set_value(99)
        await pilot.pause()
        assert slider.value == 5.0
        assert not app.posted(ParamSlider.Changed)


async def test_a_slider_that_is_not_available_says_why_and_takes_no_change() -> None:
    app = stand("min_p", 0.05, 0.1)
    async with app.run_test(size=(40, 3), message_hook=app.note) as pilot:
        slider = app.query_one(ParamSlider)
        slider.set_unavailable("[hosted] has no \x1b[31mmin-p.")
        slider.focus()
        await pilot.press("right", "end", "r", "9", "enter", "home")
        left, _ = columns(40)
        await pilot.mouse_down(slider, offset=(left + 2, 0))
        await pilot.hover(slider, offset=(left + 6, 0))
        await pilot.mouse_up(slider, offset=(left + 6, 0))
        await pilot.click(slider, offset=(2, 0), times=2)
        await pilot._post_mouse_events([wheel_up()], slider, offset=(3, 0))
        await pilot.pause()
        assert app.row(slider).startswith("•min-p")
        assert app.row(slider).endswith(" 0.05")
        assert not app.posted(ParamSlider.Changed)
        assert "[hosted] has no ␛[31mmin-p." in str(slider.tooltip)
        slider.set_unavailable("")
        await pilot.press("right")
        assert slider.value == pytest.approx(0.06)
        assert "0 to 1" in str(slider.tooltip)
        assert "Not available" not in str(slider.tooltip)


async def test_a_number_being_typed_is_left_when_the_slider_becomes_unavailable() -> None:
    app = stand("min_p", 0.05)
    async with app.run_test(size=(40, 3)) as pilot:
        slider = app.query_one(ParamSlider)
        slider.focus()
        await pilot.press("0", ".", "5")
        slider.set_unavailable("No.")
        assert app.row(slider).endswith(" 0.05")


@pytest.mark.parametrize("width", [24, 26, 30, 34, 80])
async def test_every_parameter_fits_its_row(width: int) -> None:
    app = Stand(lambda: ParamSlider(SPECS["temperature"], 0.8, 1.0))
    async with app.run_test(size=(width, 40)) as pilot:
        for spec in SPECS.values():
            await app.mount(ParamSlider(spec, spec.high, spec.low))
        await pilot.pause()
        for slider in app.query(ParamSlider):
            assert slider.render_line(0).cell_length == width


@given(st.sampled_from(list(SPECS.values())), st.floats(0, 1), st.sampled_from([-10, -1, 1, 10]))
def test_steps_never_leave_the_range_nor_go_the_wrong_way(spec: object, place: float, count: int) -> None:
    scale = SliderScale(spec)  # type: ignore[arg-type]
    value = scale.at(place)
    new = scale.step(value, count)
    assert scale.spec.low <= new <= scale.spec.high
    end = scale.spec.high if count > 0 else scale.spec.low
    assert (new - value) * count > 0 or value == end
    assert 0 <= scale.position(value) <= 1


@given(st.sampled_from(list(SPECS.values())))
def test_keys_alone_reach_both_ends_and_off(spec: object) -> None:
    scale = SliderScale(spec)  # type: ignore[arg-type]
    value, seen = scale.at(1.0), set()
    while value not in seen:
        seen.add(value)
        value = scale.step(value, -1)
    assert value == scale.spec.low
    assert scale.spec.off is None or scale.spec.off in seen
