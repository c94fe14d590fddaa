"""Widgets that say what they are for and, where the model has no use for them, why."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.display import display_text
from playground.widgets.bars import fit


class Explained(Widget):
    """A widget that can be unavailable: it keeps its value, takes the focus, and answers with the reason alone."""

    reason = ""
    """Why it is not available; empty when it is."""
    help_text = ""
    RESTYLE: ClassVar[bool] = True
    """False for a class that draws itself dim: of many widgets at once, each new style takes a millisecond."""

    @property
    def remark(self) -> str:
        """What is to be said at the panel's foot while it has the focus."""
        return self.reason

    def explain(self, help_text: str) -> None:
        """Say what it is for."""
        if help_text != self.help_text:
            self.help_text = help_text
            self._refresh_tooltip()

    def set_unavailable(self, reason: str) -> None:
        """Let it take no change of its value, and say why; an empty reason makes it available again."""
        reason = display_text(reason)
        if reason != self.reason:
            self.reason = reason
            if self.RESTYLE:
                self.set_class(bool(reason), "-unavailable")
            self._refresh_tooltip()
            self.refresh()

    def explanation(self) -> str:
        """What it is for; the tooltip's first lines."""
        return self.help_text

    def _refresh_tooltip(self) -> None:
        lines = [self.explanation(), f"Not available: {self.reason}" if self.reason else ""]
        self.tooltip = Content("\n".join(filter(None, lines)))


class NoteRow(Explained, can_focus=True):
    """A short remark; who goes there, or points at it, gets the whole of it."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    NoteRow {
        height: 1;
        padding: 0 0 0 1;
        color: $text-warning;
        &:hover { background: $foreground 4%; }
        &:focus { background: $foreground 9%; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._texts: tuple[str, ...] = ("",)
        self._detail = ""

    @property
    def remark(self) -> str:
        """The whole of it."""
        return self._detail

    def show(self, texts: tuple[str, ...], detail: str) -> None:
        """Show the first of some texts, longest first, that there is room for; `detail` is the whole of it."""
        if (texts, detail) != (self._texts, self._detail):
            self._texts, self._detail = texts, detail
            self.explain(detail)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The only row."""
        width = self.size.width
        return Strip([Segment(fit(fitting(self._texts, width), width), self.rich_style)], width)


def fitting(texts: tuple[str, ...], width: int) -> str:
    """The first of some texts, longest first, that fits into so many cells; the last one if none does."""
    return next((text for text in texts if cell_len(text) <= width), texts[-1])
