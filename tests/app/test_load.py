"""What a load costs and how long it takes: from the last reply's figures, under sliders, by model."""

from __future__ import annotations

import csv
import re
from itertools import product
from pathlib import Path

import pytest
from textual.widgets import Input, Static

from playground.domain.endpoints import Endpoint
from playground.domain.load_table import as_csv, as_markdown, money, seconds
from playground.domain.prices import Price
from playground.domain.usage import Timings
from playground.screens.load_screen import LoadScreen
from playground.screens.load_start import load_of
from playground.screens.load_words import plot, words
from playground.services.estimates import estimate
from playground.services.paths import user_data_dir
from playground.services.priced_models import is_resold
from playground.services.prices import PriceTable
from playground.widgets.load_break_even import BreakEven
from playground.widgets.load_sliders import LOAD_SPECS, LoadSlider, LoadSliders
from playground.widgets.load_table import LoadTable
from tests.app.support import FakeBackend, Player, make_app, open_experiment, playing, settings

MINE = """
[endpoints.box]
base_url = "https://box.example.org/v1"
models = ["qwen", "nobody-knows"]
[prices."box/qwen"]
input_per_mtok = 1.0
output_per_mtok = 2.0
[prices."anthropic/mine"]
input_per_mtok = 10.0
output_per_mtok = 50.0
cache_read_per_mtok = 1.0
[prices."anthropic/free-to-ask"]
input_per_mtok = 0.0
output_per_mtok = 5.0
"""
NO_NUMBER = re.compile(r"\b(nan|inf)\b|\de[+-]\d", re.IGNORECASE)
"""What no figure may look like."""


async def open_load(player: Player) -> LoadScreen:
    """Choose it from the list of experiments, and wait for the prices."""
    screen = await open_experiment(player, "Load and cost", LoadScreen)
    await player.until(lambda: "prices: genai-prices" in player.text, "the prices are read")
    return screen


def row_of(player: Player, model: str) -> str:
    return next(line for line in player.text.splitlines() if f"  {model} " in line or f"● {model} " in line)


def said(screen: LoadScreen) -> str:
    """What stands below the table, not wrapped."""
    return str(screen.query_one("#load-said > Static", Static).render())


async def narrow(player: Player, text: str) -> None:
    """Type a part of a name."""
    await player.press(*("slash" if char == "/" else char for char in text))
    field = player.app.screen.query_one(Input)
    await player.until(lambda: field.value == text, "typed")


async def test_it_begins_with_what_the_last_reply_really_was(starter_gguf: Path) -> None:
    del starter_gguf
    async with playing(make_app("max_tokens=12")) as player:
        await player.ready()
        await player.ask("Tell me about rivers.")
        turn = (
            player.pane.session.active or player.pane.session.transcript.turns[player.pane.session.transcript.head or 0]
        )
        assert turn.finished is not None
        usage, timings = turn.finished.usage, turn.finished.timings
        # Other replies of the model, such as those of a sweep with many streams, are not the last one's.
        for _ in range(5):
            card = player.pane.card
            player.app.screen.accounts.latency.add(card.id, Timings(ttft_ms=9_000.0, tokens_per_second=1.5))  # type: ignore[attr-defined, union-attr]
        screen = await open_load(player)
        load = screen.load
        assert (load.prompt_tokens, load.completion_tokens) == (usage.prompt_tokens, usage.completion_tokens)
        assert load.ttft_ms == pytest.approx(timings.ttft_ms, abs=0.5)
        assert load.tokens_per_second == pytest.approx(timings.tokens_per_second)
        assert f"{usage.prompt_tokens:,} tokens in" in player.text
        assert "As measured in the last reply here" in player.text
        table = screen.query_one(LoadTable)
        assert table.row is not None
        assert table.row.model == player.pane.card.id  # type: ignore[union-attr]
        assert "It runs on this machine: it costs no money, only time." in said(screen)
        assert "● " in player.text


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_prices_come_to_what_one_reckons_by_hand_and_follow_the_sliders(size: tuple[int, int]) -> None:
    settings(MINE)
    async with playing(make_app(), size) as player:
        screen = await open_load(player)
        assert "Nothing is measured yet" in player.text
        await narrow(player, "mine")
        # 1,000 requests of 2,000 in and 300 out: $0.035 each
        assert "≈$35.00" in row_of(player, "anthropic/mine")
        assert "≈$1,050" in row_of(player, "anthropic/mine")
        assert "Kept 5 minutes: pays from the 2nd request on; yours, evenly spread, come every 86.4 s: it pays" in said(
            screen
        )
        assert "Kept 1 hour: pays from the 3rd request on" in said(screen)
        screen.query_one("#load-cached", LoadSlider).focus()
        await player.press("5", "0", "enter")
        await player.until(lambda: screen.load.cached_share == 0.5, "half of it cached")
        # 1,000 tokens for $0.01, 1,000 from the cache for $0.001, 300 for $0.015
        row = row_of(player, "anthropic/mine")
        assert "≈$26.00" in row
        assert "≈$780.00" in row
        assert "≈$1,050" in row
        await player.press("r")
        await player.until(lambda: screen.load.cached_share == 0.0, "as it was")


