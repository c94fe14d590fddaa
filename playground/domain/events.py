"""What comes back from a model: a closed union of events, matched exhaustively."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from playground.domain.errors import Problem
from playground.domain.messages import PromptParts
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.domain.usage import Timings, Usage


class StopReason(StrEnum):
    """Why a reply ended."""

    STOP = "stop"
    """The model ended it (end-of-text or end-of-turn token)."""
    LENGTH = "length"
    """`max_tokens` was reached."""
    STOP_STRING = "stop_string"
    CONTEXT = "context"
    """The context window is full."""
    CANCELLED = "cancelled"
    """The person stopped it."""

    @property
    def sentence(self) -> str:
        """The reason in words."""
        return _SENTENCES[self]


_SENTENCES = {
    StopReason.STOP: "end of text",
    StopReason.LENGTH: "length limit",
    StopReason.STOP_STRING: "stop string",
    StopReason.CONTEXT: "context full",
    StopReason.CANCELLED: "stopped",
}


class Started(msgspec.Struct, frozen=True, kw_only=True, tag="started"):
    """The prompt is known and work on it begins."""

    stream: int
    prompt_tokens: int | None
    cached_tokens: int | None
    """Prompt tokens whose computation is reused."""
    params: SamplingParams
    seed: int | None
    parts: PromptParts = PromptParts()
    note: str = ""
    """Something the person should know about how the prompt was built."""


class PromptProgress(msgspec.Struct, frozen=True, kw_only=True, tag="prompt"):
    """Prefill advances, chunk by chunk."""

    stream: int
    done: int
    total: int
    """Tokens to compute; cached ones are in neither figure."""


class TokenGenerated(msgspec.Struct, frozen=True, kw_only=True, tag="token"):
    """One more token."""

    stream: int
    token: Token


class ParamsChanged(msgspec.Struct, frozen=True, kw_only=True, tag="params"):
    """From the token at `index` on, other parameters are in force."""

    stream: int
    index: int
    params: SamplingParams
    changed: tuple[str, ...]
    """Names of the fields that differ from before."""


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag="finished"):
    """The reply is complete."""

    stream: int
    reason: StopReason
    text: str
    """The whole reply, with the beginning it was given, without special tokens and without the stop string."""
    usage: Usage
    timings: Timings
    trimmed_bytes: int = 0
    """Bytes at the end of the tokens that belong to a stop string and not to `text`."""
    stop_string: str = ""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The run broke; the tokens that came before stay valid."""

    stream: int
    problem: Problem


Event = Started | PromptProgress | TokenGenerated | ParamsChanged | Finished | Failed
