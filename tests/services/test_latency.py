"""Waiting times over a session."""

from __future__ import annotations

import pytest

from playground.domain.usage import Timings
from playground.services.latency import LatencyLog


def test_percentiles_by_model() -> None:
    log = LatencyLog()
    for n in range(1, 101):
        log.add("a", Timings(ttft_ms=float(n), tokens_per_second=float(n)))
    log.add("b", Timings(ttft_ms=7.0))
    a, b = log.summaries()
    assert (a.model, a.count, b.model, b.count) == ("a", 100, "b", 1)
    assert a.ttft_ms.p50 == pytest.approx(50.5)
    assert a.ttft_ms.p95 == pytest.approx(95.05)
    assert a.ttft_ms.p99 == pytest.approx(99.01)
    assert a.tokens_per_second.p50 == pytest.approx(50.5)
    assert a.tokens_per_second.p95 == pytest.approx(5.95), "95 of 100 replies were at least this fast"
    assert b.ttft_ms.p50 == b.ttft_ms.p99 == 7.0


def test_what_nobody_measured_is_none() -> None:
    log = LatencyLog()
    log.add("a", Timings())
    log.add("a", Timings(ttft_ms=3.0))
    summary = log.summary("a")
    assert (summary.count, summary.ttft_ms.count, summary.tokens_per_second.count) == (2, 1, 0)
    assert summary.tokens_per_second.p50 is None
    assert log.summary("never seen").count == 0
    assert log.summary("never seen").ttft_ms.p95 is None
