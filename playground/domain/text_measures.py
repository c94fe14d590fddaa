"""How alike, how varied and how surprising texts are, as figures. Everything here is pure.

A text is a sequence of units: the ids of its tokens, or its words where nobody tells tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations
from typing import Final

_WORD: Final = re.compile(r"\w+|[^\w\s]")

Units = Sequence[Hashable]


def words(text: str) -> list[str]:
    """The words of a text in small letters, each mark of punctuation by itself."""
    return _WORD.findall(text.casefold())


def jaccard(first: Units, second: Units) -> float:
    """How much two texts share: |A ∩ B| / |A ∪ B| of their sets of units, 0 to 1; two empty texts are equal.

    Source: P. Jaccard, "The Distribution of the Flora in the Alpine Zone", New Phytologist 11 (1912).
    """
    a, b = set(first), set(second)
    union = len(a | b)
    return len(a & b) / union if union else 1.0


def consistency(texts: Sequence[Units]) -> float | None:
    """Mean of `jaccard` over all pairs of texts, 0 to 1: 1 when all use the same units. None with fewer than two."""
    sets = [frozenset(text) for text in texts]
    shares = []
    for a, b in combinations(sets, 2):
        common = len(a & b)
        union = len(a) + len(b) - common
        shares.append(common / union if union else 1.0)
    return math.fsum(shares) / len(shares) if shares else None


def distinct(texts: Iterable[Units], size: int) -> float | None:
    """Different runs of `size` units over all such runs in these texts, 0 to 1: 1 when none comes twice.

    None when no text is that long. Source: J. Li et al., "A Diversity-Promoting Objective Function for Neural
    Conversation Models", NAACL 2016, section 5. There the divisor is the number of tokens; here it is that of the runs,
    as is usual since, so that 1 can be reached whatever the size.
    """
    seen: set[tuple[Hashable, ...]] = set()
    total = 0
    for text in texts:
        runs = list(zip(*(text[start:] for start in range(size)), strict=False))
        seen.update(runs)
        total += len(runs)
    return len(seen) / total if total else None


def perplexity(logprob_sum: float, tokens: int) -> float | None:
    """Exponential of the mean negative log-probability a token: at least 1, and 1 when nothing surprised.

    Args:
        logprob_sum: sum of natural log-probabilities, 0 or less.
        tokens: how many there are; with none, the answer is None.

    Source: F. Jelinek et al., "Perplexity: a measure of the difficulty of speech recognition tasks", JASA 62 (1977).
    """
    return math.exp(min(700.0, -logprob_sum / tokens)) if tokens else None


def mean(values: Iterable[float | None]) -> float | None:
    """Arithmetic mean of the values that are known; None when none is."""
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None
