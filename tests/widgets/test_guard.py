"""Whatever a widget is given, no control character reaches the terminal."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.segment import ControlType, Segment
from textual.app import App, ComposeResult
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.geometry import Region
from textual.widgets import Static

from playground.widgets.guard import GUARD, REPLACEMENT

BLACK = Color(0, 0, 0)


@pytest.mark.parametrize("bad", ["\x1b", "\x07", "\x9b", "\x7f", "\u202e", "\u2066", "\u2028", "\ud83d"])
def test_it_replaces_what_could_steer_the_terminal(bad: str) -> None:
    assert GUARD.apply([Segment(f"a{bad}b")], BLACK) == [Segment(f"a{REPLACEMENT}b")]


def test_it_leaves_everything_else_alone() -> None:
    control = Segment("\x1b[H", None, [(ControlType.HOME,)])
    segments = [Segment("plain 漢字 é ↵"), control]
    assert GUARD.apply(segments, BLACK) == segments


async def test_a_stock_widget_is_covered() -> None:
    class Host(App[None]):
        def get_line_filters(self) -> Sequence[LineFilter]:
            return [*super().get_line_filters(), GUARD]

        def compose(self) -> ComposeResult:
            yield Static(Content("\x1b]52;c;AAAA\x07"))

    app = Host()
    async with app.run_test(size=(30, 3)):
        strips = app.query_one(Static).render_lines(Region(0, 0, 30, 1))
        assert "\x1b" not in strips[0].text
