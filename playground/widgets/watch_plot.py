"""Watched words in the course of a reply: their figures at one token, and their curves over all of them."""

from __future__ import annotations

from itertools import groupby
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.tokens import Token
from playground.domain.watch_list import MOST_WORDS, Curves, Shown, figure, names_of, value_at
from playground.domain.watching import Watched
from playground.widgets.bars import fit, stage_label
from playground.widgets.watch_grid import SIGNS, Cell, columns_of, draw, token_of, zoom_of

_FIGURE: Final = 8
_WORD: Final = range(8, 17)
"""Cells a name has: as many as the longest needs."""
_HEAD: Final = 10
"""Cells that the head needs in its place, such as "#559 latest" does with the sign's."""
_CUT: Final = 13
_LEAST_ROWS: Final = 7
_PART: Final = 5
"""The plot may take one of so many rows of the screen, and more where it has more words."""
_LEAST_PLOT: Final = 12
"""Cells below which there are figures alone."""
_ROOM_FOR_CUT: Final = 100
_EXPLAINED: Final = """\
How likely each watched word is at every token of the reply, in or out of the list of candidates.
dots    model: the model's own probability, over the whole vocabulary
signs   sampled: the chance after all samplers; none where a sampler removed the word
Of a long reply, each column shows the highest figure of several tokens. ≈ stands before figures that were found
afterwards: computed in larger pieces they may differ a little from what the model had when it wrote.

l switches between percent and a logarithmic scale, left and right walk over the tokens, Enter chooses the words,
Del folds this away (Alt+K brings it back). A click goes to the token."""


