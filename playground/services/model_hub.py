"""Asks a hub of models what a repository holds, and opens its files for reading.

Written on httpx2: the hub's own library checks no checksum, begins anew after a restart and cannot be stopped from
outside the thread it blocks.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, urlencode

import msgspec

from playground.backends.hosted_texts import brief_duration
from playground.domain.endpoints import is_loopback
from playground.domain.errors import BadReply, HostedError, PlaygroundError, RequestRefused
from playground.services.addresses import origin
from playground.services.hub_address import Hub
from playground.services.hub_errors import refusal, unreachable, unreadable
from playground.services.hub_names import HubFile, Reference
from playground.services.toml_files import one_line

if TYPE_CHECKING:
    import httpx2

Say = Callable[[str], None]
Pause = Callable[[float], Awaitable[None]]

_CONNECT_S: Final = 15.0
_SILENCE_S: Final = 60.0
_MAX_REDIRECTS: Final = 6
_MAX_ANSWER: Final = 32 << 20
_TRIES: Final = 6
_TRIES_ASKING: Final = 3
"""A person waits for the answer, and may have mistyped the address."""
_LONGEST_WAIT_S: Final = 900.0
_MOST_HITS: Final = 50
_REPOSITORY: Final = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


class Listing(msgspec.Struct, frozen=True):
    """What a repository holds at one moment."""

    repository: str
    commit: str
    files: tuple[HubFile, ...]
    licence: str = ""
    """Short name such as "apache-2.0"; empty when its page does not say."""


class _Lfs(msgspec.Struct):
    sha256: str = ""
    size: int | None = None


class _Sibling(msgspec.Struct):
    rfilename: str
    size: int | None = None
    lfs: _Lfs | None = None


class Hit(msgspec.Struct, frozen=True):
    """A repository that a search has found."""

    repository: str
    """ORG/REPO."""
    downloads: int | None = None
    """In the last month; None when the hub does not say."""
    likes: int | None = None


class _Model(msgspec.Struct):
    id: str = ""
    downloads: int | None = None
    likes: int | None = None
    sha: str = ""
    siblings: list[_Sibling] = []
    cardData: object = None


class Opened:
    """A file's bytes as they come."""

    def __init__(self, response: httpx2.Response, told: Mapping[str, str]) -> None:
        self.response = response
        etag = told.get("x-linked-etag") or told.get("etag") or ""
        self.etag = etag.removeprefix("W/").strip('"')
        """Of the hub itself, not of the server it may have sent us to."""

    @property
    def sha256(self) -> str:
        """The checksum that the hub names; empty when it does not."""
        return self.etag if _SHA256.fullmatch(self.etag) else ""

    @property
    def total(self) -> int | None:
        """Bytes of the whole file, by the head of the answer; None when it does not say."""
        headers = self.response.headers
        told = re.search(r"/(\d+)$", headers.get("content-range", ""))
        length = headers.get("content-length", "") if self.response.status_code == 200 else ""
        return int(told[1]) if told else int(length) if re.fullmatch(r"\d+", length) else None

    def starts_at(self, wanted: int) -> int | None:
        """The offset of the first byte to come: `wanted`, or 0 from a server that sends all; None: neither."""
        if self.response.status_code == 200:
            return 0
        told = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", self.response.headers.get("content-range", ""))
        return wanted if told and int(told[1]) == wanted else None


class Waits:
    """Decides between two tries: how long to wait, and when it is enough."""

    def __init__(self, say: Say, pause: Pause = asyncio.sleep, tries: int = _TRIES) -> None:
        self._say = say
        self._pause = pause
        self._tries = tries
        self._failed = 0

    async def after(self, error: HostedError, *, gained: bool = False) -> None:
        """Wait before the next try. Raises the error when it is final, or came too often without a gain between."""
        self._failed = 0 if gained else self._failed + 1
        asked = error.retry_after_s
        if not error.retryable or self._failed >= self._tries or (asked or 0) > _LONGEST_WAIT_S:
            raise error
        wait_s = asked if asked is not None else 0.1 if gained else min(30.0, 2.0 ** (self._failed - 1))
        if not gained:
            self._say(f"{error.message} Trying again in {brief_duration(wait_s)}.")
        await self._pause(wait_s)


