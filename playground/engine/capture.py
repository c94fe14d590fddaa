"""What the model itself thinks at one position, read from its logits with numpy.

Everything here is about the raw distribution: softmax of the logits over the whole vocabulary, before any sampler.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from playground.domain.errors import RunFailed
from playground.engine.libllama import Logits

_NEAR: Final = 9.0
"""Logits this far under the best one usually hold the top candidates; exp(-9) is a ten-thousandth of its chance."""

_NEAR_RATIO: Final = math.exp(-_NEAR)
_SMALL: Final = 1e-15
_LARGE: Final = 1e30


class Distribution:
    """Softmax of one row of logits; buffers are kept, so one object serves all positions of a model.

    Shapes: every array is (n_vocab,). Units: natural log, but entropy in bits. The work is memory traffic: right after
    a decode nothing of this is in the processor's cache, so each pass over the vocabulary counts.
    """

    def __init__(self, n_vocab: int) -> None:
        self._exp = np.empty(n_vocab, np.float32)
        self.logits: Logits = self._exp
        self.near: NDArray[np.int64] = np.empty(0, np.int64)
        """Ids of all tokens whose logit is within 9 of the best one, ascending."""
        self._best = 0.0
        self._sum = 1.0
        self._log_sum = 0.0

    def read(self, logits: Logits) -> None:
        """Take a row of logits; raises RunFailed when the model computed NaN."""
        self.logits, exp = logits, self._exp
        # Logits are far from float32's limits, so exp needs no shift, which saves two passes over the vocabulary.
        np.exp(logits, out=exp)
        best, shift = float(exp.max()), 0.0
        if not _SMALL < best < _LARGE:
            shift = float(logits.max())
            if not math.isfinite(shift):
                raise RunFailed(
                    "The model computed values that are not numbers.",
                    "The file may be damaged, or its quantisation does not suit this device; try another one.",
                )
            np.subtract(logits, np.float32(shift), out=exp)
            np.exp(exp, out=exp)
            best = 1.0
        self._best = math.log(best) + shift
        self._sum = float(exp.sum())
        self._log_sum = math.log(self._sum) + shift
        self.near = np.flatnonzero(exp > np.float32(best * _NEAR_RATIO))

    def logprobs(self, tokens: Sequence[int]) -> list[float]:
        """Natural log of the model's probability of each token."""
        values: list[float] = (self.logits[tokens].astype(np.float64) - self._log_sum).tolist()
        return values

    def rank(self, token: int) -> int:
        """1 for the most likely token."""
        logit = self.logits[token]
        if logit > self._best - _NEAR + 0.01:
            return int(np.count_nonzero(self.logits[self.near] > logit)) + 1
        return int(np.count_nonzero(self.logits > logit)) + 1

    def entropy_bits(self) -> float:
        """Shannon entropy H = log Z - sum(p x), in bits, over the whole vocabulary."""
        mean = float(np.dot(self._exp, self.logits)) / self._sum
        if math.isnan(mean):  # a logit of -inf: its probability is 0, and 0 times -inf is not
            finite = self._exp > 0
            mean = float(np.dot(self._exp[finite], self.logits[finite])) / self._sum
        return max(0.0, (self._log_sum - mean) / math.log(2))

    def mass(self, tokens: NDArray[np.integer]) -> float:
        """The model's probability of a set of tokens taken together, 0 to 1."""
        return min(1.0, float(self._exp[tokens].sum()) / self._sum)

    def top(self, count: int) -> list[int]:
        """Ids of the most likely tokens, best first; ties by id."""
        count = min(count, len(self.logits))
        pool = self.near
        if len(pool) < count:
            pool = np.sort(np.argpartition(self.logits, -count)[-count:])
        elif len(pool) > 16 * count:
            pool = np.sort(pool[np.argpartition(self.logits[pool], -count)[-count:]])
        order = np.argsort(-self.logits[pool], kind="stable")[:count]
        best: list[int] = pool[order].tolist()
        return best

    def holds_top(self, count: int) -> bool:
        """True when the `count` best tokens are all in `near`."""
        return count <= len(self.near)

    def holds_share(self, share: float) -> bool:
        """True when every token at least `share` times as likely as the best one is in `near`."""
        return share > 0.0 and math.log(share) > -_NEAR + 0.01
