"""Fetches a model from a hub into our own folder: goes on where it was cut off, and checks what came."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import msgspec

from playground.backends.hosted_texts import brief_duration
from playground.domain.errors import BadReply, HostedError, RunFailed, ServerUnreachable
from playground.domain.sizes import size_text
from playground.services.hub_names import HubFile, check_name
from playground.services.hub_offers import Offer
from playground.services.model_folders import own_folder
from playground.services.model_hub import HubClient, Opened, Waits
from playground.services.model_part import Origin, Part, is_finished, missing_on_disk, origin_of
from playground.services.toml_files import one_line

_PIECE_BYTES: Final = 1 << 20
_SPARE_BYTES: Final = 64 << 20
"""Left free on the disk."""
_LOOK_AGAIN_S: Final = 0.5
_WRITE_AFTER_S: Final = 0.25
_SPEED_OVER_S: Final = 8.0

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a pull is, all parts of a split model together."""

    file: str
    part: int
    """Number of the present file, from 1."""
    parts: int
    done_bytes: int
    total_bytes: int
    bytes_per_s: float | None = None
    """Over the last seconds; None at first."""

    @property
    def left_s(self) -> float | None:
        """Seconds to go at this speed; None when there is none yet."""
        return (self.total_bytes - self.done_bytes) / self.bytes_per_s if self.bytes_per_s else None


def pace_text(progress: Progress) -> str:
    """How much is there, how fast it comes, how long it will take, e.g. "45.1 MB of 105 MB  12.3 MB/s  5 s left"."""
    speed, left_s = progress.bytes_per_s, progress.left_s
    pace = f"  {size_text(speed)}/s  {brief_duration(left_s)} left" if speed and left_s is not None else ""
    return f"{size_text(progress.done_bytes)} of {size_text(progress.total_bytes)}{pace}"


