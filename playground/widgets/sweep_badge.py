"""A sweep that goes on behind the panes, in one row."""

from __future__ import annotations

from collections.abc import Callable

from textual.widgets import Static


class SweepBadge(Static):
    """How far it is; a click leads to it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    SweepBadge {
        height: 1; width: 100%; padding: 0 1; background: $panel; color: $foreground 85%;
        text-wrap: nowrap; text-overflow: ellipsis; pointer: pointer;
    }
    """

    def __init__(self, wanted: Callable[[], None]) -> None:
        """A row; `wanted` is called when the person wants to see the sweep."""
        super().__init__("", markup=False, id="sweep-badge")
        self._wanted = wanted

    def on_click(self) -> None:
        """Ask for it."""
        self._wanted()
