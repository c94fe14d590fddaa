from __future__ import annotations

import pytest
from textual.widgets import Static

from playground.domain.messages import PromptParts
from playground.widgets.meter import ContextMeter
from playground.widgets.status_bar import StatusBar, StatusView, dollars
from tests.widgets.support import Stand, screen_text

VIEW = StatusView(
    model="SmolLM2-135M [b] Instruct",
    parts=PromptParts(system=200, history=900, prompt=134),
    reply_tokens=60,
    reserve=512,
    context=8192,
    ttft_ms=83.2,
    tokens_per_second=42.13,
    prefill_tokens_per_second=1812.4,
    cost=0.0,
    state="stopped: end of text",
    busy=True,
)


async def test_shows_every_figure_when_there_is_room() -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(140, 3)) as pilot:
        app.query_one(StatusBar).show(VIEW)
        await pilot.pause()
        text = screen_text(app)
        for part in (
            "SmolLM2-135M [b] ",
            "1,294/8,192",
            "TTFT 83 ms",
            "42.1 tok/s",
            "prefill 1,812 tok/s",
            "$0",
            "stopped: end of text",
        ):
            assert part in text
        assert app.query_one(StatusBar).has_class("-busy")


async def test_unknown_is_a_dash() -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(140, 3)):
        text = screen_text(app)
        assert "0/–" in text
        assert "TTFT –" in text
        assert "– tok/s" in text
        assert "$" not in text


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (120, {"prefill 1,812", "SmolLM2", "$0", "TTFT"}, set[str]()),
        (100, {"SmolLM2", "$0", "TTFT"}, {"prefill"}),
        (80, {"$0", "TTFT", "42.1", "end of text", "SmolLM2"}, {"prefill"}),
        (60, {"42.1", "end of text"}, {"$0", "TTFT"}),
        (44, {"1,294/8,192", "end of text"}, {"42.1", "TTFT"}),
    ],
)
async def test_narrow_screens_lose_the_least_important_first(width: int, there: set[str], gone: set[str]) -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(width, 3)) as pilot:
        app.query_one(StatusBar).show(VIEW)
        await pilot.pause()
        text = screen_text(app)
        assert {part for part in there if part in text} == there
        assert {part for part in gone if part in text} == set()
        assert "1,294/8,192" in text


async def test_another_token_never_lays_the_screen_out(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(140, 3)) as pilot:
        bar = app.query_one(StatusBar)
        bar.show(VIEW)
        await pilot.pause()
        layouts: list[object] = []
        monkeypatch.setattr(type(app.screen), "_refresh_layout", lambda *args, **kw: layouts.append(args))
        bar.show(StatusView(model="x", context=4096, reply_tokens=61, tokens_per_second=9.9, state="writing"))
        await pilot.pause()
        assert "61/4,096" in screen_text(app)
        assert not layouts


async def test_tooltips_say_what_the_figures_are() -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(140, 3)) as pilot:
        app.query_one(StatusBar).show(VIEW)
        await pilot.pause()
        assert "time to first token" in str(app.query_one("#status-ttft", Static).tooltip)
        split = str(app.query_one(ContextMeter).tooltip)
        assert "history       900" in split
        assert "60 of 512 reserved" in split
        assert "free        6,446" in split


async def test_the_meter_shows_every_share_that_is_not_nothing() -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(60, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.show(PromptParts(1, 1, 1), 1, 2, 8192, estimate=True)
        await pilot.pause()
        assert app.row(meter).endswith(" ≈4/8,192")
        meter.show(PromptParts(100, 2000, 4000), 3000, 5000, 8192)
        await pilot.pause()
        assert app.row(meter).endswith(" 9,100/8,192")
        assert meter.render_line(0).cell_length == 60
        meter.show(PromptParts(100, 0, 20), 0, 0, None)
        await pilot.pause()
        assert app.row(meter).strip() == "120/–"


@pytest.mark.parametrize("width", [4, 12, 18, 60])
async def test_the_meter_fits_any_width(width: int) -> None:
    app = Stand(ContextMeter)
    async with app.run_test(size=(60, 3)) as pilot:
        meter = app.query_one(ContextMeter)
        meter.styles.width, meter.styles.min_width = width, 0
        meter.show(PromptParts(100, 2000, 4000), 30, 500, 8192)
        await pilot.pause()
        assert meter.render_line(0).cell_length == width


@pytest.mark.parametrize(
    ("cost", "text"),
    [(None, "–"), (0.0, "$0"), (0.00001, "<$0.0001"), (0.00234, "$0.0023"), (1.5, "$1.50"), (1234.5, "$1,234.50")],
)
def test_dollars(cost: float | None, text: str) -> None:
    assert dollars(cost) == text