class HubClient:
    """Questions to one hub. To be used as `async with`."""

    def __init__(self, hub: Hub, say: Say = lambda _: None, pause: Pause = asyncio.sleep) -> None:
        self.hub = hub
        self.say = say
        self.pause = pause
        self._client: httpx2.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._client = await asyncio.to_thread(self._make_client)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def listing(self, reference: Reference) -> Listing:
        """The files of a repository with their sizes and checksums. Raises PlaygroundError."""
        where = f"/api/models/{reference.repository}/revision/{quote(reference.revision)}?blobs=true"
        try:
            raw = await self._ask(where, reference.repository)
        except RequestRefused as error:
            near = await self.near(reference)
            hint = f"There is: {', '.join(near)}." if near else error.hint
            raise RequestRefused(error.message, hint, error.detail) from None
        try:
            model = msgspec.json.decode(raw, type=_Model)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise unreadable(self.hub) from None
        card = model.cardData if isinstance(model.cardData, dict) else {}
        licence = card.get("license_name") or card.get("license")
        return Listing(
            reference.repository,
            model.sha if re.fullmatch(r"[0-9a-f]{6,64}", model.sha) else reference.revision,
            tuple(_file(one) for one in model.siblings),
            one_line(licence, 60) if isinstance(licence, str) else "",
        )

    async def search(self, words: str) -> list[Hit]:
        """Repositories with GGUF files whose names hold some words, the most fetched first. Raises PlaygroundError."""
        query = urlencode({"search": words, "filter": "gguf", "sort": "downloads", "limit": _MOST_HITS})
        raw = await self._ask(f"/api/models?{query}", "")
        try:
            found = msgspec.json.decode(raw, type=list[_Model])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise unreadable(self.hub) from None
        return [Hit(one.id, one.downloads, one.likes) for one in found if _REPOSITORY.fullmatch(one.id)]

    async def near(self, reference: Reference) -> list[str]:
        """Other repositories with GGUF files whose names are like this one's; empty when nothing is known."""
        import difflib

        org, _, name = reference.repository.partition("/")
        words = re.sub(r"[-_.]?gguf$", "", name, flags=re.IGNORECASE)
        for ask in ({"search": words}, {"author": org}):
            query = urlencode({**ask, "filter": "gguf", "sort": "downloads", "limit": 50})
            try:
                found = msgspec.json.decode(await self._ask(f"/api/models?{query}", ""), type=list[_Model])
            except (PlaygroundError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return []
            names = {one.id.casefold(): one.id for one in found if _REPOSITORY.fullmatch(one.id)}
            names.pop(reference.repository.casefold(), None)  # it is there, but has nothing for us
            like = difflib.get_close_matches(f"{org}/{name}".casefold(), names, 5, 0.4)
            if names:
                return [names[one] for one in like] or list(names.values())[:5]
        return []

    @asynccontextmanager
    async def open(self, listing: Listing, path: str, start: int = 0) -> AsyncIterator[Opened]:
        """A file from an offset in bytes on; whether the server really starts there, `Opened.starts_at` tells.

        Raises PlaygroundError: a HostedError when it may be tried again.
        """
        where = f"/{listing.repository}/resolve/{quote(listing.commit)}/{quote(path)}"
        headers = {"range": f"bytes={start}-"} if start else {}
        async with self._follow(where, headers) as (response, told):
            if response.status_code not in (200, 206):
                raise refusal(self.hub, response, listing.repository, path)
            yield Opened(response, told)

    async def _ask(self, where: str, repository: str) -> bytes:
        waits = Waits(self.say, self.pause, _TRIES_ASKING)
        while True:
            try:
                async with self._follow(where, {}) as (response, _):
                    if response.status_code != 200:
                        raise refusal(self.hub, response, repository)
                    return await self._read(response)
            except HostedError as error:
                await waits.after(error)

    async def _read(self, response: httpx2.Response, most: int = _MAX_ANSWER) -> bytes:
        raw = bytearray()
        async for piece in response.aiter_bytes():
            raw += piece
            if len(raw) > most:
                raise unreadable(self.hub)
        return bytes(raw)

    @asynccontextmanager
    async def _follow(
        self, where: str, headers: dict[str, str]
    ) -> AsyncIterator[tuple[httpx2.Response, Mapping[str, str]]]:
        """Ask, go where the answers lead, and give the last one with what the hub itself told on the way."""
        import httpx2

        assert self._client is not None, "to be used as `async with`"
        url, told = httpx2.URL(f"{self.hub.address}{where}"), dict[str, str]()
        try:
            for _ in range(_MAX_REDIRECTS):
                own = _origin(url) == origin(self.hub.address)
                key = {"authorization": f"Bearer {self.hub.token.reveal()}"} if own and self.hub.token else {}
                async with self._client.stream("GET", url, headers={**headers, **key}) as response:
                    if own:
                        told |= {name: response.headers[name] for name in _TOLD if name in response.headers}
                    if not response.is_redirect:
                        yield response, told
                        return
                    told.pop("etag", None)  # the etag of a redirect is not the file's
                    url = self._next(url, response.headers.get("location", ""))
        except httpx2.HTTPError as error:
            raise unreachable(self.hub, error) from None
        except httpx2.InvalidURL:
            raise unreadable(self.hub) from None
        raise BadReply(f"{self.hub.address} sends us from one address to the next without end.", "Try again later.")

    def _next(self, url: httpx2.URL, location: str) -> httpx2.URL:
        target = url.join(location)
        if target.scheme not in ("http", "https") or (
            target.scheme == "http" and url.scheme == "https" and not is_loopback(str(target))
        ):
            raise BadReply(f"{self.hub.address} sends us to an address that is not encrypted.", "Nothing was fetched.")
        return target

    def _make_client(self) -> httpx2.AsyncClient:
        import httpx2

        return httpx2.AsyncClient(
            headers={"accept-encoding": "identity", "user-agent": "llm-playground"},
            timeout=httpx2.Timeout(_SILENCE_S, connect=_CONNECT_S),
            limits=httpx2.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=not is_loopback(self.hub.address),
        )


_TOLD: Final = ("etag", "x-linked-etag")


def _origin(url: httpx2.URL) -> str:
    return origin(f"{url.scheme}://{url.netloc.decode('ascii')}")


def _file(one: _Sibling) -> HubFile:
    lfs = one.lfs or _Lfs()
    size = lfs.size if lfs.size is not None else one.size
    return HubFile(one.rfilename, max(0, size or 0), lfs.sha256 if _SHA256.fullmatch(lfs.sha256) else "")
