"""One token at a time, chosen by hand or by the samplers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from playground.domain import stepping as steps
from playground.domain.errors import BadInput
from playground.domain.events import Failed
from playground.domain.forking import branch_at
from playground.domain.messages import Role
from playground.domain.what_if import WhatIf
from playground.screens.going_on import continue_reply, prompt_of
from playground.screens.next_token import NextToken, steppable
from playground.screens.pane import REFUSALS, Pane

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen

_MOST_WAITING: Final = 3
"""Steps that wait for the one under way; a key that is held down must not run on when it is let go."""


@dataclass(eq=False)
class _Queue:
    """Steps of a pane, one after another."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0
    """Steps asked for and not begun."""


class Stepping:
    """Lets the active pane go token by token, and tells what could come next."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._next = NextToken(screen)
        self._queues: WeakKeyDictionary[Pane, _Queue] = WeakKeyDictionary()

    @property
    def on(self) -> bool:
        """True while the active pane goes token by token."""
        return self._screen.pane.stepping

    @property
    def takes(self) -> bool:
        """True when keys that choose a candidate mean the next token, and not one under the cursor."""
        return self.on and self._screen.pane.transcript.view.cursor is None

    def shown(self) -> WhatIf | None:
        """The position that waits for a token in the active pane, for the inspector; None when there is none."""
        pane = self._screen.pane
        reply = steps.waiting(pane.session)
        return self._next.shown(pane, reply) if self.takes and reply is not None else None

    # -- on and off --------------------------------------------------------------------------------------------

    def toggle(self) -> None:
        """Begin, or let the reply run on freely."""
        pane = self._screen.pane
        self._screen.attempt_later(partial(self._leave if pane.stepping else self._begin, pane), "conversation")

    async def _begin(self, pane: Pane) -> None:
        screen, tree = self._screen, pane.session.transcript
        view = pane.transcript.view
        ref = view.store.refs[view.cursor] if view.cursor is not None else None
        turn = tree.turns.get(ref[0]) if isinstance(ref, tuple) else None
        steppable(pane, turn or tree.last(Role.ASSISTANT))
        await pane.end_reply()
        if turn is not None and isinstance(ref, tuple) and ref[1] + 1 < len(turn.kept_tokens):
            branch = branch_at(tree, turn, ref[1] + 1, [])
            branch.model, branch.params = turn.model, turn.params
        else:
            steps.reopen(pane.session)
        pane.stepping = True
        pane.transcript.set_stepping(True)
        view.follow_end()
        pane.sync()
        if steps.waiting(pane.session) is not None:
            view.focus()
            text = "Space draws a token, 1-9 or Enter in the list take one, Backspace takes one back."
        elif tree.head is None:
            text = "Send a prompt: its reply waits for its first token."
        else:
            text = (
                "This reply has ended. Send a prompt, or go to its tokens (Ctrl+T) and take the end back (Backspace)."
            )
        screen.show_editing()
        screen.draw_soon()
        screen.notify(f"{text} Alt+S lets the reply run on.", title="Token by token", timeout=4, markup=False)

    def end(self, pane: Pane) -> None:
        """Leave it in a pane in which nothing is written; a reply that waits for a token stays as it is."""
        pane.stepping = False
        pane.transcript.set_stepping(False)

    async def _leave(self, pane: Pane) -> None:
        async with self._queue(pane).lock:
            await self._settle(pane)
            self.end(pane)
        self._screen.show_editing()
        self._screen.draw_soon()
        if steps.waiting(pane.session) is not None:
            continue_reply(pane)

    # -- steps -------------------------------------------------------------------------------------------------

    def draw(self) -> None:
        """Let the samplers draw the next token."""
        self._do(self._draw)

    def choose(self, choice: int) -> None:
        """Put this candidate, an index into `shown().token.top`, at the end of the reply."""
        self._do(partial(self._choose, choice))

    def pick(self, choice: int) -> None:
        """The same for a candidate that was pointed at: it means what is on display, and nothing that comes after."""
        if self.shown() is not None or steps.waiting(self._screen.pane.session) is None:
            self.choose(choice)

    def take_back(self) -> None:
        """Take the last token back."""
        self._do(self._take_back)

    def _queue(self, pane: Pane) -> _Queue:
        return self._queues.setdefault(pane, _Queue())

    def _do(self, what: Callable[[Pane], Awaitable[None]]) -> None:
        pane = self._screen.pane
        queue = self._queue(pane)
        if pane.stepping and queue.waiting < _MOST_WAITING:
            queue.waiting += 1
            self._screen.attempt_later(partial(self._in_turn, pane, what), "steps")

    async def _in_turn(self, pane: Pane, what: Callable[[Pane], Awaitable[None]]) -> None:
        queue = self._queue(pane)
        try:
            await queue.lock.acquire()
        finally:
            queue.waiting -= 1
        try:
            await self._settle(pane)
            if pane.stepping and pane in self._screen.all_panes:
                await what(pane)
                await self._next.measure(pane)
                self._screen.count_draft()  # the same turn, a token longer or shorter: what was counted is out of date
                pane.transcript.view.follow_end()
                pane.sync()
                self._screen.draw_soon()
        finally:
            queue.lock.release()

    async def _draw(self, pane: Pane) -> None:
        reply = steps.waiting(pane.session)
        if reply is None:
            raise steps.ended()
        steppable(pane, reply)
        await self._screen.take_change(pane)
        request = steps.step(pane.session, prompt_of(pane, reply))
        pane.single = request.stream
        pane.runner.start(request)
        await self._settle(pane)

    async def _choose(self, choice: int, pane: Pane) -> None:
        reply = steps.waiting(pane.session)
        if reply is None:
            raise steps.ended()
        await self._screen.take_change(pane)
        found = await self._next.under_present_params(pane, reply)
        if choice >= len(found.token.top):
            raise BadInput(f"There are only {len(found.token.top)} candidates.", "Take one of the list.")
        steps.put(pane.session, reply, found, choice)

    async def _take_back(self, pane: Pane) -> None:
        steps.take_back(pane.session)

    async def _settle(self, pane: Pane) -> None:
        """Wait for the step under way; what it cost goes into no book, because it is no reply's."""
        await pane.runner.settle()
        for event in pane.drain():
            if isinstance(event, Failed) and event.problem.kind in REFUSALS:
                self._screen.give_back(pane.take_back(event.problem))
                self._screen.tell_problem(event.problem)
