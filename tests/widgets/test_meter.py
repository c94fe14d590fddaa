from __future__ import annotations

import pytest

from playground.domain.messages import PromptParts
from playground.widgets.meter import ContextMeter
from tests.widgets.support import Stand


async def test_the_meter_shows_every_share_that_is_not_nothing() -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(60, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.show(PromptParts(1, 1, 1), 1, 2, 8192, estimate=True)
        await pilot.pause()
        assert app.row(meter).endswith(" ≈4/8,192")
        meter.show(PromptParts(100, 2000, 4000), 92, 5000, 8192)
        await pilot.pause()
        assert app.row(meter).endswith("█ 6,192/8,192")
        assert meter.render_line(0).cell_length == 60
        meter.show(PromptParts(100, 0, 20), 0, 0, None)
        await pilot.pause()
        assert app.row(meter).endswith("╌ 120/–")
        assert "of unknown size" in str(meter.tooltip)
        assert "free" not in str(meter.tooltip)


@pytest.mark.parametrize("width", [4, 12, 18, 60])
async def test_the_meter_fits_any_width(width: int) -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(60, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.styles.width, meter.styles.min_width = width, 0
        for parts, total in (
            (PromptParts(100, 2000, 4000), 8192),
            (PromptParts(0, 0, 9000), 8192),
            (PromptParts(), None),
        ):
            meter.show(parts, 30 if total else 0, 500, total)
            await pilot.pause()
            assert meter.render_line(0).cell_length == width


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (60, "9,003/8,192 · too long by 812"),
        (20, "too long by 812"),
        (12, "812 over"),
    ],
)
async def test_what_is_too_long_says_by_how_much(width: int, text: str) -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(width, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.show(PromptParts(3, 0, 9000), 0, 512, 8192)
        await pilot.pause()
        assert app.row(meter).rstrip().endswith(text)
        assert "Too long by 812" in str(meter.tooltip)
        meter.show(PromptParts(3, 0, 8188), 0, 512, 8192)
        await pilot.pause()
        assert "8,191/8,192" in app.row(meter)


async def test_a_reply_that_filled_the_window_is_not_too_long() -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(60, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.show(PromptParts(0, 0, 8000), 192, 512, 8192)
        await pilot.pause()
        assert app.row(meter).endswith("█ 8,192/8,192")


async def test_estimates_are_marked_wherever_they_are_told() -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(60, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.show(PromptParts(3, 0, 9000), 0, 512, 8192, estimate=True)
        await pilot.pause()
        assert app.row(meter).endswith("≈9,003/8,192 · too long by ≈812")
        assert "≈9,000" in str(meter.tooltip)
        assert "estimates" in str(meter.tooltip)


async def test_no_more_is_set_aside_than_the_model_can_write() -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(60, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.show(PromptParts(0, 0, 100), 10, 5000, 8192, max_output=1000)
        await pilot.pause()
        split = " ".join(str(meter.tooltip).split())
        assert "reply 10 of 1,000 reserved, at most 1,000" in split
        meter.show(PromptParts(0, 0, 8000), 0, 512, 8192)
        assert "The reply has room for 192 more" in str(meter.tooltip)
