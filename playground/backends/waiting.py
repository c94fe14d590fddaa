"""Waiting that a person can end."""

from __future__ import annotations

import asyncio


async def stopped_within(stopped: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or until `stopped` is set; True when it is. Other tasks get their turn in any case."""
    if seconds <= 0:
        await asyncio.sleep(0)
        return stopped.is_set()
    try:
        async with asyncio.timeout(seconds):
            await stopped.wait()
    except TimeoutError:
        return stopped.is_set()
    return True
