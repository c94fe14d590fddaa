"""From how many requests on a prompt cache pays, at one model: sentences beside a small plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Static

Lines = Sequence[Sequence[tuple[str, int | None]]]
"""Lines of a plot in pieces, each with the number of its curve or None."""
_LEAST_PLOT = 8
CURVES = ("$text-warning", "$text-success", "$text-accent")
"""Colours of the curves, by their number."""


class BreakEven(Horizontal):
    """Draws what it is given; the plot is asked for at the size there is."""

    DEFAULT_CSS = """
    BreakEven {
        height: 9; padding: 0 1; border-top: solid $border-blurred;
        & > #load-said { width: 1fr; scrollbar-size-vertical: 1; }
        & > #load-said > Static { height: auto; }
        & > #load-plot { width: 44%; max-width: 70; height: 1fr; padding: 0 0 0 2; }
        &.-plain > #load-plot { display: none; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._draw: Callable[[int, int], Lines] | None = None

    def compose(self) -> ComposeResult:
        """Sentences and plot."""
        with VerticalScroll(id="load-said"):
            yield Static("", markup=False)
        yield Static("", id="load-plot", markup=False)

    def show(self, said: Content, draw: Callable[[int, int], Lines] | None) -> None:
        """Show sentences and, for a model where something is to be seen, a plot.

        Args:
            said: The sentences.
            draw: Gives the plot for a width and a height in cells.
        """
        self._draw = draw
        self.set_class(draw is None, "-plain")
        self.query_one("#load-said > Static", Static).update(said)
        self.call_after_refresh(self._plot)  # what was not shown has no size yet

    def on_resize(self) -> None:
        """Another size, another plot."""
        self.call_after_refresh(self._plot)

    def _plot(self) -> None:
        plot = self.query_one("#load-plot", Static)
        width, height = plot.content_size
        if self._draw is None or not width:
            return
        lines = self._draw(width, max(_LEAST_PLOT, height))
        plot.update(
            Content("\n").join(
                Content.assemble(
                    *((text, "$text-muted" if curve is None else CURVES[curve % len(CURVES)]) for text, curve in line)
                )
                for line in lines
            )
        )
