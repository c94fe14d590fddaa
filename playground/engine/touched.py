"""The tokens that the samplers in front of the first cut may change, so that all others need not be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

TOUCHING: Final = ("logit_bias", "penalties", "dry")
"""Stages that change the logits of tokens with a bias, or of tokens that were written before, and of no others."""
_SHARE: Final = 16
"""Looking at few tokens pays while they are at most one in so many of the vocabulary."""


def leading(names: Sequence[str]) -> int:
    """How many of the first stages are touching ones, with a top-k right behind them; 0 where that is not so."""
    count = next((at for at, name in enumerate(names) if name not in TOUCHING), len(names))
    return count if names[count : count + 1] == ("top_k",) else 0


class Touched:
    """Grows while a reply is written; a token that has left a penalty's window stays, which costs time and no truth."""

    def __init__(self, n_vocab: int) -> None:
        self._most = n_vocab // _SHARE
        self._ids = np.empty(self._most, np.int32)
        self._count = 0
        self._seen: set[int] = set()

    def restart(self, tokens: Iterable[int]) -> None:
        """Begin anew with these."""
        self._seen = set(tokens)
        self._count = min(len(self._seen), self._most)
        if not self.too_many:
            self._ids[: self._count] = sorted(self._seen)

    def add(self, token: int) -> None:
        """One more was written."""
        if token in self._seen:
            return
        self._seen.add(token)
        if not self.too_many:
            self._ids[self._count] = token
            self._count += 1

    @property
    def too_many(self) -> bool:
        """True when a walk over the whole vocabulary is the shorter way."""
        return len(self._seen) > self._most

    @property
    def ids(self) -> NDArray[np.int32]:
        """Each of them once, shape (count,); not all of them when there are too many."""
        return self._ids[: self._count]
