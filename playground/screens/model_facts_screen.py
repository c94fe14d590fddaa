"""What the header of a model file says, and the memory it would take."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from playground.domain.display import display_line, display_text


class ModelFactsScreen(ModalScreen[None]):
    """Facts about one model, a line each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,f4,enter", "leave", "Close", id="facts.leave", tooltip="Back to the list of models"),
    ]
    DEFAULT_CSS = """
    ModelFactsScreen {
        align: center middle;
        & > VerticalScroll {
            width: 94%; max-width: 110; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Static { height: auto; }
    }
    """

    def __init__(self, name: str, lines: list[str]) -> None:
        super().__init__()
        self._model = name
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The lines, to be scrolled where there is little room."""
        with VerticalScroll() as box:
            box.border_title = Content(display_line(self._model))
            box.border_subtitle = Content("esc closes")
            yield Static(Content(display_text("\n".join(self._lines))), markup=False)

    def action_leave(self) -> None:
        """Back to the list of models."""
        self.dismiss(None)
