"""The figures of watched words at one token: a row for each word, left of the curves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from playground.domain.tokens import Token
from playground.domain.watch_list import MOST_WORDS, Shown, figure, value_at
from playground.domain.watching import Watched
from playground.widgets.bars import fit, stage_label
from playground.widgets.watch_grid import SIGNS

_FIGURE: Final = 8
_WORD: Final = range(8, 17)
"""Cells a name has: as many as the longest needs."""
_HEAD: Final = 10
"""Cells that the head needs in its place, such as "#559 latest" does with the sign's."""
_CUT: Final = 13
_ROOM_FOR_CUT: Final = 100

Look = Callable[[str], Style]
"""Gives the style of a part, such as "head" or "word-0"."""


class WatchFigures:
    """Rows for what is on display; `names` are those of its words."""

    def __init__(self, shown: Shown, names: Sequence[str], width: int, look: Look) -> None:
        """Nothing is drawn yet.

        Args:
            shown: What is to be seen.
            names: Of its words, in their order.
            width: Cells of the whole widget: with many there is a column for what removed a word.
            look: Styles.
        """
        self._shown, self._names, self._look = shown, names, look
        self._with_cut = width >= _ROOM_FOR_CUT
        longest = max((cell_len(name) for name in names), default=0)
        self._word_width = min(max(longest, _HEAD, _WORD.start), _WORD.stop - 1)
        self.width = 2 + self._word_width + 2 * _FIGURE + (_CUT if self._with_cut else 0)
        """Cells of a row."""

    @property
    def token(self) -> Token | None:
        """The token whose figures are shown."""
        tokens, at = self._shown.tokens, self._shown.at
        if not tokens:
            return None
        return tokens[-1] if at is None or at >= len(tokens) else tokens[at]

    def head(self, *, focused: bool, alone: bool) -> list[Segment]:
        """The first row.

        Args:
            focused: Keys come here.
            alone: There are no curves beside it that could say what is to be said.
        """
        token = self.token
        if alone and self._shown.note and not self._shown.watching:
            return [Segment(fit(self._shown.note, self.width), self._look("faint"))]
        where = "watch" if token is None else f"#{token.index + 1:,} {'latest' if self._shown.at is None else 'pinned'}"
        head = fit(where, 2 + self._word_width) + "model".rjust(_FIGURE) + "sampled".rjust(_FIGURE)
        return [Segment(head, self._look("focus" if focused else "head"))]

    def word(self, number: int, rows: int) -> list[Segment]:
        """Sign, word and figures of one word; in the last of `rows` how many have none."""
        shown = self._shown
        count = len(shown.watching) or len(shown.words)
        if number == rows - 1 and count > rows:
            return [Segment(fit(f"  … {count - number} more", 2 + self._word_width), self._look("faint"))]
        if number >= count:
            return []
        found = value_at(self.token, shown.watching[number].id) if shown.watching else None
        look = self._look(f"word-{number % MOST_WORDS}")
        return [
            Segment(f"{SIGNS[number % len(SIGNS)]} ", look),
            Segment(fit(self._names[number], self._word_width), look),
            Segment(figure(found.before if found else None).rjust(_FIGURE), look),
            Segment(figure(found.after if found else None).rjust(_FIGURE), look),
            *([Segment(self._cut(found), self._look("faint"))] if self._with_cut else []),
        ]

    def _cut(self, found: Watched | None) -> str:
        """Which stage removed a word."""
        token = self.token
        if found is None or token is None or not 0 <= found.cut_by < len(token.stages):
            return " " * _CUT
        return fit(f" ✂ {stage_label(token.stages[found.cut_by].name)}", _CUT)
