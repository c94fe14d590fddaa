"""A transcript in which every token keeps its own colour and can be reached by key and mouse.

Appending costs the same however long the transcript is; see `token_layout`, `token_canvas` and `token_scroll` for how.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import ClassVar

from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.message import Message
from textual.selection import Selection

from playground.widgets.key_maker import KeyMaker
from playground.widgets.token_reach import items_between, shown_for, token_at, token_near
from playground.widgets.token_scroll import TokenScroll
from playground.widgets.token_store import Item

__all__ = ["Item", "TokenMessage", "TokenView"]
_key = KeyMaker("token", show=False)


class TokenMessage(Message):
    """Something happened at a token of a view."""

    def __init__(self, view: TokenView, item_index: int | None, ref: Hashable | None) -> None:
        super().__init__()
        self.view = view
        self.item_index = item_index
        self.ref = ref

    @property
    def control(self) -> TokenView:
        """The view it happened in."""
        return self.view


class TokenView(TokenScroll, can_focus=True):
    """Shows items; those with a `ref` are tokens, which the mouse hovers and selects and a cursor walks over."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"token-view--cursor", "token-view--hover", "token-view--part"}
    DEFAULT_CSS = """
    TokenView {
        &>.token-view--cursor { color: $foreground; background: $background; text-style: reverse bold; }
        &>.token-view--hover { text-style: underline; }
        &>.token-view--part { color: $foreground; background: $background; text-style: reverse italic underline; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("left", "move(-1)", "Previous token", "Token before", name="previous"),
        _key("right", "move(1)", "Next token", "Token after", name="next"),
        _key("up", "move_line(-1)", "Line up", "Token above; without a cursor, scroll", name="up"),
        _key("down", "move_line(1)", "Line down", "Token below; without a cursor, scroll", name="down"),
        _key("home", "line_start", "Start of line", "First token of the line", name="home"),
        _key("ctrl+home", "first", "First token", "First token of all"),
        _key("end,ctrl+end", "scroll_end", "Follow the end", "Drop the cursor and follow the end", name="end"),
        _key("pageup", "move_page(-1)", "Page up", "A page up", name="pageup"),
        _key("pagedown", "move_page(1)", "Page down", "A page down", name="pagedown"),
        _key("enter", "activate", "Candidates", "From the token to its candidates"),
    ]

    class Hovered(TokenMessage):
        """The mouse is over another token; item and ref are None when it is over none."""

    class Selected(TokenMessage):
        """The cursor moved; item and ref are None when it was dropped."""

    class Pressed(TokenMessage):
        """Something was clicked that is no token."""

    class Activated(TokenMessage):
        """Enter was pressed on the cursor."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.cursor: int | None = None
        """Item the cursor is on, None without a cursor."""
        self._cursor_shown: int | None = None
        self._hover: int | None = None
        self._selection: Selection | None = None
        self._selected_items = range(0)

    def dropping(self, count: int) -> None:
        """Cursor, hover and text selection do not outlive their tokens."""
        if max(self.cursor or 0, self._cursor_shown or 0) >= count:
            self.cursor = self._cursor_shown = None
        if self._hover is not None and self._hover >= count:
            self._hover = None
        if self._selected_items.stop > count:
            self._selection, self._selected_items = None, range(0)

    def move_to(self, item_index: int, *, reveal: bool = True) -> None:
        """Put the cursor on the token nearest to an item and bring it into sight; does nothing without a token."""
        item_index = max(0, min(item_index, len(self.store) - 1))
        token = self.store.token_near(item_index, 1)
        token = self.store.token_near(item_index, -1) if token is None else token
        if token is not None:
            self._set_cursor(token)
            self.follow = False
            if reveal:
                self.reveal(self.wrapping.line_of(token))

    def clear_cursor(self) -> None:
        """Drop the cursor; the view stays where it is."""
        if self.cursor is not None:
            self._set_cursor(None)

    def follow_end(self) -> None:
        """Go to the end, stay there as it grows, and drop the cursor."""
        self.clear_cursor()
        super().follow_end()

    def style_of(self, item: int) -> Style:
        """Style of the item with what selection, mouse and cursor add to it."""
        style = super().style_of(item)
        if item in self._selected_items:
            style += Style(bgcolor=self.screen.get_component_rich_style("screen--selection").bgcolor)
        if item == self._hover:
            style += self.get_component_rich_style("token-view--hover", partial=True)
        if item == self._cursor_shown:
            name = "token-view--cursor" if item == self.cursor else "token-view--part"
            style += self.get_component_rich_style(name, partial=True)
        return style

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Original text of the whole items touched by the selection."""
        known = selection == self._selection
        items = self._selected_items if known else items_between(self.wrapping, selection, len(self.store))
        return self.store.copied(items), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """The mouse selected other text; what it touches is kept by item, so that it survives a new wrapping."""
        old, new = (
            self._selected_items,
            range(0) if selection is None else items_between(self.wrapping, selection, len(self.store)),
        )
        self._selection, self._selected_items = selection, new
        self.touch(old)
        self.touch(new)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Follow the mouse from token to token."""
        self._set_hover(token_at(self.store, self.wrapping, event.y + self.scroll_offset.y, event.x))

    def on_leave(self, event: events.Leave) -> None:
        """The mouse is gone; leaving the scrollbar is told here too."""
        if event.node is self:
            self._set_hover(None)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the token under the mouse, unless the click was the end of selecting text."""
        item = self.wrapping.item_at(event.y + self.scroll_offset.y, event.x)
        if item is None or self._selected_items:
            return
        if self.store.refs[item] is None:
            self.post_message(self.Pressed(self, item, None))
        else:
            self.move_to(item)

    def action_move(self, step: int) -> None:
        """Move the cursor `step` tokens along; without a cursor, put it on the last token in sight."""
        if self.cursor is None:
            bottom = self.scroll_offset.y + self.scrollable_content_region.height - 1
            token = token_near(self.store, self.wrapping, bottom, self.wrapping.wrap, -1)
        else:
            token = self.store.token_near(self.cursor + step, step)
        if token is not None:
            self.move_to(token)

    def action_move_line(self, lines: int) -> None:
        """Move the cursor by some lines, at least to the next that has a token; without a cursor, scroll."""
        if self.cursor is None or self._cursor_shown is None:
            self.scroll_relative(y=lines, animate=False)
            return
        y, x = self.wrapping.line_of(self._cursor_shown), self.wrapping.column_of(self._cursor_shown)
        token = token_near(self.store, self.wrapping, y + lines, x, 1 if lines > 0 else -1)
        if token is not None:
            self.move_to(token)

    def action_move_page(self, pages: int) -> None:
        """Move the cursor, or without one the view, by the height of the window."""
        self.action_move_line(pages * max(1, self.scrollable_content_region.height - 1))

    def action_first(self) -> None:
        """Put the cursor on the first token."""
        self.move_to(0)

    def action_line_start(self) -> None:
        """Put the cursor on the first token of its line; without a cursor, go to the top."""
        if self.cursor is None or self._cursor_shown is None:
            self.scroll_home(animate=False)
            return
        token = token_near(self.store, self.wrapping, self.wrapping.line_of(self._cursor_shown), 0, -1)
        if token is not None:
            self.move_to(token)

    def action_activate(self) -> None:
        """Tell that the token under the cursor was chosen."""
        if self.cursor is None:
            raise SkipAction
        self.post_message(self.Activated(self, self.cursor, self.store.refs[self.cursor]))

    def _set_cursor(self, token: int | None) -> None:
        old, self.cursor = self._cursor_shown, token
        self._cursor_shown = None if token is None else shown_for(self.wrapping, token)
        for item in (old, self._cursor_shown):
            if item is not None:
                self.touch(range(item, item + 1))
        self.post_message(self.Selected(self, token, None if token is None else self.store.refs[token]))

    def _set_hover(self, token: int | None) -> None:
        if token == self._hover:
            return
        old, self._hover = self._hover, token
        for item in (old, token):
            if item is not None:
                self.touch(range(item, item + 1))
        self.post_message(self.Hovered(self, token, None if token is None else self.store.refs[token]))
