"""From how many requests on a prompt cache pays, at one model: sentences beside a small plot."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

Lines = Sequence[Sequence[tuple[str, int | None]]]
"""Lines of a plot in pieces, each with the number of its curve or None."""
_LEAST_PLOT = 8
CURVES = ("$text-warning", "$text-success", "$text-accent")
"""Colours of the curves, by their number."""


class Plot(Widget):
    """Asks for its lines whenever it is drawn, so that they have the size there is."""

    ALLOW_SELECT = False
    draw: Callable[[int, int], Lines] | None = None
    """Gives the lines for a width and a height in cells."""

    def render(self) -> Content:
        """The lines in the colours of their curves."""
        width, height = self.content_size
        if self.draw is None or not width:
            return Content("")
        lines = self.draw(width, max(_LEAST_PLOT, height))
        return Content("\n").join(
            Content.assemble(
                *((text, "$text-muted" if curve is None else CURVES[curve % len(CURVES)]) for text, curve in line)
            )
            for line in lines
        )


class BreakEven(Horizontal):
    """Draws what it is given."""

    DEFAULT_CSS = """
    BreakEven {
        height: 9; padding: 0 1; border-top: solid $border-blurred;
        & > #load-said { width: 1fr; scrollbar-size-vertical: 1; }
        & > #load-said > Static { height: auto; }
        & > #load-plot { width: 44%; max-width: 70; height: 1fr; padding: 0 0 0 2; }
        &.-plain > #load-plot { display: none; }
    }
    """

    def compose(self) -> ComposeResult:
        """Sentences and plot."""
        with VerticalScroll(id="load-said"):
            yield Static("", markup=False)
        yield Plot(id="load-plot")

    def show(self, said: Content, draw: Callable[[int, int], Lines] | None) -> None:
        """Show sentences and, for a model where something is to be seen, a plot.

        Args:
            said: The sentences.
            draw: Gives the plot for a width and a height in cells.
        """
        self.set_class(draw is None, "-plain")
        self.query_one("#load-said > Static", Static).update(said)
        plot = self.query_one(Plot)
        plot.draw = draw
        plot.refresh()
