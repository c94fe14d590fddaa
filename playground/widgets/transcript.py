"""The conversation on screen: the token view, its legend, and what to do when there is nothing yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Final

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.widgets.colour_scale import ColourMode, TokenStyle
from playground.widgets.edge_strip import EdgeStrip
from playground.widgets.key_maker import KeyMaker
from playground.widgets.legend import Legend
from playground.widgets.shown_branch import ShownBranch
from playground.widgets.shown_turn import Drawing, TokenDiffs
from playground.widgets.token_store import Item
from playground.widgets.token_view import TokenView

GUESSED_LEGEND: Final = "underlined: guessed ahead"
DIFF_LEGEND: Final = "underlined: only this reply says it"
_key = KeyMaker("token", show=False, target="screen")


class TranscriptPane(Vertical):
    """Shows a branch of a conversation and keeps up with it: `sync` appends what is new and nothing else."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            _key(str(number % 10), f"take({number})", f"Take {number}", "Take this candidate", name=f"take_{number}")
            for number in range(1, 11)
        ),
        _key("f", "force", "Force a text", "Put a text of your own in place of this token, and go on from there"),
        _key("o", "fan_out", "Fan out", "Let the best candidates go on side by side, each in a pane"),
        _key("space", "draw", "Draw a token", "Going token by token (Alt+S): let the samplers draw the next one"),
        _key("enter", "to_candidates", "Candidates", "Going token by token (Alt+S): to the next one's candidates"),
        _key("backspace", "take_back", "Take back", "Going token by token (Alt+S): take the last one back"),
        _key("n", "place('any', 1)", "Next surprise", "Go to the next telling token of any kind", name="next_place"),
        _key("p", "place('any', -1)", "Previous surprise", "Go to the telling token before", name="previous_place"),
        _key("e", "place('entropy', 1)", "Undecided", "Next token at which the model was undecided", name="entropy"),
        _key(
            "E",
            "place('entropy', -1)",
            "Undecided before",
            "Token before at which the model was undecided",
            name="entropy_before",
        ),
        _key("r", "place('rank', 1)", "Low choice", "Next token that was not among the likeliest", name="rank"),
        _key(
            "R",
            "place('rank', -1)",
            "Low choice before",
            "Token before that was not among the likeliest",
            name="rank_before",
        ),
        _key("t", "place('tie', 1)", "Near tie", "Next token that hardly beat another one", name="tie"),
        _key("T", "place('tie', -1)", "Near tie before", "The one before", name="tie_before"),
        _key("c", "place('change', 1)", "Change", "Next token at which parameters changed", name="change"),
        _key("C", "place('change', -1)", "Change before", "The one before", name="change_before"),
        _key("w", "watch_token", "Watch", "Follow this token's probability at every step"),
        _key(
            "d", "otherwise('open')", "Could differ", "After Alt+V: go to the next token that could differ", name="open"
        ),
        _key(
            "x",
            "otherwise('impossible')",
            "Could not come",
            "After Alt+V: go to the next token that could not come",
            name="impossible",
        ),
        _key("v", "temperatures", "Temperatures", "The token at several temperatures, or the funnel"),
        _key("b", "ban", "Ban", "Ban this token from the next draw on, or allow it again"),
    ]
    DEFAULT_CSS = """
    TranscriptPane {
        width: 1fr;
        height: 1fr;
        & > TokenView { height: 1fr; padding: 0; }
        & > EdgeStrip { dock: right; padding: 0 0 1 0; }
        & > Legend { height: 1; }
    }
    """

    def __init__(self, *, id: str | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(id=id)
        self.view = TokenView(id="tokens")
        """The token view inside."""
        self.drawing = Drawing(clock=clock)
        self._branch = ShownBranch(self.view, self.drawing)
        self._legend = Legend(id="legend")
        self._strip = EdgeStrip(self.view)
        self._welcome = ""
        self._replay_words: tuple[str, Sequence[tuple[str, int]]] | None = None
        self._why: tuple[object, str] | None = None
        """What there is to say about a token, and which one that is."""

    def compose(self) -> ComposeResult:
        """The tokens over their legend, and all of them at a glance at the edge."""
        yield self.view
        yield self._legend
        yield self._strip

    @property
    def mode(self) -> ColourMode:
        """What the colour of a token tells."""
        return self.drawing.mode

    def set_palette(self, styles: Sequence[Style]) -> None:
        """Draw in the colours of a theme."""
        self.view.set_palette(styles)
        self._legend.set_palette(styles)
        self._strip.set_palette(styles)

    def set_welcome(self, text: str) -> None:
        """What stands here as long as nothing was said."""
        self._welcome = text
        if not self._branch.turns:
            self._show_welcome()

    def _show_welcome(self) -> None:
        if self.view.store.texts != [self._welcome]:
            self.view.replace_all([Item(self._welcome, TokenStyle.NOTE, None, "")])

    def sync(
        self,
        turns: Sequence[Turn],
        *,
        raw: bool,
        model: str,
        place: Callable[[Turn], tuple[int, int]] = lambda _turn: (1, 1),
        changes: int = 0,
    ) -> None:
        """Show this branch. Costs what is new since the last call, unless the branch is another one.

        Args:
            turns: The branch.
            raw: True for text without a template, which is shown without headings.
            model: Name of the model that answers, for replies that do not say who wrote them.
            place: Which of how many versions a turn is.
            changes: Another number when that may have changed for turns that are shown already.
        """
        if turns:
            self._branch.show(turns, raw, model, place, changes)
        else:
            self._branch.clear()
            self._show_welcome()
        self._strip.look_soon()
        self._explain()

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

    @property
    def replies(self) -> list[tuple[Turn, int]]:
        """The turns on screen, and how many tokens of each are shown."""
        return [(shown.turn, shown.tokens) for shown in self._branch.turns]

    def say_why(self, text: str) -> None:
        """Say something about the token under the cursor, in place of the legend, while the cursor is there.

        An empty text brings the legend back.
        """
        if self.view.cursor is not None:
            self._why = (self.view.store.refs[self.view.cursor], text) if text else None
            self._explain()

    def on_resize(self) -> None:
        """The text gets another width, and the strip at its edge other lines."""
        self._strip.look_soon()

    def show_turn(self, turn: Turn) -> None:
        """Scroll to where a turn begins."""
        for shown in self._branch.turns:
            if shown.turn is turn:
                self.view.scroll_to_item(shown.start)

    def show_token(self, turn_id: int, index: int) -> None:
        """Scroll to a token of a turn, so that its line is the first one as far as there is text below it."""
        if (turn_id, index) in self.view.store.refs:
            self.view.scroll_to_item(self.view.store.refs.index((turn_id, index)))

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

    def token_at(self, ref: object) -> Token | None:
        """The token an item stands for; None for what is no token."""
        return self._branch.token_at(ref)

    def set_buffered(self, on: bool) -> None:
        """Hold replies back until they are complete; the next calls of `sync` say how long one has waited."""
        if on != self.drawing.buffered:
            self.drawing.buffered = on
            self._branch.redraw()

    def set_stepping(self, on: bool) -> None:
        """Say at the end of a reply that waits for a token how it gets one."""
        self.drawing.stepping = on
        self._branch.redraw()

    def mark_divergence(self, turn_id: int, index: int) -> None:
        """Mark the token at which a reply parts from those of other panes; its end when it has no such token."""
        self.drawing.divergences[turn_id] = index
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
