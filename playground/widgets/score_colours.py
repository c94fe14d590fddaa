"""What a difference between two models looks like: colours to both sides of none at all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.display import display_line
from playground.domain.scoring import ScoreDifference
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.colour_scale import PALETTE_SIZE, TokenStyle

SIDE: Final = 15
"""Steps to each side of no difference."""
DIFFERENCES: Final = 2 * SIDE + 1
"""Styles that follow a token palette: from much less likely under the second model to much likelier."""
CEILING_BITS: Final = 4.0
"""At this difference and above the scale is at its end: sixteen times as likely, or a sixteenth."""
_TICKS: Final = (-4.0, -1.0, -0.1, 0.0, 0.1, 1.0, 4.0)


def bits(logprob: float | None) -> float | None:
    """A difference of natural log-probabilities in bits."""
    return None if logprob is None else logprob / math.log(2)


def signed(value: float | None, digits: int = 2) -> str:
    """A difference with its sign; what rounds to nothing has none."""
    if value is None:
        return UNKNOWN
    text = f"{value:+.{digits}f}".replace("-", "−")
    return text[1:] if not text.strip("+−0.") else text


def style_of_difference(one: ScoreDifference) -> int:
    """Index of the style of a token by how much likelier the second model finds it."""
    difference = bits(one.logprob)
    return TokenStyle.PLAIN if difference is None else PALETTE_SIZE + SIDE + _step(difference)


def _step(difference: float) -> int:
    # Most differences are small, and there the eye must tell them apart.
    share = math.sqrt(min(abs(difference), CEILING_BITS) / CEILING_BITS)
    return round(math.copysign(share * SIDE, difference))


class DifferenceLegend(Widget):
    """The scale of differences with its figures, in bits."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"difference-legend--end"}
    DEFAULT_CSS = """
    DifferenceLegend { height: 1; width: 1fr; }
    DifferenceLegend > .difference-legend--end { color: $foreground 70%; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._styles: Sequence[Style] = ()
        self._second = ""

    def use_styles(self, styles: Sequence[Style]) -> None:
        """Draw the scale in these `DIFFERENCES` styles."""
        self._styles = styles
        self.refresh()

    def name_second(self, name: str) -> None:
        """Say which model is the second one."""
        self._second = display_line(name)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Words at both ends of the scale."""
        if not self._styles:
            return Strip.blank(self.size.width, self.rich_style)
        end = self.get_component_rich_style("difference-legend--end")
        cells: list[Segment] = []
        for tick in _TICKS:
            text = "same" if tick == 0 else f"{tick:+g}".replace("-", "−")
            cells.append(Segment(f" {text} ", self.rich_style + self._styles[SIDE + _step(tick)]))
        room = self.size.width - sum(cell.cell_length for cell in cells)
        before, after = "less likely ", fit(f" likelier under {self._second}, in bits", max(0, room - 12)).rstrip()
        if room < 24:
            before, after = "", " bits"
        line = Strip([Segment(before, end), *cells, Segment(after, end)])
        return line.adjust_cell_length(self.size.width, self.rich_style)
