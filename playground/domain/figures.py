"""The numbers of a run, as they become known."""

from __future__ import annotations

from dataclasses import dataclass, field

from playground.domain.events import Finished, Started
from playground.domain.messages import PromptParts


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
    inter_token_p95_ms: float | None = None
    cost: float = 0.0
    """US dollars of the whole session."""
    cost_known: bool = True

    def anew(self) -> Figures:
        """Empty figures, except for what the whole session has cost."""
        return Figures(cost=self.cost, cost_known=self.cost_known)

    def started(self, event: Started) -> None:
        """The prompt is known."""
        self.parts, self.prompt_tokens, self.cached_tokens = event.parts, event.prompt_tokens, event.cached_tokens
        self.prefill_done = self.reply_tokens = 0
        self.prefill_total = (event.prompt_tokens or 0) - (event.cached_tokens or 0)

    def thought(self, time_ms: float) -> None:
        """A piece of thinking came; the first thing to come is what a person waited for."""
        if self.ttft_ms is None:
            self.ttft_ms = time_ms

    def token(self, count: int, time_ms: float) -> None:
        """The `count`-th token of a run came, so many milliseconds after the prompt was sent."""
        self.reply_tokens = count
        if count == 1 or self.ttft_ms is None:
            self.ttft_ms = time_ms
        elif time_ms > self.ttft_ms:
            self.tokens_per_second = (count - 1) * 1000 / (time_ms - self.ttft_ms)

    def finished(self, event: Finished) -> None:
        """The run is over and was measured."""
        timings = event.timings
        self.tokens_per_second = timings.tokens_per_second or self.tokens_per_second
        self.prefill_tokens_per_second = timings.prefill_tokens_per_second
        self.inter_token_p95_ms = timings.inter_token_p95_ms

    def charge(self, cost: float | None) -> None:
        """Add what a run cost; None makes the whole sum unknown."""
        if cost is None:
            self.cost_known = False
        else:
            self.cost += cost
