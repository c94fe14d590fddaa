"""The row of tabs: what it shows at which width, and how one chooses."""

from __future__ import annotations

import dataclasses

import pytest

from playground.domain.compare_rows import PaneState
from playground.widgets.pane_tabs import PaneTabs
from tests.widgets.compare_support import ROWS
from tests.widgets.support import Stand


def chosen(app: Stand) -> list[int]:
    return [message.number for message in app.posted(PaneTabs.Chosen)]


@pytest.mark.parametrize(
    ("width", "text"),
    [
        (120, " 1 SmolLM2-135M-Instruct-Q4_K_M ■ │ 2 claude-sonnet-5 ▸writing │ 3 gpt-oss-20b ✗ "),
        (60, " 1 SmolLM2-135M-… ■ │ 2 claude-sonnet… ▸ │ 3 gpt-oss-20b ✗ "),
        (24, " 1 ■ │ 2 ▸ │ 3 ✗ "),
    ],
)
async def test_names_are_shortened_until_all_tabs_fit(width: int, text: str) -> None:
    app = Stand(PaneTabs)
    async with app.run_test(size=(width, 2)) as pilot:
        tabs = app.query_one(PaneTabs)
        tabs.show(ROWS[:3], 2)
        await pilot.pause()
        assert app.row(tabs) == text.ljust(width)


async def test_the_chosen_tab_stands_out_and_follows() -> None:
    app = Stand(PaneTabs)
    async with app.run_test(size=(80, 2)) as pilot:
        tabs = app.query_one(PaneTabs)
        for active in (2, 1):
            tabs.show(ROWS, active)
            await pilot.pause()
            marked = [segment.text for segment in tabs.render_line(0) if segment.style and segment.style.reverse]
            assert [text.split()[0] for text in marked] == [str(active)]


async def test_a_click_chooses_and_arrows_step() -> None:
    app = Stand(PaneTabs)
    async with app.run_test(size=(80, 2), message_hook=app.note) as pilot:
        tabs = app.query_one(PaneTabs)
        tabs.show(ROWS, 1)
        await pilot.pause()
        await pilot.click(PaneTabs, offset=(app.row(tabs).index("3 gpt"), 0))
        assert chosen(app) == [3]
        tabs.focus()
        await pilot.press("left", "right")
        assert chosen(app) == [3, 2]


async def test_a_state_that_changes_shows_at_once_and_other_figures_paint_nothing() -> None:
    app = Stand(PaneTabs)
    async with app.run_test(size=(80, 2)) as pilot:
        tabs = app.query_one(PaneTabs)
        tabs.show(ROWS, 1)
        await pilot.pause()
        painted: list[object] = []
        tabs.refresh = lambda *args, **kwargs: painted.append(args) or tabs  # type: ignore[method-assign, func-returns-value]
        tabs.show([dataclasses.replace(row, ttft_ms=1.0, tokens_per_second=2.0) for row in ROWS], 1)
        assert not painted
        tabs.show([dataclasses.replace(row, state=PaneState.FAILED) for row in ROWS], 1)
        assert painted
        assert app.row(tabs).count("✗") == len(ROWS)


async def test_a_candidate_that_is_followed_stands_before_the_model() -> None:
    app = Stand(PaneTabs)
    async with app.run_test(size=(40, 2)) as pilot:
        tabs = app.query_one(PaneTabs)
        tabs.show([dataclasses.replace(row, follows=f"·w{row.number}") for row in ROWS[:3]], 2)
        await pilot.pause()
        row = app.row(tabs)
        assert [f"{number} ↳·w{number}" in row for number in (1, 2, 3)] == [True] * 3
