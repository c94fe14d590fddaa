"""HTTP to one OpenAI-compatible server: addresses, headers, the key in its one place, errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from playground.backends.hosted_errors import bad_reply, from_status, from_transport, key_missing, not_sendable
from playground.backends.hosted_texts import read_error_body, scrub
from playground.backends.openai_servers import ServerKind, kind_by_address
from playground.domain.endpoints import Endpoint, Secret, is_loopback
from playground.domain.errors import PlaygroundError

if TYPE_CHECKING:
    import httpx2

ASK_S: Final = 10.0
"""Patience with small questions."""
_CONNECT_S: Final = 10.0
_LONGEST_ERROR: Final = 64 << 10
_LONGEST_ANSWER: Final = 32 << 20


class OpenAIClient:
    """Sends requests to one endpoint and to nobody else: redirects are not followed."""

    def __init__(self, endpoint: Endpoint, key: Secret | None) -> None:
        self.endpoint = endpoint
        self.key = key
        self._client: httpx2.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._is_azure = kind_by_address(endpoint) is ServerKind.AZURE

    def url(self, path: str, model: str = "") -> str:
        """Address of a route of the API. Azure's older form has the model in it."""
        base = self.endpoint.base_url.rstrip("/")
        if self._is_azure and "/openai" not in base:
            base += f"/openai/deployments/{model}" if model else "/openai"
        return base + path

    @asynccontextmanager
    async def stream(self, url: str, body: dict[str, Any]) -> AsyncIterator[httpx2.Response]:
        """Send a body and stream the answer, whatever its status. Raises PlaygroundError and httpx2.HTTPError."""
        client = await self._open()
        request = self._request(client, "POST", url, body)
        response = await client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def ask(self, method: str, url: str, body: dict[str, Any] | None = None, model: str = "") -> object:
        """One small question, and the JSON of the answer. Raises PlaygroundError."""
        import httpx2

        client = await self._open()
        request = self._request(client, method, url, body)
        request.extensions["timeout"] = httpx2.Timeout(ASK_S).as_dict()
        try:
            response = await client.send(request, stream=True)
            try:
                ok = response.status_code == 200
                raw = await read_some(response, _LONGEST_ANSWER if ok else _LONGEST_ERROR)
            finally:
                await response.aclose()
        except httpx2.HTTPError as error:
            raise from_transport(self.endpoint, error, began=False) from None
        if not ok:
            raise self.refusal(response, raw, model)
        try:
            return msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            shown = scrub(raw[:_LONGEST_ERROR].decode("utf-8", "replace"), self.key, self.endpoint.headers)
            raise bad_reply(self.endpoint, shown, began=False) from None

    async def ask_quietly(self, url: str) -> object:
        """The same with None for whatever goes wrong."""
        try:
            return await self.ask("GET", url)
        except PlaygroundError:
            return None

    def refusal(self, response: httpx2.Response, raw: bytes, model: str) -> PlaygroundError:
        """The error for an answer that is one."""
        body = read_error_body(raw)
        status = response.status_code
        return from_status(self.endpoint, model, status, body.kind, body.message, response.headers, self.key)

    async def close(self) -> None:
        """Close what is open."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _open(self) -> httpx2.AsyncClient:
        """The client; making it takes long enough to be done beside the event loop."""
        if self.key is None and self.endpoint.key_needed and not self.endpoint.headers:
            raise key_missing(self.endpoint)
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make_client)
        return self._client

    def _make_client(self) -> httpx2.AsyncClient:
        import httpx2

        own = is_loopback(self.endpoint.base_url)
        return httpx2.AsyncClient(
            headers={"accept-encoding": "identity", "user-agent": "llm-playground"},
            # Silence is measured by `Patience`, and Esc may come first.
            timeout=httpx2.Timeout(None, connect=_CONNECT_S),
            # Some servers close a connection after a stream without saying so; the next request would meet that.
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=not own,
            verify=not self.endpoint.base_url.startswith("http:"),
        )

    def _request(
        self, client: httpx2.AsyncClient, method: str, url: str, body: dict[str, Any] | None
    ) -> httpx2.Request:
        import httpx2

        headers = dict(self.endpoint.headers)
        if self.key is not None:
            key = self.key.reveal()
            headers |= {"api-key": key} if self._is_azure else {"authorization": f"Bearer {key}"}
        params = {"api-version": self.endpoint.api_version} if self.endpoint.api_version else None
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["content-type"] = "application/json"
        try:
            return client.build_request(method, url, headers=headers, params=params, content=content)
        except (httpx2.InvalidURL, UnicodeEncodeError):
            raise not_sendable(self.endpoint) from None


async def read_some(response: httpx2.Response, most: int) -> bytes:
    """The beginning of a body."""
    raw = b""
    async for piece in response.aiter_bytes():
        raw += piece
        if len(raw) >= most:
            break
    return raw[:most]
