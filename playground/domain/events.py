"""What comes back from a model: a closed union of events, matched exhaustively."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from playground.domain.errors import Problem
from playground.domain.messages import PromptParts
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Token
from playground.domain.usage import Timings, Usage
from playground.domain.watching import WatchedWord


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
    TOOL_USE = "tool_use"
    """The model wants a tool called, and there is none here."""
    PAUSE = "pause"
    """The provider paused a long turn."""
    REFUSAL = "refusal"
    """The provider's safety system, or the model, refused to go on."""
    FILTERED = "content_filter"
    """The provider's content filter took the reply away."""
    UNKNOWN = "unknown"
    """A reason that is new to this program; `Finished.detail` names it."""

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
    StopReason.TOOL_USE: "wants a tool",
    StopReason.PAUSE: "paused by the provider",
    StopReason.REFUSAL: "refused",
    StopReason.FILTERED: "content filter",
    StopReason.UNKNOWN: "ended",
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
    watching: tuple[WatchedWord, ...] = ()
    """The words of the watch list, and the tokens that stand for them."""


class PromptProgress(msgspec.Struct, frozen=True, kw_only=True, tag="prompt"):
    """Prefill advances, chunk by chunk."""

    stream: int
    done: int
    total: int
    """Tokens to compute; cached ones are in neither figure."""


class ThinkingGenerated(msgspec.Struct, frozen=True, kw_only=True, tag="thinking"):
    """A piece of what a model thinks before it answers; not part of the reply."""

    stream: int
    text: str
    time_ms: float = 0.0
    """Milliseconds from submit. The first of these or of the tokens is the TTFT."""


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
    detail: str = ""
    """More about the reason, such as the category of a refusal; empty when there is nothing."""


class Retrying(msgspec.Struct, frozen=True, kw_only=True, tag="retrying"):
    """An attempt failed before a word came, and another one follows."""

    stream: int
    problem: Problem
    """Why."""
    attempt: int
    """Number of the attempt that failed, from 1."""
    attempts: int
    """How many there will be at most."""
    resume_at: float
    """`time.monotonic()` at which the next one begins; Esc ends the wait and the run."""
    change: str = ""
    """What the next attempt does differently, such as leaving out a refused parameter; empty: nothing."""


class FellBack(msgspec.Struct, frozen=True, kw_only=True, tag="fell back"):
    """Another model takes over, because the pane's own is overloaded or out of reach."""

    stream: int
    card: ModelCard
    """The one that takes over."""
    problem: Problem
    """Why."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The run broke; the tokens that came before stay valid."""

    stream: int
    problem: Problem


Event = (
    Started
    | PromptProgress
    | ThinkingGenerated
    | TokenGenerated
    | ParamsChanged
    | Retrying
    | FellBack
    | Finished
    | Failed
)
