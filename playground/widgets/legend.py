"""What the colours of the tokens mean, on one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from playground.widgets.bars import fit
from playground.widgets.colour_scale import (
    CEILING_BITS,
    CEILING_RANK,
    FLOOR_PROBABILITY,
    LEVELS,
    ColourMode,
    level_of_entropy,
    level_of_probability,
    level_of_rank,
)

_TICKS: Final[dict[ColourMode, tuple[tuple[str, int], ...]]] = {
    ColourMode.PROBABILITY: (
        (f"≤{FLOOR_PROBABILITY:.1%}", level_of_probability(FLOOR_PROBABILITY)),
        *((f"{share:.0%}", level_of_probability(share)) for share in (0.01, 0.1, 0.5, 1.0)),
    ),
    ColourMode.ENTROPY: (
        (f"≥{CEILING_BITS:g} bits", level_of_entropy(CEILING_BITS)),
        *((f"{bits:g}", level_of_entropy(bits)) for bits in (4.0, 2.0, 1.0, 0.0)),
    ),
    ColourMode.RANK: (
        (f"≥{CEILING_RANK}", level_of_rank(CEILING_RANK)),
        *((f"{rank}", level_of_rank(rank)) for rank in (100, 10, 3, 1)),
    ),
    ColourMode.OFF: (),
}
"""Labels with the levels they stand at, most surprising first."""

_ENDS: Final = {
    ColourMode.PROBABILITY: ("unlikely", "certain"),
    ColourMode.ENTROPY: ("many ways", "one way"),
    ColourMode.RANK: ("far down", "first choice"),
}

MAX_SCALE: Final = 40
"""Cells the scale takes at most."""
MIN_SCALE: Final = 12
"""With fewer cells for the scale the words around it give way."""
MIN_REMARK: Final = 20
"""With fewer cells a remark says nothing any more."""


class Legend(Widget):
    """The scale of the current colour mode, with the values its colours stand for written into it."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {"legend--name", "legend--end"}
    DEFAULT_CSS = """
    Legend {
        height: 1;
        width: 1fr;
        &>.legend--name { text-style: bold; }
        &>.legend--end { color: $foreground 70%; }
    }
    """

    mode: reactive[ColourMode] = reactive(ColourMode.PROBABILITY)
    """What is explained."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._palette: list[Style] = []
        self._remark = ""
        self._with_scale = True
        self._samples: Sequence[tuple[str, int]] = ()

    def explain(self, remark: str, *, scale: bool, samples: Sequence[tuple[str, int]] = ()) -> None:
        """Say something beside the scale, or instead of it; cheap when it is what is said already.

        Args:
            remark: What to say.
            scale: False has it stand in the scale's place.
            samples: In the scale's place, before the remark: texts, each with the style it explains.
        """
        if (remark, scale, samples) != (self._remark, self._with_scale, self._samples):
            self._remark, self._with_scale, self._samples = remark, scale, samples
            self.refresh()

    def set_palette(self, styles: Sequence[Style]) -> None:
        """Draw the scale with the first `LEVELS` of these styles: the palette of the token view."""
        self._palette = list(styles)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The legend, as much of it as there is room for."""
        width = self.size.width
        name = self.get_component_rich_style("legend--name")
        end = self.get_component_rich_style("legend--end")
        if not self._with_scale:
            return self._line(self._sampled(width, end))
        if self.mode is ColourMode.OFF or len(self._palette) < LEVELS:
            return self._line([Segment(f"colours {ColourMode.OFF}", end)])
        around, remark = self._beside(width, name, end)
        scale = self._scale(min(MAX_SCALE, width - _cells([*around, remark])))
        return self._line([*around[:2], *scale, *around[2:], remark])

    def _beside(self, width: int, name: Style, end: Style) -> tuple[list[Segment], Segment]:
        """Words around the scale, and the remark behind it, as far as the scale leaves room for them.

        What the scale is called can be told from its figures, what the remark says from nothing: so it gives way last.
        """
        low, high = _ENDS[self.mode]
        choices = [
            [Segment(f"{self.mode}  ", name), Segment(f"{low} ", end), Segment(f" {high}", end)],
            [Segment(f"{self.mode} ", name)],
            [],
        ]
        whole = Segment(f" · {self._remark}" if self._remark else "", end)
        for around in choices:
            if width - _cells([*around, whole]) >= MIN_SCALE:
                return around, whole
        room = width - MIN_SCALE
        if whole.cell_length and room >= MIN_REMARK:
            return [], Segment(fit(whole.text, room), end)
        return next((around for around in choices if width - _cells(around) >= MIN_SCALE), []), Segment("", end)

    def _sampled(self, width: int, end: Style) -> list[Segment]:
        """The samples and the remark, which gives way where there is no room for both."""
        segments: list[Segment] = []
        for text, style in self._samples:
            look = self._palette[style] if style < len(self._palette) else end
            segments += [Segment(text, self.rich_style + look), Segment("  ", end)]
        room = width - _cells(segments)
        remark = fit(self._remark, room).rstrip() if not segments or len(self._remark) <= room else ""
        return [*segments, Segment(remark, end)]

    def _scale(self, cells: int) -> list[Segment]:
        text = _written(_TICKS[self.mode], cells)
        last = max(1, cells - 1)
        return [
            Segment(char, self.rich_style + self._palette[round(cell / last * (LEVELS - 1))])
            for cell, char in enumerate(text)
        ]

    def _line(self, segments: list[Segment]) -> Strip:
        return Strip(segments).adjust_cell_length(self.size.width, self.rich_style).simplify()


def _cells(segments: Sequence[Segment]) -> int:
    return sum(segment.cell_length for segment in segments)


def _written(ticks: Sequence[tuple[str, int]], cells: int) -> str:
    """A scale of some cells with its labels where their levels are; a label without room is left out."""
    row = [" "] * max(0, cells)
    # The ends matter most, so they are placed before what lies between them.
    for label, level in (*ticks[:1], *ticks[-1:], *ticks[1:-1]):
        middle = round(level / (LEVELS - 1) * (cells - 1))
        start = max(0, min(middle - len(label) // 2, cells - len(label)))
        around = row[max(0, start - 1) : start + len(label) + 1]
        if len(label) <= cells and not "".join(around).strip():
            row[start : start + len(label)] = label
    return "".join(row)
