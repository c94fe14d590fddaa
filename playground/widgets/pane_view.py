"""One pane on screen: a transcript in a frame that says who answers and how fast."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message

from playground.domain.compare_rows import CompareRow
from playground.widgets.pane_header import pane_heading
from playground.widgets.transcript import TranscriptPane


class PaneView(Vertical):
    """Alone it is a plain frame; beside others its border carries number, model and figures."""

    DEFAULT_CSS = """
    PaneView {
        width: 1fr;
        height: 1fr;
        border: round $border-blurred;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        padding: 0 0 0 1;
        &:focus-within { border: round $border; }
        &.-several.-active { border: round $accent; border-title-color: $accent; border-title-style: bold; }
    }
    """

    class Chosen(Message):
        """The person pointed at this pane."""

        def __init__(self, view: PaneView) -> None:
            super().__init__()
            self.view = view

        @property
        def control(self) -> PaneView:
            """The pane's view."""
            return self.view

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.transcript = TranscriptPane()
        self._heading: tuple[CompareRow | None, int] = (None, 0)

    def compose(self) -> ComposeResult:
        """The transcript."""
        yield self.transcript

    def show_heading(self, row: CompareRow | None) -> None:
        """Say who answers here and how fast, or nothing; cheap when nothing changed."""
        known = (row, self.size.width)
        if known != self._heading:
            self._heading = known
            heading = pane_heading(row, max(1, self.size.width - 4)) if row is not None else None
            self.border_title = heading.title if heading else None
            self.border_subtitle = heading.figures if heading else None

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Pointing at a pane makes it the one that the controls act upon."""
        del event
        self.post_message(self.Chosen(self))

    def on_descendant_focus(self) -> None:
        """So does walking into it with the keyboard."""
        self.post_message(self.Chosen(self))
