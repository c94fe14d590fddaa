"""The last line of defence between a model's text and the terminal."""

from __future__ import annotations

import re
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_UNSAFE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
REPLACEMENT: Final = "\ufffd"


class ControlGuard(LineFilter):
    """Turns control characters, bidirectional overrides and lone surrogates into U+FFFD in every widget's output.

    Stock widgets write escape sequences in their text straight through, so one forgotten `display_text()` would let a
    model retitle the terminal or fill its clipboard. Return `GUARD` last from `App.get_line_filters()`.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The same segments with the same widths, unsafe characters replaced; Textual's own control codes stay."""
        return [
            Segment(_UNSAFE.sub(REPLACEMENT, text), style) if not control and _UNSAFE.search(text) else segment
            for segment in segments
            for text, style, control in (segment,)
        ]


GUARD: Final = ControlGuard()
"""Shared instance: Textual caches filtered lines by the identity of the filter."""
