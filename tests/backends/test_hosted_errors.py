"""Whatever a server says becomes one sentence, a next step, and never a key."""

from __future__ import annotations

import httpx2
import pytest

from playground.backends.hosted_errors import from_status, from_transport
from playground.backends.hosted_texts import (
    brief_duration,
    context_counts,
    read_error_body,
    retry_after_s,
    scrub,
    speaks_of_context,
)
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import (
    BadInput,
    KeyMissing,
    KeyRefused,
    Overloaded,
    PlaygroundError,
    PromptTooLong,
    RateLimited,
    RequestRefused,
    ServerFailed,
    ServerStalled,
    ServerUnreachable,
    StreamCutOff,
)

KEY = Secret("sk-planted-0123456789")
SHOP = Endpoint(name="shop", api="openai", base_url="https://user:secret@api.shop.example:8443/v1")


def said(status: int, kind: str = "", message: str = "no", key: Secret | None = KEY, **headers: str) -> PlaygroundError:
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    return from_status(SHOP, "gpt-x", status, kind, message, dashed, key)


@pytest.mark.parametrize(
    ("status", "kind", "message", "expected"),
    [
        (401, "authentication_error", "invalid x-api-key", KeyRefused),
        (403, "permission_error", "not for you", KeyRefused),
        (400, "invalid_request_error", "temperature: no", RequestRefused),
        (404, "not_found_error", "model: x", RequestRefused),
        (413, "request_too_large", "too big", RequestRefused),
        (422, "", "field required", RequestRefused),
        (402, "", "pay", RequestRefused),
        (429, "invalid_request_error insufficient_quota", "quota", RequestRefused),
        (400, "invalid_request_error", "Your credit balance is too low to access the API", RequestRefused),
        (429, "rate_limit_error", "slow down", RateLimited),
        (529, "overloaded_error", "Overloaded", Overloaded),
        (200, "overloaded_error", "Overloaded", Overloaded),
        (200, "rate_limit_error", "slow", RateLimited),
        (200, "api_error", "oops", ServerFailed),
        (503, "", "busy", Overloaded),
        (500, "", "oops", ServerFailed),
        (502, "", "bad gateway", ServerFailed),
        (408, "", "timeout", ServerFailed),
        (307, "", "", RequestRefused),
        (418, "", "", RequestRefused),
        (400, "context_length_exceeded", "no", PromptTooLong),
        (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", PromptTooLong),
    ],
)
def test_every_status_has_its_error(status: int, kind: str, message: str, expected: type[PlaygroundError]) -> None:
    error = said(status, kind, message)
    assert type(error) is expected
    assert "shop" in error.message or expected is PromptTooLong
    assert error.message.endswith(".")
    assert error.hint.endswith((".", "?"))
    assert error.retryable == (not isinstance(error, BadInput))


def test_no_credit_is_not_a_matter_of_waiting() -> None:
    error = said(429, "insufficient_quota", "You exceeded your current quota", retry_after="7")
    assert "no credit" in error.message
    assert error.retry_after_s is None
    assert not error.retryable


def test_a_missing_key_is_not_called_a_wrong_one() -> None:
    assert isinstance(said(401, key=None), KeyMissing)


def test_the_wait_is_said_and_kept() -> None:
    assert said(429, retry_after="7").retry_after_s == 7
    assert "wait 7 s" in said(429, retry_after="7").hint
    assert "wait 1 h" in said(429, retry_after="3600").hint
    assert said(529, retry_after_ms="1500").retry_after_s == 1.5
    assert said(429).retry_after_s is None


def test_waits_are_read_in_every_notation() -> None:
    date = {"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}
    assert retry_after_s(date, now=1_792_567_670.0) == 10
    assert retry_after_s(date, now=1_892_567_670.0) == 0
    for junk in ("soon", "nan", "inf", "", "Wed, 99 Oct 99999 07:28:00 GMT"):
        assert retry_after_s({"retry-after": junk}) is None
    assert retry_after_s({"retry-after": "-5"}) == 0
    assert [brief_duration(s) for s in (0, 0.2, 7, 125, 3600, 7325)] == [
        "0 s",
        "1 s",
        "7 s",
        "2 min 5 s",
        "1 h",
        "2 h 2 min",
    ]


@pytest.mark.parametrize(
    ("words", "needed", "window"),
    [
        ("prompt is too long: 210000 tokens > 200000 maximum", 210000, 200000),
        ("This model's maximum context length is 4096 tokens. However, your messages resulted in 5000.", 5000, 4096),
        ("This model's maximum context length is 4,096 tokens. However, you requested 5,000 tokens (…)", 5000, 4096),
        ("request (1339 tokens) exceeds the available context size (1024 tokens), try increasing it", 1339, 1024),
        ("The input (5000 tokens) is longer than the model's context length (4096 tokens).", 5000, 4096),
        ("maximum context length is 4096 tokens and your request has 20 input tokens", 20, 4096),
        ("the context window is too small", None, None),
    ],
)  # fmt: skip
def test_counts_are_found_in_a_servers_words(words: str, needed: int | None, window: int | None) -> None:
    assert speaks_of_context(words)
    assert context_counts(words) == (needed, window)
    error = said(400, "", words)
    assert isinstance(error, PromptTooLong)
    assert needed is None or f"{needed:,}" in error.message


def test_llama_cpp_tells_the_counts_in_fields_of_their_own() -> None:
    body = read_error_body(
        b'{"error":{"code":400,"type":"exceed_context_size_error","n_prompt_tokens":1339,"n_ctx":1024}}'
    )
    assert context_counts(body.message) == (1339, 1024)
    assert isinstance(said(400, body.kind, body.message), PromptTooLong)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b'{"error": {"message": "no", "type": "t", "code": "c", "param": "top_k"}}', "no"),
        (b'{"error": "no"}', "no"),
        (b'{"detail": "no"}', "no"),
        (b'{"object": "error", "message": "no", "type": "t"}', "no"),
        (b'{"detail": [{"loc": ["body"], "msg": "no"}]}', '[{"loc":["body"],"msg":"no"}]'),
        (b"plain words", "plain words"),
        (b"\xff", "\ufffd"),
        (b"[1]", ""),
        (b"", ""),
    ],
)
def test_error_bodies_of_every_shape_are_read(raw: bytes, message: str) -> None:
    assert read_error_body(raw).message == message


