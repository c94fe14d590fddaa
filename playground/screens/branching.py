"""Walks over the branches of a conversation, shows them as a tree, deletes them and puts them back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from playground.domain.branches import begins_at, way_down, way_up
from playground.domain.errors import BadInput
from playground.domain.messages import Role
from playground.domain.transcript import Deletion, Turn
from playground.screens.pane import Pane

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen

_ABOVE: Final = 3
"""Lines to be seen above the place where a branch begins."""


class Branching:
    """Walks over the branches of a conversation, shows them as a tree, deletes them and puts them back."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def show(self) -> None:
        """Show the tree of the active pane."""
        pane = self._screen.pane
        tree = pane.session.transcript
        if not tree.turns and not tree.deleted:
            self._screen.tell(BadInput("There is no branch yet.", "Write a prompt first."))
            return
        from playground.screens.branches_screen import BranchesScreen

        self._screen.app.push_screen(BranchesScreen(self, pane))

    def parent(self) -> None:
        """Go to the branch this one came from, at the place where they part."""
        self._screen.attempt(self._go_up)

    def child(self) -> None:
        """Go to the newest branch that came from this one, at the place where they part."""
        self._screen.attempt(self._go_down)

    def _go_up(self) -> None:
        pane = self._screen.pane
        tree = pane.session.transcript
        found = way_up(tree, _start(pane))
        if found is None:
            raise BadInput("This is the root: it came from no other branch.", "Alt+Down leads to the newest from here.")
        turn, source = found
        self.go_to(pane, source, begins_at(tree, turn))

    def _go_down(self) -> None:
        pane = self._screen.pane
        tree = pane.session.transcript
        turn = way_down(tree, _start(pane))
        if turn is None:
            raise BadInput("Nothing branched off from here.", "Alt+Up leads to where this one came from.")
        self.go_to(pane, turn, begins_at(tree, turn))

    def go_to(self, pane: Pane, turn: Turn, at: int) -> None:
        """Show a branch, with the cursor on a token of its turn. Raises BadInput while a reply is being written."""
        tree = pane.session.transcript
        if turn.id not in tree.turns:
            raise BadInput("This branch is not there any more.", "Look at the tree again with Alt+G.")
        pane.session.show_branch(tree.newest_leaf(turn))
        pane.editing = None
        pane.sync()
        self._screen.show_editing()
        view = pane.transcript.view
        ref = turn.id, min(at, len(turn.tokens) - 1)
        if turn.role is Role.ASSISTANT and ref in view.store.refs:
            pane.transcript.show_token(*ref)
            view.scroll_relative(y=-_ABOVE, animate=False)
            view.move_to(view.store.refs.index(ref))
        else:
            view.clear_cursor()
            pane.transcript.show_turn(turn)

    # -- deleting ----------------------------------------------------------------------------------------------

    def sharing(self, pane: Pane) -> list[tuple[int, Pane]]:
        """All panes that look at a pane's tree, with their numbers, itself among them."""
        tree = pane.session.transcript
        panes = enumerate(self._screen.all_panes, 1)
        return [(number, other) for number, other in panes if other.session.transcript.shares_with(tree)]

    def delete(self, pane: Pane, turns: Sequence[Turn]) -> Deletion:
        """Take branches out of a pane's tree, the first of them with the others.

        Panes that show one of them go to the nearest that is left. Raises BadInput while somebody is at work there.
        """
        tree = pane.session.transcript
        doomed = tree.behind(turns)
        for number, other in self.sharing(pane):
            where = "" if other is pane else f" in pane {number}"
            active = other.session.active
            if active is not None and active.id in doomed:
                raise BadInput(
                    f"A reply is being written on this branch{where}.", "Stop it with Esc, or wait for its end."
                )
            if other.waiting is not None and other.session.transcript.head in doomed:
                raise BadInput(
                    f"A prompt waits for its model on this branch{where}.",
                    "Wait until it was answered, or take it back with Esc on the main screen.",
                )
        deletion = tree.delete(turns[0], turns[1:])
        for number, other in self.sharing(pane):
            if other.editing is not None and other.editing.id in doomed:
                other.editing = None  # the text stays in the editor, as a message of its own
            if any(look is other.session.transcript for look, _, _ in deletion.moved):
                _show_head(other)
                whose = "this pane" if other is pane else f"pane {number}"
                self._screen.app.notify(f"It was on screen in {whose}, which shows the nearest one now.", timeout=4)
            other.sync()  # the headings count versions
        self._screen.show_editing()
        return deletion

    def undo(self, pane: Pane) -> Deletion:
        """Put back what was deleted last from a pane's tree, and on the screens it was on.

        Raises BadInput when there is nothing to put back.
        """
        tree = pane.session.transcript
        deletion = tree.undo()
        for _, other in self.sharing(pane):
            for look, before, after in deletion.moved:
                if look is other.session.transcript and look.head == after and not other.session.busy:
                    look.head = before
                    _show_head(other)
            other.sync()
        return deletion


def _start(pane: Pane) -> Turn:
    """The turn of the token under the cursor, else the last one on screen. Raises BadInput without any."""
    tree, view = pane.session.transcript, pane.transcript.view
    ref = view.store.refs[view.cursor] if view.cursor is not None else None
    turn = tree.turns.get(ref[0] if isinstance(ref, tuple) else tree.head or 0)
    if turn is None:
        raise BadInput("There is no branch on screen.", "Alt+G shows all there are, Alt+Left the newest.")
    return turn


def _show_head(pane: Pane) -> None:
    head = pane.session.transcript.head
    if head is None:
        pane.session.new_conversation()
    else:
        pane.session.show_branch(pane.session.transcript.turns[head])
