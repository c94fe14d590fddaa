"""The main screen's dealings with versions of a reply: forks, going token by token, and the branches they make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playground.screens.compare_screen import CompareScreen

if TYPE_CHECKING:
    from playground.screens.branching import Branching
    from playground.screens.fan_out import FanOut
    from playground.screens.forks import Forks
    from playground.screens.stepping import Stepping
    from playground.widgets.inspector import Inspector


class ForkingScreen(CompareScreen):
    """Actions that lead a reply elsewhere, or back. The subclass has their keys, and furnishes the screen."""

    inspector: Inspector
    """What is to be known about a token; there once the screen is furnished, as the rest is."""
    forks: Forks
    fans: FanOut
    stepping: Stepping
    branching: Branching

    # -- forks -------------------------------------------------------------------------------------------------

    def action_take(self, number: int) -> None:
        """Put the candidate with this number, from 1, in place of the token under the cursor."""
        if self.stepping.takes:
            self.stepping.choose(number - 1)
        else:
            self.forks.take(number - 1)

    def action_force(self) -> None:
        """Put a text of one's own in place of the token under the cursor."""
        self.forks.force()

    def action_prefill(self) -> None:
        """Begin the reply by hand."""
        self.forks.prefill()

    def action_fan_out(self) -> None:
        """Let the best candidates of the token under the cursor go on side by side."""
        self.fans.open()

    def action_step(self) -> None:
        """Go token by token, or leave that again."""
        self.stepping.toggle()

    def action_draw(self) -> None:
        """Let the samplers draw the next token, going token by token."""
        self.stepping.draw()

    def action_take_back(self) -> None:
        """Take the last token back, going token by token."""
        self.stepping.take_back()

    def action_to_candidates(self) -> None:
        """From the end of the reply to the candidates for the next token, going token by token."""
        if self.stepping.on:
            self.inspector.query_one("CandidateList").focus()

    def action_tokens(self) -> None:
        """Walk over the tokens; going token by token, to their end first, where the next one is waited for."""
        view = self.pane.transcript.view
        if self.stepping.on and not view.has_focus:
            view.focus()
        else:
            super().action_tokens()

    def action_continue_reply(self) -> None:
        """Let a reply go on; one that went token by token runs on freely."""
        if self.stepping.on:
            self.stepping.toggle()
        else:
            super().action_continue_reply()

    # -- branches ----------------------------------------------------------------------------------------------

    def action_branches(self) -> None:
        """The tree of branches."""
        self.branching.show()

    def action_parent(self) -> None:
        """The branch that this one came from."""
        self.branching.parent()

    def action_child(self) -> None:
        """The newest branch that came from this one."""
        self.branching.child()
