"""The main screen's dealings with single tokens: what is known about them, and what they and the next ones obey."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from playground.screens.forking_screen import ForkingScreen
from playground.widgets.key_maker import KeyMaker

if TYPE_CHECKING:
    from playground.screens.bending import Bending
    from playground.screens.guessing import Guessing
    from playground.screens.keeping import Keeping
    from playground.screens.navigating import Navigating
    from playground.screens.replaying import Replaying
    from playground.screens.scoring import Scoring
    from playground.screens.sweeping import Sweeping
    from playground.screens.watching import Watching
    from playground.widgets.watch_plot import WatchPlot

_key = KeyMaker("inside", priority=True)


class TokenScreen(ForkingScreen):
    """Keys and actions inside a token, a line each; what they do stands in a file of its own for every subject.

    Keys that act on the token under the cursor are those of `TranscriptPane`; they come here as `screen.` actions.
    What leads a reply elsewhere is done by `ForkingScreen`; its keys stand here, where the help looks for their order.
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

        self.forks = Forks(self)
        self.fans = FanOut(self)
        self.stepping = Stepping(self)
        self.branching = Branching(self)
        self.replaying: Replaying = Replaying(self)
        self.navigating: Navigating = Navigating(self)
        self.watching: Watching = Watching(self)
        self.scoring: Scoring = Scoring(self)
        self.bending: Bending = Bending(self)
        self.guessing: Guessing = Guessing(self)
        self.sweeping: Sweeping = Sweeping(self)
        self.keeping: Keeping = Keeping(self, private=not self.settings.history)
        self._private_note, self._unkept_note = f" · {PRIVATE}", f" · {UNKEPT}"

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

    def show_params(self) -> None:
        """Tokens that are bent are named and marked."""
        self.bending.show()
        super().show_params()

    def action_grammar(self) -> None:
        """Grammar and JSON schema."""
        self.bending.edit_grammar()

    def action_logit_bias(self) -> None:
        """Write which tokens are likelier, less likely or banned."""
        self.bending.edit_biases()

    def action_guessing(self) -> None:
        """What guessing ahead gains."""
        self.guessing.measure()
