"""A panel of rows: the arrows walk through it, and its foot says why a row is not available."""

from __future__ import annotations

import textwrap
from collections.abc import Collection
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from playground.widgets.explained import Explained

FOOT_ROWS = 3


class PanelFoot(Static):
    """Rows at the foot of a panel for what there is to say about the row with the focus.

    They stay there when there is nothing to say: room that came and went with the focus would move the panel.
    """

    DEFAULT_CSS = """
    PanelFoot {
        dock: bottom;
        display: none;
        padding: 0 1;
        color: $text-warning;
        text-overflow: ellipsis;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self._shown = ""

    def make_room(self, texts: Collection[str], width: int, height: int) -> None:
        """Take as many rows as the longest of these texts needs in a panel of this size; none for no text."""
        inside = max(8, width - 2)
        rows = max((len(textwrap.wrap(text, inside)) for text in texts), default=0)
        self.display = bool(texts)
        self.styles.height = max(1, min(rows, FOOT_ROWS, height // 6))

    def show(self, text: str) -> None:
        """Show a text; empty for none."""
        if text != self._shown:
            self._shown = text
            self.update(Content(text), layout=False)


class Panel(VerticalScroll, can_focus=False):
    """Rows one below the other. Who builds on it composes a `PanelFoot` among them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "focus_row(-1)", "Row above", show=False, id="controls.up", tooltip="Go to the row above"),
        Binding("down", "focus_row(1)", "Row below", show=False, id="controls.down", tooltip="Go to the row below"),
    ]
    DEFAULT_CSS = """
    Panel {
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._remarks: Collection[str] = ()

    @property
    def occupied(self) -> bool:
        """True while a person works here, by key or by mouse."""
        over = self.app.mouse_over
        return self.has_focus_within or (over is not None and self in over.ancestors_with_self)

    def left(self) -> None:
        """What is to be done once neither focus nor mouse is here."""

    def make_room(self, remarks: Collection[str]) -> None:
        """Keep room at the foot for the longest of these remarks; none without remarks."""
        self._remarks = remarks
        self.query_one(PanelFoot).make_room(remarks, self.size.width, self.size.height)
        self._show_remark()

    def _show_remark(self) -> None:
        row = self.screen.focused
        here = isinstance(row, Explained) and self in row.ancestors
        self.query_one(PanelFoot).show(row.remark if here and isinstance(row, Explained) else "")

    def on_resize(self) -> None:
        """Another width, other rows at the foot."""
        self.make_room(self._remarks)

    def on_descendant_focus(self) -> None:
        """Another row has the focus."""
        self._show_remark()

    def on_descendant_blur(self) -> None:
        """The focus goes, perhaps to another row."""
        self.call_later(self._maybe_left)

    def on_leave(self, event: events.Leave) -> None:
        """The mouse goes, perhaps to another row."""
        self._maybe_left()

    def _maybe_left(self) -> None:
        self._show_remark()
        if not self.occupied:
            self.left()

    def action_focus_row(self, rows: int) -> None:
        """Give the focus to a row further up or down."""
        focusable = [widget for widget in self.screen.focus_chain if self in widget.ancestors]
        focused = self.screen.focused
        if focused in focusable:
            place = focusable.index(focused) + rows
            focusable[min(len(focusable) - 1, max(0, place))].focus()
