"""A text editor that marks the place of a mistake."""

from __future__ import annotations

from rich.text import Text

from playground.widgets.dialog_area import DialogArea


class MarkedArea(DialogArea):
    """A text with line numbers, and one place in it that is marked."""

    COMPONENT_CLASSES = {"marked-area--fault"}  # noqa: RUF012 - Textual's interface
    DEFAULT_CSS = """
    MarkedArea {
        & .marked-area--fault { color: $error; text-style: bold reverse; }
    }
    """

    def __init__(self, text: str = "", *, id: str | None = None) -> None:
        super().__init__(text, soft_wrap=True, show_line_numbers=True, tab_behavior="focus", id=id)
        self._fault: tuple[int, int] | None = None

    def mark(self, place: tuple[int, int] | None) -> None:
        """Mark a character by its line and column, from 1; None takes the mark away."""
        if place != self._fault:
            self._fault = place
            self.notify_style_update()  # drawn lines are kept, and only this lets go of them
            self.refresh()

    def go_to_mark(self) -> None:
        """Put the cursor on the marked place."""
        if self._fault is not None:
            line, column = self._fault
            self.move_cursor((line - 1, column - 1), center=True)
            self.focus()

    def get_line(self, line_index: int) -> Text:
        """A line, with the mark if it is on this one; at its end or before it, the last character is marked."""
        text = super().get_line(line_index)
        if self._fault is not None and self._fault[0] == line_index + 1 and text.plain:
            start = min(self._fault[1], len(text.plain)) - 1
            text.stylize(self.get_component_rich_style("marked-area--fault", partial=True), start, start + 1)
        return text
