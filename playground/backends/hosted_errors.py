"""What goes wrong between here and a server, as one of our errors: what happened, and the next step.

A server's words are kept as the error's `detail`, shortened, on one line, without the key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from playground.backends.hosted_texts import brief_duration, context_counts, retry_after_s, scrub, speaks_of_context
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import (
    BadReply,
    ConfigError,
    HostedError,
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

if TYPE_CHECKING:
    import httpx2

GO_ON: Final = "What came so far stays; continue the reply, or send again."
"""The next step when a stream broke after its first words."""

_CREDIT: Final = {"insufficient_quota", "billing_error", "payment_required", "billing_hard_limit_reached"}
_CONTEXT: Final = {"context_length_exceeded", "exceed_context_size_error", "model_context_window_exceeded"}
_OVERLOADED: Final = {"overloaded_error", "overloaded", "unavailable_error", "service_unavailable"}
_RATE: Final = {"rate_limit_error", "rate_limit_exceeded", "too_many_requests"}
_KEY: Final = {"authentication_error", "permission_error", "invalid_api_key"}
_REFUSED: Final = {"invalid_request_error", "not_found_error", "request_too_large", "content_filter"}


class _Failure(NamedTuple):
    """What is known of an answer that is an error."""

    endpoint: Endpoint
    model: str
    status: int
    kinds: frozenset[str]
    said: str
    """The server's words, scrubbed."""
    wait_s: float | None
    key: Secret | None
    began: bool


def from_status(
    endpoint: Endpoint,
    model: str,
    status: int,
    kind: str,
    message: str,
    headers: Mapping[str, str],
    key: Secret | None,
    *,
    began: bool = False,
) -> PlaygroundError:
    """The error for an answer, or for an error event inside a stream (whose status is often 200).

    Args:
        endpoint: Who answered.
        model: The model that was asked for.
        status: HTTP status.
        kind: The server's own name for the error, such as "overloaded_error"; several are separated by spaces.
        message: The server's words.
        headers: Of the answer; names are found in small letters, or whatever the case with httpx2's own.
        key: Is removed from the server's words.
        began: Words of the reply came before.
    """
    failure = _Failure(
        endpoint,
        model,
        status,
        frozenset(kind.casefold().split()),
        scrub(message, key, endpoint.headers),
        retry_after_s(headers),
        key,
        began,
    )
    if failure.kinds & _CREDIT or status == 402 or "credit balance is too low" in message.casefold():
        return _no_credit(failure)
    if status in (0, 200, 400, 413, 422, 500) and (failure.kinds & _CONTEXT or speaks_of_context(message)):
        return _too_long(failure)
    if failure.kinds & _OVERLOADED or status in (503, 529):
        return _overloaded(failure)
    if failure.kinds & _RATE or status == 429:
        return _rate_limited(failure)
    if status in (401, 403) or (status < 400 and failure.kinds & _KEY):
        return _key_refused(failure)
    if 300 <= status < 400:
        return _redirected(failure)
    if 400 <= status < 500 and status != 408:
        return _refused(failure)
    if status < 300 and failure.kinds & _REFUSED:
        return _refused(failure)
    return _failed(failure)


def from_transport(endpoint: Endpoint, error: httpx2.HTTPError, *, began: bool) -> PlaygroundError:
    """The error for a connection that could not be made, or broke; `began`: words of the reply came before."""
    import httpx2

    name, detail = endpoint.name, scrub(str(error), None, endpoint.headers)
    match error:
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.ProxyError() | httpx2.PoolTimeout():
            hint = "Is the server running, and is the address right?"
            if "CERTIFICATE_VERIFY" in detail:
                hint = "Its certificate is not trusted here; check the address and the certificates of this machine."
            return ServerUnreachable(f"No connection to {name} at {address(endpoint)}.", hint, detail)
        case httpx2.TimeoutException() if began:
            return ServerStalled(f"{name} stopped sending in the middle of the reply.", GO_ON, detail)
        case httpx2.TimeoutException():
            return ServerStalled(f"{name} did not answer in time.", "Send again, or choose another model.", detail)
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            # Its words may quote a header, and with it the key.
            return not_sendable(endpoint)
        case httpx2.DecodingError():
            return bad_reply(endpoint, detail, began=began)
        case _ if began:
            return StreamCutOff(f"The connection to {name} broke in the middle of the reply.", GO_ON, detail)
        case _:
            return ServerUnreachable(f"The connection to {name} broke before a word came.", "Send again.", detail)


def cut_off(endpoint: Endpoint, *, began: bool) -> HostedError:
    """The error for a stream that ended properly, but without its closing event; or without a word."""
    if began:
        return StreamCutOff(f"{endpoint.name} ended the stream before the reply was complete.", GO_ON)
    return StreamCutOff(f"{endpoint.name} ended the stream without a word.", "Send again, or choose another model.")


