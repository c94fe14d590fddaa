"""The main screen's dealings with single tokens: what else could stand there, and where it would have led."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from playground.screens.compare_screen import CompareScreen
from playground.widgets.key_maker import KeyMaker

if TYPE_CHECKING:
    from playground.screens.bending import Bending
    from playground.screens.branching import Branching
    from playground.screens.fan_out import FanOut
    from playground.screens.forks import Forks
    from playground.screens.guessing import Guessing
    from playground.screens.keeping import Keeping
    from playground.screens.navigating import Navigating
    from playground.screens.replaying import Replaying
    from playground.screens.scoring import Scoring
    from playground.screens.stepping import Stepping
    from playground.screens.sweeping import Sweeping
    from playground.screens.watching import Watching
    from playground.widgets.candidates import CandidateList
    from playground.widgets.inspector import Inspector
    from playground.widgets.watch_plot import WatchPlot

_key = KeyMaker("inside", priority=True)


class TokenScreen(CompareScreen):
    """Keys and actions inside a token, a line each; what they do stands in a file of its own for every subject.

    Keys that act on the token under the cursor are those of `TranscriptPane`; they come here as `screen.` actions.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("alt+v", "replay", "Otherwise", "Mark what of the reply would stay, could change, or could not come now"),
        _key("alt+g", "branches", "Branches", "All branches of the conversation as a tree: go, name, delete, undo"),
        _key("alt+up", "parent", "Parent", "Go to the branch that this one forked from"),
        _key("alt+down", "child", "Child", "Go to the newest branch that forked from this one"),
        _key("alt+p", "prefill", "Begin reply", "Write the beginning of the reply yourself, and let it go on"),
        _key("alt+s", "step", "Step", "One token at a time: Space draws it, digits choose; again: run on"),
        _key("alt+k", "watch", "Watch", "Follow words: their probability at every step, before and after the samplers"),
        _key("alt+e", "score", "Score", "How likely the model finds any text: a pasted one, the prompt, a reply"),
        _key("alt+y", "grammar", "Grammar", "Hold the reply to a grammar or a JSON schema"),
        _key("alt+z", "guessing", "Guess gain", "Run the last reply with and without guessing ahead, and compare"),
        _key("alt+c", "history", "History", "All replies so far: search, look, open again, compare, what they cost"),
        _key("f12", "experiments", "Experiments", "Sweeps, tokenizers side by side, what a load would cost, doctor"),
        _key("alt+q", "private", "Private", "Keep nothing of what is said from now on; again: keep it"),
    ]

    inspector: Inspector
    """What is to be known about a token; there once the screen is furnished."""
    detail_due = 0.0
    """`time.monotonic()` from which on inspector and status bar are drawn anew."""

    def draw_soon(self) -> None:
        """Bring inspector and status bar up to date with the next frame."""
        self.detail_due = 0.0

    def furnish_inside(self) -> None:
        """What single tokens need; not before the first paint."""
        from playground.screens.bending import Bending
        from playground.screens.branching import Branching
        from playground.screens.fan_out import FanOut
        from playground.screens.forks import Forks
        from playground.screens.guessing import Guessing
        from playground.screens.keeping import PRIVATE, UNKEPT, Keeping
        from playground.screens.navigating import Navigating
        from playground.screens.replaying import Replaying
        from playground.screens.scoring import Scoring
        from playground.screens.stepping import Stepping
        from playground.screens.sweeping import Sweeping
        from playground.screens.watching import Watching

        self.forks: Forks = Forks(self)
        self.fans: FanOut = FanOut(self)
        self.stepping: Stepping = Stepping(self)
        self.branching: Branching = Branching(self)
        self.replaying: Replaying = Replaying(self)
        self.navigating: Navigating = Navigating(self)
        self.watching: Watching = Watching(self)
        self.scoring: Scoring = Scoring(self)
        self.bending: Bending = Bending(self)
        self.guessing: Guessing = Guessing(self)
        self.sweeping: Sweeping = Sweeping(self)
        self.keeping: Keeping = Keeping(self, private=not self.settings.history)
        self._private_note, self._unkept_note = f" · {PRIVATE}", f" · {UNKEPT}"

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

    # -- looking -----------------------------------------------------------------------------------------------

    def action_replay(self) -> None:
        """The reply under the sliders as they stand now."""
        self.replaying.toggle()

    def action_place(self, kind: str, step: int) -> None:
        """The next place of some kind, or the one before."""
        self.navigating.go(kind, step)

    def action_watch(self) -> None:
        """Words to follow."""
        self.watching.edit()

    def action_watch_token(self) -> None:
        """Follow the token under the cursor."""
        self.watching.add_token()

    def on_watch_plot_words_wanted(self) -> None:
        """From the plot to its words."""
        self.watching.edit()

    def on_watch_plot_fold_wanted(self) -> None:
        """The plot is to be out of the way."""
        self.watching.fold()

    def on_watch_plot_token_chosen(self, event: WatchPlot.TokenChosen) -> None:
        """From the plot to a token."""
        self.watching.go_to(event.at)

    def action_score(self) -> None:
        """Score a text."""
        self.scoring.open()

    # -- history -----------------------------------------------------------------------------------------------

    def action_history(self) -> None:
        """Everything that was kept."""
        from playground.screens.history_screen import HistoryScreen

        self.app.push_screen(HistoryScreen(self, self.keeping))

    def action_experiments(self) -> None:
        """What can be tried beside the conversation."""
        from playground.screens.experiments import choose_experiment

        choose_experiment(self)

    def action_private(self) -> None:
        """Keep nothing, or keep again."""
        self.keeping.toggle()

    @property
    def addressees(self) -> str:
        """Where a prompt goes, and whether it is kept."""
        if self.keeping.private:
            return super().addressees + self._private_note
        return super().addressees + (self._unkept_note if self.keeping.leaves_out(self.pane) else "")

    # -- bending -----------------------------------------------------------------------------------------------

    def action_ban(self) -> None:
        """Ban the token under the cursor, or allow it again."""
        self.bending.ban()

    def on_candidate_list_bias_requested(self, event: CandidateList.BiasRequested) -> None:
        """A candidate is to be likelier, less likely, or banned."""
        self.bending.bend(event.candidate, event.amount)

    def on_candidate_list_watch_requested(self, event: CandidateList.WatchRequested) -> None:
        """A candidate is to be followed, or no longer."""
        self.watching.add_candidate(event.candidate)

    def show_params(self) -> None:
        """Tokens that are bent are named and marked."""
        self.bending.show()
        super().show_params()

    def action_grammar(self) -> None:
        """Grammar and JSON schema."""
        self.bending.edit_grammar()

    def action_guessing(self) -> None:
        """What guessing ahead gains."""
        self.guessing.measure()
