"""A list with titles that stay in sight and a cursor that walks over its rows: what lists of many rows have in common.

Only rows in sight are made, so ten thousand are as quick as ten.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.scroll_view import ScrollView


class RowList(ScrollView, can_focus=True):
    """The cursor and where it stands. A subclass draws the rows and binds keys to the actions."""

    ALLOW_SELECT = False
    DEFAULT_CSS = """
    RowList { overflow-x: hidden; scrollbar-size-vertical: 1; background: $surface; }
    """

    HEAD: ClassVar[int] = 1
    """Rows of titles."""
    PARTS: ClassVar[str] = ""
    """What the names of its component classes begin with."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.cursor = 0
        """The row that is acted on."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def tell(self) -> None:
        """Say which row the cursor is on."""

    def action_choose(self) -> None:
        """Tell that the row under the cursor was chosen; nothing happens where there is nothing to choose."""

    # -- walking -----------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Some rows on."""
        self.go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Some pages on."""
        self.go(self.cursor + by * max(1, self.size.height - self.HEAD - 1))

    def action_go_to(self, row: int) -> None:
        """To a row; -1 is the last one."""
        self.go(row if row >= 0 else self.count + row)

    def go(self, row: int) -> None:
        """To the row nearest to this one."""
        row = max(0, min(row, self.count - 1))
        if row == self.cursor or not self.count:
            return
        old, self.cursor = self.cursor, row
        self.reveal()
        for line in (old, row):
            self.refresh_line(line + self.HEAD)
        self.tell()

    def reveal(self) -> None:
        """Scroll so that the cursor is in sight."""
        top, height = self.scroll_offset.y, self.size.height - self.HEAD
        if height > 0 and not top <= self.cursor < top + height:
            self.scroll_to(y=self.cursor if self.cursor < top else self.cursor - height + 1, animate=False, force=True)

    def on_resize(self) -> None:
        """The cursor stays in sight."""
        self.reveal()

    def on_focus(self) -> None:
        """The cursor is drawn stronger while it can be moved."""
        self.refresh()

    def on_blur(self) -> None:
        """And weaker when it cannot."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """To the row under the mouse; a second click chooses it."""
        line = event.y - self.gutter.top - self.HEAD
        row = line + self.scroll_offset.y
        if line >= 0 and row < self.count:
            self.go(row)
            if event.chain > 1:
                self.action_choose()

    # -- drawing -----------------------------------------------------------------------------------------------

    def part(self, name: str) -> Style:
        """How a part is written; on what ground is for its row to say."""
        style = self.get_component_rich_style(f"{self.PARTS}--{name}")
        return Style(color=style.color, bold=style.bold)

    def under_cursor(self, base: Style) -> Style:
        """The ground of the row under the cursor."""
        if not self.has_focus:
            return base + Style(underline=True)
        return base + Style(bgcolor=self.get_component_rich_style(f"{self.PARTS}--cursor").bgcolor)
