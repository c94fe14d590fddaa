"""Text of people and models in a Markdown file: it stays Markdown, and nothing in it becomes HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from playground.domain.display import display_line, display_text

_NEXT: Final = "x"
"""Stands for what follows a message in the file: a paragraph of its own."""
_TAG: Final = re.compile(r"(?<!\\)((?:\\\\)*)<(?=[A-Za-z/!?])")
"""What may begin HTML, unless a backslash before it already says that it does not."""
_TICKS: Final = re.compile(r"`+")


def message_text(text: str) -> str:
    """A message as it is; what it leaves open ends with it, and what looks like HTML is read as text."""
    shown = display_text(text).strip("\n")
    code, fence = _read(shown)
    lines = [*shown.split("\n"), fence] if fence else shown.split("\n")
    return "\n".join(_without_tags(lines, code)) or "–"


def inline_text(text: str) -> str:
    """A name in a line: nothing in it is Markdown."""
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", display_line(text))


def _read(text: str) -> tuple[set[int], str]:
    """Numbers of the lines, from 0, that are code, where a backslash would be seen; and the fence that is left open.

    A fence in a list or a quotation ends with it: only one that stands by itself goes on into what follows.
    """
    from markdown_it import MarkdownIt

    # Without HTML, because that is how the text will be read once it has no tags.
    tokens = MarkdownIt("commonmark", {"html": False}).parse(f"{text}\n\n{_NEXT}")
    code = {at for one in tokens if one.type in ("fence", "code_block") and one.map for at in range(*one.map)}
    return code, tokens[-1].markup if tokens[-1].type == "fence" else ""


def _without_tags(lines: list[str], code: set[int]) -> Iterator[str]:
    """Lines in which no "<" begins a tag, code spans left as they are where it is certain that they are ones."""
    certain = True
    for at, line in enumerate(lines):
        if at in code:
            certain = True
            yield line
            continue
        certain = certain or not line.strip()
        pieces = _spans(line) if certain else None
        certain = pieces is not None
        # A bar may part cells of a table, also in the middle of what looks like a code span.
        if pieces is None or "|" in line:
            yield _TAG.sub(r"\1\\<", line)
        else:
            yield "".join(piece if piece[:1] == "`" else _TAG.sub(r"\1\\<", piece) for piece in pieces)


def _spans(line: str) -> list[str] | None:
    """A line in pieces: code spans, which begin with a backtick, and what is between them.

    None when a backtick stays without its like, or has a backslash before it: the span may end in a later line.
    """
    pieces, done = [], 0
    while (ticks := _TICKS.search(line, done)) is not None:
        end = next((one.end() for one in _TICKS.finditer(line, ticks.end()) if one[0] == ticks[0]), None)
        if end is None or line[: ticks.start()].endswith("\\"):
            return None
        pieces += [line[done : ticks.start()], line[ticks.start() : end]]
        done = end
    return [*pieces, line[done:]]
