"""Walking over the versions of what was said."""

from __future__ import annotations

from playground.domain.errors import BadInput
from playground.domain.stepping import come_back, leave_behind
from playground.domain.transcript import Turn
from playground.screens.pane import Pane


def switch_branch(pane: Pane, step: int) -> None:
    """Show the next or previous version of the last turn that has several. Raises BadInput.

    Behind its last version, and before its first, the turns above have their turn, so that every branch is reached.
    With a cursor on a token, turns below it do not count. On an empty screen it is the conversation before.
    """
    tree = pane.session.transcript
    turn = _next_version(pane, step)
    if pane.stepping:
        leave_behind(pane.session)
    pane.session.show_branch(tree.newest_leaf(turn))
    if pane.stepping:
        come_back(pane.session)
    pane.editing = None
    pane.sync()
    pane.transcript.show_turn(turn)


def _next_version(pane: Pane, step: int) -> Turn:
    tree = pane.session.transcript
    for turn in reversed(tree.path(_turn_at_cursor(pane))):
        versions = tree.siblings(turn)
        if 0 <= versions.index(turn) + step < len(versions):
            return versions[versions.index(turn) + step]
    beginnings = [turn for turn in tree.turns.values() if turn.parent is None]
    if tree.head is not None or not beginnings:
        if not any(len(tree.siblings(turn)) > 1 for turn in tree.path()):
            raise BadInput("There is only one version.", "Regenerate a reply or edit a message to make another.")
        which, other = ("last", "Alt+Left goes back") if step > 0 else ("first", "Alt+Right goes on")
        raise BadInput(f"This is the {which} version.", f"{other}.")
    return beginnings[-1]


def _turn_at_cursor(pane: Pane) -> int | None:
    view = pane.transcript.view
    ref = view.store.refs[view.cursor] if view.cursor is not None else None
    return ref[0] if isinstance(ref, tuple) and isinstance(ref[0], int) else None