class WatchPlot(Widget, can_focus=True):
    """As high as it has words. Costs what is new of the reply, and is drawn when something has changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("l", "scale", "Scale", show=False, id="watch.scale", tooltip="Percent or a logarithmic scale"),
        Binding("left", "step(-1)", "Token before", show=False, id="watch.left", tooltip="The token before"),
        Binding("right", "step(1)", "Token after", show=False, id="watch.right", tooltip="The token after"),
        Binding("enter", "words", "Words", show=False, id="watch.words", tooltip="Choose the words"),
        Binding("delete", "fold", "Fold", show=False, id="watch.fold", tooltip="Fold the plot away; Alt+K brings it"),
    ]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"watch-plot--word-{number}" for number in range(MOST_WORDS)),
        *(f"watch-plot--{part}" for part in ("head", "faint", "cursor", "focus")),
    }
    DEFAULT_CSS = """
    WatchPlot {
        height: 6;
        width: 1fr;
        padding: 0 1;
        & > .watch-plot--head { color: $foreground 70%; text-style: bold; }
        & > .watch-plot--focus { color: $accent; text-style: bold; }
        & > .watch-plot--faint { color: $foreground 60%; }
        & > .watch-plot--cursor { background: $foreground 20%; }
        & > .watch-plot--word-0 { color: $primary; } & > .watch-plot--word-1 { color: $success; }
        & > .watch-plot--word-2 { color: $mark; } & > .watch-plot--word-3 { color: $error; }
        & > .watch-plot--word-4 { color: $warning; } & > .watch-plot--word-5 { color: $foreground; }
        & > .watch-plot--word-6 { color: $secondary; } & > .watch-plot--word-7 { color: $accent; }
    }
    """

    class TokenChosen(Message):
        """The person wants to go to a token of the reply on display."""

        def __init__(self, plot: WatchPlot, at: int) -> None:
            super().__init__()
            self.plot = plot
            self.at = at
            """Index of the token in the reply."""

        @property
        def control(self) -> WatchPlot:
            """The plot."""
            return self.plot

    class WordsWanted(Message):
        """The person wants to choose the words."""

    class FoldWanted(Message):
        """The person wants the plot out of the way."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tooltip = Content(_EXPLAINED)
        self.logarithmic = False
        self._shown = Shown(())
        self._curves = Curves((), 2)
        self._drawn: object = None
        self._grid: list[list[Cell]] = []
        self._rows = 0
        self._names: list[str] = []

    def show(self, shown: Shown, most_rows: int) -> None:
        """Show the figures of a reply; cheap when nothing changed.

        Args:
            shown: What is to be seen.
            most_rows: Rows there is room for.
        """
        old, self._shown = self._shown, shown
        wanted = max(_LEAST_ROWS, self.screen.size.height // _PART)
        rows = min(most_rows, max(wanted, 1 + max(len(shown.words), len(shown.watching))))
        if rows != self._rows:
            self._rows = self.styles.height = rows
        if (shown.words, shown.watching) != (old.words, old.watching):
            self._names = names_of(shown)
            self._curves = Curves(shown.watching, self._columns * 2)
        self._redraw()

    def on_resize(self) -> None:
        """Another width, other stretches."""
        self._curves = Curves(self._shown.watching, self._columns * 2)
        self._redraw()

    @property
    def _figures_width(self) -> int:
        return 2 + self._word_width + 2 * _FIGURE + (_CUT if self._with_cut else 0)

    @property
    def _word_width(self) -> int:
        longest = max((cell_len(name) for name in self._names), default=0)
        return min(max(longest, _HEAD, _WORD.start), _WORD.stop - 1)

    @property
    def _label(self) -> int:
        """Cells of the scale's labels."""
        return 1 + (len("0.0001%") if self.logarithmic else len("100%"))

    @property
    def _with_cut(self) -> bool:
        return self.size.width >= _ROOM_FOR_CUT

    @property
    def _columns(self) -> int:
        """Cells the curves are wide; 0 where there is no room for any."""
        left = self.size.width - self._figures_width - self._label - 2
        return left if left >= _LEAST_PLOT else 0

    def _redraw(self) -> None:
        shown = self._shown
        if not self._curves.follow(shown.tokens):
            self._curves = Curves(shown.watching, self._columns * 2)
            self._curves.follow(shown.tokens)
        state = (
            shown[:2],
            shown.at,
            shown.note,
            shown.writing,
            self._curves.count,
            id(self._curves),
            self.logarithmic,
            self.size,
        )
        if state != self._drawn:
            self._drawn = state
            rows = max(1, self.size.height - 1)
            columns, whole = self._columns, not shown.writing
            self._grid = draw(self._curves.curves, columns, rows, log=self.logarithmic, whole=whole) if columns else []
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row: figures of a word at the left, its part of the curves at the right."""
        width, base = self.size.width, self.rich_style
        strip = Strip(self._head() if y == 0 else self._word(y - 1))
        segments = list(strip.adjust_cell_length(self._figures_width, base))
        if self._columns:
            segments += self._axis() if y == self.size.height - 1 else self._plot(y)
        return Strip(segments).adjust_cell_length(width, base).simplify()

    def _part(self, name: str) -> Style:
        return self.get_component_rich_style(f"watch-plot--{name}")

    @property
    def token(self) -> Token | None:
        """The token whose figures are shown."""
        tokens, at = self._shown.tokens, self._shown.at
        if not tokens:
            return None
        return tokens[-1] if at is None or at >= len(tokens) else tokens[at]

    def _head(self) -> list[Segment]:
        token = self.token
        if not self._columns and self._shown.note and not self._shown.watching:
            return [Segment(fit(self._shown.note, self._figures_width), self._part("faint"))]
        where = "watch" if token is None else f"#{token.index + 1:,} {'latest' if self._shown.at is None else 'pinned'}"
        head = fit(where, 2 + self._word_width) + "model".rjust(_FIGURE) + "sampled".rjust(_FIGURE)
        return [Segment(head, self._part("focus" if self.has_focus else "head"))]

    def _word(self, number: int) -> list[Segment]:
        """Sign, word and figures of one word; in the last row how many have none."""
        shown = self._shown
        count = len(shown.watching) or len(shown.words)
        rows = self.size.height - 1
        if number == rows - 1 and count > rows:
            return [Segment(fit(f"  … {count - number} more", 2 + self._word_width), self._part("faint"))]
        if number >= count:
            return []
        found = value_at(self.token, shown.watching[number].id) if shown.watching else None
        name = self._names[number]
        look = self._part(f"word-{number % MOST_WORDS}")
        return [
            Segment(f"{SIGNS[number % len(SIGNS)]} ", look),
            Segment(fit(name, self._word_width), look),
            Segment(figure(found.before if found else None).rjust(_FIGURE), look),
            Segment(figure(found.after if found else None).rjust(_FIGURE), look),
            *([Segment(self._cut(found), self._part("faint"))] if self._with_cut else []),
        ]

    def _cut(self, found: Watched | None) -> str:
        """Which stage removed a word."""
        token = self.token
        if found is None or token is None or not 0 <= found.cut_by < len(token.stages):
            return " " * _CUT
        return fit(f" ✂ {stage_label(token.stages[found.cut_by].name)}", _CUT)

    def _plot(self, y: int) -> list[Segment]:
        label = self._labels().get(y, "").rjust(self._label)
        edge = [Segment(f"{label} ", self._part("faint"))]
        if not self._shown.watching or y >= len(self._grid):
            note = self._shown.note if y == 1 else ""
            return [*edge, Segment(fit(note, self._columns), self._part("faint"))]
        marked = self._marked()
        looks = [self._part(f"word-{number}") for number in range(len(self._shown.watching))]
        cursor, base = self.get_component_rich_style("watch-plot--cursor"), self.rich_style
        behind = Style(bgcolor=cursor.bgcolor)

        def look(place: tuple[int, Cell]) -> tuple[int, bool]:
            return place[1].word, place[0] in marked

        for (word, under), run in groupby(enumerate(self._grid[y]), key=look):
            style = looks[word] if word >= 0 else base
            edge.append(Segment("".join(cell.char for _, cell in run), style + behind if under else style))
        return edge

    def _labels(self) -> dict[int, str]:
        last = max(1, self.size.height - 2)
        log = self.logarithmic
        return {0: "100%", last // 2: "0.1%" if log else "50%", last: "0.0001%" if log else "0%"}

    def _zoom(self) -> float:
        stretches = len(self._curves.curves[0].before) if self._curves.curves else 0
        return zoom_of(stretches, self._columns, whole=not self._shown.writing)

    def _marked(self) -> range:
        token = self.token
        if token is None or self._shown.at is None:
            return range(0)
        return columns_of(token.index, self._curves.length, self._zoom())

    def _axis(self) -> list[Segment]:
        count, length = self._curves.count, self._curves.length
        if not self._shown.watching:
            return []
        parts = [f"{count:,} {'token' if count == 1 else 'tokens'}"]
        parts += [self._shown.note] if self._shown.note else []
        parts += ["⠒ model", "● sampled", *(["log"] if self.logarithmic else [])]
        parts += [f"highest of {length:,}"] if length > 1 else []
        return [Segment(" " * (self._label + 1) + fit(" · ".join(parts), self._columns), self._part("faint"))]

    def on_focus(self) -> None:
        """The head shows that keys come here."""
        self.refresh()

    def on_blur(self) -> None:
        """And that they do not any more."""
        self.refresh()

    def action_scale(self) -> None:
        """The other scale."""
        self.logarithmic = not self.logarithmic
        self.on_resize()

    def action_step(self, by: int) -> None:
        """The next token, or the one before."""
        token = self.token
        if token is not None:
            self._choose(token.index + by)

    def action_words(self) -> None:
        """Choose the words."""
        self.post_message(self.WordsWanted())

    def action_fold(self) -> None:
        """Go out of the way."""
        self.post_message(self.FoldWanted())

    def on_click(self, event: events.Click) -> None:
        """Go to the token under the mouse."""
        event.stop()
        column = event.x - self.gutter.left - self._figures_width - self._label - 1
        if 0 <= column < self._columns:
            self._choose(token_of(column, self._curves.length, self._zoom()))

    def _choose(self, at: int) -> None:
        if 0 <= at < len(self._shown.tokens):
            self.post_message(self.TokenChosen(self, at))
