"""One reply of Anthropic's messages API: events of the wire go in, events of ours come out."""

from __future__ import annotations

import math
import time
from typing import Final, assert_never

from playground.backends.anthropic_wire import (
    BlockDelta,
    BlockStart,
    ErrorEvent,
    MessageDelta,
    MessageStart,
    MessageStop,
    Piece,
    StopDetails,
    WireUsage,
    read_event,
)
from playground.backends.base import EventSink
from playground.backends.hosted_texts import ErrorBody, error_in, scrub
from playground.domain.events import Finished, Started, StopReason, ThinkingGenerated, TokenGenerated
from playground.domain.messages import GenerationRequest
from playground.domain.tokens import Token
from playground.domain.usage import Timings, Usage

CHARACTERS_PER_TOKEN: Final = 4
"""For the estimate when a reply ended before it was counted."""

_REASONS: Final = {
    "end_turn": StopReason.STOP,
    "max_tokens": StopReason.LENGTH,
    "stop_sequence": StopReason.STOP_STRING,
    "tool_use": StopReason.TOOL_USE,
    "pause_turn": StopReason.PAUSE,
    "refusal": StopReason.REFUSAL,
    "model_context_window_exceeded": StopReason.CONTEXT,
}


class Counts:
    """Tokens as a server reports them: several times, cumulative, and not all of them each time."""

    def __init__(self, cache: str) -> None:
        self._cache = cache
        self._seen: dict[str, int] = {}

    def take(self, usage: WireUsage | None) -> None:
        """Take a report. Counts only grow: some servers say 0 until they know."""
        if usage is None:
            return
        creation, details = usage.cache_creation, usage.output_tokens_details
        for name, count in (
            ("fresh", usage.input_tokens),
            ("read", usage.cache_read_input_tokens),
            ("written", usage.cache_creation_input_tokens),
            ("5m", creation.ephemeral_5m_input_tokens if creation else None),
            ("1h", creation.ephemeral_1h_input_tokens if creation else None),
            ("output", usage.output_tokens),
            ("thinking", details.thinking_tokens if details else None),
        ):
            if count is not None:
                self._seen[name] = max(count, self._seen.get(name, 0))

    @property
    def prompt(self) -> int | None:
        """The whole prompt, what the cache gave and took included; None until a server says."""
        return self._seen.get("fresh", 0) + self._seen.get("read", 0) + self._written or None

    @property
    def cached(self) -> int | None:
        """Prompt tokens that were read from the cache."""
        return self._seen.get("read")

    @property
    def output(self) -> int | None:
        """Tokens written, thinking included."""
        return self._seen.get("output")

    @property
    def thinking(self) -> int | None:
        """Tokens spent on thinking."""
        return self._seen.get("thinking")

    @property
    def _written(self) -> int:
        return max(self._seen.get("written", 0), self._seen.get("5m", 0) + self._seen.get("1h", 0))

    def usage(self, completion: int, *, estimate: bool = False) -> Usage:
        """The same, as the rest of the program has it."""
        hour = self._seen.get("1h", 0)
        if "5m" not in self._seen and "1h" not in self._seen and self._cache == "1h":
            hour = self._written  # without a breakdown it is what was asked for
        return Usage(
            prompt_tokens=self.prompt,
            cached_tokens=self.cached,
            cache_write_5m_tokens=self._written - hour,
            cache_write_1h_tokens=hour,
            completion_tokens=completion,
            thinking_tokens=self.thinking,
            estimate=estimate,
        )


