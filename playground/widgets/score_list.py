"""Places in a scored text that are worth a look, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from textual import on
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from playground.domain.display import display_line, visible_piece
from playground.domain.scoring import ScoreDifference
from playground.domain.tokens import Token
from playground.widgets.bars import TOO_SMALL, UNKNOWN, fit, percent, probability
from playground.widgets.score_colours import bits, signed

_BEFORE: Final = 15
"""Cells of the figure and the number of the token."""
_TEXT: Final = 9
"""Cells that a token needs to be known again."""


class Place(NamedTuple):
    """A token and why to look at it."""

    at: int
    """Index of the token."""
    figure: str
    text: str
    more: str
    extra: str = ""
    """Shown where there is room for it in every row."""
    divergence: str = ""
    """Shown where there is room for this as well."""


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
        rest = max(8, self.scrollable_content_region.width - 2 - _BEFORE)
        need = max((cell_len(place.more) for place in self.places), default=0)
        extra = max((cell_len(place.extra) for place in self.places), default=0)
        extra = extra if rest - need - extra >= _TEXT else 0
        last = max((cell_len(place.divergence) for place in self.places), default=0)
        last = last if rest - need - extra - last >= _TEXT else 0
        # What does not fit beside the token stands above, once the cursor is there.
        text = rest - need - extra - last
        if not (extra or last):
            text = max(rest * 2 // 5, text) if rest - need >= _TEXT else rest * 2 // 5
        text = text if text >= _TEXT else rest
        with self.prevent(OptionList.OptionHighlighted):
            self.clear_options()
            self.add_options([Option(_line(place, text, rest - text, extra, last)) for place in self.places])

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


def _line(place: Place, text: int, more: int, extra: int, last: int) -> Content:
    """A row: cells of the token, of all that is behind it, and of the last two parts of that; 0: without this one."""
    about = place.more
    if extra:
        about = about + place.extra
    if last:
        about = fit(about, more - last) + place.divergence
    number = f"#{place.at + 1:,}"
    return Content.assemble(
        (f"{place.figure:>7} ", "bold $primary"),
        (f"{number:<6} ", "$foreground 70%"),
        (fit(place.text, text - 1) + " ", "$foreground"),
        (fit(about, more), "$foreground 70%"),
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
    figures = [percent(probability(token.logprob), 1) for token in (first, second)]
    if any(figure.startswith(TOO_SMALL) for figure in figures):  # then they say nothing about what lies between them
        figures = [UNKNOWN if token.logprob is None else f"{token.logprob:.2f}" for token in (first, second)]
        figures[0] = f"log-prob {figures[0]}"
    shares = " → ".join(figures)
    ranks = f"  rank {first.rank:,} → {second.rank:,}" if one.rank else ""
    divergence = "" if one.kl is None else f" KL {one.kl:.3f}"
    return Place(one.index, signed(bits(one.logprob)), _name(first), shares, ranks, divergence)
