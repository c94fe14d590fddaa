"""Watched words in the course of a reply: their figures at one token, and their curves over all of them."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.tokens import Token
from playground.domain.watch_list import MOST_WORDS, Shown, names_of
from playground.widgets.watch_curves import WatchCurves
from playground.widgets.watch_figures import WatchFigures

_LEAST_ROWS: Final = 7
_PART: Final = 5
"""The plot may take one of so many rows of the screen, and more where it has more words."""
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
        & > .watch-plot--faint { color: $foreground 70%; }
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
        self._shown = Shown(())
        self._names: list[str] = []
        self._figures = WatchFigures(self._shown, (), 0, self._look)
        self._curves = WatchCurves(self._look)
        self._drawn: object = None
        self._rows = 0

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
            self._begin()
        self._redraw()

    def on_resize(self) -> None:
        """Another width, other stretches."""
        self._begin()
        self._redraw()

    def _begin(self) -> None:
        width, height = self.size
        self._figures = WatchFigures(self._shown, self._names, width, self._look)
        self._curves.fit_to(width - self._figures.width, height)
        self._curves.begin(self._shown)

    def _redraw(self) -> None:
        shown = self._shown
        state = (shown[:2], shown.at, shown.note, shown.writing, self._curves.follow(shown), self.size)
        if state != self._drawn:
            self._drawn = state
            self._figures = WatchFigures(shown, self._names, self.size.width, self._look)
            self._curves.draw()
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """One row: figures of a word at the left, its part of the curves at the right."""
        width, base = self.size.width, self.rich_style
        figures, curves = self._figures, self._curves
        head = figures.head(focused=self.has_focus, alone=not curves.columns) if y == 0 else None
        row = figures.word(y - 1, self.size.height - 1) if head is None else head
        segments = list(Strip(row).adjust_cell_length(figures.width, base))
        if curves.columns:
            segments += curves.line(y, figures.token, base)
        return Strip(segments).adjust_cell_length(width, base).simplify()

    def _look(self, part: str) -> Style:
        return self.get_component_rich_style(f"watch-plot--{part}")

    @property
    def logarithmic(self) -> bool:
        """True while the scale is logarithmic."""
        return self._curves.logarithmic

    @property
    def token(self) -> Token | None:
        """The token whose figures are shown."""
        return self._figures.token

    def on_focus(self) -> None:
        """The head shows that keys come here."""
        self.refresh()

    def on_blur(self) -> None:
        """And that they do not any more."""
        self.refresh()

    def action_scale(self) -> None:
        """The other scale."""
        self._curves.logarithmic = not self._curves.logarithmic
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
        at = self._curves.token_under(event.x - self.gutter.left - self._figures.width)
        if at is not None:
            self._choose(at)

    def _choose(self, at: int) -> None:
        if 0 <= at < len(self._shown.tokens):
            self.post_message(self.TokenChosen(self, at))