def bad_reply(endpoint: Endpoint, detail: str, *, began: bool) -> BadReply:
    """The error for something that cannot be read."""
    hint = GO_ON if began else f"Check that the address of {endpoint.name} is that of its API."
    return BadReply(f"{endpoint.name} sent something that cannot be read.", hint, detail)


def not_sendable(endpoint: Endpoint) -> ConfigError:
    """The error for an address, a header or a key that HTTP does not allow."""
    return ConfigError(
        f"The address, a header or the key of {endpoint.name} cannot be sent as it is.",
        "Addresses begin with http:// or https://; keys hold no line breaks and no letters beyond ASCII.",
    )


def key_missing(endpoint: Endpoint) -> KeyMissing:
    """The error for a server that wants a key when there is none."""
    name = endpoint.name
    return KeyMissing(
        f"{name} wants a key, and there is none.", f"Set one for {name} in the environment or the settings."
    )


def address(endpoint: Endpoint) -> str:
    """Host and port of an endpoint, without anything that could be a password."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(endpoint.base_url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "its address"
    return f"{parts.hostname or 'its address'}{port}"


def _no_credit(failure: _Failure) -> PlaygroundError:
    name = failure.endpoint.name
    return RequestRefused(
        f"There is no credit left at {name}, or a spending limit there is reached.",
        f"Add credit at {name}, or choose another model.",
        failure.said,
    )


def _too_long(failure: _Failure) -> PlaygroundError:
    needed, window = context_counts(failure.said)
    room = "" if window is None else f" of {window:,} tokens"
    need = "" if needed is None else f" It needs {needed:,}."
    return PromptTooLong(
        f"The prompt does not fit the context window{room} of {failure.model}.{need}",
        "Shorten the prompt or the conversation, or ask for a shorter reply (max_tokens).",
        failure.said,
    )


def _overloaded(failure: _Failure) -> PlaygroundError:
    name = failure.endpoint.name
    if "loading model" in failure.said.casefold():
        message = f"{name} is still loading the model."
    elif failure.began:
        message = f"{name} became overloaded and broke the reply off."
    else:
        message = f"{name} is overloaded at the moment."
    hint = GO_ON if failure.began else _wait_hint(name, failure.wait_s)
    return Overloaded(message, hint, failure.said, retry_after_s=failure.wait_s)


def _rate_limited(failure: _Failure) -> PlaygroundError:
    name = failure.endpoint.name
    hint = GO_ON if failure.began else _wait_hint(name, failure.wait_s)
    message = f"{name} takes no more requests for now: its rate limit is reached."
    return RateLimited(message, hint, failure.said, retry_after_s=failure.wait_s)


def _wait_hint(name: str, wait_s: float | None) -> str:
    if wait_s is None:
        return "Wait a little and send again, or choose another model."
    return f"{name} asks to wait {brief_duration(wait_s)}."


def _key_refused(failure: _Failure) -> PlaygroundError:
    name, key = failure.endpoint.name, failure.key
    if key is None and not failure.endpoint.headers:
        return key_missing(failure.endpoint)
    if failure.status == 403 or "permission_error" in failure.kinds:
        hint = "Check what the key is allowed to do, or choose another model."
        return KeyRefused(f"{name} does not let this key use {failure.model}.", hint, failure.said)
    return KeyRefused(f"{name} does not accept the key.", f"Check the key that is set for {name}.", failure.said)


def _redirected(failure: _Failure) -> PlaygroundError:
    return RequestRefused(
        f"{failure.endpoint.name} answers that it has moved ({failure.status}); the key is not sent after it.",
        "Put its present address into the settings.",
        failure.said,
    )


def _refused(failure: _Failure) -> PlaygroundError:
    name, said = failure.endpoint.name, failure.said
    if failure.status == 404 or "not_found_error" in failure.kinds:
        if "model" in f"{said} {' '.join(failure.kinds)}".casefold():
            return RequestRefused(f"{name} has no model {failure.model}.", "Choose one that it lists.", said)
        hint = f"Check the address of {name}: it usually ends in /v1."
        return RequestRefused(f"{name} does not know this address (404).", hint, said)
    if "content_filter" in failure.kinds:
        return RequestRefused(f"The content filter of {name} refused the prompt.", "Change the prompt.", said)
    if failure.status == 413:
        return RequestRefused(f"The request is too large for {name}.", "Shorten the prompt.", said)
    words = said.rstrip(".") or f"status {failure.status}, without a reason"
    return RequestRefused(f"{name} refused the request: {words}.", "Change what it names, and send again.", said)


def _failed(failure: _Failure) -> PlaygroundError:
    name, status = failure.endpoint.name, f" ({failure.status})" if failure.status >= 400 else ""
    if failure.began:
        return ServerFailed(f"{name} broke the reply off with an error{status}.", GO_ON, failure.said)
    hint = "Send again; if it goes on, the server's own log or status page tells more."
    return ServerFailed(f"{name} failed{status}.", hint, failure.said, retry_after_s=failure.wait_s)
