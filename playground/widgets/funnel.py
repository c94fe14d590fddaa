"""How the sampler stages narrowed the vocabulary down to one token."""

from __future__ import annotations

import math
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.tokens import Token
from playground.widgets.bars import UNKNOWN, centred_bar, fit, percent, probability, stage_label, thin_bar

TOOLTIP = (
    "What the samplers did to this token's distribution, stage by stage.\n"
    "Shape: candidates left, on a logarithmic scale. Line and percentage: how much of the model's own\n"
    "probability they hold together. The last row is the token that was picked."
)


class Level(NamedTuple):
    """One row: a stage and what it left."""

    name: str
    candidates: int | None
    removed: int | None
    """How many tokens it removed; None when that is not known, or for the first row."""
    mass: float | None
    """Share of the model's own probability that is left, 0 to 1."""
    picked: bool = False
    at_least: bool = False
    """True when more candidates than these may be left."""

    @property
    def idle(self) -> bool:
        """True for a stage that removed nothing; it may have reshaped the rest."""
        return self.removed == 0 and not self.picked


def levels(token: Token | None, n_vocab: int | None) -> list[Level]:
    """The rows for a token; none when its stages are not known."""
    if token is None or not token.stages:
        return []
    rows = [Level("vocabulary", n_vocab, None, 1.0)]
    before = n_vocab
    stages = list(token.stages)
    # These two only pick; the other last stages cut first, and that is a row of its own.
    pick = stages.pop().name if stages[-1].name in ("dist", "greedy") else "picked"
    for stage in stages:
        removed = None if before is None else before - stage.candidates
        rows.append(Level(stage_label(stage.name), stage.candidates, removed, stage.mass, at_least=stage.at_least))
        before = stage.candidates
    if token.prob == 0.0:  # under other parameters: what is picked is not this token
        return [*rows, Level(pick, 0, None, 0.0, picked=True)]
    rows.append(Level(pick, 1, None if before is None else before - 1, probability(token.logprob), picked=True))
    return rows


class Columns(NamedTuple):
    """Widths in cells; 0 leaves a column out."""

    name: int
    shape: int
    left: int
    mass_bar: int
    mass: int
    removed: int


def columns(width: int) -> Columns:
    """How a row of `width` cells is divided."""
    name = 12 if width >= 25 else 10
    mass = 7 if width >= 33 else 0
    removed = 9 if width >= 50 else 0
    rest = max(1, width - name - 8 - mass - removed)
    mass_bar = 0 if width < 40 else min(12, rest * 2 // 5)
    return Columns(name, rest - mass_bar, 8, mass_bar, mass, removed)


class Funnel(Widget):
    """A row a stage, narrowing from the whole vocabulary to the token that was picked.

    The silhouette is the number of candidates left, on a logarithmic scale; the thin bar is the probability mass they
    hold.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"funnel--{part}" for part in ("name", "idle", "shape", "idle-shape", "count", "mass", "removed", "picked")
    }
    DEFAULT_CSS = """
    Funnel {
        height: auto;
        width: 1fr;
        & > .funnel--name { color: $foreground; }
        & > .funnel--idle { color: $text-muted; }
        & > .funnel--shape { color: $primary; }
        & > .funnel--idle-shape { color: $primary 55%; }
        & > .funnel--count { color: $foreground; text-style: bold; }
        & > .funnel--mass { color: $accent; }
        & > .funnel--removed { color: $stage-cut; }
        & > .funnel--picked { color: $mark; text-style: bold; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._levels: list[Level] = []
        self._token: Token | None = None
        self.tooltip = Content(TOOLTIP)

    def show(self, token: Token | None, n_vocab: int | None) -> None:
        """Show the stages of a token. The layout is touched only when their number changes.

        Args:
            token: The token; None empties the funnel.
            n_vocab: Size of the vocabulary in tokens; None when unknown.
        """
        rows = levels(token, n_vocab)
        before, self._levels = self._levels, rows
        note = self._note
        self._token = token
        if len(rows) != len(before) or note != self._note:
            self.refresh(layout=True)
            return
        # The widest level sets the scale of all.
        whole = bool(rows) and rows[0].candidates != before[0].candidates
        for y, (old, new) in enumerate(zip(before, rows, strict=True)):
            if whole or old != new:
                self.refresh(Region(0, y, self.size.width, 1))

    @property
    def _note(self) -> str:
        known = self._token is None or bool(self._token.stages)
        return "" if known else "What the samplers did is not known."

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A row a stage, or one for the note."""
        return len(self._levels) or int(bool(self._note))

    def render_line(self, y: int) -> Strip:
        """A stage."""
        width = self.size.width
        if y >= len(self._levels):
            note = self._note if y == 0 else ""
            return Strip([Segment(fit(note, width), self._style("idle"))]).adjust_cell_length(width, self.rich_style)
        return self._row(self._levels[y], width)

    def _style(self, part: str) -> Style:
        return self.get_component_rich_style(f"funnel--{part}")

    def _row(self, level: Level, width: int) -> Strip:
        cols = columns(width)
        size, whole = level.candidates, self._levels[0].candidates or self._levels[1].candidates
        share = 0.0
        if size and whole and min(size, whole) > 0:
            share = math.log(size + 1) / math.log(max(whole, size) + 1)
        name = "picked" if level.picked else "idle" if level.idle else "name"
        shape = "picked" if level.picked else "idle-shape" if level.idle else "shape"
        count = UNKNOWN if size is None else f"{'≥' if level.at_least else ''}{size:,}"
        segments = [
            Segment(fit(level.name, cols.name - 1) + " ", self._style(name)),
            Segment(centred_bar(share, cols.shape), self._style(shape)),
            Segment(count.rjust(cols.left), self._style("picked" if level.picked else "count")),
        ]
        if cols.mass_bar:
            segments.append(Segment(" " + thin_bar(level.mass or 0.0, cols.mass_bar - 1), self._style("mass")))
        if cols.mass:
            segments.append(Segment(percent(level.mass, cols.mass), self._style("mass")))
        if cols.removed:
            removed = f"−{level.removed:,}" if level.removed and not level.at_least else ""
            segments.append(Segment(removed.rjust(cols.removed), self._style("removed")))
        return Strip(segments).adjust_cell_length(width, self._style("name"))
