"""What could come next, in a reply that is written token by token."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from playground.backends.base import Backend
from playground.domain import stepping as steps
from playground.domain.errors import BadInput, Superseded, Unsupported
from playground.domain.transcript import Turn
from playground.domain.what_if import WhatIf
from playground.screens.going_on import is_foreign, prompt_of
from playground.screens.pane import Pane

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


@dataclass(eq=False)
class _Known:
    """What is known about the position that waits in a pane."""

    asked: object = None
    """Model, position and parameters of the last question."""
    answer: WhatIf | None = None
    answer_to: object = None
    """The position that the answer is about."""


class NextToken:
    """Asks the model about the position that waits in a pane, once for each set of parameters."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._known: WeakKeyDictionary[Pane, _Known] = WeakKeyDictionary()

    def shown(self, pane: Pane, reply: Turn) -> WhatIf | None:
        """What is known so far; None when there is nothing.

        What the model has not been asked yet is asked by the way. While an answer to other parameters is under way, the
        last one about the same position stands.
        """
        backend = pane.runner.backend
        if backend is None:
            return None
        known, position = self._of(pane), _position(reply)
        wanted = (backend, position, pane.tuning.pending or pane.session.params)
        if wanted != known.asked:
            known.asked = wanted
            self._screen.attempt_later(partial(self._ask, pane, reply), "next token")
        return known.answer if known.answer_to == position else None

    async def under_present_params(self, pane: Pane, reply: Turn) -> WhatIf:
        """The same with the parameters that are in force; waits for it. Raises BadInput, Unsupported."""
        known = self._of(pane)
        found = known.answer if known.answer_to == _position(reply) else None
        if found is None or found.params != pane.session.params:
            found = await self._answer(pane, reply, asker=id(known))  # no question for the display supersedes it
        return found

    def _of(self, pane: Pane) -> _Known:
        return self._known.setdefault(pane, _Known())

    async def _ask(self, pane: Pane, reply: Turn) -> None:
        try:
            await self._answer(pane, reply, asker=id(pane))
        except Superseded:
            return
        self._screen.draw_soon()

    async def _answer(self, pane: Pane, reply: Turn, asker: int) -> WhatIf:
        backend, known, position = steppable(pane, reply), self._of(pane), _position(reply)
        params = pane.tuning.pending or pane.session.params
        answer = await backend.what_if(steps.next_position(reply, prompt_of(pane, reply), params, asker))
        if _position(reply) == position:
            known.answer, known.answer_to = answer, position
        await self.measure(pane)
        return answer

    async def measure(self, pane: Pane) -> None:
        """Count the conversation up to the position that waits: the last run knows nothing of what was put there."""
        reply = steps.waiting(pane.session)
        if reply is None or pane.card is None:
            return
        counted = await self._screen.counter.count_parts(pane.runner.backend, pane.card, prompt_of(pane, reply))
        if steps.waiting(pane.session) is reply:
            figures = pane.session.figures
            figures.parts, figures.reply_tokens, figures.estimate = counted.parts, len(reply.tokens), not counted.exact


def steppable(pane: Pane, reply: Turn | None) -> Backend:
    """The model, if it can be led through this reply. Raises BadInput, Unsupported."""
    backend = pane.need_model()
    able = backend.capabilities
    if not (able.what_if and able.fork):
        missing = "fork" if not able.fork else "what_if"
        raise Unsupported(f"{pane.name} cannot be led token by token.", able.why_not(missing))
    if reply is not None and is_foreign(pane, reply, reply.tokens):
        raise BadInput(
            f"{reply.model or 'Another model'} wrote this reply, in tokens that {pane.name} does not have.",
            "Send a prompt, or load that model again with F5.",
        )
    return backend


def _position(reply: Turn) -> tuple[int, int]:
    return reply.id, len(reply.tokens)
