"""The table of all panes: which columns at which width, what is best, what a change costs, keys and mouse."""

from __future__ import annotations

import dataclasses

import pytest
from rich.style import Style

from playground.domain.compare_rows import CompareRow, PaneState
from playground.widgets.compare_table import CompareTable
from tests.widgets.compare_support import ROWS
from tests.widgets.support import Stand, screen_text

TABLE_AT_80 = """\
#  model        preset        in   out    TTFT  tok/s      cost  end
1  SmolLM2-13…  precise    1,234   256   84 ms   41.3        $0  ■ end of text
2  claude-son…  creativ…  ≈1,310  ≈199  812 ms   ≈120  ≈$0.0123  ▸ writing
3  gpt-oss-20b  precise        –     –       –      –         –  ✗ failed
4  mistral-sm…  wild       1,290    12  12.3 s    9.0   $0.0004  ■ refused: v…
5  qwen         –              –     –       –      –         –  … sent
"""


def lines(app: Stand) -> list[str]:
    table = app.query_one(CompareTable)
    return [app.row(table, y).rstrip() for y in range(table.size.height)]


def style_of(app: Stand, y: int, text: str) -> Style:
    for segment in app.query_one(CompareTable).render_line(y):
        if segment.text.strip() == text and segment.style is not None:
            return segment.style
    raise AssertionError(f"{text!r} is not in {lines(app)[y]!r}")


async def test_at_80_columns_the_important_ones_are_whole() -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(80, 12)) as pilot:
        app.query_one(CompareTable).show(ROWS)
        await pilot.pause()
        assert lines(app) == TABLE_AT_80.splitlines()


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (200, ["#", "model", "preset", "in", "cached", "out", "TTFT", "tok/s", "cost", "ppl", "end"]),
        (60, ["#", "model", "TTFT", "tok/s", "cost", "end"]),
        (30, ["#", "model", "tok/s"]),
    ],
)
async def test_the_least_important_columns_go_first(width: int, titles: list[str]) -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(width, 12)) as pilot:
        app.query_one(CompareTable).show(ROWS)
        await pilot.pause()
        assert lines(app)[0].split() == titles
        assert max(map(len, lines(app))) <= width


async def test_it_is_as_high_as_it_has_rows_and_never_higher_than_seven() -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(80, 12)) as pilot:
        table = app.query_one(CompareTable)
        for rows, height in ((ROWS[:2], 3), (ROWS, 6), (ROWS * 2, 7), ([], 1)):
            table.show(rows)
            await pilot.pause()
            assert table.outer_size.height == height


async def test_the_best_figures_are_marked_and_only_where_there_is_a_choice() -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(80, 12)) as pilot:
        table = app.query_one(CompareTable)
        table.show(ROWS)
        await pilot.pause()
        assert style_of(app, 1, "84 ms").bold
        assert style_of(app, 1, "$0").bold
        assert style_of(app, 2, "≈120").bold
        assert not style_of(app, 4, "12.3 s").bold
        assert not style_of(app, 3, "–").bold
        table.show([dataclasses.replace(ROWS[0], number=number) for number in (1, 2)])
        await pilot.pause()
        assert not style_of(app, 1, "84 ms").bold


async def test_other_figures_lay_nothing_out_and_paint_their_own_row() -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(80, 12)) as pilot:
        table = app.query_one(CompareTable)
        table.show(ROWS)
        await pilot.pause()
        before = lines(app)
        laid_out: list[bool] = []
        painted: list[int] = []
        refresh = table.refresh

        def watched(*regions: object, layout: bool = False, **rest: object) -> CompareTable:
            laid_out.append(layout)
            painted.extend(region.y for region in regions)  # type: ignore[attr-defined]
            return refresh(*regions, layout=layout, **rest)  # type: ignore[arg-type]

        table.refresh = watched  # type: ignore[method-assign]
        table.show(ROWS)
        assert not painted
        faster = dataclasses.replace(ROWS[1], tokens_per_second=99.0, completion_tokens=200)
        table.show([ROWS[0], faster, *ROWS[2:]])
        assert painted == [2]
        assert not any(laid_out)
        await pilot.pause()
        assert [y for y, line in enumerate(lines(app)) if line != before[y]] == [2]


async def test_columns_do_not_move_back_when_a_figure_shrinks() -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(80, 12)) as pilot:
        table = app.query_one(CompareTable)
        row = dataclasses.replace(ROWS[0], tokens_per_second=12_345.6)
        table.show([row])
        await pilot.pause()
        wide = lines(app)[0]
        table.show([dataclasses.replace(row, tokens_per_second=1.0)])
        assert lines(app)[0] == wide


async def test_keys_ask_for_copies_and_choose_a_pane() -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(80, 12), message_hook=app.note) as pilot:
        table = app.query_one(CompareTable)
        table.show(ROWS)
        table.focus()
        await pilot.press("c", "v", "down", "down", "up", "enter")
        assert [message.format for message in app.posted(CompareTable.CopyRequested)] == ["markdown", "csv"]
        assert [message.number for message in app.posted(CompareTable.RowChosen)] == [2]
        await pilot.press(*["down"] * 9, "enter")
        assert app.posted(CompareTable.RowChosen)[-1].number == 5


async def test_a_click_on_a_row_chooses_its_pane_and_one_on_the_titles_none() -> None:
    app = Stand(CompareTable)
    async with app.run_test(size=(80, 12), message_hook=app.note) as pilot:
        app.query_one(CompareTable).show(ROWS)
        await pilot.pause()
        await pilot.click(CompareTable, offset=(20, 0))
        await pilot.click(CompareTable, offset=(20, 3))
        assert [message.number for message in app.posted(CompareTable.RowChosen)] == [3]


async def test_names_from_elsewhere_are_harmless() -> None:
    row = CompareRow(number=1, model="\x1b]0;x\x07[/red]", preset="a\nb", state=PaneState.DONE, ending="[bold]\x1b[2J")
    app = Stand(CompareTable)
    async with app.run_test(size=(120, 6)) as pilot:
        app.query_one(CompareTable).show([row])
        await pilot.pause()
        text = screen_text(app)
        assert "\x1b" not in text
        assert "[/red]" in text
        assert "a b" in text
