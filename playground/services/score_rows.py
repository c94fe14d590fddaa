"""The place of a first view's distributions, until a second one has read them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from msgspec import structs

from playground.domain.errors import RunFailed
from playground.domain.scoring import KeepRows, Score, ScoreRequest
from playground.services.private_folder import PrivateFolder

MOST_BYTES: Final = 2_000_000_000
"""What the distributions of a text may take on the disk."""
UNASKED_BYTES: Final = 512_000_000
"""What they may take while nobody has asked for a second view: the folder may lie in memory."""
_SPARE_BYTES: Final = 1_000_000_000
"""What is to stay free for other programs."""


class KeptRows:
    """One file in a temporary folder of its owner's alone. It goes with `remove`, or at the next start after a kill."""

    def __init__(self) -> None:
        self._folder = PrivateFolder()
        self._path: Path | None = None
        self.why_not = ""
        """In a few words why there is no file; empty when there is one, or when nobody wanted one yet."""

    @property
    def path(self) -> str:
        """Where a second view finds them; empty when there are none."""
        return str(self._path) if self._path is not None and not self.why_not else ""

    async def wanted(self, request: ScoreRequest, most_bytes: int) -> ScoreRequest:
        """The request with a place for the distributions; without one where there can be none."""
        self.why_not = ""
        try:
            folder = await asyncio.to_thread(self._folder.renew)
        except RunFailed as error:
            self._path, self.why_not = None, error.message[:1].lower() + error.message[1:].rstrip(".")
            return request
        self._path = folder / "rows"
        return structs.replace(
            request, keep=KeepRows(path=str(self._path), most_bytes=most_bytes, spare_bytes=_SPARE_BYTES)
        )

    def found(self, score: Score) -> Score:
        """Take note of how it went; returns the score with what is to be said about it."""
        self.why_not = self.why_not or score.no_rows
        return structs.replace(score, no_rows=self.why_not)

    async def remove(self) -> None:
        """Delete them."""
        self._path = None
        await asyncio.to_thread(self._folder.remove)
