"""Waiting for a server: until it stops sending, or somebody stops waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

FIRST: Final = 10
"""How many times longer the first word may take: prompts are computed and thoughts are thought before it."""


class Patience:
    """Ends a block of code early with TimeoutError: at once by `end`, or when nothing was heard for `stall_s` seconds.

    It runs in the task that waits, so that there is none to be left behind; hearing something costs next to nothing.
    """

    def __init__(self, stall_s: float) -> None:
        self.ended = False
        """True when the wait was ended by `end`, not by silence."""
        self._stall_s = stall_s
        self._limit_s = FIRST * stall_s
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._scope: asyncio.Timeout | None = None
        self._left = asyncio.Event()

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """The block that is ended early."""
        try:
            async with asyncio.timeout(0 if self.ended else None) as self._scope:
                self.heard()
                self._check()
                yield
        finally:
            self._scope = None
            self._left.set()
            if self._timer is not None:
                self._timer.cancel()

    def heard(self) -> None:
        """Something came."""
        self._heard_at = asyncio.get_running_loop().time()

    def first_word(self) -> None:
        """From now on silence is suspicious sooner."""
        if self._limit_s != self._stall_s:
            self._limit_s = self._stall_s
            if self._timer is not None:
                self._timer.cancel()
                self._check()

    def end(self) -> None:
        """Stop waiting now."""
        self.ended = True
        self._expire()

    async def left(self) -> None:
        """Wait until the block was left."""
        await self._left.wait()

    def _check(self) -> None:
        """Look whether the silence is too long by now, and else when to look again."""
        loop = asyncio.get_running_loop()
        due = self._heard_at + self._limit_s
        if loop.time() >= due:
            self._expire()
        else:
            self._timer = loop.call_at(due, self._check)

    def _expire(self) -> None:
        if self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())
