"""Plays a recorded run with its original timing: for demos, pictures and tests. Nothing is computed and nothing sent.

Every figure is the one that was measured when the run was recorded.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final, Literal

import msgspec

from playground.backends.base import Backend, Capabilities, EventSink
from playground.backends.recording import ENDING, Recording, read_recording
from playground.backends.waiting import stopped_within
from playground.domain.endpoints import REPLAY
from playground.domain.errors import BadInput, StreamCutOff
from playground.domain.events import (
    Event,
    Failed,
    Finished,
    ParamsChanged,
    Retrying,
    Started,
    StopReason,
    ThinkingGenerated,
    TokenGenerated,
)
from playground.domain.messages import GenerationRequest
from playground.domain.models import ModelCard
from playground.domain.tokens import Token, join_text
from playground.domain.usage import Timings, Usage

_PLAYS: Final = "A recording plays as it was made."
_REASONS: Final = {
    "params": _PLAYS,
    "live_params": _PLAYS,
    "effort": _PLAYS,
    "thinking": _PLAYS,
    "cache": _PLAYS,
    "fork": "A recording has no model that could go on from another token.",
    "continue_reply": "A recording has no model that could go on.",
    "view_prompt": "A recording holds the messages, not the exact prompt.",
    "exact_count": "A recording has no tokenizer.",
    "logprobs": "The recorded model gave none.",
    "stages": "The recorded model did not tell what its samplers did.",
}


class ReplayBackend(Backend):
    """One recording; each request gets the recorded reply, whatever it asks."""

    def __init__(self, path: Path, *, speed: float = 1.0) -> None:
        """Read a recording, which blocks for as long as that takes.

        `speed` 2 plays twice as fast, infinity as fast as possible.

        Raises ConfigError for a file that is no recording, BadInput for a speed that is not above zero.
        """
        if not speed > 0:
            raise BadInput(f"A recording cannot be played at speed {speed:g}.", "Take a number above zero.")
        self._speed = speed
        self._recording = read_recording(path)
        self._name = path.name.removesuffix(ENDING)
        self._stopped: dict[int, asyncio.Event] = {}

    @property
    def recording(self) -> Recording:
        """What is played; its prompt is the one that belongs to the reply."""
        return self._recording

    @property
    def capabilities(self) -> Capabilities:
        """Nothing can be changed; what was seen then is seen now."""
        recorded = self._recording.header.capabilities
        return Capabilities(
            params=frozenset(), logprobs=self._logprobs(), stages=recorded.stages, raw=True, reasons=_REASONS
        )

    @property
    def card(self) -> ModelCard:
        """The recorded model, under the recording's name."""
        return msgspec.structs.replace(
            self._recording.header.card,
            id=f"{REPLAY}/{self._name}",
            provider=REPLAY,
            note="A recording: nothing is computed, and the figures are those of the recorded run.",
        )

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """See Backend."""
        stopped = self._stopped[request.stream] = asyncio.Event()
        play = _Play(self._recording, request, sink)
        began = time.monotonic()
        try:
            for entry in self._recording.entries:
                at = began + entry.ms / 1000 / self._speed
                if await stopped_within(stopped, at - time.monotonic()):
                    play.cancel()
                    return
                play.show(entry.event, began, self._speed)
            if not self._recording.complete:
                play.break_off()
        finally:
            self._stopped.pop(request.stream, None)

    async def stop(self, stream: int) -> None:
        """See Backend."""
        if stream in self._stopped:
            self._stopped[stream].set()

    async def close(self) -> None:
        """Stop what plays."""
        for stopped in self._stopped.values():
            stopped.set()

    def _logprobs(self) -> Literal["full", "top", "none"]:
        recorded = self._recording.header.capabilities.logprobs
        if recorded != "maybe":
            return recorded
        events = (entry.event for entry in self._recording.entries)
        told = any(isinstance(event, TokenGenerated) and event.token.logprob is not None for event in events)
        return "top" if told else "none"


class _Play:
    """One reply as it is played, told as an answer to another request."""

    def __init__(self, recording: Recording, request: GenerationRequest, sink: EventSink) -> None:
        self._recorded_text = recording.header.reply_text
        self._local = recording.header.card.local
        self._request = request
        self._sink = sink
        self._shift = len(request.reply_ids) - _first_index(recording)
        self._tokens: list[Token] = []
        self._started: Started | None = None
        self._first_ms: float | None = None

    def show(self, event: Event, began: float, speed: float) -> None:
        """Pass an event on. `began` is when playing began, by `time.monotonic`."""
        event = msgspec.structs.replace(event, stream=self._request.stream)
        match event:
            case Started():
                self._started = event
            case ThinkingGenerated():
                self._came(event.time_ms)
            case TokenGenerated():
                token = event.token
                self._came(token.time_ms)
                if self._shift:
                    token = msgspec.structs.replace(token, index=token.index + self._shift)
                    event = msgspec.structs.replace(event, token=token)
                self._tokens.append(token)
            case ParamsChanged():
                event = msgspec.structs.replace(event, index=event.index + self._shift)
            case Retrying():
                event = msgspec.structs.replace(event, resume_at=began + event.resume_at / speed)
            case Finished():
                event = msgspec.structs.replace(event, text=self._request.reply_text + self._own(event.text))
        self._sink(event)

    def cancel(self) -> None:
        """The person stopped it: what was played so far is the reply."""
        played = join_text([token.piece for token in self._tokens])
        self._sink(
            Finished(
                stream=self._request.stream,
                reason=StopReason.CANCELLED,
                text=self._request.reply_text + played,
                usage=self._usage(),
                timings=self._timings(),
            )
        )

    def break_off(self) -> None:
        """The recording has no end."""
        error = StreamCutOff("The recording ends before the reply does.", "What it holds stays.")
        self._sink(Failed(stream=self._request.stream, problem=error.problem))

    def _came(self, time_ms: float) -> None:
        if self._first_ms is None:
            self._first_ms = time_ms

    def _own(self, text: str) -> str:
        """The recorded reply without the beginning that it was given."""
        return text.removeprefix(self._recorded_text)

    def _usage(self) -> Usage:
        started = self._started
        return Usage(
            prompt_tokens=started.prompt_tokens if started else None,
            cached_tokens=started.cached_tokens if started else None,
            completion_tokens=len(self._tokens),
            estimate=any(token.chunk for token in self._tokens),
            cost=0.0 if self._local else None,
        )

    def _timings(self) -> Timings:
        """What the recorded times tell so far."""
        if not self._tokens:
            return Timings(ttft_ms=self._first_ms)
        last_ms = self._tokens[-1].time_ms
        took_ms = last_ms - self._tokens[0].time_ms
        speed = (len(self._tokens) - 1) * 1000 / took_ms if took_ms > 0 else None
        return Timings(ttft_ms=self._first_ms, tokens_per_second=speed, total_ms=last_ms)


def _first_index(recording: Recording) -> int:
    for entry in recording.entries:
        if isinstance(entry.event, TokenGenerated):
            return entry.event.token.index
    return 0
