"""Forks at a token: a candidate taken, a text forced, a reply begun by hand."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from playground.domain.errors import BadInput
from playground.domain.messages import Role

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Forks:
    """Forks at a token: a candidate taken, a text forced, a reply begun by hand."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def take(self, choice: int) -> None:
        """Put another candidate in place of the token under the cursor; without a cursor, of the last one.

        Args:
            choice: Index into the candidates that the inspector shows.
        """
        screen = self._screen
        view, tree = screen.pane.transcript.view, screen.pane.session.transcript
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        turn = tree.turns[ref[0]] if isinstance(ref, tuple) else tree.last(Role.ASSISTANT)
        token = screen.inspector.token
        if turn is None or token is None or choice >= len(token.top):
            return
        recorded = [candidate.id for candidate in turn.tokens[token.index].top]
        picked = token.top[choice].id
        if picked not in recorded:
            screen.tell(BadInput("This candidate was not recorded when the token was written.", "Take another one."))
            return
        screen.attempt_later(partial(screen.pane.fork, turn, token.index, recorded.index(picked)), "conversation")

    def force(self) -> None:
        """Put a text in place of the token under the cursor."""

    def prefill(self) -> None:
        """Begin the next reply by hand."""