class Reply:
    """A reply as it grows. Each text goes to the sink once, as it came: a piece is not a token."""

    def __init__(self, request: GenerationRequest, sink: EventSink) -> None:
        self.note = ""
        """What `Started` tells about how the request was made."""
        self.done = False
        """The closing event came, and the sink has `Finished`."""
        self.error: ErrorBody | None = None
        """What the server said when it gave up in the middle."""
        self._request = request
        self._sink = sink
        self._since = request.submitted_at or time.monotonic()
        self._counts = Counts(request.options.cache)
        self._text: list[str] = []
        self._thought = 0
        """Characters of thinking."""
        self._started = False
        self._first_ms: float | None = None
        self._last_ms = 0.0
        self._ending = MessageDelta()

    @property
    def began(self) -> bool:
        """True when something of the reply came, be it thinking."""
        return self._first_ms is not None

    def take(self, data: bytes) -> None:
        """Take the data of one event of the wire. Raises ValueError when it cannot be read."""
        event = read_event(data)
        match event:
            case None:
                pass
            case BlockDelta():
                self._piece(event.delta)
            case BlockStart():
                self._piece(event.content_block)
            case MessageStart():
                self._counts.take(event.message.usage)
                self._start()
            case MessageDelta():
                self._counts.take(event.usage)
                self._ending = event
            case MessageStop():
                self._finish()
            case ErrorEvent():
                self.error = error_in(event.body)
            case _:
                assert_never(event)

    def cancel(self) -> None:
        """The person stopped it: what arrived stays, and is counted by its length."""
        characters = self._thought + sum(map(len, self._text))
        completion = max(math.ceil(characters / CHARACTERS_PER_TOKEN), (self._counts.output or 0) if self.began else 0)
        usage = self._counts.usage(completion, estimate=True)
        self._end(StopReason.CANCELLED, "", usage, None)

    def _start(self) -> None:
        if self._started:
            return
        self._started = True
        self._sink(
            Started(
                stream=self._request.stream,
                prompt_tokens=self._counts.prompt,
                cached_tokens=self._counts.cached,
                params=self._request.params,
                seed=None,
                note=self.note,
            )
        )

    def _piece(self, piece: Piece) -> None:
        if not piece.text and not piece.thinking:
            return
        self._start()
        now_ms = self._now_ms()
        self._first_ms = now_ms if self._first_ms is None else self._first_ms
        self._last_ms = now_ms
        if piece.thinking:
            self._thought += len(piece.thinking)
            self._sink(ThinkingGenerated(stream=self._request.stream, text=piece.thinking, time_ms=now_ms))
        if piece.text:
            token = Token(
                index=len(self._text),
                id=None,
                piece=piece.text.encode("utf-8", errors="replace"),
                logprob=None,
                prob=None,
                rank=None,
                entropy=None,
                time_ms=now_ms,
                chunk=True,
            )
            self._text.append(piece.text)
            self._sink(TokenGenerated(stream=self._request.stream, token=token))

    def _finish(self) -> None:
        self._start()
        ending = self._ending.delta
        named = ending.stop_reason or ""
        reason = _REASONS.get(named, StopReason.UNKNOWN)
        if ending.stop_sequence and reason is StopReason.STOP:  # llama.cpp's server names the string but not the reason
            reason = StopReason.STOP_STRING
        if reason is StopReason.REFUSAL:
            detail = _refusal(ending.stop_details)
        elif reason is StopReason.UNKNOWN:
            detail = scrub(named, None) or "the server gave no reason"
        else:
            detail = ""
        output = self._counts.output
        speed = None if output is None else self._tokens_per_second(output)
        estimated = math.ceil((self._thought + sum(map(len, self._text))) / CHARACTERS_PER_TOKEN)
        usage = self._counts.usage(estimated if output is None else output, estimate=output is None)
        self._end(reason, detail, usage, speed, ending.stop_sequence or "")

    def _tokens_per_second(self, output: int) -> float | None:
        """Tokens after the first, over the time from the first piece to the last one.

        Thinking that was kept from us took place before the first piece, and is not counted.
        """
        if not self._thought:
            output -= self._counts.thinking or 0
        seconds = (self._last_ms - (self._first_ms or 0.0)) / 1000
        return (output - 1) / seconds if output > 1 and self.began and seconds > 0 else None

    def _end(self, reason: StopReason, detail: str, usage: Usage, speed: float | None, stop_string: str = "") -> None:
        self.done = True
        self._sink(
            Finished(
                stream=self._request.stream,
                reason=reason,
                text=self._request.reply_text + "".join(self._text),
                usage=usage,
                timings=Timings(ttft_ms=self._first_ms, tokens_per_second=speed, total_ms=self._now_ms()),
                stop_string=stop_string,
                detail=detail,
            )
        )

    def _now_ms(self) -> float:
        return (time.monotonic() - self._since) * 1000


def _refusal(details: StopDetails | None) -> str:
    """Category and explanation, as far as they are given."""
    if details is None:
        return ""
    return scrub(": ".join(text for text in (details.category, details.explanation) if text), None)
