"""Running a session's requests on a backend: events wait here until the screen has time for them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from msgspec import structs

from playground.backends.base import Backend, EventSink
from playground.domain.errors import BadInput
from playground.domain.events import Event, Failed, FellBack, Finished, ThinkingGenerated, TokenGenerated
from playground.domain.messages import GenerationRequest
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.domain.usage import Usage

_FIRST: Final = (TokenGenerated, ThinkingGenerated, Finished, Failed)

Pricer = Callable[[ModelCard, Usage], float | None]
"""What a call to a model cost in US dollars; None when the price is unknown."""


def priced(event: Finished, card: ModelCard | None, price: Pricer) -> Finished:
    """The end of a reply with what it cost; of a local model the engine has said so itself."""
    if card is None or card.local:
        return event
    return structs.replace(event, usage=structs.replace(event.usage, cost=price(card, event.usage)))


class Runner:
    """One session on one backend. The backend appends to a deque, `drain` applies what came to the session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.backend: Backend | None = None
        self.price: Pricer = lambda _card, _usage: None
        self.answering: ModelCard | None = None
        """The model of the run under way, or of the last one: another one may have taken over."""
        self.began = asyncio.Event()
        """Set when the first word of the run under way is here, or the run ended without one."""
        self._inbox: deque[Event] = deque()
        self._task: asyncio.Task[None] | None = None

    def start(self, request: GenerationRequest) -> None:
        """Send a request that the session made. Raises BadInput without a model."""
        if self.backend is None:
            raise BadInput("No model is loaded.", "Choose one first.")
        self.answering = self.backend.card
        self.began = asyncio.Event()
        self._task = asyncio.create_task(self.backend.generate(request, self._sink(self.began)), name="run")

    def _sink(self, began: asyncio.Event) -> EventSink:
        keep = self._inbox.append

        def take(event: Event) -> None:
            keep(event)
            if isinstance(event, _FIRST):
                began.set()

        return take

    def drain(self) -> list[Event]:
        """Apply everything that came since the last call to the session, and return it in order."""
        events: list[Event] = []
        while self._inbox:
            event = self._inbox.popleft()
            if isinstance(event, FellBack):
                self.answering = event.card
            elif isinstance(event, Finished):
                event = priced(event, self.answering, self.price)
            self.session.apply(event)
            events.append(event)
        return events

    async def stop(self) -> None:
        """End the reply under way; its `Finished` event comes like any other."""
        if self.backend is not None and self.session.busy:
            await self.backend.stop(self.session.stream)

    async def set_params(self, params: SamplingParams) -> None:
        """Use other parameters from the next token on, and for the next reply.

        Raises BadInput for parameters that the model cannot take; then the old ones stay in force.
        """
        before, self.session.params = self.session.params, params
        if self.backend is None or not self.session.busy:
            return
        try:
            await self.backend.set_params(self.session.stream, params)
        except BadInput:
            self.session.params = before
            raise

    async def settle(self) -> None:
        """Wait until the run under way has ended."""
        if self._task is not None:
            await self._task
