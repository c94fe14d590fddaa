"""Events of one stream, and waiting for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from playground.domain.events import Event, TokenGenerated


class Sink:
    """Takes events and lets a test wait for a state."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    @property
    def ids(self) -> list[int | None]:
        return [event.token.id for event in self.events if isinstance(event, TokenGenerated)]

    async def until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._changed.clear()
            await self._changed.wait()
