"""What each sampler stage took away: how much probability is left, and where a given token went."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from playground.engine.capture import Distribution

FEW: Final = 256
"""Up to so many tokens Python's own sets are quicker than an array of the whole vocabulary."""


class Cuts:
    """Notes, stage after stage, how much of the model's own probability is left and which tokens were removed."""

    def __init__(self, distribution: Distribution, alive: NDArray[np.bool_]) -> None:
        """Begin a position; `alive` is room to work in, shape (n_vocab,)."""
        self.by: dict[int, int] = {}
        """Index of the stage that removed a watched token, for those that were."""
        self.watched: list[int] = []
        self._distribution = distribution
        self._alive = alive
        self._weights: dict[int, float] = {}

    def record(self, ids: NDArray[np.int32], stage: int) -> float:
        """Take the tokens a stage has left; returns their mass."""
        if len(ids) > FEW:
            places, alive = ids.astype(np.intp), self._alive  # any other type is turned into this one at each use
            alive.fill(False)
            alive[places] = True
            for token in self.watched:
                if not alive[token]:
                    self.by.setdefault(token, stage)
            return self._distribution.mass(places)
        left = ids.tolist()
        if not self._weights:
            self._weights = dict(zip(left, self._distribution.weights(ids), strict=True))
        weights, known = self._weights, set(left)
        for token in self.watched:
            if token not in known:
                self.by.setdefault(token, stage)
        return min(1.0, sum([weights[token] for token in left]) / self._distribution.total)

    def ban(self, ids: NDArray[np.int32], stage: int) -> float:
        """Take the tokens that a stage has removed, where nothing was before; returns the mass of all others."""
        banned = set(ids.tolist())
        for token in self.watched:
            if token in banned:
                self.by.setdefault(token, stage)
        return max(0.0, 1.0 - self._distribution.mass(ids))
