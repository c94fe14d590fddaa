"""Replies of the history, a line each, the newest first. More are asked for as one comes near the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from playground.domain.history import Entry
from playground.widgets.bars import fit
from playground.widgets.history_columns import COLUMNS, GAP, PLACE_OF_TEXT, Column, columns_for, said

_AHEAD: Final = 100
"""Rows below the last one in sight from which on more are asked for."""


def _key(keys: str, action: str, label: str, tooltip: str, *, id: str) -> Binding:
    return Binding(keys, action, label, show=False, id=f"history.{id}", tooltip=tooltip)


class HistoryList(ScrollView, can_focus=True):
    """Shows entries; a cursor walks over them. Only rows in sight are made, so ten thousand are as quick as ten."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("up,k", "move(-1)", "Up", "The row above; from the first one to the search", id="up"),
        _key("down,j", "move(1)", "Down", "The row below", id="down"),
        _key("pageup", "page(-1)", "Page up", "A page up", id="pageup"),
        _key("pagedown", "page(1)", "Page down", "A page down", id="pagedown"),
        _key("home", "go_to(0)", "First", "The newest", id="home"),
        _key("end", "go_to(-1)", "Last", "The oldest that is shown so far", id="end"),
        _key("enter", "choose", "Open", "Open it as it was, in the active pane", id="open"),
    ]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"history-list--{part}"
        for part in ("head", "text", "title", "reply", "figure", "model", "star", "failed", "cursor")
    }
    DEFAULT_CSS = """
    HistoryList {
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        background: $surface;
        & > .history-list--head { color: $text-muted; text-style: bold; }
        & > .history-list--text { color: $foreground; }
        & > .history-list--title { color: $accent; text-style: bold; }
        & > .history-list--reply { color: $foreground 55%; }
        & > .history-list--figure { color: $foreground 75%; }
        & > .history-list--model { color: $role-assistant; }
        & > .history-list--star { color: $warning; text-style: bold; }
        & > .history-list--failed { color: $error; }
        & > .history-list--cursor { background: $foreground 16%; }
    }
    """

    class Moved(Message):
        """The cursor is on another entry, or on none."""

        def __init__(self, entry: Entry | None) -> None:
            super().__init__()
            self.entry = entry

    class Chosen(Message):
        """An entry is to be opened."""

        def __init__(self, entry: Entry) -> None:
            super().__init__()
            self.entry = entry

    class MoreWanted(Message):
        """The end of what is known comes into sight."""

    class Left(Message):
        """The cursor went up from the first row."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.entries: list[Entry] = []
        self.cursor = 0
        self._more = False
        self._columns: tuple[Column, ...] = ()
        self._text_cells = 1
        self._nothing = ""

    @property
    def entry(self) -> Entry | None:
        """The one under the cursor."""
        return self.entries[self.cursor] if self.cursor < len(self.entries) else None

    def show(self, entries: Sequence[Entry], *, more: bool, nothing: str = "", at: int = 0) -> None:
        """Show other entries.

        Args:
            entries: The newest first.
            more: There are others behind them: `MoreWanted` asks for those.
            nothing: What stands here when there is none.
            at: The row that the cursor is on.
        """
        self.entries, self._more, self._nothing = list(entries), more, nothing
        self.cursor = max(0, min(at, len(self.entries) - 1))
        self._resize_content()
        self._reveal()
        self.refresh()
        self.post_message(self.Moved(self.entry))

    def append(self, entries: Sequence[Entry], *, more: bool) -> None:
        """Those behind the ones that are shown."""
        known = {entry.id for entry in self.entries}
        self.entries += [entry for entry in entries if entry.id not in known]
        self._more = more
        self._resize_content()
        self.refresh()

    def put(self, entry: Entry) -> None:
        """An entry has changed."""
        for row, known in enumerate(self.entries):
            if known.id == entry.id:
                self.entries[row] = entry
        self.refresh()

    def _resize_content(self) -> None:
        self._columns, self._text_cells = columns_for(self.scrollable_content_region.width)
        self.virtual_size = Size(1, len(self.entries) + 1)

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._resize_content()
        self.refresh()

    def watch_scroll_y(self, old: float, new: float) -> None:
        """Ask for more in time."""
        super().watch_scroll_y(old, new)
        self._look_ahead()

    def _look_ahead(self) -> None:
        if self._more and max(self.scroll_offset.y + self.size.height, self.cursor) + _AHEAD > len(self.entries):
            self._more = False  # until the answer is there
            self.post_message(self.MoreWanted())

    # -- drawing -----------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """The titles, which stay in sight, or one entry."""
        width, base = self.scrollable_content_region.width, self.rich_style
        if y == 0:
            return self._row(None, base).adjust_cell_length(width, base)
        row = y + self.scroll_offset.y - 1
        if row >= len(self.entries):
            lines = self._nothing.split("\n") if not self.entries else []
            text = f"  {lines[y - 2]}" if 0 <= y - 2 < len(lines) else ""
            return Strip([Segment(fit(text, width), base + self._part("figure"))])
        if row == self.cursor:
            base = self._under_cursor(base)
        return self._row(self.entries[row], base).adjust_cell_length(width, base)

    def _row(self, entry: Entry | None, base: Style) -> Strip:
        star = "★ " if entry is not None and entry.starred else "  "
        segments = [Segment(star, base + self._part("star"))]
        before = [column for column in self._columns if COLUMNS.index(column) < PLACE_OF_TEXT]
        for column in before:
            segments += self._cell(column, entry, base)
        segments += self._text(entry, base)
        for column in self._columns[len(before) :]:
            segments += self._cell(column, entry, base)
        return Strip(segments)

    def _cell(self, column: Column, entry: Entry | None, base: Style) -> list[Segment]:
        text = fit(column.text(entry) if entry is not None else column.title, column.cells)
        if column.right:
            text = text.rstrip().rjust(column.cells)
        look = "head" if entry is None else "model" if column.title == "model" else "figure"
        if column.title == "end" and entry is not None and entry.stop == "failed":
            look = "failed"
        gap = Segment(" " * GAP, base)
        cell = Segment(text, base + self._part(look))
        return [gap, cell] if self._columns.index(column) >= PLACE_OF_TEXT or column.right else [cell, gap]

    def _text(self, entry: Entry | None, base: Style) -> list[Segment]:
        cells = self._text_cells
        if entry is None:
            return [Segment(fit("prompt → reply", cells), base + self._part("head"))]
        segments: list[Segment] = []
        for text, look in zip(said(entry, cells), ("title", "text", "reply"), strict=True):
            shown = fit(text, min(cells, cell_len(text)))
            if shown:
                segments.append(Segment(shown, base + self._part(look)))
                cells -= cell_len(shown)
        return [*segments, Segment(" " * cells, base)]

    def _under_cursor(self, base: Style) -> Style:
        if not self.has_focus:
            return base + Style(underline=True)
        return base + Style(bgcolor=self.get_component_rich_style("history-list--cursor").bgcolor)

    def _part(self, name: str) -> Style:
        """How a part is written; on what ground is another matter."""
        style = self.get_component_rich_style(f"history-list--{name}")
        return Style(color=style.color, bold=style.bold)

    # -- walking -----------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Another row."""
        if self.cursor + by < 0:
            self.post_message(self.Left())
        else:
            self._go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """A page of rows."""
        self._go(self.cursor + by * max(1, self.size.height - 2))

    def action_go_to(self, row: int) -> None:
        """The first or the last row."""
        self._go(row % max(1, len(self.entries)))

    def action_choose(self) -> None:
        """Tell which one was chosen."""
        if self.entry is not None:
            self.post_message(self.Chosen(self.entry))

    def _go(self, row: int) -> None:
        row = max(0, min(row, len(self.entries) - 1))
        if row != self.cursor:
            self.cursor = row
            self._reveal()
            self.refresh()
            self.post_message(self.Moved(self.entry))
        self._look_ahead()

    def _reveal(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height - 1)
        if not top <= self.cursor < top + height:
            self.scroll_to(y=self.cursor if self.cursor < top else self.cursor - height + 1, animate=False)

    def on_focus(self) -> None:
        """The cursor is drawn stronger while it can be moved."""
        self.refresh()

    def on_blur(self) -> None:
        """And weaker when it cannot."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Go to the row under the mouse; a double click opens it."""
        row = event.y + self.scroll_offset.y - 1
        if event.y > 0 and row < len(self.entries):
            self._go(row)
            if event.chain > 1:
                self.action_choose()
