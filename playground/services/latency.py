"""How long people waited, by model, over a session."""

from __future__ import annotations

from collections import deque
from typing import Final

import msgspec

from playground.domain.usage import Timings, percentile

_KEPT: Final = 10_000
"""Replies of a model that are remembered; the oldest make room."""


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """How good half, 95 % and 99 % of the replies were at least. None: nobody measured it."""

    p50: float | None
    p95: float | None
    p99: float | None
    count: int
    """Replies behind these values."""


class LatencySummary(msgspec.Struct, frozen=True, kw_only=True):
    """The waiting times of one model."""

    model: str
    count: int
    """Replies in all, also those without a measured time."""
    ttft_ms: Percentiles
    """Milliseconds to the first token: p95 is the time within which 95 % of the replies began."""
    tokens_per_second: Percentiles
    """Decode speed: p95 is the speed that 95 % of the replies reached, so p99 <= p95 <= p50."""


class LatencyLog:
    """Collects the timings of finished replies."""

    def __init__(self) -> None:
        self._timings: dict[str, deque[Timings]] = {}

    def add(self, model: str, timings: Timings) -> None:
        """Take the timings of one reply."""
        self._timings.setdefault(model, deque(maxlen=_KEPT)).append(timings)

    def summary(self, model: str) -> LatencySummary:
        """Percentiles of one model; all None when it never replied."""
        timings = self._timings.get(model, ())
        waits = [one.ttft_ms for one in timings if one.ttft_ms is not None]
        speeds = [one.tokens_per_second for one in timings if one.tokens_per_second is not None]
        return LatencySummary(
            model=model,
            count=len(timings),
            ttft_ms=_percentiles(waits),
            tokens_per_second=_percentiles(speeds, more_is_better=True),
        )

    def summaries(self) -> list[LatencySummary]:
        """Percentiles of all models, in the order in which they first replied."""
        return [self.summary(model) for model in self._timings]


def _percentiles(values: list[float], *, more_is_better: bool = False) -> Percentiles:
    p50, p95, p99 = (percentile(values, 1 - share if more_is_better else share) for share in (0.50, 0.95, 0.99))
    return Percentiles(p50=p50, p95=p95, p99=p99, count=len(values))
