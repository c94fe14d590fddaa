"""The counts of several tokenizers, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from textual.content import Content

from playground.widgets.bars import fit

_NARROW: Final = 96
_LEAST_NAME, _MOST_NAME = 14, 48


class CountLine(NamedTuple):
    """One tokenizer, or a model that counts with it. All are texts to be shown; empty: this says nothing of it."""

    name: str
    model: str = ""
    """Whose price and context window are told."""
    tokens: str = ""
    per_token: str = ""
    broken: str = ""
    as_prompt: str = ""
    as_reply: str = ""
    window: str = ""
    note: str = ""
    """Stands in place of the figures."""


_HEAD: Final = CountLine(
    "tokenizer", "", "tokens", "bytes/token", "½ chars", "as prompt", "as reply", "of the context window"
)


def counts_table(lines: Sequence[CountLine], width: int) -> Content:
    """The lines under a head, in so many cells."""
    narrow = width < _NARROW
    head = _HEAD._replace(per_token="B/token", window="of context") if narrow else _HEAD
    columns = [("tokens", 9), ("per_token", 8 if narrow else 12)]
    columns += [] if narrow else [("broken", 9)]
    columns += [("as_prompt", 10), ("as_reply", 10), ("window", 20 if narrow else 24)]
    room = min(max(_LEAST_NAME, width - sum(size for _, size in columns)), _MOST_NAME)
    shown = [Content.styled(_figures(head, columns, room), "$foreground 70%")]
    for line in lines:
        if line.note:
            shown.append(Content.assemble((fit(line.name, room), ""), (f" {line.note}", "$warning")))
        else:
            shown.append(Content(_figures(line, columns, room)))
    return Content("\n").join(shown)


def _figures(line: CountLine, columns: Sequence[tuple[str, int]], room: int) -> str:
    if not line.model:
        name = fit(line.name, room)
    elif not line.name:
        name = fit(f"  as {line.model}", room)
    else:
        name = fit(f"{line.name} as {line.model}", room)
    return name + "".join(f"{getattr(line, column):>{size}}" for column, size in columns)
