"""Words that are watched: their exact probability at every step, in the list of candidates or not."""

from __future__ import annotations

import msgspec


class WatchedWord(msgspec.Struct, frozen=True, kw_only=True):
    """A word somebody wants to follow, and the token that stands for it."""

    word: str
    """As it was given: a text such as " Yes", or "#id"."""
    id: int
    """The word's token, or its first one."""
    piece: bytes
    """The bytes of that token."""
    tokens: int = 1
    """How many tokens the word has. With more than one, the figures are those of the first alone."""

    @property
    def note(self) -> str:
        """A sentence for a word of several tokens; empty for one that is a token of its own."""
        if self.tokens == 1:
            return ""
        first = self.piece.decode("utf-8", errors="replace")
        return f"{self.word!r} has {self.tokens} tokens; the first one, {first!r}, is watched."


class Watched(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A watched word at one position; the words come in the order in which they were asked for."""

    id: int
    before: float
    """The model's own probability of the token, 0 to 1, over the whole vocabulary."""
    after: float | None
    """Its chance after all samplers, 0 to 1; 0 when a sampler removed it, None where that cannot be known."""
    cut_by: int = -1
    """Index in the token's `stages` of the stage that removed it; -1 when it survived."""
