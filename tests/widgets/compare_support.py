"""Rows as they stand side by side: three that ended, one that writes, one that failed, one that waits."""

from __future__ import annotations

from playground.domain.compare_rows import CompareRow, PaneState

ROWS = [
    CompareRow(
        number=1,
        model="SmolLM2-135M-Instruct-Q4_K_M",
        preset="precise",
        prompt_tokens=1234,
        cached_tokens=1200,
        completion_tokens=256,
        ttft_ms=84.0,
        tokens_per_second=41.26,
        cost=0.0,
        perplexity=3.456,
        state=PaneState.DONE,
        ending="end of text",
    ),
    CompareRow(
        number=2,
        model="claude-sonnet-5",
        preset="creative *",
        prompt_tokens=1310,
        cached_tokens=0,
        completion_tokens=199,
        tokens_estimate=True,
        ttft_ms=812.0,
        tokens_per_second=120.4,
        speed_estimate=True,
        cost=0.01234,
        cost_estimate=True,
        state=PaneState.WRITING,
    ),
    CompareRow(number=3, model="gpt-oss-20b", preset="precise", state=PaneState.FAILED, ending="Too many requests."),
    CompareRow(
        number=4,
        model="mistral-small",
        preset="wild",
        prompt_tokens=1290,
        completion_tokens=12,
        ttft_ms=12_345.0,
        tokens_per_second=9.0,
        cost=0.0004,
        perplexity=11.2,
        state=PaneState.DONE,
        ending="refused: violence",
    ),
    CompareRow(number=5, model="qwen", preset="", state=PaneState.SENT),
]
