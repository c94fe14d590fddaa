"""Stop strings, found in the bytes of the reply; they may begin in one token and end in another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class StopMatch(NamedTuple):
    """A stop string that was found."""

    text: str
    trimmed_bytes: int
    """How many bytes at the end of the reply are not part of it: the stop string and what its last token holds more."""


class StopStrings:
    """Watches a growing reply for the first stop string in it."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._needles = [(text, text.encode("utf-8", errors="replace")) for text in texts]

    def find(self, reply: bytes | bytearray, added: int) -> StopMatch | None:
        """Look for a stop string that ends within the last `added` bytes of a reply; the earliest match wins."""
        if not self._needles or not added:
            return None
        found = []
        for text, needle in self._needles:
            at = reply.find(needle, max(0, len(reply) - added - len(needle) + 1))
            if at >= 0:
                found.append((at, text))
        if not found:
            return None
        at, text = min(found)
        return StopMatch(text, len(reply) - at)


def held_back(text: str, stops: Sequence[str]) -> int:
    """How many characters at the end of a text could be the beginning of a stop string.

    For output that cannot be taken back, such as a terminal's standard output.
    """
    longest = min(len(text), max((len(stop) - 1 for stop in stops), default=0))
    return next((size for size in range(longest, 0, -1) if any(stop.startswith(text[-size:]) for stop in stops)), 0)
