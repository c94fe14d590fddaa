"""What a pane is, in a few words: who answers, with which preset, how fast and for how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from textual.content import Content

from playground.domain.compare_rows import CompareRow, PaneState
from playground.domain.display import display_line
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.status_bar import dollars

MIN_MODEL: Final = 9
MIN_FOLLOWS: Final = 5
"""Cells of the token that a reply follows, its sign included."""
MIN_PRESET: Final = 6
"""Cells of a name below which nobody knows it again."""
ROOMY: Final = 40
"""From this width on words stand where a sign must do otherwise."""

GLYPHS: Final = {
    PaneState.EMPTY: "·",
    PaneState.SENT: "…",
    PaneState.PREFILL: "▹",
    PaneState.THINKING: "◌",
    PaneState.RETRYING: "↻",
    PaneState.WRITING: "▸",
    PaneState.HELD: "‖",
    PaneState.DONE: "■",
    PaneState.FAILED: "✗",
}
"""The state of a pane in one cell."""


class Heading(NamedTuple):
    """A pane in two texts, for the two edges of a frame."""

    title: Content
    """Number, model, preset."""
    figures: Content
    """State, time to first token, speed, cost."""


class _Part(NamedTuple):
    text: str
    rank: int
    """What has the highest goes first when there is no room; 0 stays."""
    least: int = 0
    """Cells it can be shortened to; 0: it stays whole or goes."""


def pane_heading(row: CompareRow, width: int) -> Heading:
    """The two texts, each at most `width` cells long."""
    state = state_text(row) if width >= ROOMY else GLYPHS[row.state]
    figures = [_Part(state, 0, 1), *_figures(row, "TTFT " if width >= ROOMY else "")]
    return Heading(Content(_fitted(_names(row), width)), Content(_fitted(figures, width)))


def pane_line(row: CompareRow, width: int) -> Content:
    """Everything on one line of at most `width` cells.

    Without room for all, the cost goes first, then the time to first token, then the preset; the model is shortened.
    """
    return Content(_fitted([*_names(row), _Part(GLYPHS[row.state], 0), *_figures(row, "")], width))


def state_text(row: CompareRow) -> str:
    """What a pane is doing or why its reply ended, with its sign: "▸ writing", "■ end of text"."""
    told = row.state in (PaneState.DONE, PaneState.RETRYING)  # of a failure there is more to tell than fits here
    words = (display_line(row.ending) if told else "") or str(row.state)
    return f"{GLYPHS[row.state]} {words}"


def ttft_text(row: CompareRow) -> str:
    """Time to first token: "812 ms", "12.4 s"."""
    value = row.ttft_ms
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} ms" if value < 9999.5 else f"{value / 1000:,.1f} s"


def speed_text(row: CompareRow) -> str:
    """Tokens a second as a bare figure: "41.3", "≈120"."""
    value = row.tokens_per_second
    if value is None:
        return UNKNOWN
    return ("≈" if row.speed_estimate else "") + (f"{value:.1f}" if value < 99.95 else f"{value:,.0f}")


def cost_text(row: CompareRow) -> str:
    """US dollars: "$0", "≈$0.0012"."""
    return f"{'≈' if row.cost_estimate else ''}{dollars(row.cost)}"


def _names(row: CompareRow) -> list[_Part]:
    number = f"{row.number} "
    preset = display_line(row.preset)
    parts = [_Part(number + (display_line(row.model) or UNKNOWN), 0, len(number) + MIN_MODEL)]
    if row.follows:
        parts.append(_Part(f"↳{row.follows}", 1, MIN_FOLLOWS))
    return [*parts, _Part(preset, 2, MIN_PRESET)] if preset else parts


def _figures(row: CompareRow, ttft: str) -> list[_Part]:
    """Only those that somebody knows: a heading has no place for what is missing."""
    parts = []
    if row.ttft_ms is not None:
        parts.append(_Part(ttft + ttft_text(row), 3))
    if row.tokens_per_second is not None:
        parts.append(_Part(f"{speed_text(row)} tok/s", 1))
    if row.cost is not None:
        parts.append(_Part(cost_text(row), 4))
    return parts


def _fitted(parts: Sequence[_Part], width: int) -> str:
    """The parts side by side: those that do not fit are left out or shortened."""
    gap = " · " if width >= ROOMY else " "
    kept = list(parts)

    def needed(cells: Sequence[int]) -> int:
        return sum(cells) + len(gap) * (len(cells) - 1)

    while max(part.rank for part in kept) and needed([_least(part) for part in kept]) > width:
        kept.remove(max(kept, key=lambda part: part.rank))
    cells = [cell_len(part.text) for part in kept]
    for index, part in enumerate(kept):  # the name of a model is the first to give way: in a race it is everybody's
        cells[index] = max(_least(part), cells[index] - max(0, needed(cells) - width))
    return fit(gap.join(fit(part.text, size) for part, size in zip(kept, cells, strict=True)), width).rstrip()


def _least(part: _Part) -> int:
    """Cells a part takes at the least."""
    return min(cell_len(part.text), part.least or cell_len(part.text))