def test_a_web_page_is_brought_to_its_point() -> None:
    page = "<!DOCTYPE html><html><head><title>502 Bad\n Gateway</title><style>a{}</style></head><body>x</body></html>"
    assert scrub(page, None) == "502 Bad Gateway"
    assert scrub("<html><script>evil()</script><body><p>It is &amp; down</p></body></html>", None) == "It is & down"


@pytest.mark.parametrize(
    "words",
    [
        "Incorrect API key provided: sk-planted-0123456789.",
        "x" * 290 + "sk-planted-0123456789",
        "<html><body>sk-planted-&#48;123456789</body></html>",
        "sk-planted-\u200d0123456789",
    ],
)
def test_the_key_is_never_repeated(words: str) -> None:
    for shown in (scrub(words, KEY), scrub(words, None, {"x-key": KEY.reveal()})):
        assert "0123456789" not in shown
        assert len(shown) <= 300
    assert "0123456789" not in str(said(400, "", words).problem)


def test_escapes_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in scrub("\x1b[2Jboo\x07\n\nnext", None)


@pytest.mark.parametrize(
    ("error", "began", "expected"),
    [
        (httpx2.ConnectError("All connection attempts failed"), False, ServerUnreachable),
        (httpx2.ConnectTimeout("slow"), False, ServerUnreachable),
        (httpx2.ReadTimeout("slow"), False, ServerStalled),
        (httpx2.ReadTimeout("slow"), True, ServerStalled),
        (httpx2.ReadError("reset"), False, ServerUnreachable),
        (httpx2.ReadError("reset"), True, StreamCutOff),
        (httpx2.RemoteProtocolError("incomplete"), True, StreamCutOff),
    ],
)
def test_every_break_of_a_connection_has_its_error(
    error: httpx2.HTTPError, began: bool, expected: type[PlaygroundError]
) -> None:
    made = from_transport(SHOP, error, began=began)
    assert type(made) is expected
    assert "shop" in made.message
    assert "secret" not in str(made.problem)


def test_a_header_that_cannot_be_sent_is_not_quoted() -> None:
    error = from_transport(SHOP, httpx2.LocalProtocolError(f"Illegal header value b'{KEY.reveal()}'"), began=False)
    assert "0123456789" not in repr(error.problem)
