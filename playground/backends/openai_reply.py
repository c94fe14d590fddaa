"""One reply as it comes: from a server's events to ours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from playground.backends.base import EventSink
from playground.backends.hosted_errors import from_status
from playground.backends.hosted_texts import error_in
from playground.backends.openai_logprobs import TokenReader
from playground.backends.openai_servers import AFTER_SAMPLERS, ServerFacts, ServerKind
from playground.backends.openai_wire import Choice, Chunk, WireProgress, WireTimings, WireUsage
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.events import Finished, PromptProgress, Started, StopReason, ThinkingGenerated, TokenGenerated
from playground.domain.messages import GenerationRequest
from playground.domain.sampling import SamplingParams
from playground.domain.usage import Timings, Usage, percentile

_REASONS: Final = {
    "stop": StopReason.STOP,
    "eos": StopReason.STOP,
    "eos_token": StopReason.STOP,
    "end_turn": StopReason.STOP,
    "stop_sequence": StopReason.STOP_STRING,
    "length": StopReason.LENGTH,
    "max_tokens": StopReason.LENGTH,
    "content_filter": StopReason.FILTERED,
    "tool_calls": StopReason.TOOL_USE,
    "function_call": StopReason.TOOL_USE,
    "refusal": StopReason.REFUSAL,
}


class Reply:
    """The state of one attempt. Times are `time.monotonic()` seconds."""

    def __init__(
        self, request: GenerationRequest, facts: ServerFacts, endpoint: Endpoint, key: Secret | None, sink: EventSink
    ) -> None:
        self.began = False
        """A piece of thinking or of the reply came."""
        self.reason = ""
        """The server's word for why the reply ended; empty until it did."""
        self._request = request
        self._facts = facts
        self._endpoint = endpoint
        self._key = key
        self._sink = sink
        self._submitted_at = request.submitted_at or time.monotonic()
        self._tokens = TokenReader(after_samplers=_after_samplers(facts.kind, request.params))
        self._text = bytearray(request.reply_text.encode("utf-8", "replace"))
        self._index = self._first_index = len(request.reply_ids)
        self._times_ms: list[float] = []
        self._first_ms: float | None = None
        self._last_ms = 0.0
        self._thought = self._chunks = self._refused = False
        self._predicted = 0
        self._usage: WireUsage | None = None
        self._timings: WireTimings | None = None
        self._progress: WireProgress | None = None
        self._stop_string = ""
        self.started = False

    @property
    def has_logprobs(self) -> bool | None:
        """True when log-probabilities came, False when only text did; None when nothing did."""
        return True if self._tokens.seen else (False if self._index > self._first_index else None)

    def start(self, seed: int | None, notes: Sequence[str], progress: WireProgress | None = None) -> None:
        """Say that the server is at work. llama.cpp tells the size of the prompt with its first event."""
        self.started = True
        self._sink(
            Started(
                stream=self._request.stream,
                prompt_tokens=progress.total if progress else None,
                cached_tokens=progress.cache if progress else None,
                params=self._request.params,
                seed=seed,
                note=" ".join(notes),
            )
        )

    def take(self, chunk: Chunk, now: float) -> None:
        """Pass on what came with an event. Raises PlaygroundError for an error in the stream."""
        if chunk.error:
            raise self._error(chunk.error)
        new_tokens = None
        timings = chunk.timings
        if timings is not None:
            self._timings = timings
            if timings.predicted_n is not None:
                new_tokens, self._predicted = timings.predicted_n - self._predicted, timings.predicted_n
        progress = chunk.prompt_progress
        if progress is not None:
            self._progress = progress
            done, total = progress.processed - progress.cache, progress.total - progress.cache
            self._sink(PromptProgress(stream=self._request.stream, done=max(0, done), total=max(0, total)))
        if chunk.usage is not None:
            self._usage = chunk.usage
        if chunk.verbose is not None:
            self._stop_string = chunk.verbose.stopping_word
        for choice in chunk.choices or ():
            self._choice(choice, (now - self._submitted_at) * 1000, new_tokens)

    def _choice(self, choice: Choice, time_ms: float, new_tokens: int | None) -> None:
        text, thought = choice.text or "", ""
        delta = choice.delta or choice.message
        if delta is not None:
            text, thought = _said(delta.content)
            thought = delta.reasoning_content or delta.reasoning or thought
            if delta.refusal:
                text, self._refused = text + delta.refusal, True
        if choice.finish_reason:
            self.reason = choice.finish_reason
            if isinstance(choice.stop_reason, str):
                self._stop_string = choice.stop_reason
        if thought:
            self._thought = True
            self._arrived(time_ms)
            self._sink(ThinkingGenerated(stream=self._request.stream, text=thought, time_ms=time_ms))
        if text or (choice.logprobs is not None and not thought):
            self._pieces(text, choice, time_ms, new_tokens)

    def _pieces(self, text: str, choice: Choice, time_ms: float, new_tokens: int | None) -> None:
        last = choice.finish_reason is not None
        for piece in self._tokens.read(text, choice.logprobs, last=last, new_tokens=new_tokens):
            self._arrived(time_ms)
            self._times_ms.append(time_ms)
            self._chunks = self._chunks or piece.chunk
            self._text += piece.piece
            self._sink(TokenGenerated(stream=self._request.stream, token=piece.token(self._index, time_ms)))
            self._index += 1

    def _arrived(self, time_ms: float) -> None:
        self.began = True
        self._last_ms = time_ms
        if self._first_ms is None:
            self._first_ms = time_ms

    def finish(self, reason: StopReason | None = None) -> None:
        """Say that the reply ended: with the server's reason, or with one of ours."""
        usage = self._counts()
        named = reason or self._named_reason(usage)
        self._sink(
            Finished(
                stream=self._request.stream,
                reason=named,
                text=bytes(self._text).decode("utf-8", errors="replace"),
                usage=usage,
                timings=self._clock(usage),
                stop_string=self._stop_string,
                detail=self.reason if named is StopReason.UNKNOWN else "",
            )
        )

    def _named_reason(self, usage: Usage) -> StopReason:
        if self._refused:
            return StopReason.REFUSAL
        if self._stop_string:
            return StopReason.STOP_STRING
        reason = _REASONS.get(self.reason, StopReason.UNKNOWN)
        limit, window = self._request.params.max_tokens, self._facts.n_ctx
        if reason is StopReason.LENGTH and window and usage.prompt_tokens and not usage.estimate:
            full = usage.prompt_tokens + usage.completion_tokens >= window - 1
            if full and (limit < 0 or usage.completion_tokens < limit):
                return StopReason.CONTEXT
        return reason

    def _counts(self) -> Usage:
        """The server's counts; without them what came is counted, as an estimate."""
        wire, timings = self._usage, self._timings
        if wire is not None and wire.completion_tokens is not None:
            cached = wire.prompt_tokens_details.cached_tokens if wire.prompt_tokens_details else None
            details = wire.completion_tokens_details
            return Usage(
                prompt_tokens=wire.prompt_tokens,
                cached_tokens=wire.prompt_cache_hit_tokens if cached is None else cached,
                completion_tokens=wire.completion_tokens,
                thinking_tokens=details.reasoning_tokens if details else None,
                cost=wire.cost if self._facts.kind is ServerKind.OPENROUTER else None,
            )
        if timings is not None and timings.predicted_n is not None:
            known = timings.prompt_n is not None and timings.cache_n is not None
            return Usage(
                prompt_tokens=(timings.prompt_n or 0) + (timings.cache_n or 0) if known else None,
                cached_tokens=timings.cache_n,
                completion_tokens=timings.predicted_n,
            )
        total = self._progress.total if self._progress else None
        return Usage(prompt_tokens=total, completion_tokens=self._index - self._first_index, estimate=True)

    def _clock(self, usage: Usage) -> Timings:
        wire = self._timings or WireTimings()
        gaps = [] if self._chunks else [later - earlier for earlier, later in pairwise(self._times_ms)]
        speed = wire.predicted_per_second if (wire.predicted_n or 0) > 1 else self._speed(usage)
        return Timings(
            ttft_ms=self._first_ms,
            prefill_ms=wire.prompt_ms,
            prefill_tokens_per_second=wire.prompt_per_second or None,
            tokens_per_second=speed,
            inter_token_p50_ms=percentile(gaps, 0.5),
            inter_token_p95_ms=percentile(gaps, 0.95),
            total_ms=(time.monotonic() - self._submitted_at) * 1000,
        )

    def _speed(self, usage: Usage) -> float | None:
        """Tokens a second between the first and the last that came; thinking nobody saw is not among them."""
        if self._first_ms is None or (usage.estimate and self._chunks):
            return None
        unseen = 0 if self._thought else (usage.thinking_tokens or 0)
        tokens, spent_ms = usage.completion_tokens - unseen - 1, self._last_ms - self._first_ms
        return tokens * 1000 / spent_ms if tokens > 0 and spent_ms > 0 else None

    def _error(self, error: Any) -> Exception:
        body = error_in({"error": error})
        code = error.get("code") if isinstance(error, dict) else None
        status = code if isinstance(code, int) and code >= 400 else 200
        return from_status(
            self._endpoint, self._facts.model, status, body.kind, body.message, {}, self._key, began=self.began
        )


def _after_samplers(kind: ServerKind, params: SamplingParams) -> bool:
    """SGLang's log-probabilities follow the temperature alone, so that at 1 they are the model's own."""
    return kind in AFTER_SAMPLERS and not (kind is ServerKind.SGLANG and params.temperature == 1.0)


def _said(content: str | list[dict[str, Any]] | None) -> tuple[str, str]:
    """Text and thinking of a delta; some servers send a list of parts."""
    if content is None or isinstance(content, str):
        return content or "", ""
    text, thought = "", ""
    for part in content:
        if isinstance(part.get("text"), str):
            text += part["text"]
        elif isinstance(part.get("thinking"), list):
            thought += _said(part["thinking"])[0]
    return text, thought
