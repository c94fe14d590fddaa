"""Tiktoken's vocabularies, for estimates of what hosted models count: from disk, or fetched once in the background.

tiktoken itself would download one on first use, without a time limit. That code is never reached from here.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Final, NamedTuple

from playground.services.paths import user_cache_dir, write_text_atomic

if TYPE_CHECKING:
    from tiktoken import Encoding

SOURCE: Final = "https://openaipublic.blob.core.windows.net/encodings"
"""Where OpenAI publishes its vocabularies."""

_SHA256: Final = {
    "cl100k_base": "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    "o200k_base": "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
}
_MAX_BYTES: Final = 8 << 20
_FETCH_LIMIT_S: Final = 60.0
_STALL_LIMIT_S: Final = 5.0
_PIECE: Final = 10_000
"""Characters encoded at once: a long run of one character takes time that grows faster than its length."""
_LOADER: Final = "load_tiktoken_bpe"
_CLAUDE: Final = re.compile(r"claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?(?!\d)")
_CL100K_MODELS: Final = re.compile(r"(ft:)?gpt-(3\.5|35|4)(-|$)")


class Yardstick(NamedTuple):
    """How a model's tokens are estimated."""

    vocabulary: str
    factor: float
    """Tokens of the model for each one of the vocabulary."""


def yardstick_for(model: str) -> Yardstick:
    """The vocabulary that comes nearest to a hosted model's own.

    Anthropic publishes none. Beside o200k, Claude's tokenizer makes about 1.2 times as many tokens of English, code
    and JSON, and the one since Opus 4.7 about 1.5 times as many.
    """
    name = model.rsplit("/", 1)[-1].casefold()
    if "claude" in name:
        version = _CLAUDE.search(name)
        newer = version is None or (int(version[1]), int(version[2] or 0)) >= (4, 7)
        return Yardstick("o200k_base", 1.5 if newer else 1.2)
    return Yardstick("cl100k_base" if _CL100K_MODELS.match(name) else "o200k_base", 1.0)


class Vocabularies:
    """Finds vocabularies. One for a session: what could not be fetched is not tried again."""

    def __init__(self, source: str = SOURCE) -> None:
        self._source = source
        self._ready: dict[str, Encoding] = {}
        self._looks: dict[str, asyncio.Task[Encoding | None]] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}

    async def encoding(self, name: str, *, fetch: bool) -> Encoding | None:
        """A vocabulary when it is there; None when it is not, or not yet.

        With `fetch`, one that is not on disk is fetched in the background, and a later call will have it.
        """
        if name not in self._looks:
            self._looks[name] = asyncio.create_task(asyncio.to_thread(_from_disk, name), name="vocabulary")
        found = await asyncio.shield(self._looks[name])
        if found is not None:
            return found
        if fetch and name not in self._fetches:
            self._fetches[name] = asyncio.create_task(self._fetch(name), name="vocabulary")
        return self._ready.get(name)

    async def settle(self) -> None:
        """Wait until everything under way in the background has ended."""
        await asyncio.gather(*self._fetches.values(), return_exceptions=True)

    async def close(self) -> None:
        """End what is under way in the background."""
        for task in self._fetches.values():
            task.cancel()
        await self.settle()

    async def _fetch(self, name: str) -> None:
        raw = await _download(f"{self._source}/{name}.tiktoken")
        if raw is None or not _is_genuine(name, raw):
            return
        encoding = await asyncio.to_thread(_kept, name, raw)
        if encoding is not None:
            self._ready[name] = encoding


async def count_with(encoding: Encoding, text: str) -> int | None:
    """Tokens of a text; the names of control tokens count as the text they are. None when it cannot be encoded."""
    return await asyncio.to_thread(_count, encoding, text)


def _count(encoding: Encoding, text: str) -> int | None:
    try:
        return sum(
            len(encoding.encode(text[at : at + _PIECE], disallowed_special=())) for at in range(0, len(text), _PIECE)
        )
    except ValueError:
        return None


def _from_disk(name: str) -> Encoding | None:
    """Look where tiktoken keeps its files, and in our own folder."""
    address = f"{SOURCE}/{name}.tiktoken"
    theirs = hashlib.sha1(address.encode(), usedforsecurity=False).hexdigest()
    for path in (_tiktoken_folder() / theirs, _own_file(name)):
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_BYTES)
        except OSError:
            continue
        if _is_genuine(name, raw):
            return _built(name, raw)
    return None


def _tiktoken_folder() -> Path:
    import tempfile

    chosen = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / "data-gym-cache"


def _own_file(name: str) -> Path:
    return user_cache_dir() / "vocabularies" / f"{name}.tiktoken"


def _is_genuine(name: str, raw: bytes) -> bool:
    return hashlib.sha256(raw).hexdigest() == _SHA256[name]


def _kept(name: str, raw: bytes) -> Encoding | None:
    """Keep a vocabulary for the next session and build it; a disk that is full only costs the next session."""
    import contextlib

    with contextlib.suppress(OSError):
        write_text_atomic(_own_file(name), raw.decode("ascii"), 0o644)
    return _built(name, raw)


def _built(name: str, raw: bytes) -> Encoding | None:
    """The recipe of tiktoken itself (pattern and special tokens), reading these ranks where it would download them."""
    from binascii import a2b_base64
    from importlib import import_module

    import tiktoken

    recipe = getattr(import_module("tiktoken_ext.openai_public"), name)
    if _LOADER not in recipe.__code__.co_names:  # a tiktoken that would load in another way, and so might download
        return None
    ranks = {a2b_base64(token): int(rank) for token, rank in (line.split() for line in raw.splitlines())}
    offline = FunctionType(recipe.__code__, {**recipe.__globals__, _LOADER: lambda *_, **__: ranks})
    return tiktoken.Encoding(**offline())


async def _download(address: str) -> bytes | None:
    """A file, or None: offline, refused, too slow and too large are all the same here."""
    httpx2 = await asyncio.to_thread(__import__, "httpx2")
    raw = bytearray()
    try:
        async with (
            asyncio.timeout(_FETCH_LIMIT_S),
            # Made in a thread: reading the certificates takes a while.
            await asyncio.to_thread(httpx2.AsyncClient, timeout=_STALL_LIMIT_S) as client,
            client.stream("GET", address) as response,
        ):
            response.raise_for_status()
            async for part in response.aiter_bytes():
                raw += part
                if len(raw) > _MAX_BYTES:
                    return None
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError, ImportError):
        return None
    return bytes(raw)
