"""A stream of Anthropic's messages API, as version 2026-10-21 sends it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.fakes.hosted_faults import Script

WORDS = ("Hello", ",", " world", "!", " 你好", " bye")
ANSI_WORDS = ("\x1b[31mred", "\x1b]0;title\x07", "[bold]", "\x9b2J", "\u202eabc", " end")
HUGE = "A" * 5_000_000
STOP_DETAILS = {"type": "refusal", "category": "cyber", "explanation": "This could enable harm."}


def event(body: Mapping[str, object]) -> bytes:
    """One server-sent event; its name is the type in its body."""
    return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()


def script(body: Mapping[str, Any], fault: str) -> Script:
    """The events of an answer to this request."""
    thinking = fault == "thinking"
    at = 1 if thinking else 0
    words = ANSI_WORDS if fault == "ansi" else WORDS
    opening = [_message_start(body), *(_thoughts() if thinking else [])]
    opening += [event(_block_start(at, {"type": "text", "text": ""})), event({"type": "ping"})]
    return Script(
        opening=opening,
        words=[_delta(at, {"type": "text_delta", "text": word}) for word in words],
        closing=[event({"type": "content_block_stop", "index": at}), _message_delta(fault, thinking), _MESSAGE_STOP],
        overloaded=event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        extras={
            "badjson": b'event: content_block_delta\ndata: {"type": "content_block_delta", "ind\n\n',
            "badutf8": b'event: content_block_delta\ndata: {"x": "\xff\xfe"}\n\n',
            "huge": _delta(at, {"type": "text_delta", "text": HUGE}),
            "unknown": event({"type": "brand_new_event", "x": 1})
            + b": comment\n\n"
            + _delta(at, {"type": "new_delta"}),
        },
    )


def models(names: Sequence[str]) -> dict[str, object]:
    """The list of models."""
    return {"data": [model(name) for name in names], "has_more": False, "first_id": names[0], "last_id": names[-1]}


def model(name: str) -> dict[str, object]:
    """What there is to know about one model."""
    effort = {"supported": True} | {level: {"supported": True} for level in ("low", "medium", "high")}
    types = {way: {"supported": True} for way in ("enabled", "adaptive")}
    return {
        "type": "model",
        "id": name,
        "display_name": name.title(),
        "created_at": "2026-05-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
        "capabilities": {"effort": effort, "thinking": {"supported": True, "types": types}},
    }


_MESSAGE_STOP = event({"type": "message_stop"})


def _block_start(index: int, block: Mapping[str, object]) -> dict[str, object]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, delta: Mapping[str, object]) -> bytes:
    return event({"type": "content_block_delta", "index": index, "delta": delta})


def _thoughts() -> list[bytes]:
    return [
        event(_block_start(0, {"type": "thinking", "thinking": "", "signature": ""})),
        _delta(0, {"type": "thinking_delta", "thinking": "They greet"}),
        _delta(0, {"type": "thinking_delta", "thinking": " me."}),
        _delta(0, {"type": "signature_delta", "signature": "c2ln"}),
        event({"type": "content_block_stop", "index": 0}),
    ]


def _message_start(body: Mapping[str, Any]) -> bytes:
    """Of 3,110 prompt tokens 2,000 come from the cache, 100 and 1,000 are written to it."""
    usage = {
        "input_tokens": 10,
        "cache_creation_input_tokens": 1100,
        "cache_read_input_tokens": 2000,
        "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 1000},
        "output_tokens": 1,
        "service_tier": "standard",
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body.get("model", ""),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    return event({"type": "message_start", "message": message})


def _message_delta(fault: str, thinking: bool) -> bytes:
    name, _, reason = fault.partition("=")
    delta: dict[str, object] = {"stop_reason": reason if name == "stop" else "end_turn", "stop_sequence": None}
    if reason == "refusal":
        delta["stop_details"] = STOP_DETAILS
    if reason == "stop_sequence":
        delta["stop_sequence"] = "END"
    usage = {"output_tokens": 10 if thinking else 6, "output_tokens_details": {"thinking_tokens": 4 if thinking else 0}}
    return event({"type": "message_delta", "delta": delta, "usage": usage})
