"""Replies of the history, a line each, the newest first. More are asked for as one comes near the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from playground.domain.history import Entry
from playground.widgets.bars import fit
from playground.widgets.history_columns import BEFORE_TEXT, GAP, TODAY, Column, columns_for, said, when
from playground.widgets.key_maker import KeyMaker
from playground.widgets.row_list import RowList

_AHEAD: Final = 100
"""Rows below the last one in sight from which on more are asked for."""
_key = KeyMaker("history", show=False)


class HistoryList(RowList):
    """Shows entries; a cursor walks over them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("up,k", "move(-1)", "Up", "The row above; from the first one to the search", name="up"),
        _key("down,j", "move(1)", "Down", "The row below", name="down"),
        _key("pageup", "page(-1)", "Page up", "A page up", name="pageup"),
        _key("pagedown", "page(1)", "Page down", "A page down", name="pagedown"),
        _key("home", "go_to(0)", "First", "The newest", name="home"),
        _key("end", "go_to(-1)", "Last", "The oldest that is shown so far", name="end"),
        _key("enter", "choose", "Open", "Open it as it was, in the active pane", name="open"),
    ]
    PARTS = "history-list"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"history-list--{part}"
        for part in ("head", "text", "title", "reply", "figure", "model", "star", "failed", "cursor")
    }
    DEFAULT_CSS = """
    HistoryList {
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
        self._more = False
        self._columns: tuple[Column, ...] = ()
        self._text_cells = 1
        self._nothing = ""

    @property
    def count(self) -> int:
        """How many entries are there so far."""
        return len(self.entries)

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
        self.reveal()
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
        ends = self.entries[:1] + self.entries[-1:]
        today = bool(ends) and all(cell_len(when(entry)) <= TODAY for entry in ends)
        self._columns, self._text_cells = columns_for(self.scrollable_content_region.width, today=today)
        self.virtual_size = Size(1, len(self.entries) + 1)

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._resize_content()
        super().on_resize()
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
            return Strip([Segment(fit(text, width), base + self.part("figure"))])
        if row == self.cursor:
            base = self.under_cursor(base)
        return self._row(self.entries[row], base).adjust_cell_length(width, base)

    def _row(self, entry: Entry | None, base: Style) -> Strip:
        star = "★ " if entry is not None and entry.starred else "  "
        segments = [Segment(star, base + self.part("star"))]
        before = [column for column in self._columns if column.title in BEFORE_TEXT]
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
        cell = Segment(text, base + self.part(look))
        return [cell, gap] if column.title in BEFORE_TEXT else [gap, cell]

    def _text(self, entry: Entry | None, base: Style) -> list[Segment]:
        cells = self._text_cells
        if entry is None:
            return [Segment(fit("prompt → reply", cells), base + self.part("head"))]
        segments: list[Segment] = []
        for text, look in zip(said(entry, cells), ("title", "text", "reply"), strict=True):
            shown = fit(text, min(cells, cell_len(text)))
            if shown:
                segments.append(Segment(shown, base + self.part(look)))
                cells -= cell_len(shown)
        return [*segments, Segment(" " * cells, base)]

    # -- walking -----------------------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Another row; above the first one is the search."""
        if self.cursor + by < 0:
            self.post_message(self.Left())
        else:
            super().action_move(by)

    def action_choose(self) -> None:
        """Tell which one was chosen."""
        if self.entry is not None:
            self.post_message(self.Chosen(self.entry))

    def tell(self) -> None:
        """Say which entry the cursor is on."""
        self.post_message(self.Moved(self.entry))
        self._look_ahead()
