"""A field for a text of any length."""

from __future__ import annotations

from typing import Final

from textual.widgets.text_area import Edit, EditResult

from playground.widgets.dialog_area import DialogArea

_LONG: Final = 20_000
"""Characters from which on lines are not wrapped: a paste of 100 KB would be wrapped anew with every key."""


class SourceArea(DialogArea):
    """Wraps lines as long as that is quick. Tab leaves it."""

    DEFAULT_CSS = """
    SourceArea { overflow-y: scroll; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1; }
    """

    def __init__(self, text: str = "", *, placeholder: str = "") -> None:
        super().__init__(
            text, soft_wrap=len(text) < _LONG, show_line_numbers=False, compact=True, placeholder=placeholder
        )
        self.highlight_cursor_line = False

    def take(self, text: str) -> None:
        """Another text in place of the one that is there; undo brings that back."""
        self.replace(text, (0, 0), self.document.end)
        self.move_cursor(self.document.end)
        self.scroll_home(animate=False)

    def edit(self, edit: Edit) -> EditResult:
        """Every change comes through here, typed or pasted."""
        if len(edit.text) >= _LONG:
            self.soft_wrap = False
        result = super().edit(edit)
        if not self.soft_wrap and len(self.text) < _LONG:
            self.soft_wrap = True
        return result
