"""Tokens one below the other: place, id, bytes. As quick for ten thousand as for ten."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from playground.domain.display import visible_piece
from playground.widgets.bars import fit

PLACE, ID = 6, 8


class Row(NamedTuple):
    """One token."""

    id: int
    piece: bytes
    special: bool
    broken: bool = False
    """It is no whole character; marked with "½"."""


class TokenList(ScrollView):
    """Shows what it is given; a click selects a row, whoever owns the list moves the cursor."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"token-list--{part}" for part in ("place", "text", "special", "cursor")}
    DEFAULT_CSS = """
    TokenList {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .token-list--place { color: $text-muted; }
        & > .token-list--text { color: $foreground; }
        & > .token-list--special { color: $token-special; text-style: italic; }
        & > .token-list--cursor { background: $foreground 15%; text-style: bold; }
    }
    """

    cursor: reactive[int] = reactive(0)
    """Row that is highlighted."""

    class Selected(Message):
        """A row was clicked."""

        def __init__(self, index: int) -> None:
            super().__init__()
            self.index = index

    def __init__(self, rows: Sequence[Row], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows = rows

    def on_mount(self) -> None:
        """Make room for all rows."""
        self.virtual_size = Size(PLACE + ID + 1, len(self._rows))

    def show(self, rows: Sequence[Row]) -> None:
        """Show other rows."""
        self._rows = rows
        self.virtual_size = Size(PLACE + ID + 1, len(rows))
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One token."""
        y += self.scroll_offset.y
        width = self.scrollable_content_region.width
        if y >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[y]
        place = self.get_component_rich_style("token-list--place")
        text = self.get_component_rich_style("token-list--special" if row.special or row.broken else "token-list--text")
        if y == self.cursor:
            under = self.get_component_rich_style("token-list--cursor")
            place, text = (style + Style(bgcolor=under.bgcolor, bold=under.bold) for style in (place, text))
        segments = [
            Segment(f"{y + 1:>{PLACE},}", place),
            Segment(f"{row.id:>{ID}} ", place),
            Segment(
                fit(f"{'½ ' if row.broken else ''}{visible_piece(row.piece)}", max(1, width - PLACE - ID - 1)), text
            ),
        ]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def watch_cursor(self, old: int, new: int) -> None:
        """Move the highlight and keep it in sight."""
        self.refresh_line(old)
        self.refresh_line(new)
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if not top <= new < top + height:
            self.scroll_to(y=new if new < top else new - height + 1, animate=False)

    def on_click(self, event: events.Click) -> None:
        """Select the row under the mouse."""
        index = event.y + self.scroll_offset.y
        if index < len(self._rows):
            self.post_message(self.Selected(index))
