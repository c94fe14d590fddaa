"""A stream of OpenAI's chat and completions routes, with log-probabilities where they are asked for."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.anthropic_events import ANSI_WORDS, HUGE, WORDS
from tests.fakes.hosted_faults import Script

LOGPROB = -0.1
OTHER = ("x", -3.0)
"""The candidate beside the chosen one, and its log-probability."""
_DONE = b"data: [DONE]\n\n"


def event(body: object) -> bytes:
    """One server-sent event."""
    return f"data: {json.dumps(body)}\n\n".encode()


def script(path: str, body: Mapping[str, Any], fault: str) -> Script:
    """The events of an answer to this request."""
    made = _Chunks(body, chat=path.endswith("/chat/completions"), fault=fault)
    name, _, reason = fault.partition("=")
    words = _words(body, fault)
    thoughts = [made.thought("They greet"), made.thought(" me.")] if fault == "thinking" else []
    usage = [made.usage()] if (body.get("stream_options") or {}).get("include_usage") else []
    return Script(
        opening=[*made.opening(), *thoughts],
        words=[made.word(word) for word in words],
        closing=[made.end(reason if name == "stop" else "stop"), *usage, _DONE],
        overloaded=event({"error": {"type": "overloaded_error", "code": "overloaded", "message": "Overloaded"}}),
        extras={
            "badjson": b'data: {"id": "c1", "choices": [{"index": 0, "del\n\n',
            "badutf8": b'data: {"choices": [{"index": 0, "text": "\xff\xfe", "delta": {"content": "\xff\xfe"}}]}\n\n',
            "huge": made.word(HUGE),
            "unknown": b": comment\n\nevent: news\nid: 7\nretry: 10\n\n\n" + event({"brand": "new"}) + event([1, "x"]),
        },
    )


def _words(body: Mapping[str, Any], fault: str) -> Sequence[str]:
    match fault:
        case "ansi":
            return ANSI_WORDS
        case "seeded":
            return random.Random(body.get("seed")).sample(WORDS, len(WORDS))
        case "another":
            return (*WORDS[:2], " moon", *WORDS[3:])
    return WORDS


def models(names: Sequence[str]) -> dict[str, object]:
    """The list of models."""
    data = [{"id": name, "object": "model", "created": 1, "owned_by": "fake"} for name in names]
    return {"object": "list", "data": data}


class _Chunks:
    """Events of one of the two routes."""

    def __init__(self, body: Mapping[str, Any], *, chat: bool, fault: str) -> None:
        self._chat = chat
        self._fault = fault
        self._model = body.get("model", "")
        asked = body.get("logprobs")
        self._logprobs = fault != "nologprobs" and asked is not None and asked is not False

    def opening(self) -> list[bytes]:
        """What comes before the first word."""
        return [self._chunk({"delta": {"role": "assistant", "content": ""}})] if self._chat else []

    def thought(self, text: str) -> bytes:
        """A piece of thinking; raw completions have none."""
        return self._chunk({"delta": {"reasoning_content": text}} if self._chat else {"text": ""})

    def word(self, text: str) -> bytes:
        """A piece of the reply."""
        choice: dict[str, Any] = {"delta": {"content": text}} if self._chat else {"text": text}
        if self._logprobs and len(text) < 100:
            choice["logprobs"] = self._chat_logprobs(text) if self._chat else self._raw_logprobs(text)
        return self._chunk(choice)

    def end(self, reason: str) -> bytes:
        """The last chunk with a choice."""
        return self._chunk({"delta": {}} if self._chat else {"text": ""}, reason)

    def usage(self) -> bytes:
        """The chunk that only counts."""
        thinking = 4 if self._fault == "thinking" else 0
        counts = {
            "prompt_tokens": 10,
            "completion_tokens": 6 + thinking,
            "total_tokens": 16 + thinking,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": thinking},
        }
        return event({**self._outside(), "choices": [], "usage": counts})

    def _chat_logprobs(self, text: str) -> dict[str, Any]:
        shown = text[:1] if self._fault == "merged" else text
        entry = _entry(shown, LOGPROB)
        return {"content": [{**entry, "top_logprobs": [_entry(shown, LOGPROB), _entry(*OTHER)]}]}

    @staticmethod
    def _raw_logprobs(text: str) -> dict[str, Any]:
        return {
            "tokens": [text],
            "token_logprobs": [LOGPROB],
            "top_logprobs": [{text: LOGPROB, OTHER[0]: OTHER[1]}],
            "text_offset": [0],
        }

    def _outside(self) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._chat else "text_completion"
        return {"id": "c1", "object": kind, "created": 1, "model": self._model}

    def _chunk(self, choice: Mapping[str, Any], reason: str | None = None) -> bytes:
        return event({**self._outside(), "choices": [{"index": 0, "finish_reason": reason, **choice}]})


def _entry(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "bytes": list(text.encode()), "logprob": logprob}
