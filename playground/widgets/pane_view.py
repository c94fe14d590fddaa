"""One pane on screen: a transcript in a frame that says who answers and how fast."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
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
        self._shown: tuple[Content | None, Content | None] = (None, None)
        self._on_edges = False

    def compose(self) -> ComposeResult:
        """The transcript."""
        yield self.transcript

    def show_heading(self, row: CompareRow | None) -> None:
        """Say who answers here and how fast, or nothing; cheap when nothing changed."""
        known = (row, self.size.width)
        if known == self._heading:
            return
        self._heading = known
        heading = pane_heading(row, max(1, self.size.width - 4)) if row is not None else None
        shown, self._shown = self._shown, (heading.title, heading.figures) if heading else (None, None)
        self._on_edges = True
        if shown[0] != self._shown[0]:
            self.border_title = self._shown[0]
        if shown[1] != self._shown[1]:
            self.border_subtitle = self._shown[1]
        self._on_edges = False

    def refresh(
        self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False
    ) -> PaneView:
        """Paint again; of a new heading only the edges it stands on, and not the conversation between them."""
        if self._on_edges and self.is_mounted:
            (top, _, bottom, left), (width, height) = self.gutter, self.outer_size
            edges = Region(0, 0, width, top), Region(0, height - bottom, width, bottom)
            regions = tuple(edge.translate((-left, -top)) for edge in edges)
        return super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Pointing at a pane makes it the one that the controls act upon."""
        del event
        self.post_message(self.Chosen(self))

    def on_descendant_focus(self) -> None:
        """So does walking into it with the keyboard."""
        self.post_message(self.Chosen(self))
