"""How panes share a terminal."""

from __future__ import annotations

import pytest

from playground.widgets.pane_layout import MIN_HEIGHT, MIN_WIDTH, MOST_PANES, PaneLayout, arrange

SIZES = [(width, height) for width in range(1, 260, 3) for height in range(1, 80, 3)]


@pytest.mark.parametrize("count", range(1, MOST_PANES + 1))
def test_no_pane_is_ever_too_small_to_read(count: int) -> None:
    for width, height in SIZES:
        layout = arrange(count, width, height)
        if count == 1 or layout.tabbed(count):
            assert layout == PaneLayout(1, 1)
            continue
        assert layout.columns * layout.rows >= count
        assert layout.columns * (layout.rows - 1) < count, "no empty row"
        assert width // layout.columns >= MIN_WIDTH or layout.columns == 1
        if layout.rows > 1:
            assert height // layout.rows >= MIN_HEIGHT


@pytest.mark.parametrize("count", range(2, MOST_PANES + 1))
def test_more_room_never_shows_fewer_panes(count: int) -> None:
    for width, height in SIZES:
        if not arrange(count, width, height).tabbed(count):
            for wider, higher in ((width + 3, height), (width, height + 3), (width + 40, height + 20)):
                assert not arrange(count, wider, higher).tabbed(count)


@pytest.mark.parametrize(
    ("count", "width", "height", "layout"),
    [
        (1, 20, 5, (1, 1)),
        (2, 100, 30, (2, 1)),
        (3, 110, 12, (3, 1)),
        (4, 80, 30, (2, 2)),
        (4, 200, 12, (4, 1)),
        (6, 120, 40, (3, 2)),
        (6, 80, 16, (1, 1)),
    ],
)
def test_usual_terminals(count: int, width: int, height: int, layout: tuple[int, int]) -> None:
    assert arrange(count, width, height) == layout
