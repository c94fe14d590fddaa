"""Places in a scored text that are worth a look, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from playground.domain.display import display_line, visible_piece
from playground.domain.scoring import ScoreDifference
from playground.domain.tokens import Token
from playground.widgets.bars import fit, percent, probability
from playground.widgets.score_colours import bits, signed


class Place(NamedTuple):
    """A token and why to look at it."""

    at: int
    """Index of the token."""
    figure: str
    text: str
    more: str


class ScoreList(OptionList):
    """Places by their weight. Moving over them shows them in the text, Enter goes there."""

    DEFAULT_CSS = """
    ScoreList, ScoreList:focus {
        height: 1fr; border: none; background: $background; padding: 0 1; scrollbar-size-vertical: 1;
    }
    ScoreList > .option-list--option { text-wrap: nowrap; text-overflow: ellipsis; padding: 0; }
    """

    class Shown(Message):
        """A place is to be shown; `chosen` when the person wants to go there."""

        def __init__(self, index: int, *, chosen: bool) -> None:
            super().__init__()
            self.index = index
            self.chosen = chosen

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.places: Sequence[Place] = ()

    def show(self, places: Sequence[Place]) -> None:
        """Other places."""
        self.places = places
        self._draw()

    def on_resize(self) -> None:
        """Another width."""
        at = self.highlighted
        self._draw()
        self.highlighted = at

    def _draw(self) -> None:
        width = max(10, self.scrollable_content_region.width - 2)
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(_line(place, width)) for place in self.places])

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        if self.has_focus and event.option_index < len(self.places):
            self.post_message(self.Shown(self.places[event.option_index].at, chosen=False))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        if event.option_index < len(self.places):
            self.post_message(self.Shown(self.places[event.option_index].at, chosen=True))


def _line(place: Place, width: int) -> Content:
    number = f"#{place.at + 1:,}"
    rest = max(8, width - 8 - max(5, len(number)) - 1)
    text = max(6, rest * 2 // 5)
    return Content.assemble(
        (f"{place.figure:>7} ", "bold $primary"),
        (f"{number:<5} ", "$foreground 60%"),
        (fit(place.text, text - 1) + " ", "$foreground"),
        (fit(place.more, rest - text), "$foreground 70%"),
    )


def _name(token: Token) -> str:
    return display_line(token.special) if token.special else visible_piece(token.piece)


def place_of_surprise(token: Token) -> Place:
    """A token that was not expected, and what was."""
    surprisal = token.surprisal
    best = token.top[0] if token.top else None
    more = ""
    if best is not None and best.id != token.id:
        more = f"{percent(probability(best.logprob), 5)} {visible_piece(best.piece)}"
    return Place(token.index, "" if surprisal is None else f"{surprisal:.2f}", _name(token), more)


def place_of_difference(one: ScoreDifference, first: Token, second: Token) -> Place:
    """A token about which two models differ: its ranks and probabilities under both."""
    shares = " → ".join(percent(probability(token.logprob), 1) for token in (first, second))
    ranks = f"  rank {first.rank:,} → {second.rank:,}" if one.rank else ""
    return Place(one.index, signed(bits(one.logprob)), _name(first), f"{shares}{ranks}")
