from __future__ import annotations

from dataclasses import replace

import pytest
from textual.widgets import Static

from playground.domain.messages import PromptParts
from playground.widgets.meter import ContextMeter
from playground.widgets.status_bar import StatusBar, StatusView, dollars, total
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
        split = " ".join(str(app.query_one(ContextMeter).tooltip).split())
        assert "history 900" in split
        assert "reply 60 of 512 reserved" in split
        assert "free 6,446" in split


@pytest.mark.parametrize(
    ("cost", "text"),
    [(None, "–"), (0.0, "$0"), (0.00001, "<$0.0001"), (0.00234, "$0.0023"), (1.5, "$1.50"), (1234.5, "$1,234.50")],
)
def test_dollars(cost: float | None, text: str) -> None:
    assert dollars(cost) == text


@pytest.mark.parametrize(("cost", "text"), [(0.0021, "$0.0021"), (0.0312, "$0.03"), (0.41, "$0.41"), (12.0, "$12.00")])
def test_sums_are_told_in_cents(cost: float, text: str) -> None:
    assert total(cost) == text


HOSTED = replace(
    VIEW,
    model="claude-sonnet-5",
    cost=0.0021,
    cost_estimate=True,
    session_cost=0.03,
    day_cost=0.41,
    speed_estimate=True,
    tokens_per_second=41.3,
    prefill_tokens_per_second=None,
    price_note="Prices of 2026-10-01.",
)


@pytest.mark.parametrize(
    ("width", "there", "gone"),
    [
        (200, {"≈$0.0021 ", "· session $0.03 ", "· day $0.41 ", "≈41 tok/s", "prefill –"}, {"p50", "mem"}),
        (120, {"≈$0.0021 ", "· session $0.03 ", "· day $0.41 "}, {"prefill"}),
        (100, {"≈$0.0021 ", "claude"}, {"session", "day"}),
        (80, {"≈$0.0021 "}, {"session", "day"}),
    ],
)
async def test_money_of_session_and_day_stand_beside_the_calls_where_there_is_room(
    width: int, there: set[str], gone: set[str]
) -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(width, 3)) as pilot:
        app.query_one(StatusBar).show(HOSTED)
        await pilot.pause()
        text = screen_text(app)
        assert {part for part in there if part in text} == there
        assert {part for part in gone if part in text} == set()
        assert "Prices of 2026-10-01." in str(app.query_one("#status-cost", Static).tooltip)


async def test_a_large_window_keeps_its_bar_before_the_less_important_figures() -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(120, 3)) as pilot:
        bar = app.query_one(StatusBar)
        bar.show(replace(HOSTED, context=1_000_000))
        await pilot.pause()
        meter = app.query_one(ContextMeter)
        assert len(app.row(meter).removesuffix(" 1,294/1,000,000")) >= 6
        assert "session" in screen_text(app)
        assert "day" not in screen_text(app)


async def test_an_unknown_price_is_never_nothing() -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(160, 3)) as pilot:
        bar = app.query_one(StatusBar)
        bar.show(replace(VIEW, cost=None, price_unknown=True, session_cost=0.0, session_unknown=1))
        await pilot.pause()
        text = screen_text(app)
        assert "price ?" in text
        assert "session ?" in text
        assert "$" not in text
        assert "Price unknown" in str(app.query_one("#status-cost", Static).tooltip)
        bar.show(replace(VIEW, cost=0.5, session_cost=0.5, session_unknown=2, price_unknown=False))
        await pilot.pause()
        assert "$0.5000" in screen_text(app)
        assert "session $0.50 + ?" in screen_text(app)
        assert "2 calls of unknown price are not in it" in str(app.query_one("#status-session", Static).tooltip)


async def test_what_is_only_known_locally_comes_when_it_is_known_and_keeps_its_place() -> None:
    app = Stand(StatusBar)
    async with app.run_test(size=(200, 3)) as pilot:
        bar = app.query_one(StatusBar)
        bar.show(replace(VIEW, inter_token_p50_ms=23.7, inter_token_p95_ms=31.2, memory_bytes=412 << 20))
        await pilot.pause()
        text = screen_text(app)
        assert "p50 24 · p95 31 ms" in text
        assert "mem 432 MB" in text
        place = app.query_one("#status-cost").region
        bar.show(VIEW)
        await pilot.pause()
        assert "p50" not in screen_text(app)
        assert app.query_one("#status-cost").region == place


async def test_a_countdown_has_room_on_a_wide_screen_and_is_whole_in_the_tooltip() -> None:
    state = "overloaded, attempt 2 of 5 in 7 s"
    app = Stand(StatusBar)
    async with app.run_test(size=(200, 3)) as pilot:
        bar = app.query_one(StatusBar)
        bar.show(replace(VIEW, state=state))
        await pilot.pause()
        assert state in screen_text(app)
        await pilot.resize_terminal(80, 3)
        await pilot.pause()
        assert "overloaded, attempt 2 o…" in screen_text(app)
        assert state in str(app.query_one("#status-state", Static).tooltip)
        assert "42.1 tok/s" in screen_text(app)
