"""Bars made of characters: an eighth of a cell for lengths, half a cell for thin lines and centred shapes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

EIGHTHS = " ▏▎▍▌▋▊▉█"
UNKNOWN = "–"
"""Drawn where nobody measured; never a zero."""
TOO_SMALL = "<"
"""Before a percentage that is too small to be told."""


def bar(fraction: float, width: int) -> str:
    """A bar of `width` cells, filled from the left for `fraction` (0 to 1) of them.

    What is not zero shows at least an eighth of a cell.
    """
    eighths = _length(fraction, width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[part] if part else "")).ljust(width)


def thin_bar(fraction: float, width: int) -> str:
    """A bar half as loud as `bar`, in steps of half a cell."""
    full, half = divmod(_length(fraction, width * 2), 2)
    return ("━" * full + ("╸" if half else "")).ljust(width)


def centred_bar(fraction: float, width: int) -> str:
    """A bar around the middle of `width` cells, so that rows of them make a silhouette."""
    halves = 2 * _length(fraction, width)
    full, edge = divmod((2 * width - halves) // 2, 2)
    inner = width - 2 * full - 2 * edge
    if inner < 0:
        return " " * width
    body = "▐" * edge + "█" * inner + "▌" * edge
    return " " * full + body + " " * full


def span(start: float, end: float, width: int, fill: Style, track: Style) -> list[Segment]:
    """A bar from `start` to `end` (0 to 1, either order) of `width` cells, to an eighth of a cell at both ends."""
    low, high = sorted((round(start * width * 8), round(end * width * 8)))
    return stack([(low, track), (high - low, fill), (width * 8 - high, track)], width)


def stack(parts: Sequence[tuple[int, Style]], width: int) -> list[Segment]:
    """Parts side by side, each as many eighths of a cell long as its number says, in the foreground of its style.

    A cell can show two parts; of three or more, it shows the two largest. The parts must fill the bar.
    """
    owners = [index for index, (eighths, _) in enumerate(parts) for _ in range(eighths)]
    segments: list[Segment] = []
    for start in range(0, width * 8, 8):
        inside = Counter(owners[start : start + 8])
        first, *rest = sorted(index for index, _ in inside.most_common(2))
        style = parts[first][1]
        if not rest:
            segments.append(Segment(EIGHTHS[8], style))
            continue
        other = rest[0]
        share = min(7, max(1, round(8 * inside[first] / (inside[first] + inside[other]))))
        segments.append(Segment(EIGHTHS[share], Style(color=style.color, bgcolor=parts[other][1].color)))
    return list(Segment.simplify(segments))


def fit(text: str, width: int) -> str:
    """The text in exactly `width` cells; what is too long ends in an ellipsis."""
    if width <= 0:
        return ""
    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width)


def stage_label(name: str) -> str:
    """A sampler stage's name as shown, e.g. "top-k"."""
    return name.replace("_", "-")


def probability(logprob: float | None) -> float | None:
    """A natural log of a probability as a number from 0 to 1."""
    return None if logprob is None or math.isnan(logprob) else math.exp(min(logprob, 0.0))


def percent(probability: float | None, width: int = 6) -> str:
    """A probability (0 to 1) as a percentage, right-aligned; small ones keep two digits that mean something."""
    if probability is None:
        return UNKNOWN.rjust(width)
    share = 100.0 * probability
    if share >= 99.95:
        text = "100%"
    elif share >= 0.095:
        text = f"{share:.1f}%"
    elif share >= 0.0095:
        text = f"{share:.2f}%"
    else:
        text = "0%" if share <= 0 else f"{TOO_SMALL}.01%"
    return text.rjust(width)


def _length(fraction: float, steps: int) -> int:
    if not fraction > 0.0 or steps <= 0:  # what is no number is not above 0 either
        return 0
    return max(1, round(min(fraction, 1.0) * steps))
