"""Counts and times of a run: measured where they happen, None where nobody knows."""

from __future__ import annotations

import msgspec


class TokenCount(msgspec.Struct, frozen=True):
    """How many tokens a text or a prompt has."""

    tokens: int
    exact: bool
    """Counted with the model's own tokenizer; otherwise an estimate, drawn with `≈`."""
    method: str
    """What counted: "tokenizer", "server", "tiktoken" or "characters"."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens and money of one call."""

    prompt_tokens: int | None = None
    """The whole prompt: tokens read from a cache and written to one are among them."""
    cached_tokens: int | None = None
    """Part of the prompt that did not have to be computed again (cache read)."""
    cache_write_5m_tokens: int = 0
    """Part of the prompt that was written to a provider's cache for 5 minutes."""
    cache_write_1h_tokens: int = 0
    """Part of the prompt that was written to a provider's cache for an hour."""
    completion_tokens: int = 0
    """Tokens that were written, thinking included."""
    thinking_tokens: int | None = None
    """Those of the completion that were spent on thinking; None when nobody tells."""
    drafted_tokens: int | None = None
    """Tokens guessed ahead; None when nothing was to be guessed."""
    accepted_tokens: int | None = None
    """Those of them that the model then chose."""
    estimate: bool = False
    """True when the counts are not the provider's or the tokenizer's own, as after a broken stream."""
    cost: float | None = None
    """US dollars; 0.0 for a local model, None when the price is unknown."""


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Latency of one call. TTFT and tokens per second are two numbers: prefill is parallel, decode one by one."""

    ttft_ms: float | None = None
    """From submit to the first token."""
    prefill_ms: float | None = None
    prefill_tokens_per_second: float | None = None
    """Prompt tokens computed (cached ones excluded) per second."""
    tokens_per_second: float | None = None
    """Decode speed: tokens after the first, over the time they took."""
    inter_token_p50_ms: float | None = None
    inter_token_p95_ms: float | None = None
    total_ms: float | None = None
    memory_bytes: int | None = None
    """Resident memory of the worker process at the end of the run."""


def percentile(values: list[float], share: float) -> float | None:
    """Value below which `share` (0 to 1) of the values lie, interpolated; None for an empty list."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