@pytest.mark.usefixtures("no_model")
async def test_waiting_and_writing_are_drawn_as_two_parts() -> None:
    settings(MINE)
    async with playing(make_app()) as player:
        screen = await open_load(player)
        await narrow(player, "qwen")
        table = screen.query_one(LoadTable)

        def lengths() -> tuple[int, int]:
            looks = [table.part(name).color for name in ("waiting", "writing")]
            strip = table.render_line(1)
            found = [
                sum(
                    len(one.text)
                    for one in strip
                    if one.text.strip("█") == "" and one.style and one.style.color == look
                )
                for look in looks
            ]
            return found[0], found[1]

        screen.query_one("#load-ttft", LoadSlider).focus()
        await player.press(*"3000", "enter")
        await player.until(lambda: screen.load.ttft_ms == 3000, "a longer wait")
        waiting, writing = lengths()
        assert 0 < waiting < writing
        assert "≈3.0 s waiting, then ≈6.0 s (67%) writing" in said(screen)
        screen.query_one("#load-speed", LoadSlider).focus()
        await player.press(*"9000", "enter")
        await player.until(lambda: screen.load.tokens_per_second == 9000, "much faster")
        waiting, writing = lengths()
        assert waiting > 5 * max(1, writing)


@pytest.mark.usefixtures("no_model")
async def test_models_are_found_sorted_and_told_apart_from_unknown_ones() -> None:
    settings(MINE)
    async with playing(make_app()) as player:
        screen = await open_load(player)
        table, field = screen.query_one(LoadTable), screen.query_one(Input)
        assert not any(row.model.startswith("openrouter/") for row in table.rows)
        await narrow(player, "gpt-4o-mini")
        assert any(row.model.startswith("openrouter/") for row in table.rows)
        await player.press("escape")
        await player.until(lambda: not field.value, "all again")
        await narrow(player, "box/")
        assert [row.model for row in table.rows] == ["box/qwen", "box/nobody-knows"]
        assert row_of(player, "box/nobody-knows").count("–") >= 4
        await player.press("down", "down")
        await player.until(lambda: "Nobody told its price" in said(screen), "what can be done")
        await player.press("f3", "f3", "f3")
        await player.until(lambda: table.rows[0].model == "box/nobody-knows", "by name")
        await player.pilot.click(LoadTable, offset=(table.size.width // 2, 0))
        await player.until(lambda: table.rows[0].model == "box/qwen", "by a click on a title")
        assert table.row is not None
        assert table.row.model == "box/nobody-knows"  # the cursor stayed with its model
        await player.press("escape", "escape")
        await player.until(lambda: player.app.screen is player.screen, "back")


@pytest.mark.usefixtures("no_model")
async def test_models_one_can_ask_stand_first_and_those_too_small_for_a_request_come_when_typed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings(MINE)
    monkeypatch.setenv("DEEPSEEK_API_KEY", "no-real-key")
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Go on.")
        await player.until(player.screen.accounts.latency.summaries, "in the books")
        screen = await open_load(player)
        table = screen.query_one(LoadTable)
        assert player.pane.card is not None
        names = [row.model for row in table.rows]
        assert names[0] == player.pane.card.id
        mine = [name for name in names if name.startswith(("deepseek/", "box/")) or "/mine" in name or "/free-" in name]
        assert names[1 : len(mine) + 1] == mine
        assert len(mine) > 5
        assert "by cost, yours first" in player.text
        screen.query_one("#load-prompt", LoadSlider).focus()
        assert "openai/computer-use" in names
        await player.press(*"20000", "enter")
        await player.until(lambda: all(row.model != "openai/computer-use" for row in table.rows), "too small for that")
        table.focus()
        await player.press("f3", "f3", "f3")
        await player.until(lambda: "by model" in player.text, "another order")
        assert {row.model for row in table.rows[: len(mine) + 1]} == set(names[: len(mine) + 1])
        await narrow(player, "openai/computer-use")
        assert [row.model for row in table.rows if not is_resold(row.model)] == ["openai/computer-use"]
        await player.press("down")
        await player.until(lambda: "Its context window has 8,192 tokens" in said(screen), "said why")
        screen.query_one("#load-prompt", LoadSlider).focus()
        await player.press(*"100", "enter")
        screen.query_one("#load-reply", LoadSlider).focus()
        await player.press(*"100", "enter")
        await player.until(lambda: "Its context window" not in said(screen), "it fits")


@pytest.mark.usefixtures("no_model")
async def test_keys_and_mouse_walk_over_the_models() -> None:
    settings(MINE)
    async with playing(make_app()) as player:
        screen = await open_load(player)
        table = screen.query_one(LoadTable)
        await player.press("end")
        await player.until(lambda: table.scroll_offset.y > 0, "the end is in sight")
        assert table.row is table.rows[-1]
        assert table.row.model in said(screen)
        await player.press("home", "down", "pagedown", "up", "up")
        place = table.cursor
        assert 2 < place < table.size.height
        top = table.scroll_offset.y
        await player.pilot.click(LoadTable, offset=(10, 3))
        assert table.cursor == top + 2
        assert table.row.model in said(screen)


@pytest.mark.usefixtures("no_model")
async def test_a_value_that_cannot_be_is_refused_with_the_range() -> None:
    async with playing(make_app()) as player:
        screen = await open_load(player)
        screen.query_one(LoadSliders).query(LoadSlider).first().focus()
        await player.press(*"99999999", "enter")
        await player.until(lambda: "goes from 1 to" in player.notices, "refused")
        assert screen.load.requests_per_day == 1000


@pytest.mark.usefixtures("no_model")
async def test_the_table_can_be_copied_and_kept() -> None:
    settings(MINE)
    async with playing(make_app()) as player:
        await open_load(player)
        await narrow(player, "qwen")
        await player.press("f6")
        await player.until(lambda: player.app.clipboard, "copied")
        assert "| box/qwen | ≈$0.0026 | ≈$2.60 |" in player.app.clipboard
        await player.press("f7")
        folder = user_data_dir() / "tables"
        await player.until(lambda: "The table is kept as" in player.notices, "kept")
        (sheet,) = folder.glob("*.csv")
        rows = list(csv.DictReader(sheet.read_text(encoding="utf-8").splitlines()))
        mine = next(row for row in rows if row["model"] == "box/qwen")
        assert float(mine["day"]) == pytest.approx(2.6)
        assert len(list(folder.glob("*.md"))) == 1


async def test_other_models_of_the_session_keep_their_own_speed(no_model: None) -> None:
    del no_model
    settings(MINE)
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Go on.")
        await player.until(player.screen.accounts.latency.summaries, "in the books")
        screen = await open_load(player)
        load, own = screen.load, screen.query_one(LoadTable).row
        assert (load.ttft_ms, load.tokens_per_second) == (80, 50.0)
        assert own is not None
        assert own.waiting_s == pytest.approx(0.08)


@pytest.mark.usefixtures("no_model")
async def test_break_even_is_plotted_where_there_is_something_to_compare() -> None:
    settings(MINE)
    async with playing(make_app()) as player:
        screen = await open_load(player)
        assert screen.query_one(BreakEven).has_class("-plain")  # nothing to compare for the first one
        table = screen.query_one(LoadTable)
        table.go([row.model for row in table.rows].index("anthropic/mine"))
        await player.until(lambda: "■ 1 hour" in player.text, "the curves come with the row")
        await narrow(player, "mine")
        await player.until(lambda: "● no cache" in player.text and "■ 1 hour" in player.text, "the curves")
        assert "requests → price in prompts" in player.text
        await player.press("escape")
        await narrow(player, "box/qwen")
        await player.until(lambda: screen.query_one(BreakEven).has_class("-plain"), "no plot")
        assert "caching saves time alone" in said(screen)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("model", ["anthropic/mine", "anthropic/free-to-ask", "box/nobody-knows"])
async def test_every_slider_goes_to_both_ends_and_what_is_said_stays_sound(model: str) -> None:
    settings(MINE)
    async with playing(make_app(), (160, 50)) as player:
        screen = await open_load(player)
        await narrow(player, model)
        for wanted in ({}, {"cached": "1"}):  # one percent of a prompt of one token is none
            for name, typed in wanted.items():
                screen.query_one(f"#load-{name}", LoadSlider).focus()
                await player.press(*typed, "enter")
            for slider in screen.query(LoadSlider):
                slider.focus()
                for key, end in (("home", slider.spec.low), ("end", slider.spec.high), ("r", None)):
                    await player.press(key)
                    await player.until(lambda: end is None or slider.value == end, f"{slider.name} at {end}")  # noqa: B023
                    await player.until(lambda: screen.load == load_of(screen.query_one(LoadSliders).values()), "done")
                    assert not NO_NUMBER.search(player.text)
                    assert model in said(screen)


@pytest.mark.parametrize("rates", [(0.0, 0.0, 0.0), (0.0, 5.0, 0.0), (3.0, 15.0, None), (150.0, 600.0, 15.0)])
@pytest.mark.parametrize("api", ["openai", "anthropic"])
def test_all_sliders_at_their_ends_together_give_figures_that_can_be_read(
    api: str, rates: tuple[float, float, float | None]
) -> None:
    endpoints = {"x": Endpoint(name="x", api=api, base_url="https://example.org/v1")}  # type: ignore[arg-type]
    prices = PriceTable({"x/m": Price(input_per_mtok=rates[0], output_per_mtok=rates[1], cache_read_per_mtok=rates[2])})
    ends = [(spec.low, spec.high, *([1] if spec.name == "cached" else [])) for spec in LOAD_SPECS.values()]
    for values in product(*ends):
        load = load_of(dict(zip(LOAD_SPECS, values, strict=True)))
        (row,) = estimate(load, ["x/m"], endpoints, prices)
        draw = plot(row)
        drawn = "" if draw is None else "".join(text for line in draw(60, 12) for text, _ in line)
        text = f"{words(row, load, hosted=True)}{drawn}{as_markdown([row], load)}"
        assert not NO_NUMBER.search(text), text
        assert not re.search(r"\b(nan|inf)\b", as_csv([row], load))
        assert max(len(money(usd)) for usd in (row.request, row.day, row.month)) <= 10
        assert len(seconds(row.response_s)) <= 7
