"""What guessing ahead gains: runs with it and without, and what they add up to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

import msgspec

from playground.domain.events import Event, Failed, Finished, StopReason, TokenGenerated

PAIRS: Final = 3
"""Runs of each kind, taken in turns, so that whatever else the machine does falls on both alike."""
USUAL: Final = 8
"""Tokens guessed at most where a person has set nothing."""


class GuessRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run that was measured."""

    guessing: bool
    ids: tuple[int | None, ...]
    tokens_per_second: float | None
    drafted: int = 0
    """Tokens guessed."""
    right: int = 0
    """Those of them that the model then chose."""


class GuessGain(msgspec.Struct, frozen=True, kw_only=True):
    """What the runs say together."""

    pairs: int
    with_it: float | None
    """Tokens per second, the median."""
    without: float | None
    ratio: float | None
    """How many times as fast with it: the median of the pairs' ratios."""
    drafted: int
    """Tokens guessed in one run, the median."""
    right: int
    tokens: int
    """Length of the reply."""
    parted_at: int | None
    """Index of the first token at which replies differ; None when all are the same."""

    @property
    def right_share(self) -> float | None:
        """Share of the guesses that were right, 0 to 1; None when nothing was guessed."""
        return self.right / self.drafted if self.drafted else None


def read_run(events: Sequence[Event], *, guessing: bool) -> GuessRun | None:
    """What a run says; None for one that was stopped or broke."""
    last = events[-1] if events else None
    if not isinstance(last, Finished) or last.reason is StopReason.CANCELLED:
        return None
    return GuessRun(
        guessing=guessing,
        ids=tuple(event.token.id for event in events if isinstance(event, TokenGenerated)),
        tokens_per_second=last.timings.tokens_per_second,
        drafted=last.usage.drafted_tokens or 0,
        right=last.usage.accepted_tokens or 0,
    )


def failure(events: Sequence[Event]) -> Failed | None:
    """How a run broke; None when it did not."""
    return events[-1] if events and isinstance(events[-1], Failed) else None


def summed_up(runs: Sequence[GuessRun]) -> GuessGain | None:
    """The gain over all complete pairs; None before the first one.

    Args:
        runs: in the order they were made, with it and without in turns.
    """
    guessed = [run for run in runs if run.guessing]
    plain = [run for run in runs if not run.guessing]
    pairs = list(zip(guessed, plain, strict=False))
    if not pairs:
        return None
    speeds = [(one.tokens_per_second, other.tokens_per_second) for one, other in pairs]
    known = [(fast, slow) for fast, slow in speeds if fast and slow]
    used = [run for pair in pairs for run in pair]
    middle = sorted((one for one, _ in pairs), key=lambda run: run.drafted)[len(pairs) // 2]
    return GuessGain(
        pairs=len(pairs),
        with_it=statistics.median(fast for fast, _ in known) if known else None,
        without=statistics.median(slow for _, slow in known) if known else None,
        ratio=statistics.median(fast / slow for fast, slow in known) if known else None,
        drafted=middle.drafted,
        right=middle.right,
        tokens=len(middle.ids),
        parted_at=_parted_at([run.ids for run in used]),
    )


def _parted_at(replies: Sequence[tuple[int | None, ...]]) -> int | None:
    """Index of the first token that not all replies have in common; None when there is none."""
    shortest = min(map(len, replies))
    at = next((at for at in range(shortest) if len({reply[at] for reply in replies}) > 1), shortest)
    return at if any(len(reply) > at for reply in replies) else None


def verdict(gain: GuessGain) -> str:
    """One sentence on what it comes to."""
    if gain.ratio is None:
        return "The reply is too short to be measured: ask for more tokens."
    if not gain.drafted:
        return "Nothing was guessed: nothing in this text repeats, and nothing is lost either."
    if gain.ratio >= 1.05:
        return f"Guessing ahead is {gain.ratio:.2f} times as fast here."
    if gain.ratio <= 0.95:
        return f"Guessing ahead slows this reply down, to {gain.ratio:.2f} of the speed: too few guesses are right."
    return "Guessing ahead makes no difference worth the name here."
