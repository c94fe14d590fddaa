"""The growth of a token view: appending, dropping, wrapping anew, and following the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from textual.geometry import Size
from textual.timer import Timer
from textual.widget import Widget

from playground.widgets.token_canvas import TokenCanvas
from playground.widgets.token_layout import TokenLayout
from playground.widgets.token_store import Item, TokenStore

SCROLLBAR_SECONDS: Final = 0.25
"""Least time between two updates of the scrollbar, which costs as much as the text."""
REWRAP_SECONDS: Final = 0.12
"""Quiet time after a resize before everything is wrapped anew."""
UNFOCUSED_SECONDS: Final = 0.08
"""How much longer a view without focus waits, so that the one in use comes first."""


class TokenScroll(TokenCanvas):
    """A canvas that grows at its end without laying out the screen."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.follow = True
        """Keep the end in sight as it grows."""
        self._wrapped = False
        self._placing = False
        self._bar_timer: Timer | None = None
        self._wrap_timer: Timer | None = None

    def extend(self, items: Iterable[Item]) -> None:
        """Append items; call it once a frame, not once a token."""
        first_changed = len(self.wrapping.lines) - 1
        for item in items:
            index = self.store.append(item)
            if self._wrapped:
                self.wrapping.append(index, item.text, marks=item.ref is not None)
        self._resized(first_changed)

    def replace_all(self, items: Iterable[Item]) -> None:
        """Show other items instead, from the same scroll position as far as there is one."""
        self.dropping(0)
        self.store = TokenStore()
        self.wrapping = TokenLayout(self.wrapping.wrap)
        self.extend(items)
        self.refresh()

    def truncate(self, count: int) -> None:
        """Drop every item from index `count` on; costs no more than laying out what is dropped."""
        count = max(0, count)
        self.dropping(count)
        self.store.truncate(count)
        self.wrapping.truncate(count)
        self._resized(len(self.wrapping.lines) - 1)
        self.refresh()

    def replace_from(self, count: int, items: Iterable[Item]) -> None:
        """Show other items from index `count` on; the window stays where it is, unless it follows the end."""
        if count >= len(self.store):
            self.extend(items)
            return
        self.dropping(count)
        self.store.truncate(count)
        self.wrapping.truncate(count)
        first_changed = len(self.wrapping.lines) - 1
        self.extend(items)
        # What stood there may have been longer.
        self._refresh_from(first_changed, self.scroll_offset.y + self.size.height)

    def restyle(self, styles: Sequence[int]) -> None:
        """A new style index for every item; ValueError when their number differs. Nothing is wrapped anew."""
        if len(styles) != len(self.store):
            raise ValueError(f"{len(styles)} styles for {len(self.store)} items")
        self.store.restyle(0, styles)
        self._redraw()

    def set_item_styles(self, start: int, styles: Sequence[int]) -> None:
        """New style indexes for a few items; ValueError when they reach past the end."""
        self.store.restyle(start, styles)
        self.touch(range(start, start + len(styles)))

    def dropping(self, count: int) -> None:
        """Called before the items from index `count` on go away."""

    def follow_end(self) -> None:
        """Go to the end and stay there as it grows."""
        self.follow = True
        self._resized(len(self.wrapping.lines) - 1)
        self._sync_scrollbar()

    def reveal(self, y: int) -> None:
        """Scroll as little as possible to have line `y` in sight."""
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        if not top <= y < top + height:
            self._place(y if y < top else y - height + 1)

    def scroll_to_item(self, item: int) -> None:
        """Have the line on which an item begins at the top, or the end at the bottom when that comes first."""
        self.follow = False
        self._place(min(self.wrapping.line_of(item), self.max_scroll_y))

    def on_resize(self) -> None:
        """Wrap at once the first time, later when the resizing has come to rest."""
        if self.scrollable_content_region.width <= 1:
            return
        if not self._wrapped:
            self._rewrap()
            return
        self._resized(len(self.wrapping.lines) - 1)
        if self._wrap_timer is not None:
            self._wrap_timer.stop()
        delay = REWRAP_SECONDS + (0 if self.has_focus else UNFOCUSED_SECONDS)
        self._wrap_timer = self.set_timer(delay, self._rewrap)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Leaving the end stops following; reaching it by scrolling follows again."""
        super().watch_scroll_y(old_value, new_value)
        if round(new_value) < self.max_scroll_y:
            self.follow = False
        elif new_value > old_value and not self._placing and not self.follow:
            self.follow_end()

    def on_mouse_scroll_up(self) -> None:
        """Let go of the end at once: while text streams in, scrolling would be undone before it has begun."""
        self.follow = False

    def on_mouse_scroll_down(self) -> None:
        """Catch the end although it moves away while text streams in."""
        if not self.follow and self.scroll_offset.y + self.app.scroll_sensitivity_y >= self.max_scroll_y:
            self.follow_end()

    def action_scroll_end(self) -> None:
        """Follow the end."""
        self.follow_end()

    def _rewrap(self) -> None:
        self._wrap_timer = None
        wrapping = TokenLayout(self.scrollable_content_region.width - 1)
        if self._wrapped and wrapping.wrap == self.wrapping.wrap:
            return
        self._wrapped = True
        old = self.wrapping.lines[min(self.scroll_offset.y, len(self.wrapping.lines) - 1)]
        anchor = old.first_item if old.pieces else len(self.store)
        for index, text in enumerate(self.store.texts):
            wrapping.append(index, text, marks=self.store.refs[index] is not None)
        self.wrapping = wrapping
        self._resized(0)
        if not self.follow:
            self._place(min(wrapping.line_of(anchor), self.max_scroll_y))
        self.refresh()

    def _resized(self, first_changed: int) -> None:
        """Publish the number of lines and paint those from `first_changed` on."""
        if not self._wrapped:
            return
        size = Size(self.wrapping.wrap + 1, len(self.wrapping.lines))
        if size != self.virtual_size:
            # An assignment would lay out the whole screen.
            self.set_reactive(Widget.virtual_size, size)
            self._bar_timer = self._bar_timer or self.set_timer(SCROLLBAR_SECONDS, self._sync_scrollbar)
        top, bottom = self.scroll_offset.y, self.max_scroll_y
        if top > bottom or (self.follow and top != bottom):
            self.set_scroll(None, bottom)
            self.scroll_target_y = bottom
            self._refresh_text(0, self.size.height)
        else:
            self._refresh_from(first_changed, len(self.wrapping.lines))

    def _place(self, y: int) -> None:
        """Scroll to line `y` without taking it for a wish to follow the end."""
        self._placing = True
        self.scroll_to(y=y, animate=False, force=True)
        self._placing = False

    def _sync_scrollbar(self) -> None:
        self._bar_timer = None
        self._scroll_update(self.virtual_size)
        self.vertical_scrollbar.position = self.scroll_offset.y
