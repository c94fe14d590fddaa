"""What samplers would do at a position, asked for chances and not for a draw."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from playground.domain.sampling import SamplingParams, active_stages
from playground.engine.capture import Distribution
from playground.engine.libllama import Logits
from playground.engine.model import LoadedModel
from playground.engine.samplers import Choice, SamplerChain

REMEMBERING: Final = ("mirostat", "mirostat_v2", "adaptive_p")
"""Stages whose effect depends on the draws before this one."""


class Throw(NamedTuple):
    """One way in which chance can fall before the draw itself."""

    chance: float
    """How often it falls so, 0 to 1."""
    choice: Choice

    def prob(self, token: int) -> float:
        """Chance of a token that was looked at."""
        return self.choice.prob.get(token, 0.0)

    def only(self, token: int) -> bool:
        """True when no other token can come."""
        last = self.choice.stages[-1]
        return self.choice.token == token and (last.name == "greedy" or last.candidates == 1)


class Survivors(NamedTuple):
    """What the samplers left in one throw: ids and logits, shape (candidates,), valid until the next look."""

    chance: float
    ids: NDArray[np.int32]
    logits: Logits

    def places(self, tokens: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Each of the tokens that is left, and where."""
        for token in tokens:
            # Nothing has moved yet where nothing was cut.
            if token < len(self.ids) and self.ids[token] == token:
                yield token, token
            elif len(at := np.flatnonzero(self.ids == token)):
                yield token, int(at[0])


def unsure_stages(params: SamplingParams) -> tuple[str, ...]:
    """Those of the stages that would run whose memory of earlier draws cannot be known."""
    return tuple(name for name in active_stages(params) if name in REMEMBERING)


def throws(params: SamplingParams) -> list[tuple[float, SamplingParams]]:
    """Each way in which chance can fall before the draw, as parameters that leave nothing to it."""
    p = params.xtc_probability
    if p >= 1.0 or "xtc" not in active_stages(params):
        return [(1.0, params)]
    return [(p, structs.replace(params, xtc_probability=1.0)), (1.0 - p, structs.replace(params, xtc_probability=0.0))]


class Bending:
    """The samplers of one position, or of one position after another. `free` gives their memory back.

    Samplers are kept while parameters change, for making them takes longer than using them; those that remember their
    own draws are made anew each time.
    """

    def __init__(self, model: LoadedModel, history: Sequence[int], written: int = 0) -> None:
        self._model = model
        self._distribution = Distribution(model.info.n_vocab)
        self._history = list(history)
        self._written = written
        """How many tokens at the end of the history belong to the reply."""
        self._chains: list[SamplerChain] = []
        self._chances: list[float] = []
        self._params: SamplingParams | None = None
        self._bias: tuple[dict[str, float], dict[int, float]] = ({}, {})

    def configure(self, params: SamplingParams) -> None:
        """Put parameters in force.

        Raises BadInput for a bias that is no token, and for a grammar that has a mistake in it or does not fit.
        """
        if params == self._params and not unsure_stages(params):
            return
        self._params = None
        if params.logit_bias != self._bias[0]:
            self._bias = (params.logit_bias, self._model.bias_ids(params.logit_bias))
        ways, written = throws(params), self._history[len(self._history) - self._written :]
        keep = 0 if unsure_stages(params) else len(ways)
        while len(self._chains) > keep:
            self._chains.pop().free()
        for chain, (_, way) in zip(self._chains, ways, strict=False):
            chain.configure(way, self._bias[1], self._history, written)
        for _, way in ways[len(self._chains) :]:
            self._chains.append(self._chain(way, written))
        self._chances = [chance for chance, _ in ways]
        self._params = params

    def _chain(self, params: SamplingParams, written: Sequence[int]) -> SamplerChain:
        vocabulary, bias, history = self._model.vocabulary, self._bias[1], self._history
        return SamplerChain(vocabulary, params, seed=0, bias=bias, history=history, written=written)

    def read(self, logits: Logits) -> Distribution:
        """Take the logits of a position. Raises RunFailed when they are no numbers."""
        self._distribution.read(logits, max(chain.wanted for chain in self._chains))
        return self._distribution

    def look(self, count: int, also: Sequence[int] = ()) -> list[Throw]:
        """What the samplers make of the position, each throw of chance for itself."""
        choices = [chain.choose(self._distribution, count, also) for chain in self._chains]
        return [Throw(chance, choice) for chance, choice in zip(self._chances, choices, strict=True)]

    def survivors(self) -> list[Survivors]:
        """What was left at the position that was looked at last, each throw of chance for itself."""
        pairs = zip(self._chances, self._chains, strict=True)
        return [Survivors(chance, *chain.left()) for chance, chain in pairs]

    def allows(self, token: int) -> bool:
        """False where a grammar does not let this token follow; then it must not be accepted."""
        return all(chain.allows(token) for chain in self._chains)

    def accept(self, token: int) -> None:
        """Go on to the next position, with this token before it."""
        self._history.append(token)
        self._written += 1
        for chain in self._chains:
            chain.accept(token)

    def free(self) -> None:
        """Give the samplers' memory back."""
        while self._chains:
            self._chains.pop().free()
        self._params = None
