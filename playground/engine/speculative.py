"""Guessing ahead: what followed the last few tokens earlier in the text may follow them again (prompt lookup).

The guess goes through the model in one batch with the token that is due. Each position is then sampled as ever, from
its own logits and with every stage; the guess counts as far as the samplers chose the same. So the distribution is the
model's own, and with one seed the tokens are the same, up to what a different batch shape does to the last bits of
the logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from playground.domain.models import ModelInfo

_SIZES: Final = (5, 3)
"""How many tokens must have come before in the same order, the longest tried first."""
_FIRST_CREDIT: Final = 4
_LATER_CREDIT: Final = 2
_MOST_CREDIT: Final = 32
_LONGEST_WAIT: Final = 64


class Guesser:
    """Looks up what came before, and guesses more or less by how well it went."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._seen: dict[tuple[int, ...], int] = {}
        """A run of tokens to where it was followed by something, the last time."""
        self._credit = _FIRST_CREDIT
        """How many tokens may be guessed at once: a right one adds one, a wrong one takes one away."""
        self._broke = 0
        """How often in a row it was used up."""
        self._wait = 0
        self.drafted = 0
        self.accepted = 0
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """One more token of the text."""
        tokens, end = self._tokens, len(self._tokens)
        for size in _SIZES:
            if end >= size:
                self._seen[tuple(tokens[end - size :])] = end
        tokens.append(token)

    def guess(self, most: int) -> list[int]:
        """The tokens that may come next, at most so many; often none."""
        if self._wait:
            self._wait -= 1
            return []
        tokens, end = self._tokens, len(self._tokens)
        for size in _SIZES:
            if end >= size and (at := self._seen.get(tuple(tokens[end - size :]))):
                return self._copy(at, min(most, self._credit))
        return []

    def _copy(self, at: int, count: int) -> list[int]:
        """What stands from a place on; behind the text's end it goes on with itself, as in a text that repeats."""
        period = len(self._tokens) - at
        return [self._tokens[at + offset % period] for offset in range(count)]

    def learn(self, drafted: int, accepted: int) -> None:
        """So many were guessed, and so many were right.

        On a processor each guess costs nearly as much as a token: without credit nothing is guessed for a while.
        """
        self.drafted += drafted
        self.accepted += accepted
        self._credit = min(_MOST_CREDIT, self._credit + 2 * accepted - drafted)
        if self._credit > _FIRST_CREDIT:
            self._broke = 0
        elif self._credit <= 0:
            self._broke += 1
            self._wait = min(2 ** (self._broke + 2), _LONGEST_WAIT)
            self._credit = _LATER_CREDIT


def why_not(info: ModelInfo) -> str:
    """Why nothing can be guessed for this model, as a sentence; empty when it can."""
    if info.can_cut:
        return ""
    return f"Nothing is guessed ahead: this model's memory ({info.memory_kind}) cannot take a wrong guess back."
