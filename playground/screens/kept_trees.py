"""All conversations on screen that are kept: what is new in them, and under what their replies were written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from playground.screens.circumstances import Circumstances, prompt_ids

if TYPE_CHECKING:
    from playground.domain.history import Setting, TreeChange
    from playground.domain.transcript import Transcript, Turn
    from playground.screens.kept_tree import KeptTree
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen


class KeptTrees:
    """Follows all panes of a screen. All methods belong to its event loop."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._trees: list[KeptTree] = []
        self._circumstances = Circumstances()

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
                self._trees.remove(tree)
        return changes

    def leave_out(self) -> None:
        """Nothing that became new since the last call of `take` is ever kept."""
        settings = self._settings()
        for tree in self._followed():
            tree.leave_out(self._panes_of(tree), settings)

    def _followed(self) -> list[KeptTree]:
        """All conversations on screen, and those whose last pane was closed since the last look."""
        from playground.screens.kept_tree import KeptTree
        from playground.services.history_recorder import Recorder

        for pane in self._screen.all_panes:
            if self.of(pane) is None and pane.session.transcript.turns:
                self._trees.append(KeptTree(Recorder(), pane.session))
        return list(self._trees)

    def _panes_of(self, tree: KeptTree) -> list[Pane]:
        """Those that look at a conversation, the active one first."""
        panes = [pane for pane in self._screen.all_panes if tree.seen_by(pane.session)]
        return sorted(panes, key=lambda pane: pane is not self._screen.pane)

    def _settings(self) -> Mapping[Pane, Setting]:
        return {pane: self._circumstances.of(pane) for pane in self._screen.all_panes}

    # -- what is found out later -------------------------------------------------------------------------------

    def learn(self) -> None:
        """Find out about models, one after the other, their hashes while nothing is written; and about prompts."""
        panes = self._screen.all_panes
        learning = self._circumstances.next(panes, quiet=not any(pane.session.busy for pane in panes))
        if learning is not None:
            self._screen.attempt_later(partial(self._learned, learning), "history model")
        for pane in panes:
            tree, card = self.of(pane), pane.card
            if tree is None or card is None or pane.session.busy:
                continue
            if replies := tree.unknown_prompts(card.short_name):
                self._screen.attempt_later(partial(self._learn_prompts, tree, pane, replies), "history prompt")

    async def _learn_prompts(self, tree: KeptTree, pane: Pane, replies: list[Turn]) -> None:
        for reply in replies:
            tree.learn_prompt(reply, await prompt_ids(pane, reply))

    async def _learned(self, learning: Awaitable[Callable[[Setting], Setting]]) -> None:
        more = await learning
        for tree in self._trees:
            tree.learn(more)

    # -- which there are ---------------------------------------------------------------------------------------

    def of(self, pane: Pane) -> KeptTree | None:
        """The conversation that a pane looks at; None as long as nothing of it was kept."""
        return next((tree for tree in self._trees if tree.seen_by(pane.session)), None)

    def shown(self, uid: str) -> Transcript | None:
        """The tree of a conversation that is on screen already; None when it is not."""
        return next((tree.tree for tree in self._trees if tree.uid == uid and self._panes_of(tree)), None)

    def follow(self, tree: KeptTree) -> None:
        """Go on keeping a conversation that was opened from the history, under its own name."""
        self._trees.append(tree)

    def being_written(self) -> list[str]:
        """Names of the conversations in which something is being written that is to be kept."""
        return [tree.uid for tree in self._trees if tree.writing]
