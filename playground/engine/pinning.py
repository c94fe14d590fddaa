"""Logits of a position that is computed again, held to what was recorded of it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from playground.domain.what_if import Known
from playground.engine.libllama import Logits

_LEAST_REST: Final = 1e-4
"""Share of all other tokens below which it is not worth to be put right, nor precise enough."""


def pinned(logits: Logits, known: Known) -> Logits:
    """The logits, shape (n_vocab,), with those of the known candidates as they were recorded.

    llama.cpp sums up otherwise when a position is computed together with others, or when the cache has another length.
    On small quantised models that moves probabilities by hundredths. The tokens that nobody recorded are shifted
    together, so that they have what the recorded ones leave. Returns `logits` itself when nothing is known.
    """
    known = tuple(one for one in known if one[0] < len(logits) and math.isfinite(one[1]))
    if not known:
        return logits
    ids = np.array([token for token, _ in known], np.intp)
    logprobs = np.array([logprob for _, logprob in known])
    shift = float(logits.max())
    weights = np.exp(logits - np.float32(shift))
    total = float(weights.sum(dtype=np.float64))
    log_sum = math.log(total) + shift
    wanted = 1.0 - float(np.exp(logprobs).sum())
    rest = 1.0 - float(weights[ids].sum(dtype=np.float64)) / total
    moved = math.log(wanted / rest) if min(wanted, rest) > _LEAST_REST else 0.0
    row: Logits = logits + np.float32(moved)
    if len(known) > 1:  # nothing else was likelier than these; the last may be there only because it was chosen
        np.minimum(row, np.float32(logprobs[:-1].min() + log_sum), out=row)
    row[ids] = logprobs + log_sum
    return row
