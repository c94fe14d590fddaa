"""All conversations on screen that are kept: what is new in them, and under what their replies were written."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.domain.history import Setting, TreeChange
    from playground.domain.session import Session
    from playground.domain.transcript import Transcript
    from playground.screens.kept_tree import KeptTree
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen
    from playground.services.history_models import KnownModels
    from playground.services.history_recorder import Recorder


class KeptTrees:
    """Follows all panes of a screen. All methods belong to its event loop."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._trees: list[KeptTree] = []

    @cached_property
    def models(self) -> KnownModels:
        """What is found out about the models of all panes."""
        from playground.services.history_models import KnownModels

        return KnownModels()

    # -- what is new -------------------------------------------------------------------------------------------

    def take(self) -> list[TreeChange]:
        """What is new in all conversations. Those that nobody looks at any more are let go of."""
        settings = self._settings()
        changes = []
        for tree in self._followed():
            panes = self._panes_of(tree)
            change = tree.take(panes, settings)
            if change is not None:
                changes.append(change)
            if not panes and not tree.writing:
                tree.leave()
                self._trees.remove(tree)
        return changes

    def leave_out(self) -> None:
        """Nothing that became new since the last call of `take` is ever kept."""
        settings = self._settings()
        for tree in self._followed():
            tree.leave_out(self._panes_of(tree), settings)

    def _followed(self) -> list[KeptTree]:
        """All conversations on screen, and those whose last pane was closed since the last look."""
        from playground.services.history_recorder import Recorder

        for pane in self._screen.all_panes:
            if self.of(pane) is None and pane.session.transcript.turns:
                self.follow(Recorder(), pane.session)
        return list(self._trees)

    def _panes_of(self, tree: KeptTree) -> list[Pane]:
        """Those that look at a conversation, the active one first."""
        panes = [pane for pane in self._screen.all_panes if tree.seen_by(pane.session)]
        return sorted(panes, key=lambda pane: pane is not self._screen.pane)

    def _settings(self) -> Mapping[Pane, Setting]:
        return {pane: self.models.complete(_setting(pane)) for pane in self._screen.all_panes}

    # -- what is found out later -------------------------------------------------------------------------------

    def learn(self) -> None:
        """Find out about models and about prompts; begin to read a file for its hash while nothing is written."""
        panes = self._screen.all_panes
        for pane in panes:
            backend, tree = pane.runner.backend, self.of(pane)
            if backend is None:
                continue
            self.models.meet(backend, pane.slot.pool.settings.load)
            learning = tree.learn_prompts(backend) if tree is not None and not pane.session.busy else None
            if learning is not None:
                self._screen.attempt_later(learning, "history prompt")
        if not any(pane.session.busy for pane in panes):
            self.models.hash_next()

    # -- which there are ---------------------------------------------------------------------------------------

    def of(self, pane: Pane) -> KeptTree | None:
        """The conversation that a pane looks at; None as long as nothing of it was kept."""
        return next((tree for tree in self._trees if tree.seen_by(pane.session)), None)

    def shown(self, uid: str) -> Transcript | None:
        """The tree of a conversation that is on screen already; None when it is not."""
        return next((tree.tree for tree in self._trees if tree.uid == uid and self._panes_of(tree)), None)

    def follow(self, recorder: Recorder, session: Session, kept: Mapping[int, Setting] | None = None) -> None:
        """Keep a conversation from now on; one that was opened from the history under its own name.

        Args:
            recorder: Knows what is kept already.
            session: One that looks at the conversation.
            kept: Settings of the replies that are kept already, by turn.
        """
        from playground.screens.kept_tree import KeptTree
        from playground.services.history_models import ReplySettings

        self._trees.append(KeptTree(recorder, session, ReplySettings(self.models, kept)))

    def being_written(self) -> list[str]:
        """Names of the conversations in which something is being written that is to be kept."""
        return [tree.uid for tree in self._trees if tree.writing]


def _setting(pane: Pane) -> Setting:
    """Under what a pane writes now, without what is known of the model."""
    from playground.domain.history import Setting

    ref = pane.slot.ref
    name = pane.card.id if pane.card is not None else ref.text if ref is not None else ""
    return Setting(model_ref=name, preset=pane.tuning.name, options=pane.session.options)
