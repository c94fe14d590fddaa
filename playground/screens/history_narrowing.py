"""The keys that narrow down what the history lists."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from textual.binding import BindingType
from textual.widgets import Input

from playground.screens.history_browser import HistoryBrowser, history_key


class HistoryNarrowing(HistoryBrowser):
    """Each filter has a key; what is in force stands over the list."""

    BINDINGS: ClassVar[list[BindingType]] = [
        history_key("m", "filter('model')", "Model", "Only the replies of one model", name="model"),
        history_key("p", "filter('preset')", "Preset", "Only those under one preset", name="preset"),
        history_key("t", "filter('date')", "Time", "Only those of some days", name="date"),
        history_key("c", "filter('cost')", "Cost", "Only those that cost something", name="cost"),
        history_key("o", "filter('origin')", "From", "Only those from the app, or from one command", name="origin"),
        history_key("f", "starred", "Starred", "Only those with a star, or all"),
        history_key("x", "deleted", "Deleted", "Those that were deleted, or back to those that were not"),
        history_key("a", "clear", "All", "Leave nothing out"),
    ]

    def action_filter(self, which: str) -> None:
        """Choose which ones are listed."""
        self.later(partial(self._ask_filter, which), "filter")

    async def _ask_filter(self, which: str) -> None:
        if await self.finding.ask(which):
            self.changed()

    def action_starred(self) -> None:
        """Only those with a star, or all."""
        self.finding.filters.toggle_starred()
        self.changed()

    def action_deleted(self) -> None:
        """Those that were deleted, or the others."""
        self.finding.filters.toggle_deleted()
        self.changed()

    def action_clear(self) -> None:
        """Leave nothing out."""
        self.finding.filters.clear()
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.changed()
