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

_CUTOFFS: Final = (1e-4, 1e-6, 1e-8)
"""Probabilities above which a token is near the top; the next one is tried while too few are."""
_MANY: Final = 1024
_FOLDS: Final = 64
_SMALL: Final = 1e-15
_LARGE: Final = 1e30


class Distribution:
    """Softmax of one row of logits; buffers are kept, so one object serves all positions of a model.

    Shapes: every array is (n_vocab,). Units: natural log, but entropy in bits. Right after a decode nothing of this is
    in the processor's cache, neither the numbers nor numpy's code: each pass over the vocabulary counts, and so does
    each numpy function that is used for the first time.
    """

    def __init__(self, n_vocab: int) -> None:
        # Too large a logit is looked after in `read`; asking numpy to be quiet each time takes longer than a pass.
        np.seterr(over="ignore", invalid="ignore")
        self._exp = np.empty(n_vocab, np.float32)
        self._ones = np.ones(n_vocab, np.float32)
        self._above = np.empty(n_vocab, np.bool_)
        self.logits: Logits = self._exp
        self.near: NDArray[np.int64] = np.empty(0, np.int64)
        """Ids of all tokens whose probability is above a cutoff, ascending."""
        self.near_logits: Logits = self._exp[:0]
        """Their logits, in the same order."""
        self._cutoff = 0.0
        self.total = 1.0
        """What the weights of the whole vocabulary add up to."""
        self.log_sum = 0.0
        """Natural log of the sum over the vocabulary: a logit less this is a log-probability."""

    def read(self, logits: Logits, want: int) -> None:
        """Take a row of logits and find at least `want` tokens near the top, if that is quick.

        Raises RunFailed when the model computed NaN.
        """
        self.logits, exp = logits, self._exp
        # Logits are far from float32's limits, so exp needs no shift, which saves two passes over the vocabulary.
        np.exp(logits, exp)
        # A dot product sums faster than a sum, and the entropy needs its code as well.
        total, shift = float(exp.dot(self._ones)), 0.0
        if not _SMALL < total < _LARGE:
            shift = float(logits.max())
            if not math.isfinite(shift):
                raise RunFailed(
                    "The model computed values that are not numbers.",
                    "The file may be damaged, or its quantisation does not suit this device; try another one.",
                )
            np.subtract(logits, np.float32(shift), out=exp)
            np.exp(exp, exp)
            total = float(exp.dot(self._ones))
        self.total = total
        self.log_sum = math.log(total) + shift
        for cutoff in _CUTOFFS:
            self._cutoff = cutoff
            np.greater(exp, np.float32(total * cutoff), self._above)
            self.near = self._above.nonzero()[0]
            if len(self.near) >= want:
                break
        self.near_logits = logits.take(self.near)

    def rank(self, token: int) -> int:
        """1 for the most likely token."""
        logit = self.logits[token]
        if self._exp[token] > self.total * self._cutoff:
            return int(np.count_nonzero(self.near_logits > logit)) + 1
        return int(np.count_nonzero(self.logits > logit)) + 1

    def entropy_bits(self) -> float:
        """Shannon entropy H = log Z - sum(p x), in bits, over the whole vocabulary."""
        mean = float(self._exp.dot(self.logits)) / self.total
        if math.isnan(mean):  # a logit of -inf: its probability is 0, and 0 times -inf is not
            finite = self._exp > 0
            mean = float(self._exp[finite].dot(self.logits[finite])) / self.total
        return max(0.0, (self.log_sum - mean) / math.log(2))

    def weights(self, tokens: NDArray[np.integer]) -> list[float]:
        """The model's probability of each of a few tokens, times `total`."""
        values: list[float] = self._exp.take(tokens).tolist()
        return values

    def mass(self, tokens: NDArray[np.integer]) -> float:
        """The model's probability of a set of tokens taken together, 0 to 1."""
        return min(1.0, float(self._exp.take(tokens).sum()) / self.total)

    def top(self, count: int) -> tuple[list[int], list[float]]:
        """Ids and logits of the most likely tokens, best first; ties by id."""
        count = min(count, len(self.logits))
        pool, values = self.near, self.near_logits
        if not count <= len(pool) <= _MANY:
            pool = self._best(count)
            values = self.logits.take(pool)
        order = np.negative(values).argsort(kind="stable")[:count]
        return pool.take(order).tolist(), values.take(order).tolist()

    def _best(self, count: int) -> NDArray[np.int64]:
        """Ids, ascending, among which the `count` most likely tokens are, and all that tie with the last of them.

        The vocabulary is folded, and the largest logit kept of those that come to lie upon each other. At least `count`
        logits are as large as the `count`-th of these, and hardly more: a tenth of what sorting in parts takes.
        """
        width = len(self.logits) // _FOLDS
        if width < count:
            return np.sort(np.argpartition(self.logits, -count)[-count:])
        folded = self.logits[: width * _FOLDS].reshape(_FOLDS, width).max(axis=0)
        least = np.partition(folded, -count)[-count]
        np.greater_equal(self.logits, least, self._above)
        return self._above.nonzero()[0]

    def above(self, cutoff: float) -> NDArray[np.int64]:
        """Ids of all tokens more likely than this, ascending."""
        return self.near if cutoff == self._cutoff else (self._exp > np.float32(self.total * cutoff)).nonzero()[0]

    def beyond(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Those of a few tokens that are not in `near`."""
        return tokens[self._exp.take(tokens) <= np.float32(self.total * self._cutoff)]

    def holds_top(self, count: int) -> bool:
        """True when the `count` best tokens are all in `near`."""
        return count <= len(self.near)

    def holds_share(self, share: float) -> bool:
        """True when every token at least `share` times as likely as the best one is in `near`."""
        if not len(self.near):
            return False
        best = math.exp(float(self.near_logits.max()) - self.log_sum)
        return best * share > self._cutoff * 1.01