class Pulled(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is there now."""

    path: Path
    """The file to open: the first part."""
    repository: str
    quantisation: str
    size_bytes: int
    was_there: bool
    """Nothing had to be fetched."""
    checked: bool
    """The hub named a checksum, and it is right."""


class Puller:
    """One pull. `report` is told how far it is, `say` whatever is worth a sentence."""

    def __init__(
        self,
        client: HubClient,
        offer: Offer,
        report: Callable[[Progress], None] = lambda _: None,
        folder: Path | None = None,
    ) -> None:
        self._client = client
        self._offer = offer
        self._report = report
        self._folder = folder or own_folder()
        self._say = client.say
        self._done = 0
        """Bytes of files that are finished."""
        self._speed = _Speed()

    async def pull(self) -> Pulled:
        """Fetch what is missing. Raises PlaygroundError; what came stays, and the next pull goes on with it."""
        offer, files = self._offer, self._offer.choice.files
        was_there, checked = True, all(file.sha256 for file in files)
        await asyncio.to_thread(self._check_room)
        # The first part comes last: until the model is whole, nothing on the disk looks like one.
        for number, file in reversed(list(enumerate(files, 1))):
            with Part(self._target(file), self._origin(file)) as part:
                if await self._take(part):
                    was_there = False
                    checked = await self._fetch(part, number)
            self._done += file.size_bytes
        return Pulled(
            path=self._target(files[0]),
            repository=offer.listing.repository,
            quantisation=offer.choice.quantisation,
            size_bytes=offer.choice.size_bytes,
            was_there=was_there,
            checked=checked,
        )

    def _origin(self, file: HubFile) -> Origin:
        return origin_of(self._client.hub.address, self._offer.listing, file)

    def _target(self, file: HubFile) -> Path:
        return self._folder / self._offer.listing.repository / check_name(file.path)

    def _check_room(self) -> None:
        needed = sum(missing_on_disk(self._target(file), self._origin(file)) for file in self._offer.choice.files)
        folder = next(folder for folder in (self._folder, *self._folder.parents) if folder.exists())
        free = shutil.disk_usage(folder).free
        if needed and needed + _SPARE_BYTES > free:
            raise RunFailed(
                f"{size_text(needed)} are to be fetched, and the disk of {one_line(str(folder))} has "
                f"{size_text(free)} free.",
                "Make room, or choose a smaller quantisation.",
            )

    async def _take(self, part: Part) -> bool:
        """Lock the part, waiting for whoever holds it; False when the file is finished."""
        told = False
        while not await _unbroken(is_finished, part.target, part.origin):
            if await _unbroken(part.take):
                if not await _unbroken(is_finished, part.target, part.origin):
                    return True
                part.discard()
                return False
            if not told:
                self._say(f"{one_line(part.target.name)} is being pulled by another process; waiting for it.")
                told = True
            await self._client.pause(_LOOK_AGAIN_S)
        return False

    async def _fetch(self, part: Part, number: int) -> bool:
        """Bring a part to its end; True when its checksum was checked."""
        await self._begin(part)
        waits, expected = Waits(self._say, self._client.pause), part.origin.size_bytes
        sha256 = part.origin.sha256
        while part.size < expected:
            before = part.size
            try:
                async with self._client.open(self._offer.listing, part.origin.file, part.size) as opened:
                    sha256 = sha256 or opened.sha256
                    await self._check_same(part, opened)
                    await self._receive(part, opened, number)
                if part.size < expected:
                    raise ServerUnreachable(f"{self._client.hub.address} ended the file early.", "Pull again to go on.")
            except HostedError as error:
                await waits.after(error, gained=part.size > before)
        return await self._end(part, sha256)

    async def _begin(self, part: Part) -> None:
        """Go on with what is there, if it belongs to the same file."""
        name = one_line(part.target.name)
        there = part.length
        if there and part.belongs():
            while await _unbroken(part.read_on):
                pass
            self._say(f"Going on with {name} at {size_text(part.size)} of {size_text(part.origin.size_bytes)}.")
            return
        if there:
            self._say(f"{name} has changed on the hub since {size_text(there)} of it came; it begins anew.")
        await _unbroken(part.begin_anew)

    async def _check_same(self, part: Part, opened: Opened) -> None:
        """See to it that the bytes to come are those that follow."""
        name, origin, host = one_line(part.target.name), part.origin, self._client.hub.address
        if origin.sha256 and opened.sha256 not in ("", origin.sha256):
            raise BadReply(f"{name} has changed on the hub just now.", "Pull again.")
        if not origin.sha256 and opened.etag != origin.etag:
            part.origin = msgspec.structs.replace(origin, etag=opened.etag)
            if origin.etag and part.size:
                await _unbroken(part.begin_anew)
                raise ServerUnreachable(f"{name} has changed on the hub and begins anew.")
            await _unbroken(part.write_note)
        if opened.total not in (None, origin.size_bytes):
            raise BadReply(
                f"{host} sends {opened.total:,} bytes of {name}, which has {origin.size_bytes:,} by its own list.",
                "Pull again later, or from another hub.",
            )
        start = opened.starts_at(part.size)
        if start is None:
            raise BadReply(f"{host} sends another part of {name} than was asked for.", "Pull again later.")
        if start < part.size:
            self._say(f"{host} does not go on in the middle of a file; {name} begins anew.")
            await _unbroken(part.begin_anew)

    async def _receive(self, part: Part, opened: Opened, number: int) -> None:
        """Write what comes until the file is whole or the connection ends; nothing that came is lost."""
        waiting, expected, written_s = bytearray(), part.origin.size_bytes, time.monotonic()
        try:
            async for piece in opened.response.aiter_raw():
                waiting += piece
                size = part.size + len(waiting)
                if size > expected:
                    raise BadReply(
                        f"{self._client.hub.address} sends more than the {expected:,} bytes that "
                        f"{one_line(part.target.name)} has.",
                        "Pull again later, or from another hub.",
                    )
                if len(waiting) >= _PIECE_BYTES or size == expected or time.monotonic() - written_s > _WRITE_AFTER_S:
                    data, waiting = bytes(waiting), bytearray()
                    await _unbroken(part.write, data)
                    written_s = time.monotonic()
                    self._tell(part, number)
        finally:
            if waiting and part.size + len(waiting) <= expected:
                part.write(bytes(waiting))

    async def _end(self, part: Part, sha256: str) -> bool:
        if sha256 and part.sha256 != sha256:
            aside = part.set_aside()
            raise BadReply(
                f"{one_line(part.target.name)} came with the wrong checksum and was set aside as "
                f"{one_line(str(aside))}.",
                "Pull again; delete that file when it is of no use to you.",
                f"sha256 {part.sha256}, the hub says {sha256}",
            )
        if not await _unbroken(part.is_gguf):
            aside = await _unbroken(part.set_aside)
            raise BadReply(
                f"What {self._client.hub.address} sent as {one_line(part.target.name)} is no GGUF file, so no model. "
                f"It was set aside as {one_line(str(aside))}.",
                "Look into it: a page that asks to log in wants a token in HF_TOKEN. Or choose another repository.",
            )
        await _unbroken(part.finish)
        return bool(sha256)

    def _tell(self, part: Part, number: int) -> None:
        done = self._done + part.size
        self._report(
            Progress(
                file=part.target.name,
                part=number,
                parts=len(self._offer.choice.files),
                done_bytes=done,
                total_bytes=self._offer.choice.size_bytes,
                bytes_per_s=self._speed.at(time.monotonic(), done),
            )
        )


async def _unbroken(call: Callable[_P, _T], *args: _P.args, **named: _P.kwargs) -> _T:
    """Do something with the disk in a thread; whoever is cancelled meanwhile waits until it is done."""
    task = asyncio.ensure_future(asyncio.to_thread(call, *args, **named))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        task.cancelled() or task.exception()
        raise


class _Speed:
    """Bytes a second over the last seconds."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def at(self, now_s: float, done_bytes: int) -> float | None:
        self._seen.append((now_s, done_bytes))
        while now_s - self._seen[0][0] > _SPEED_OVER_S:
            self._seen.popleft()
        since_s, before = self._seen[0]
        return (done_bytes - before) / (now_s - since_s) if now_s - since_s > 0.2 and done_bytes > before else None
