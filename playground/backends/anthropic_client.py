"""The official SDK's client for one endpoint: imported when first used, and kept from finding keys by itself."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from playground.backends.hosted_errors import bad_reply, from_status, from_transport, not_sendable
from playground.backends.hosted_texts import read_error_body, scrub
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import ConfigError, KeyMissing, PlaygroundError

if TYPE_CHECKING:
    import httpx2
    from anthropic import AsyncAnthropic, RequestOptions

CONNECT_S: Final = 10.0
"""Seconds a connection may take. How long a server may be silent is watched elsewhere."""
_NO_KEY: Final = "none"
"""Sent to servers that take anybody."""
_NO_ROUTE: Final = {404, 405, 501}
_KEY_HEADERS: Final = {"authorization", "x-api-key", "api-key"}


class Answer(NamedTuple):
    """What came back for a call that is no stream."""

    status: int
    body: bytes
    error: PlaygroundError | None = None
    """What the status means, when it is not one of success."""
    lacks_route: bool = False
    """The server does not know the path, or not this way; with the model it has no quarrel."""


class AnthropicClient:
    """Asks one endpoint. `error_from` turns what goes wrong into our errors, without the key."""

    def __init__(self, endpoint: Endpoint, key: Secret | None) -> None:
        self.failures: tuple[type[Exception], ...] = (PlaygroundError,)
        """What a call can raise; grows when the SDK is imported."""
        self._endpoint = endpoint
        self._key = key
        self._sdk: AsyncAnthropic | None = None
        self._making = asyncio.Lock()

    async def open(self) -> AsyncAnthropic:
        """Import the SDK and make its client, once; takes seconds the first time, in a thread.

        Raises KeyMissing without a key, ConfigError when address, key or headers cannot be sent.
        """
        async with self._making:
            if self._sdk is not None:
                return self._sdk
            self._check()
            sdk, self.failures = await asyncio.to_thread(_make, self._endpoint, self._key)
            self._sdk = sdk
            return sdk

    async def close(self) -> None:
        """Give everything back."""
        sdk, self._sdk = self._sdk, None
        if sdk is not None:
            await sdk.close()

    async def ask(self, path: str, model: str, body: Mapping[str, object] | None = None, **query: object) -> Answer:
        """Call with GET, or with POST when there is a body. Raises PlaygroundError when no answer comes."""
        sdk = await self.open()
        import anthropic
        import httpx2

        options: RequestOptions = {"params": query}
        try:
            if body is None:
                got = await sdk.get(path, cast_to=httpx2.Response, options=options)
            else:
                got = await sdk.post(path, cast_to=httpx2.Response, options=options, body=body)
        except anthropic.APIStatusError as error:
            named = "model" in read_error_body(error.response.content).message.casefold()
            lacks_route = error.status_code in _NO_ROUTE and not named
            return Answer(error.status_code, b"", self.error_from(error, model), lacks_route)
        except self.failures as error:
            failure = self.error_from(error, model)
        else:
            return Answer(got.status_code, got.content)
        raise failure  # out here it has no context: requests hold the key

    @asynccontextmanager
    async def stream(self, body: Mapping[str, object], headers: Mapping[str, str]) -> AsyncIterator[httpx2.Response]:
        """The answer to a streaming call, its body not read yet; leaving closes the connection.

        The SDK's own reading of events is left out: it builds models for each one, twice. Raises `failures`.
        """
        sdk = await self.open()
        from anthropic import AsyncStream

        stream: AsyncStream[object] = await sdk.post(
            "/v1/messages",
            cast_to=object,
            body=body,
            options={"headers": headers},
            stream=True,
            stream_cls=AsyncStream[object],
        )
        try:
            yield stream.response
        finally:
            await stream.close()

    def error_from(self, error: Exception, model: str, *, began: bool = False) -> PlaygroundError:
        """What the SDK, httpx2 or the reading of an answer raised, as one of our errors."""
        if isinstance(error, PlaygroundError):
            return error
        import anthropic
        import httpx2

        cause = error.__cause__ if isinstance(error, anthropic.APIConnectionError) else error
        match cause:
            case anthropic.APIStatusError():
                said = read_error_body(cause.response.content)
                headers, status = cause.response.headers, cause.status_code
                return from_status(self._endpoint, model, status, said.kind, said.message, headers, self._key)
            case httpx2.HTTPError():
                return from_transport(self._endpoint, cause, began=began)
            case ValueError():
                return bad_reply(self._endpoint, self.safe(str(cause)), began=began)
            case _:
                return from_transport(self._endpoint, httpx2.TransportError(self.safe(str(cause))), began=began)

    def safe(self, text: str) -> str:
        """The text without the key, short enough to be shown."""
        return scrub(text, self._key, self._endpoint.headers)

    def _check(self) -> None:
        endpoint, key = self._endpoint, self._key
        texts = [key.reveal() if key else "", *endpoint.headers.values()]
        if not all(text.isascii() and text.isprintable() for text in texts):
            raise not_sendable(endpoint)
        if not (key and key.reveal().strip()) and endpoint.key_needed and not _brings_key(endpoint):
            raise KeyMissing(f"There is no API key for {endpoint.name}.", _where_to_put_one(endpoint))


def _make(endpoint: Endpoint, key: Secret | None) -> tuple[AsyncAnthropic, tuple[type[Exception], ...]]:
    """A client that knows what it is given and nothing of the environment: no other key, address or header.

    With it, what its calls raise: the SDK's errors, httpx2's in the middle of a body, and what cannot be read.
    """
    import anthropic
    import httpx2

    try:
        address = httpx2.URL(endpoint.base_url)
    except httpx2.InvalidURL:
        raise not_sendable(endpoint) from None
    if address.scheme not in ("http", "https") or not address.host:
        raise not_sendable(endpoint)

    for name in ("anthropic", "httpx2"):  # ANTHROPIC_LOG makes them write prompts to the terminal, which is ours
        logging.getLogger(name).setLevel(logging.WARNING)
    timeout = httpx2.Timeout(None, connect=CONNECT_S)
    # llama.cpp's server closes a connection behind a stream without saying so; the next request would meet that.
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=0)
    try:  # the SDK's own default takes proxies even on the way to this machine
        http = httpx2.AsyncClient(timeout=timeout, limits=limits, trust_env=not _on_this_machine(address.host))
    except (ImportError, ValueError):
        raise ConfigError(
            "The proxy that the environment names cannot be used.", "It must be an http:// or https:// address."
        ) from None
    secret = key.reveal().strip() if key is not None else ""
    client = anthropic.AsyncAnthropic(
        api_key=secret or _NO_KEY,
        base_url=endpoint.base_url.rstrip("/").removesuffix("/v1"),
        timeout=timeout,
        max_retries=0,
        default_query={"api-version": endpoint.api_version} if endpoint.api_version else None,
        http_client=http,
        open_telemetry=False,
    )
    own: dict[str, Any] = dict(endpoint.headers)
    if not secret and _brings_key(endpoint):
        own = {"Authorization": anthropic.Omit(), **own}
    client._custom_headers = own  # those of ANTHROPIC_CUSTOM_HEADERS are in there, whatever one passes
    return client, (PlaygroundError, anthropic.AnthropicError, httpx2.HTTPError, httpx2.InvalidURL, ValueError)


def _brings_key(endpoint: Endpoint) -> bool:
    return any(name.lower() in _KEY_HEADERS for name in endpoint.headers)


def _where_to_put_one(endpoint: Endpoint) -> str:
    setting = f'[endpoints.{endpoint.name}] with api_key = "${{VARIABLE}}" into the settings'
    if endpoint.name == "anthropic":
        return f"Set ANTHROPIC_API_KEY in the environment, or write {setting}."
    return f"Write {setting}."


def _on_this_machine(host: str) -> bool:
    """Proxies of the environment do not lead back to this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
