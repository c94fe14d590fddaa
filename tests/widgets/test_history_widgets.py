"""What stands in the list of the history at every width, and in the plot of costs."""

from __future__ import annotations

import time

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from playground.domain.history import Entry
from playground.widgets.cost_plot import Cost, CostPlot
from playground.widgets.history_columns import MIN_TEXT, columns_for, said, when
from playground.widgets.history_list import HistoryList
from tests.widgets.support import COLOURS


def entry(**values: object) -> Entry:
    """An entry of the list."""
    first: dict[str, object] = {
        **{"id": 1, "tree": "a", "turn": 2, "began_at": time.time(), "model": "Toy", "preset": "balanced"},
        **{"prompt": "Why?", "reply": "So.", "tokens": 3, "cost": 0.0, "stop": "stop", "ttft_ms": 80.0},
        **{"tokens_per_second": 50.0, "title": "", "starred": False, "deleted": False},
    }
    return Entry(**(first | values))  # type: ignore[arg-type]


class Shown(App[None]):
    """One widget by itself."""

    def __init__(self, widget: HistoryList | CostPlot) -> None:
        super().__init__()
        self.widget = widget

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return {**COLOURS, "role-assistant": "#808080"}

    def compose(self) -> ComposeResult:
        yield self.widget


@pytest.mark.parametrize("width", range(20, 200, 7))
def test_columns_fill_the_width_and_leave_room_for_the_prompt(width: int) -> None:
    columns, rest = columns_for(width)
    assert sum(column.cells + 2 for column in columns) + rest + 2 <= max(width, 3)
    assert rest >= MIN_TEXT or not columns


def test_the_prompt_has_ample_room_before_columns_that_matter_less() -> None:
    for width in range(20, 200):
        columns, rest = columns_for(width)
        if {"cost", "end", "preset", "from", "tok/s"} & {column.title for column in columns}:
            assert rest >= 44
    (times, *_), rest = columns_for(80, today=True)
    assert (times.cells, rest) == (5, columns_for(80)[1] + 7)


@pytest.mark.parametrize("width", [40, 73, 110, 190])
async def test_every_row_is_as_wide_as_the_list_whatever_stands_in_it(width: int) -> None:
    rows = HistoryList()
    wide = entry(prompt="日本語の" * 40, title="a\tb", model="模型" * 20, stop="failed", starred=True)
    async with Shown(rows).run_test(size=(width, 10)) as pilot:
        rows.show([wide, entry(id=2, reply="")], more=False)
        await pilot.pause()
        for line in range(4):
            assert cell_len(rows.render_line(line).text) == width
        assert "★" in rows.render_line(1).text


def test_times_are_as_short_as_they_can_be() -> None:
    now = time.localtime()
    assert when(entry(began_at=time.time())) == time.strftime("%H:%M", now)
    assert when(entry(began_at=0.0)).startswith(("1970", "1969"))


def test_a_reply_is_left_out_only_where_nothing_of_it_could_be_read() -> None:
    assert said(entry(title="Name"), 40) == ("Name · ", "Why?", " → So.")
    assert said(entry(prompt="x" * 40), 16)[2] == ""


@pytest.mark.parametrize("width", [30, 60, 140])
async def test_bars_of_costs_are_in_proportion_and_fit(width: int) -> None:
    plot = CostPlot()
    days = [Cost("2026-01-02", 4.0, 2, 20, 1), Cost("2026-01-01", 1.0, 1, 10, 0)]
    async with Shown(plot).run_test(size=(width, 20)) as pilot:
        plot.show(days, days)
        await pilot.pause()
        lines = [strip.text for strip in pilot.app.screen._compositor.render_strips()]
        big, small = (next(line for line in lines if name in line and "█" in line) for name in ("2026-01-02", "-01-01"))
        assert big.count("█") == pytest.approx(4 * small.count("█"), abs=4)
        assert "$4.00" in big
        assert "$1.00" in small
        plot.show([], [])
        await pilot.pause()
        assert "Nothing was said yet." in pilot.app.screen._compositor.render_strips()[0].text


async def test_where_nothing_cost_money_the_bars_are_tokens() -> None:
    plot = CostPlot()
    async with Shown(plot).run_test(size=(80, 20)) as pilot:
        plot.show([Cost("today", 0.0, 2, 1234, 0)], [Cost("Toy", 0.0, 2, 1234, 0)])
        await pilot.pause()
        text = "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())
        assert "1,234 tokens in all, at no cost" in text
        assert "█" in text


def test_a_line_that_stands_for_a_sweep_says_of_how_many_replies() -> None:
    assert said(entry(title="sweep abc", more=1233), 60)[0] == "sweep abc ×1,234 · "
    assert said(entry(more=2, batch="abc"), 60)[0] == "abc ×3 · "
    assert said(entry(more=50, cut_short=3, batch="abc"), 60)[0] == "abc ×48 +3 cut short · "


@pytest.mark.parametrize("cells", range(24, 70))
def test_replies_to_one_prompt_are_told_apart_however_long_it_is(cells: int) -> None:
    for prompt in ("Why is the sky blue?", "Why is the sky blue, and the sea, and all that lies between them?", "Hi"):
        lead, shown, reply = said(entry(prompt=prompt, reply="Because the air scatters it."), cells)
        assert lead == ""
        assert cell_len(shown) + len(" → Because") - 1 <= cells
        assert reply.startswith(" → Because")
    assert said(entry(prompt="Why is the sky blue, all the day long?", reply="So."), 60)[1].endswith("day long?")


def test_a_reply_of_a_sweep_says_first_what_tells_it_from_the_others() -> None:
    one = {"batch": "abc", "label": "temperature 1.2 · sample 3"}
    assert said(entry(title="sweep abc", **one), 60) == ("temperature 1.2 · sample 3 · ", "Why?", " → So.")
    assert said(entry(title="Mine", **one), 60)[0] == "Mine · temperature 1.2 · sample 3 · "
