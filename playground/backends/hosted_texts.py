"""A server's words, read and made fit to be shown: error bodies, waiting times, counts in sentences."""

from __future__ import annotations

import html
import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final, NamedTuple

import msgspec

from playground.domain.display import display_text
from playground.domain.endpoints import Secret

LONGEST: Final = 300
"""Most characters of a server's words that are kept."""
DOTS: Final = "•••"
_SHORTEST_SECRET: Final = 6
"""What is shorter, such as the "none" that some servers want for a key, may be part of any word."""

_HTML: Final = re.compile(r"<!doctype html|<html|<body|<head", re.IGNORECASE)
_TITLE: Final = re.compile(r"<(title|h1)\b[^>]*>(.*?)</\1>", re.IGNORECASE | re.DOTALL)
_TAG: Final = re.compile(r"<(script|style)\b.*?</\1>|<[^>]*>", re.IGNORECASE | re.DOTALL)

_SPEAKS_OF_CONTEXT: Final = re.compile(
    r"context (length|size|window|limit)|prompt is too long|longer than the model's context|tokens \+ `?max_new_tokens",
    re.IGNORECASE,
)
_NUMBER: Final = r"(\d[\d,]*)"
_WINDOW: Final = re.compile(
    rf"(?:context (?:length|size|window|limit)(?: is| of|:)?[^\d]{{0,12}}|tokens > |= \d+ > |must be <= ?){_NUMBER}",
    re.IGNORECASE,
)
_NEEDED: Final = re.compile(
    rf"(?:resulted in |requested (?:a total of )?|request has |(?:request|input) \(|too long: |Given: ){_NUMBER}",
    re.IGNORECASE,
)


class ErrorBody(NamedTuple):
    """What the body of an error tells."""

    kind: str = ""
    """The server's names for it, separated by spaces."""
    message: str = ""
    param: str = ""
    """The field that was refused, when the server names it apart."""


def read_error_body(raw: bytes) -> ErrorBody:
    """Read the body of an error, whatever shape it has; what is no JSON is taken as the message."""
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ErrorBody(message=raw[:20_000].decode("utf-8", errors="replace"))
    return error_in(body)


def error_in(body: object) -> ErrorBody:
    """The same for a body that is decoded: OpenAI's, Anthropic's, FastAPI's and llama.cpp's shapes."""
    error: Any = body.get("error", body) if isinstance(body, dict) else body
    if not isinstance(error, dict):
        return ErrorBody(message=error if isinstance(error, str) else "")
    names = (error.get(name) for name in ("type", "code", "status"))
    message = next((error[name] for name in ("message", "detail", "error", "reason") if error.get(name)), "")
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode()
    if isinstance(error.get("n_prompt_tokens"), int) and isinstance(error.get("n_ctx"), int):
        message = f"request ({error['n_prompt_tokens']} tokens) exceeds the context size ({error['n_ctx']} tokens)"
    kind = " ".join(name for name in names if isinstance(name, str))
    param = error.get("param")
    return ErrorBody(kind, message, param if isinstance(param, str) else "")


def scrub(text: str, key: Secret | None, headers: Mapping[str, str] | None = None) -> str:
    """A server's words without the key and the values of our own headers, on one short line, safe to draw.

    Of an HTML page the title is left. Keys are removed before the text is cut, so that no half of one is left.
    """
    values = [*([key.reveal()] if key is not None else []), *(headers or {}).values()]
    # "Bearer KEY" is a secret, and so is KEY.
    secrets = [part for value in values for part in {value, *value.split()} if len(part) >= _SHORTEST_SECRET]
    text = _without(text, secrets)
    if _HTML.search(text):
        titles = [match[2] for match in _TITLE.finditer(text)]
        text = html.unescape(_TAG.sub(" ", titles[0] if titles else text))
    # Taking out markup or invisible characters may put a key together that was not in one piece before.
    text = _without(display_text(" ".join(text.split())), secrets)
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def _without(text: str, secrets: list[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, DOTS)
    return text


def speaks_of_context(message: str) -> bool:
    """True when a server's words say that the context window is too small."""
    return _SPEAKS_OF_CONTEXT.search(message) is not None


def context_counts(message: str) -> tuple[int | None, int | None]:
    """Tokens that were needed, and the context window, as far as a server's words tell."""
    needed, window = _NEEDED.search(message), _WINDOW.search(message)
    return _number(needed), _number(window)


def _number(match: re.Match[str] | None) -> int | None:
    return int(match[1].replace(",", "")) if match else None


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `retry-after` (seconds, or a date); None when there is no such thing.

    `now` is the Unix time a date is compared with.
    """
    in_ms = _seconds(headers.get("retry-after-ms", ""))
    if in_ms is not None:
        return in_ms / 1000
    value = headers.get("retry-after", "")
    seconds = _seconds(value)
    if seconds is not None or not value:
        return seconds
    try:
        then = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, then - (time.time() if now is None else now))


def _seconds(value: str) -> float | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def brief_duration(seconds: float) -> str:
    """Such as "7 s", "2 min 5 s", "1 h"."""
    whole = math.ceil(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join([part for part in parts if part][:2]) or "0 s"
