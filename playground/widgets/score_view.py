"""A scored text in its colours, the token under the cursor, and the places that are worth a look."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from playground.domain.scoring import Score, ScoreComparison, largest_differences, surprises
from playground.domain.tokens import TextDecoder
from playground.widgets.colour_scale import ColourMode, level_of_token
from playground.widgets.legend import Legend
from playground.widgets.score_colours import DifferenceLegend, style_of_difference
from playground.widgets.score_list import Place, ScoreList, place_of_difference, place_of_surprise
from playground.widgets.score_token import ScoreToken
from playground.widgets.token_store import Item
from playground.widgets.token_view import TokenMessage, TokenView

_PLACES: Final = 50
"""How many places are listed."""
_SURPRISES: Final = "Surprises in bits · expected"


class ScoreView(Horizontal):
    """Colours tell what one model found, or what lies between two."""

    DEFAULT_CSS = """
    ScoreView {
        & > #score-left { width: 1fr; border: round $border-blurred; padding: 0 1; }
        & > #score-right { width: 46; }
        & #score-places { height: 2fr; border: round $border-blurred; border-title-color: $text-muted; }
        & ScoreToken { height: 3fr; border: round $border-blurred; }
        & > #score-left:focus-within, & #score-places:focus-within { border: round $border; }
        & TokenView { height: 1fr; }
        & DifferenceLegend { display: none; }
        &.-difference Legend { display: none; }
        &.-difference DifferenceLegend { display: block; }
    }
    """

    def __init__(self, mode: ColourMode) -> None:
        super().__init__()
        self._mode = mode
        self._differing = False
        """Colours show what lies between two models."""
        self._score: Score | None = None
        self._second: Score | None = None
        self._comparison: ScoreComparison | None = None
        self._places: Sequence[Place] = ()
        self._place = -1

    def compose(self) -> ComposeResult:
        """The text at the left; what is to be known about it at the right."""
        with Vertical(id="score-left"):
            yield Legend()
            yield DifferenceLegend()
            yield TokenView(id="score-text")
        with Vertical(id="score-right"):
            yield ScoreToken()
            with Vertical(id="score-places"):
                yield ScoreList()

    def set_palette(self, tokens: Sequence[Style], differences: Sequence[Style]) -> None:
        """Draw in these styles: those of tokens, and the `DIFFERENCES` of a difference."""
        self.query_one(TokenView).set_palette([*tokens, *differences])
        self.query_one(Legend).set_palette(tokens)
        self.query_one(DifferenceLegend).use_styles(differences)

    def show(self, score: Score) -> None:
        """Show what a model found, beginning at what surprised it most."""
        self._score = score
        view = self.query_one(TokenView)
        view.follow = False
        view.extend(self._items(score))
        self._list([place_of_surprise(token) for token in surprises(score, _PLACES)], _SURPRISES)
        self._colour()
        view.focus()
        self.call_after_refresh(self.step, 1)

    def compare(self, second: Score, comparison: ScoreComparison | None, name: str) -> None:
        """Show beside it what a second model found; without a comparison there is nothing to be told by tokens."""
        assert self._score is not None
        first = self._score.tokens
        self._second, self._comparison = second, comparison
        self._differing = comparison is not None
        self.query_one(DifferenceLegend).name_second(name)
        if comparison is None:
            self._list([place_of_surprise(token) for token in surprises(self._score, _PLACES)], _SURPRISES)
        else:
            differences = largest_differences(comparison, _PLACES)
            places = [place_of_difference(one, first[one.index], second.tokens[one.index]) for one in differences]
            self._list(places, "Differences in bits")
        self._colour()
        self.step(1)
        self._show_token(self._at_cursor())

    def _list(self, places: Sequence[Place], title: str) -> None:
        self._places, self._place = places, -1
        self.query_one("#score-places").border_title = title
        self.query_one(ScoreList).show(places)

    def _items(self, score: Score) -> Iterator[Item]:
        decoder = TextDecoder()
        for token in score.tokens:
            text = decoder.finish() + token.special if token.special else decoder.feed(token.piece)
            yield Item(text, level_of_token(token, self._mode), token.index)

    def _colour(self) -> None:
        self.set_class(self._differing, "-difference")
        if self._score is None:
            return
        if self._differing and self._comparison is not None:
            styles = [style_of_difference(one) for one in self._comparison.tokens]
        else:
            styles = [level_of_token(token, self._mode) for token in self._score.tokens]
        self.query_one(Legend).mode = self._mode
        self.query_one(TokenView).restyle(styles)

    def _at_cursor(self) -> object:
        view = self.query_one(TokenView)
        return view.store.refs[view.cursor] if view.cursor is not None else None

    @on(TokenView.Selected)
    @on(TokenView.Hovered)
    def _pointed(self, event: TokenMessage) -> None:
        event.stop()
        self._show_token(event.ref if event.ref is not None else self._at_cursor())

    def _show_token(self, index: object) -> None:
        if self._score is None or not isinstance(index, int):
            return
        token, comparison = self._score.tokens[index], self._comparison
        if self._second is None or comparison is None:
            self.query_one(ScoreToken).show(token)
        else:
            self.query_one(ScoreToken).show(token, self._second.tokens[index], comparison.tokens[index])

    @on(ScoreList.Shown)
    def _place_shown(self, event: ScoreList.Shown) -> None:
        event.stop()
        self._place = next((at for at, place in enumerate(self._places) if place.at == event.index), -1)
        self.query_one(TokenView).move_to(event.index)
        if event.chosen:
            self.query_one(TokenView).focus()

    def step(self, step: int) -> None:
        """Go to another of the listed places; from the last to the first. Without any, to the first token."""
        view = self.query_one(TokenView)
        if not self._places:
            view.move_to(0)
            return
        self._place = (self._place + step) % len(self._places)
        self.query_one(ScoreList).highlighted = self._place
        view.move_to(self._places[self._place].at)

    def next_colour(self) -> None:
        """Let colours tell the next figure; the difference is one of them where there is one."""
        modes = list(ColourMode)
        place = modes.index(self._mode)
        if self._differing:
            self._differing, self._mode = False, modes[0]
        elif self._comparison is not None and place == len(modes) - 1:
            self._differing = True
        else:
            self._mode = modes[(place + 1) % len(modes)]
        self._colour()

    def change_sides(self) -> None:
        """From the text to the list, and back."""
        text = self.query_one(TokenView)
        (self.query_one(ScoreList) if text.has_focus else text).focus()
