"""What the model itself thinks at one position, read from its logits with numpy.

Everything here is about the raw distribution: softmax of the logits over the whole vocabulary, before any sampler.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from playground.domain.errors import RunFailed
from playground.engine.libllama import Logits

_NEAR: Final = 7.0  # logits this far under the best one usually hold the top ten; more are taken when they do not


class Distribution:
    """Softmax of one row of logits; buffers are kept, so one object serves all positions of a model.

    Shapes: every array is (n_vocab,). Units: natural log, but entropy in bits.
    """

    def __init__(self, n_vocab: int) -> None:
        self._shifted = np.empty(n_vocab, np.float32)
        self._exp = np.empty(n_vocab, np.float32)
        self._logits: Logits = self._shifted
        self._sum = 1.0
        self._log_sum = 0.0

    def read(self, logits: Logits) -> None:
        """Take a row of logits; raises RunFailed when the model computed NaN."""
        best = float(logits.max())
        if not math.isfinite(best):
            raise RunFailed(
                "The model computed values that are not numbers.",
                "The file may be damaged, or its quantisation does not suit this device; try another one.",
            )
        np.subtract(logits, np.float32(best), out=self._shifted)
        np.exp(self._shifted, out=self._exp)
        self._logits = logits
        self._sum = float(self._exp.sum())
        self._log_sum = best + math.log(self._sum)

    def logprob(self, token: int) -> float:
        """Natural log of the model's probability of a token."""
        return float(self._logits[token]) - self._log_sum

    def rank(self, token: int) -> int:
        """1 for the most likely token."""
        return int(np.count_nonzero(self._logits > self._logits[token])) + 1

    def entropy_bits(self) -> float:
        """Shannon entropy H = log Z - sum(p x), in bits, over the whole vocabulary."""
        mean = float(np.dot(self._exp, self._shifted)) / self._sum
        if math.isnan(mean):  # a banned token: -inf times 0
            finite = self._exp > 0
            mean = float(np.dot(self._exp[finite], self._shifted[finite])) / self._sum
        return max(0.0, (math.log(self._sum) - mean) / math.log(2))

    def mass(self, tokens: NDArray[np.int32]) -> float:
        """The model's probability of a set of tokens taken together, 0 to 1."""
        return min(1.0, float(self._exp[tokens].sum()) / self._sum)

    def top(self, count: int) -> list[int]:
        """Ids of the most likely tokens, best first; ties by id."""
        count = min(count, len(self._shifted))
        near = np.flatnonzero(self._shifted > -_NEAR)
        if len(near) < count:
            near = np.argpartition(self._shifted, -count)[-count:]
            near.sort()
        order = np.argsort(-self._shifted[near], kind="stable")
        return [int(token) for token in near[order[:count]]]
