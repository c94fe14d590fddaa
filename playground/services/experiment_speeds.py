"""How fast a model was before, as the history knows it, and how long a sweep takes at most at that speed."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from playground.domain.errors import HistoryUnusable
from playground.domain.experiments import Cell
from playground.domain.sampling import UNLIMITED
from playground.services.accounts import EXPECTED_REPLY
from playground.services.history import history_path, read_history
from playground.services.history_reader import Pace

_MOST_ALONE: Final = 20
"""Replies outside sweeps that are looked at: a model's speed is that of today."""


async def known_speeds(models: Collection[str], at_once: int) -> dict[str, float]:
    """Tokens per second of all requests together, by model; one that the history has no reply of is left out.

    Args:
        models: As a plan has them.
        at_once: Requests at a time.
    """
    try:
        paces = await asyncio.to_thread(read_history, history_path(), lambda reader: reader.paces())
    except HistoryUnusable:  # who keeps one is told elsewhere; a sweep can be run without
        return {}
    found = {}
    for model in models:
        # A reply without a duration, from a clock that stood still, went back or is too coarse, says nothing of speed.
        own = [pace for pace in paces if pace.model_ref == model and pace.ended_at > pace.began_at]
        if own:
            found[model] = speed_of(_latest(own), at_once)
    return found


def speed_of(paces: Sequence[Pace], at_once: int) -> float:
    """Tokens per second of all requests together, from replies of one model of which several may have run at once.

    More requests than there were then are taken to be no faster, fewer of them to share as those did: the speed is
    rather too low than too high. At least one reply has lasted longer than nothing.
    """
    busy_s, until = 0.0, 0.0
    for pace in sorted(paces, key=lambda one: one.began_at):
        busy_s += max(0.0, pace.ended_at - max(pace.began_at, until))
        until = max(until, pace.ended_at)
    together = sum(pace.ended_at - pace.began_at for pace in paces) / busy_s
    return sum(pace.tokens for pace in paces) / busy_s * min(1.0, at_once / together)


def most_seconds(todo: Iterable[Cell], speeds: Mapping[str, float]) -> float | None:
    """How long it takes when every reply goes to its limit; None when the speed of a model is unknown.

    Args:
        todo: What is to be run.
        speeds: Tokens per second that each model was seen to reach.
    """
    total = 0.0
    for cell in todo:
        if cell.model not in speeds:
            return None
        total += expected_tokens(cell) / speeds[cell.model]
    return total


def expected_tokens(cell: Cell) -> int:
    """Tokens of a reply: its limit, or a usual number where it has none."""
    return EXPECTED_REPLY if cell.params.max_tokens == UNLIMITED else cell.params.max_tokens


def _latest(paces: Sequence[Pace]) -> list[Pace]:
    """Those of the latest sweep; without one, the latest of the others. `paces` has the newest first."""
    batch = next((pace.batch for pace in paces if pace.batch), "")
    return [pace for pace in paces if pace.batch == batch][: None if batch else _MOST_ALONE]
