"""Going about in a text as several tokenizers split it, by key and mouse."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message

from playground.widgets.key_maker import KeyMaker
from playground.widgets.piece_canvas import PieceCanvas, Spot
from playground.widgets.piece_layout import Cell

_key = KeyMaker("pieces", show=False)


class PieceRows(PieceCanvas):
    """Cursor keys and mouse go from token to token."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("left", "move(-1)", "Token before", "The token before, of the same tokenizer", name="previous"),
        _key("right", "move(1)", "Token after", "The token after, of the same tokenizer", name="next"),
        _key("up", "move_row(-1)", "Row above", "What the tokenizer above has in this place", name="up"),
        _key("down", "move_row(1)", "Row below", "What the tokenizer below has in this place", name="down"),
        _key("pageup", "page(-1)", "Page up", "A page up", name="pageup"),
        _key("pagedown", "page(1)", "Page down", "A page down", name="pagedown"),
        _key("home,ctrl+home", "edge(-1)", "First token", "The first token", name="home"),
        _key("end,ctrl+end", "edge(1)", "Last token", "The last token", name="end"),
    ]

    class Pointed(Message):
        """Cursor or mouse are on a token; None: on none."""

        def __init__(self, spot: Spot | None) -> None:
            super().__init__()
            self.spot = spot

    def move_to(self, spot: Spot) -> None:
        """Put the cursor on a token and bring it into sight."""
        self.cursor = spot
        place = self._line_of(spot)
        if place is not None:
            top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
            first, last = place
            if not top <= first <= last < top + height:
                self.scroll_to(y=first if first < top else last - height + 1, animate=False, force=True)
        self.refresh()
        self.post_message(self.Pointed(spot))

    def _line_of(self, spot: Spot) -> tuple[int, int] | None:
        """First and last line of the band that a token is in."""
        offset = 0
        for laid in self.laid:
            size = len(laid.rows) + 1
            if spot.row in laid.rows and (found := laid.layout.find(laid.rows.index(spot.row), spot.token)):
                return offset + found[0] * size, offset + found[0] * size + size - 1
            offset += len(laid.layout.bands) * size
        return None

    def _spot_at(self, y: int, x: int, *, nearest: bool = False) -> Spot | None:
        """The token in a place of the window."""
        y += self.scroll_offset.y
        if not 0 <= y < len(self.lines):
            return None
        group, number, line = self.lines[y]
        laid, x = self.laid[group], x - self.label_width - 1
        if line < 0:
            return None
        cells = laid.layout.bands[number].lines[line]
        cell = next((cell for cell in cells if cell.x <= x < cell.x + cell.width), None)
        if cell is None and nearest:
            cell = laid.layout.near(number, line, x, 1)
        return None if cell is None else Spot(laid.rows[line], cell.token)

    def on_focus(self) -> None:
        """Begin at the first token in sight."""
        if self.cursor is not None:
            self.post_message(self.Pointed(self.cursor))
        else:
            self._begin_in_sight()

    def _begin_in_sight(self) -> None:
        lines = range(max(1, self.size.height))
        first = next((spot for y in lines if (spot := self._spot_at(y, 0, nearest=True))), None)
        if first is not None:
            self.move_to(first)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Follow the mouse from token to token."""
        self._point(self._spot_at(event.y, event.x))

    def on_leave(self) -> None:
        """The mouse is gone."""
        self._point(None)

    def _point(self, spot: Spot | None) -> None:
        if spot != self.hover:
            self.hover = spot
            self.refresh()
            self.post_message(self.Pointed(spot or self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the token under the mouse."""
        spot = self._spot_at(event.y, event.x)
        if spot is not None:
            self.move_to(spot)

    def action_move(self, step: int) -> None:
        """Another token of the same row."""
        if self.cursor is None:
            self._begin_in_sight()
        else:
            row, index = self.cursor
            self.move_to(Spot(row, max(0, min(index + step, len(self.rows[row].ids) - 1))))

    def action_move_row(self, step: int) -> None:
        """The row above or below, in the same place; from the last row of a band to the next band."""
        if self.cursor is None:
            self._begin_in_sight()
            return
        at = self._where(self.cursor)
        if at is None:
            return
        y, cell = at
        y += step
        while 0 <= y < len(self.lines):
            group, number, line = self.lines[y]
            if line >= 0:
                laid = self.laid[group]
                found = laid.layout.near(number, line, cell.x, step)
                if found is not None:
                    self.move_to(Spot(laid.rows[line], found.token))
                    return
            y += step

    def _where(self, spot: Spot) -> tuple[int, Cell] | None:
        """Line and place of a token."""
        place = self._line_of(spot)
        if place is None:
            return None
        group = self.lines[place[0]][0]
        laid = self.laid[group]
        line = laid.rows.index(spot.row)
        found = laid.layout.find(line, spot.token)
        return None if found is None else (place[0] + 1 + line, found[1])

    def action_page(self, step: int) -> None:
        """A page up or down, the cursor with it."""
        height = max(1, self.scrollable_content_region.height - 1)
        self.scroll_to(y=self.scroll_offset.y + step * height, animate=False, force=True)
        lines = range(self.size.height) if step < 0 else reversed(range(self.size.height))
        row = self.cursor.row if self.cursor is not None else None
        spots = (spot for y in lines if (spot := self._spot_at(y, 0, nearest=True)))
        found = next((spot for spot in spots if row is None or spot.row == row), None)
        if found is not None:
            self.move_to(found)

    def action_edge(self, step: int) -> None:
        """The first token of the row, or the last."""
        row = self.cursor.row if self.cursor is not None else 0
        if row < len(self.rows) and self.rows[row].ids:
            self.move_to(Spot(row, 0 if step < 0 else len(self.rows[row].ids) - 1))
