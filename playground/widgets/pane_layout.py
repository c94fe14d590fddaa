"""How several panes share the room there is: side by side, in two rows, or one at a time behind tabs."""

from __future__ import annotations

from typing import Final, NamedTuple

MOST_PANES: Final = 6
MIN_WIDTH: Final = 34
"""Cells of the narrowest column that is still pleasant to read."""
MIN_HEIGHT: Final = 9
"""Rows of the lowest pane, its border included, when panes stand in two rows."""


class PaneLayout(NamedTuple):
    """Columns and rows of panes; one of each with several panes means that they stand behind tabs."""

    columns: int
    rows: int

    def tabbed(self, count: int) -> bool:
        """True when only one of the panes has room."""
        return self.columns * self.rows < count


def arrange(count: int, width: int, height: int) -> PaneLayout:
    """The widest columns in which `count` panes fit into `width` x `height` cells, or 1 x 1 when they do not fit."""
    if count <= 1:
        return PaneLayout(1, 1)
    fitting = max(1, width // MIN_WIDTH)
    if fitting >= count and (width // count >= 2 * MIN_WIDTH or height < 2 * MIN_HEIGHT or count <= 3):
        return PaneLayout(count, 1)
    columns = (count + 1) // 2
    if height >= 2 * MIN_HEIGHT and columns <= fitting:
        return PaneLayout(columns, 2)
    return PaneLayout(count, 1) if fitting >= count else PaneLayout(1, 1)
