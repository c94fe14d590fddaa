"""What OpenAI-compatible servers send, as structs: their common ground, and the extras of some.

Everything can be missing. Fields nobody reads here are not decoded.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec


class Entry(msgspec.Struct):
    """One position of the log-probabilities, or one candidate at it."""

    token: str = ""
    bytes_: list[int] | None = msgspec.field(name="bytes", default=None)
    logprob: float | None = None
    prob: float | None = None
    """llama.cpp: after all samplers, in place of `logprob`."""
    id: int | None = None
    """llama.cpp: the token's id."""
    top_logprobs: list[Entry] | None = None
    top_probs: list[Entry] | None = None


class Logprobs(msgspec.Struct):
    """Log-probabilities of a piece: by entries in chats, in parallel lists with raw completions."""

    content: list[Entry] | None = None
    tokens: list[str] | None = None
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float | None] | None] | None = None


class Delta(msgspec.Struct):
    """What a chat gained."""

    content: str | list[dict[str, Any]] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct):
    """A piece of the reply."""

    delta: Delta | None = None
    message: Delta | None = None
    """In place of `delta` where a server does not stream."""
    text: str | None = None
    """Raw completions have it in place of `delta`."""
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM: the stop string, or the id of the token, that ended it."""
    logprobs: Logprobs | None = None


class PromptDetails(msgspec.Struct):
    """Parts of the prompt."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """Parts of the reply."""

    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """The counts at the end."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's name for cached tokens."""
    cost: float | None = None
    """OpenRouter: US dollars."""


class WireTimings(msgspec.Struct):
    """llama.cpp: its own stopwatch."""

    cache_n: int | None = None
    prompt_n: int | None = None
    prompt_ms: float | None = None
    prompt_per_second: float | None = None
    predicted_n: int | None = None
    predicted_per_second: float | None = None


class WireProgress(msgspec.Struct):
    """llama.cpp: how far the prompt is."""

    total: int = 0
    cache: int = 0
    processed: int = 0
    """Cached tokens among them."""


class WireVerbose(msgspec.Struct):
    """llama.cpp: more about the end, when it is asked to be verbose."""

    stopping_word: str = ""
    """The stop string that ended the reply; empty when it was something else."""


class Chunk(msgspec.Struct):
    """One event of a stream."""

    choices: list[Choice] | None = None
    usage: WireUsage | None = None
    timings: WireTimings | None = None
    prompt_progress: WireProgress | None = None
    verbose: WireVerbose | None = msgspec.field(name="__verbose", default=None)
    error: Any = None


DONE: Final = b"[DONE]"
"""The data of the last event."""
_decode: Final = msgspec.json.Decoder(Chunk).decode


def read_chunk(data: bytes) -> Chunk | None:
    """One event's data; None for an event of a kind nobody knows.

    Raises ValueError for what is no JSON or holds a piece of a reply that cannot be understood.
    """
    try:
        try:
            return _decode(data)
        except msgspec.ValidationError:
            return _slim(msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _slim(whole: object) -> Chunk | None:
    """What can be understood of an event in which something has another type than elsewhere: its words come first."""
    words = {name: whole[name] for name in ("choices", "error") if whole.get(name)} if isinstance(whole, dict) else {}
    return msgspec.convert(words, Chunk, strict=False) if words else None
