"""The numbers of a run, as they become known."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.domain.events import Finished, Started
from playground.domain.messages import PromptParts
from playground.domain.usage import Usage


@dataclass(slots=True)
class Figures:
    """The numbers of the latest run, None until they are known."""

    parts: PromptParts = field(default_factory=PromptParts)
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    reply_tokens: int = 0
    prefill_done: int = 0
    prefill_total: int = 0
    ttft_ms: float | None = None
    tokens_per_second: float | None = None
    prefill_tokens_per_second: float | None = None
    inter_token_p50_ms: float | None = None
    inter_token_p95_ms: float | None = None
    memory_bytes: int | None = None
    """Resident memory of the process that ran the model."""
    estimate: bool = False
    """True while token counts are not the model's own."""
    usage: Usage | None = None
    """What the call was charged for; None until it has ended."""
    first_token_ms: float | None = None
    """From submit to the first token of the reply itself; thinking may have come before."""

    def sent(self) -> None:
        """A prompt is on its way: what was measured of the run before holds no more."""
        self.ttft_ms = self.tokens_per_second = self.first_token_ms = self.usage = None

    def started(self, event: Started) -> None:
        """The prompt is known."""
        if event.parts.total or event.prompt_tokens is None:
            self.parts = event.parts if event.parts.total else self.parts
        else:
            self.parts = _scaled(self.parts, event.prompt_tokens)
        self.prompt_tokens, self.cached_tokens = event.prompt_tokens, event.cached_tokens
        self.estimate = event.prompt_tokens is None
        self.prefill_done = self.reply_tokens = 0
        self.prefill_total = (event.prompt_tokens or 0) - (event.cached_tokens or 0)

    def thought(self, time_ms: float) -> None:
        """A piece of thinking came; the first thing to come is what a person waited for."""
        if self.ttft_ms is None:
            self.ttft_ms = time_ms

    def token(self, count: int, time_ms: float, *, chunk: bool = False) -> None:
        """The `count`-th token of a run came, so many milliseconds after the prompt was sent."""
        self.reply_tokens = count
        self.estimate = self.estimate or chunk
        if self.ttft_ms is None:
            self.ttft_ms = time_ms
        if self.first_token_ms is None:
            self.first_token_ms = time_ms
        elif time_ms > self.first_token_ms:
            self.tokens_per_second = (count - 1) * 1000 / (time_ms - self.first_token_ms)

    def finished(self, event: Finished) -> None:
        """The run is over and was measured."""
        timings, usage = event.timings, event.usage
        self.usage = usage
        self.estimate = usage.estimate
        self.tokens_per_second = timings.tokens_per_second or self.tokens_per_second
        self.prefill_tokens_per_second = timings.prefill_tokens_per_second
        self.inter_token_p50_ms = timings.inter_token_p50_ms
        self.inter_token_p95_ms = timings.inter_token_p95_ms
        self.memory_bytes = timings.memory_bytes
        self.cached_tokens = usage.cached_tokens
        if usage.prompt_tokens:
            self.prompt_tokens = usage.prompt_tokens
            self.parts = _scaled(self.parts, usage.prompt_tokens)
        self.reply_tokens = max(0, usage.completion_tokens - (usage.thinking_tokens or 0))


def _scaled(parts: PromptParts, total: int) -> PromptParts:
    """The shares of a prompt, corrected to the length that turned out to be right."""
    if parts.total == total:
        return parts
    if not parts.total:
        return PromptParts(prompt=total)
    system, history = (round(share * total / parts.total) for share in (parts.system, parts.history))
    return PromptParts(system, history, total - system - history)
