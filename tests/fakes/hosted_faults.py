"""Answers that are no stream, and the parts a stream is made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

MID_STREAM = frozenset(
    {"rst", "drop", "eof", "stall", "endless", "overloaded", "badjson", "badutf8", "huge", "unknown"}
)
"""Faults in the middle of a stream."""


class Script(NamedTuple):
    """The events of one answer."""

    opening: list[bytes]
    words: list[bytes]
    closing: list[bytes]
    overloaded: bytes
    extras: dict[str, bytes]
    """What a fault puts between the words."""


class Refusal(NamedTuple):
    """An answer that is an error."""

    status: int
    anthropic: str
    """Type of the error as Anthropic names it."""
    openai: str
    """Code of the error as OpenAI names it."""
    message: str
    headers: tuple[tuple[str, str], ...] = ()


# fmt: off
REFUSALS: dict[str, Refusal] = {
    "401": Refusal(401, "authentication_error", "invalid_api_key", "invalid x-api-key"),
    "403": Refusal(403, "permission_error", "permission_denied", "Your key does not have access to this model"),
    "404": Refusal(404, "not_found_error", "model_not_found", "model: no-such-model"),
    "400": Refusal(400, "invalid_request_error", "invalid_request", "messages: at least one message is required"),
    "413": Refusal(413, "request_too_large", "request_too_large", "Request exceeds the maximum size"),
    "429": Refusal(429, "rate_limit_error", "rate_limit_exceeded", "slow down", (("retry-after", "7"),)),
    "429long": Refusal(429, "rate_limit_error", "rate_limit_exceeded", "slow down", (("retry-after", "3600"),)),
    "429now": Refusal(429, "rate_limit_error", "rate_limit_exceeded", "slow down", (("retry-after-ms", "10"),)),
    "429bare": Refusal(429, "rate_limit_error", "rate_limit_exceeded", "slow down"),
    "credit": Refusal(429, "billing_error", "insufficient_quota", "You exceeded your current quota"),
    "402": Refusal(402, "billing_error", "payment_required", "Insufficient credits"),
    "529": Refusal(529, "overloaded_error", "overloaded", "Overloaded"),
    "503": Refusal(503, "overloaded_error", "unavailable_error", "Loading model"),
    "500": Refusal(500, "api_error", "server_error", "Internal server error"),
}
"""Faults that answer before a stream begins. Beside them: "500html", "badbody", "redirect", "context", "echo" and
"refuse=FIELD", which refuses a field as long as it is in the body."""
# fmt: on


def json_answer(status: int, body: object, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A whole HTTP answer with a JSON body."""
    return answer(status, "application/json", json.dumps(body).encode(), headers)


def answer(status: int, kind: str, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    """A whole HTTP answer."""
    lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def refusal(fault: str, body: Mapping[str, Any], headers: Mapping[str, str], is_anthropic: bool) -> bytes | None:
    """The answer of a fault that lets no stream begin; None for the others."""
    if fault == "500html":
        page = b"<html><head><title>500 Oops</title></head><body><h1>Oops</h1><p>nginx</p></body></html>"
        return answer(500, "text/html", page)
    if fault == "badbody":
        return answer(400, "application/json", b'{"error": {"message": "cut of')
    if fault == "redirect":
        return answer(307, "text/plain", b"", (("location", "http://127.0.0.1:9/elsewhere"),))
    wrong = REFUSALS.get(fault)
    name, _, field = fault.partition("=")
    extra: dict[str, object] = {}
    if name == "refuse" and field in body:
        text = f"{field}: Extra inputs are not permitted" if is_anthropic else f"Unsupported parameter: '{field}'"
        wrong = Refusal(400, "invalid_request_error", "unsupported_parameter", text)
        extra = {} if is_anthropic else {"param": field}
    elif fault == "context":
        wrong, extra = _too_long(is_anthropic)
    elif fault == "echo":
        key = headers.get("authorization", headers.get("x-api-key", ""))
        wrong = Refusal(401, "authentication_error", "invalid_api_key", f"Incorrect API key provided: {key} \x1b[31m!")
    return None if wrong is None else _shaped(wrong, extra, is_anthropic)


def _shaped(wrong: Refusal, extra: dict[str, object], is_anthropic: bool) -> bytes:
    if is_anthropic:
        error = {"type": wrong.anthropic, "message": wrong.message, **extra}
        return json_answer(wrong.status, {"type": "error", "error": error, "request_id": "req_1"}, wrong.headers)
    error = {"type": "invalid_request_error", "code": wrong.openai, "message": wrong.message, "param": None, **extra}
    return json_answer(wrong.status, {"error": error}, wrong.headers)


def _too_long(is_anthropic: bool) -> tuple[Refusal, dict[str, object]]:
    if is_anthropic:
        text = "prompt is too long: 210000 tokens > 200000 maximum"
        return Refusal(400, "invalid_request_error", "", text), {}
    text = (
        "This model's maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens. "
        "Please reduce the length of the messages."
    )
    return Refusal(400, "", "context_length_exceeded", text), {"param": "messages"}
