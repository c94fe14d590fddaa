"""The best candidates of a token, each going on in a pane of its own, all in one batch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from playground.domain.errors import BadInput, PlaygroundError, Unsupported
from playground.domain.forking import take
from playground.domain.messages import Role
from playground.domain.tokens import Token, join_text
from playground.domain.transcript import Begun, Turn
from playground.screens.going_on import go_on_from, quiet
from playground.screens.pane import Pane

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen

_BEFORE: Final = 12
"""Tokens of the text before that the dialog shows."""


def _taken(token: Token, choice: int) -> Token:
    """The candidate in place of the token; the token itself when it is that candidate."""
    candidate = token.top[choice]
    there = candidate.id == token.id and candidate.piece == token.piece
    return token if there else take(token, choice)


class FanOut:
    """Asks which candidates, opens the panes, and starts all of them together."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def open(self) -> None:
        """Ask how many and let them go."""
        self._screen.attempt_later(self._open, "panes")

    async def _open(self) -> None:
        from playground.screens.fan_out_dialog import FanOutDialog

        pane = self._screen.pane
        turn, at = self._place(pane)
        token = self._shown(turn, at)
        able = [index for index, candidate in enumerate(token.top) if not candidate.special]
        if len(able) < 2:
            known = "No other candidate is" if len(token.top) < 2 else "Only one candidate that goes on is"
            raise BadInput(f"{known} known for this token.", "Choose another token, or keep more of them (top).")
        before = join_text([other.piece for other in turn.tokens[max(0, at - _BEFORE) : at]])
        chosen = await self._screen.app.push_screen_wait(FanOutDialog(token, before, able))
        if chosen is not None and pane in self._screen.all_panes:
            await self._go(pane, turn, at, [_taken(token, choice) for choice in chosen])

    def _place(self, pane: Pane) -> tuple[Turn, int]:
        """The token under the cursor, else the last one. Raises BadInput, Unsupported."""
        able = pane.need_model().capabilities
        if not (able.fork or able.continue_reply):
            raise Unsupported(f"{pane.name} does not go on from a token.", able.why_not("fork"))
        view, tree = pane.transcript.view, pane.session.transcript
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        turn = tree.turns.get(ref[0]) if isinstance(ref, tuple) else tree.last(Role.ASSISTANT)
        if turn is None or turn.role is not Role.ASSISTANT or not turn.tokens:
            raise BadInput("There is no token yet whose candidates could go on.", "Send a prompt first.")
        return turn, ref[1] if isinstance(ref, tuple) else len(turn.tokens) - 1

    def _shown(self, turn: Turn, at: int) -> Token:
        """The token as the inspector shows it: a what-if has candidates, and cuts, of its own."""
        recorded, shown = turn.tokens[at], self._screen.inspector.token
        same = shown is not None and (shown.index, shown.id, shown.piece) == (at, recorded.id, recorded.piece)
        return shown if same and shown is not None else recorded

    async def _go(self, first: Pane, turn: Turn, at: int, chosen: Sequence[Token]) -> None:
        screen = self._screen
        chosen = await self._fitting(first, chosen)
        if not chosen:
            return
        await quiet(first)
        screen.stepping.end(first)
        panes = [first]
        for _ in chosen[1:]:
            panes.append(await screen.open_pane_like(first, behind=panes[-1]))
        await asyncio.gather(*(pane.settled.wait() for pane in panes))  # closing one ends its wait as well
        there = [(pane, token) for pane, token in zip(panes, chosen, strict=True) if pane in screen.all_panes]
        # Nothing is waited for between them, so that their requests reach the model together.
        told: dict[str, PlaygroundError] = {}
        for outcome in await asyncio.gather(
            *(self._start(pane, turn, at, token) for pane, token in there), return_exceptions=True
        ):
            if isinstance(outcome, PlaygroundError):
                told[str(outcome)] = outcome
            elif isinstance(outcome, BaseException):
                raise outcome
        for error in told.values():
            screen.tell(error)
        screen.show_editing()
        if first in screen.all_panes:
            screen.deck.activate(first)
        screen.editor.focus()

    async def _start(self, pane: Pane, turn: Turn, at: int, token: Token) -> None:
        reply = await go_on_from(pane, turn, at, [token])
        reply.begun = Begun.FAN_OUT

    async def _fitting(self, first: Pane, chosen: Sequence[Token]) -> Sequence[Token]:
        """As many of them as there is room for, after the person was asked; empty for leaving it."""
        from playground.screens.choice_dialog import Answer, Question

        screen, deck = self._screen, self._screen.deck
        if len(chosen) - 1 <= deck.room:
            return chosen
        others = len(deck.panes) - 1
        closed = f"the other {others} panes are closed" if others > 1 else "the other pane is closed"
        answers = [Answer(f"Close the others, all {len(chosen)} go on", f"{closed}; this one keeps its conversation")]
        if deck.room:
            answers.append(Answer(f"Only the best {deck.room + 1} go on", "nothing is closed"))
        text = (
            f"{len(chosen)} candidates need {len(chosen) - 1} panes beside this one, and there is room for {deck.room}."
        )
        answer = await screen.ask(Question("There is no room for so many panes", text, answers))
        if answer is None or first not in screen.all_panes:
            return ()
        if answer == 1:
            return chosen[: deck.room + 1]
        for pane in [pane for pane in deck.panes if pane is not first]:
            await deck.close(pane)
        return chosen
