"""How a conversation is drawn: what its colours and its legend tell, what of it is marked, folded or held back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rich.style import Style
from textual import on
from textual.containers import Vertical

from playground.widgets.colour_scale import ColourMode
from playground.widgets.edge_strip import EdgeStrip
from playground.widgets.legend import Legend
from playground.widgets.shown_branch import ShownBranch
from playground.widgets.shown_turn import Drawing, TokenDiffs
from playground.widgets.token_view import TokenView
from playground.widgets.transcript_items import OTHERS

GUESSED_LEGEND: Final = "underlined: guessed ahead"
DIFF_LEGEND: Final = "underlined: only this reply says it"


class TranscriptLooks(Vertical):
    """Draws the parts of a transcript one way or another. The subclass puts them on screen, and fills them."""

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(id=id)
        self.view = TokenView(id="tokens")
        """The token view inside."""
        self.drawing = Drawing(clock=clock)
        self._branch = ShownBranch(self.view, self.drawing)
        self._legend = Legend(id="legend")
        self._strip = EdgeStrip(self.view)
        self._replay_words: tuple[str, Sequence[tuple[str, int]]] | None = None
        self._why: tuple[object, str] | None = None
        """What there is to say about a token, and which one that is."""

    @property
    def mode(self) -> ColourMode:
        """What the colour of a token tells."""
        return self.drawing.mode

    def set_palette(self, styles: Sequence[Style]) -> None:
        """Draw in the colours of a theme."""
        self.view.set_palette(styles)
        self._legend.set_palette(styles)
        self._strip.set_palette(styles)

    @on(TokenView.Selected)
    def _explain(self) -> None:
        """Let the legend say what the colours tell, and when there is nothing that they could tell."""
        anywhere, at_last = self._branch.measured
        cursor = self.view.cursor
        if self._replay_words is not None:
            self._legend.explain(self._replay_words[0], scale=False, samples=self._replay_words[1])
        elif self._why is not None and cursor is not None and self._why[0] == self.view.store.refs[cursor]:
            self._legend.explain(self._why[1], scale=False)
        elif self.drawing.diffs is not None:
            self._legend.explain(DIFF_LEGEND, scale=False)
        elif self.mode is ColourMode.OFF or (anywhere and at_last):
            self._legend.explain(GUESSED_LEGEND if self.drawing.guessed else "", scale=True)
        elif not anywhere:
            self._legend.explain(f"no {self.mode} given for these tokens", scale=False)
        else:
            self._legend.explain(f"last reply: no {self.mode} given", scale=True)

    def say_why(self, text: str) -> None:
        """Say something about the token under the cursor, in place of the legend, while the cursor is there.

        An empty text brings the legend back.
        """
        if self.view.cursor is not None:
            self._why = (self.view.store.refs[self.view.cursor], text) if text else None
            self._explain()

    def set_mode(self, mode: ColourMode) -> None:
        """Colour by something else."""
        self.drawing.mode = mode
        self._legend.mode = mode
        self._restyle()

    def show_diff(self, diffs: TokenDiffs | None) -> None:
        """Show in place of probabilities what other replies have as well and what only these have; None goes back.

        Args:
            diffs: By turn id, for each token by its index "same" or "differs"; tokens without one are plain.
        """
        self.drawing.diffs = diffs
        self._restyle()

    def show_replay(self, styles: Mapping[int, Sequence[int]] | None) -> None:
        """Show what of a reply would stay under other parameters, in place of colours; None goes back.

        Args:
            styles: By turn id, the style of each token; the other turns are plain.
        """
        self.drawing.replay = styles
        if styles is None:
            self._replay_words = None
        self._restyle()

    def explain_replay(self, words: str, samples: Sequence[tuple[str, int]] = ()) -> None:
        """What the legend says while a reply is seen, or computed, under other parameters."""
        self._replay_words = words, samples
        self._explain()

    def _restyle(self) -> None:
        self._branch.restyle()
        self._strip.forget()
        self._explain()

    def set_buffered(self, on: bool) -> None:
        """Hold replies back until they are complete; the next calls of `sync` say how long one has waited."""
        if on != self.drawing.buffered:
            self.drawing.buffered = on
            self._branch.redraw()

    def set_stepping(self, on: bool) -> None:
        """Say at the end of a reply that waits for a token how it gets one."""
        self.drawing.stepping = on
        self._branch.redraw()

    def mark_divergence(self, turn_id: int, index: int, others: str = OTHERS) -> None:
        """Mark the token at which a reply parts from those of other panes; its end when it has no such token.

        `others` names the panes that go on differently.
        """
        self.drawing.divergences[turn_id] = index
        self.drawing.parted_from[turn_id] = others
        self._branch.redraw_some({turn_id}, index)

    def clear_divergence(self) -> None:
        """Take the marks away."""
        gone, self.drawing.divergences = self.drawing.divergences, {}
        self._branch.redraw_some(set(gone), min(gone.values(), default=0))

    def toggle_thinking(self) -> bool:
        """Unfold what models thought, or fold it, in all replies and those to come; False when there is none yet."""
        self.drawing.unfolded = not self.drawing.unfolded
        self.drawing.flipped.clear()
        first = next((place for place, shown in enumerate(self._branch.turns) if shown.turn.thinking), None)
        if first is not None:
            self._branch.redraw(first)
        return first is not None

    @on(TokenView.Pressed)
    def _fold(self, event: TokenView.Pressed) -> None:
        """The line above what a model thought folds and unfolds it."""
        event.stop()
        for place, shown in enumerate(self._branch.turns):
            if shown.fold is not None and event.item_index == shown.start + shown.fold:
                self.drawing.flipped ^= {shown.turn.id}
                self._branch.redraw(place)
                return
