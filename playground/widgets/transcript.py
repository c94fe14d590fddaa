"""The conversation on screen: the token view, its legend, and what to do when there is nothing yet."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType

from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.widgets.colour_scale import TokenStyle
from playground.widgets.key_maker import KeyMaker
from playground.widgets.token_store import Item
from playground.widgets.transcript_looks import TranscriptLooks

_key = KeyMaker("token", show=False, target="screen")


class TranscriptPane(TranscriptLooks):
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
        super().__init__(id=id, clock=clock)
        self._welcome = ""

    def compose(self) -> ComposeResult:
        """The tokens over their legend, and all of them at a glance at the edge."""
        yield self.view
        yield self._legend
        yield self._strip

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

    @property
    def replies(self) -> list[tuple[Turn, int]]:
        """The turns on screen, and how many tokens of each are shown."""
        return [(shown.turn, shown.tokens) for shown in self._branch.turns]

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

    def token_at(self, ref: object) -> Token | None:
        """The token an item stands for; None for what is no token."""
        return self._branch.token_at(ref)
