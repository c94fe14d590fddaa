"""Tokens side by side in words: a thin bar between them, so that no colour is needed to see where each begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.cells import cell_len
from textual.content import Content

from playground.domain.display import visible_piece
from playground.widgets.bars import percent, probability

_MOST_SHOWN: Final = 200
"""Tokens that are drawn; of a long paste the end would be out of sight anyhow."""
_SHADES: Final = ("on $primary 35%", "on $foreground 18%")
_BETWEEN: Final = "│"
_QUIET: Final = "$foreground 70%"
_Part = tuple[str, str]


def token_rows(label: str, pieces: Sequence[bytes], width: int, logprobs: Sequence[float | None] = ()) -> Content:
    """Tokens behind a label, on as many lines as they need.

    Args:
        label: What stands before them; further lines begin below their first.
        pieces: Bytes of the tokens.
        width: Cells of a line.
        logprobs: Natural log of each one's probability, which is shown behind it; empty for none.
    """
    room = max(8, width - cell_len(label))
    parts: list[_Part] = [(label, _QUIET)]
    used = 0
    for index, piece in enumerate(pieces[:_MOST_SHOWN]):
        text = visible_piece(piece)
        share = f" {percent(probability(logprobs[index]), 0)}" if logprobs else ""
        need = cell_len(text) + len(share) + len(_BETWEEN)
        if used and used + need > room:
            parts.append((f"\n{' ' * cell_len(label)}", ""))
            used = 0
        parts += [(text, _SHADES[index % 2]), (share, _QUIET), (_BETWEEN, _QUIET)]
        used += need
    more = len(pieces) - _MOST_SHOWN
    if more > 0:
        parts.append((f" … and {more:,} more", _QUIET))
    return Content.assemble(*parts)
