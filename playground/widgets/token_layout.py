"""Wrapping of tokens into lines, one token at a time, at a cost that does not depend on what came before.

Only the last line is ever open. A token that continues its word over the right edge takes the beginning of the word
with it to the next line, which remembers what it took so that dropping tokens from the end can give it back.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final

from rich.cells import cell_len, split_graphemes

from playground.domain.display import display_text

Piece = tuple[int, str, int]
"""Index of an item, the part of its text on this line, its width in cells. A plain tuple is free for the collector."""

MIN_WRAP: Final = 4
TAB_CELLS: Final = 4
NEWLINE_MARK: Final = "↵"
TAB_MARK: Final = "→"
_FIRST_WIDE: Final = "\u1100"
_BREAK_AFTER: Final = " " + TAB_MARK
_WORDS: Final = re.compile(" *[^ ]+| +")
_PARTS: Final = re.compile("[^\n\t]+|\n|\t")


class Line:
    """One line of the screen."""

    __slots__ = ("carried", "drawn", "hard", "pieces", "width")

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self.width = 0
        """Cells used; one more than the wrap where a newline mark stands in the spare column."""
        self.hard = False
        """True when a newline of the text ends this line."""
        self.carried: tuple[Piece, ...] = ()
        """Beginning of a word as it stood on the line above before it was taken here."""
        self.drawn: Any = None
        """Whatever the view made of this line; None when that must be made again."""

    @property
    def first_item(self) -> int:
        """Index of the item the line begins with; IndexError on a line without pieces."""
        return self.pieces[0][0]

    def add(self, piece: Piece) -> None:
        """Put a piece at the end."""
        self.pieces.append(piece)
        self.width += piece[2]
        self.drawn = None

    def cut(self, index: int) -> list[Piece]:
        """Take off and return the pieces from `index` on."""
        taken = self.pieces[index:]
        del self.pieces[index:]
        self.width -= sum(piece[2] for piece in taken)
        self.hard = self.hard and not taken
        self.drawn = None
        return taken

    def break_index(self) -> int:
        """Index of the piece before which this line may be broken for the sake of the word at its end; 0 if nowhere."""
        for index in range(len(self.pieces) - 1, -1, -1):
            text = self.pieces[index][1]
            if text and (text[-1] in _BREAK_AFTER or _is_wide(text[-1])):
                return index + 1
            if text and (text[0] == " " or _is_wide(text[0])):
                return index
        return 0


class TokenLayout:
    """Items laid out in lines of `wrap` cells; every item has at least one piece, if only of width 0.

    Args:
        wrap: Cells a line; the view must be one cell wider, for newline marks. At least MIN_WRAP is used.
    """

    def __init__(self, wrap: int) -> None:
        self.wrap = max(MIN_WRAP, wrap)
        self.lines: list[Line] = [Line()]

    def append(self, item: int, text: str, *, marks: bool = True) -> None:
        """Lay out one more item.

        Args:
            item: Its index; indexes must grow.
            text: Its text as it came; it is made safe here.
            marks: Draw newlines and tabs visibly, so that a token of nothing else can be seen and clicked.
        """
        shown = display_text(text)
        if not shown:
            self.lines[-1].add((item, "", 0))
            return
        for part in _PARTS.findall(shown):
            if part == "\n":
                self._break(item, NEWLINE_MARK if marks else "")
            elif part == "\t":
                cells = TAB_CELLS - self.lines[-1].width % TAB_CELLS
                self._fill(item, (TAB_MARK if marks else " ").ljust(cells), cells)
            else:
                for word in _WORDS.findall(part) if " " in part[1:] else (part,):
                    self._put(item, word)

    def truncate(self, count: int) -> None:
        """Drop the items from index `count` on, leaving the very lines that the others alone would have made."""
        while True:
            line = self.lines[-1]
            kept = len(line.pieces)
            while kept and line.pieces[kept - 1][0] >= count:
                kept -= 1
            if kept < len(line.pieces):
                line.cut(kept)
            if len(self.lines) == 1:
                return
            if line.carried and kept <= len(line.carried):
                self._give_back(count)
            elif kept or self._ends_hard(self.lines[-2], count):
                return
            else:
                self.lines.pop()

    def line_of(self, item: int) -> int:
        """Number of the line on which an item begins."""
        filled = len(self.lines) - (not self.lines[-1].pieces)
        y = bisect_left(self.lines, item, 0, filled, key=lambda line: line.first_item)
        return y - 1 if y and self.lines[y - 1].pieces[-1][0] >= item else min(y, len(self.lines) - 1)

    def last_line_of(self, item: int) -> int:
        """Number of the line on which an item ends."""
        y = self.line_of(item)
        while y + 1 < len(self.lines) and self.lines[y + 1].pieces and self.lines[y + 1].first_item <= item:
            y += 1
        return y

    def column_of(self, item: int) -> int:
        """Cell of its line at which an item begins."""
        return sum(width for index, _, width in self.lines[self.line_of(item)].pieces if index < item)

    def item_at(self, y: int, x: int, *, cells: bool = True) -> int | None:
        """Item at column `x` of line `y`, counted in cells or else in characters; None where there is none."""
        if not 0 <= y < len(self.lines):
            return None
        for item, text, width in self.lines[y].pieces:
            x -= width if cells else len(text)
            if x < 0:
                return item
        return None

    def shown_items(self, y: int, step: int) -> Iterator[int]:
        """Items with cells of their own on line `y` and those beyond it, downwards (step 1) or upwards (-1)."""
        while 0 <= y < len(self.lines):
            for item, _, width in self.lines[y].pieces[::step]:
                if width:
                    yield item
            y += step

    def _break(self, item: int, mark: str) -> None:
        line = self.lines[-1]
        line.add((item, mark, len(mark)))
        line.hard = True
        self.lines.append(Line())

    def _put(self, item: int, text: str) -> None:
        line = self.lines[-1]
        width = cell_len(text)
        if line.width + width <= self.wrap:
            line.add((item, text, width))
        elif text[0] == " ":
            self._put_after_space(item, text)
        elif _is_wide(text[0]) or not line.width:
            self._fill(item, text, width)
        else:
            self._carry_word(line)
            self._fill(item, text, width)

    def _put_after_space(self, item: int, text: str) -> None:
        """The spaces before a word hang at the end of the old line, as far as there is room."""
        body = text.lstrip(" ")
        line = self.lines[-1]
        if body and line.width:
            hung = min(len(text) - len(body), self.wrap - line.width)
            if hung:
                line.add((item, " " * hung, hung))
            self.lines.append(Line())
            text = body
        self._fill(item, text, cell_len(text))

    def _carry_word(self, line: Line) -> None:
        """Begin a new line with the unfinished word of the old one, unless that word is all there is on it."""
        index = line.break_index()
        carried = line.pieces[index:]
        width = sum(piece[2] for piece in carried)
        if not index or width == line.width:
            return
        line.cut(index)
        fresh = Line()
        fresh.carried = tuple(carried)
        if carried:
            item, text, width = carried[0]
            body = text.lstrip(" ")
            if body != text:
                hung = len(text) - len(body)
                line.add((item, text[:hung], hung))
                carried[0] = (item, body, width - hung)
        for piece in carried:
            fresh.add(piece)
        self.lines.append(fresh)

    def _fill(self, item: int, text: str, width: int) -> None:
        """Put a text that may be broken anywhere between characters."""
        line = self.lines[-1]
        if line.width + width <= self.wrap:
            line.add((item, text, width))
            return
        start = used = 0
        for begin, _, cells in split_graphemes(text)[0]:
            if line.width + used + cells > self.wrap and line.width + used:
                if used:
                    line.add((item, text[start:begin], used))
                line = Line()
                self.lines.append(line)
                start, used = begin, 0
            used += cells
        line.add((item, text[start:], used))

    def _give_back(self, count: int) -> None:
        """Undo a carry whose cause is gone."""
        line = self.lines.pop()
        above = self.lines[-1]
        if line.carried and above.pieces[-1][0] == line.carried[0][0] and line.carried[0][1][:1] == " ":
            above.cut(len(above.pieces) - 1)
        for piece in line.carried:
            if piece[0] < count:
                above.add(piece)

    @staticmethod
    def _ends_hard(line: Line, count: int) -> bool:
        return line.hard and line.pieces[-1][0] < count


def _is_wide(char: str) -> bool:
    return char >= _FIRST_WIDE and cell_len(char) == 2
