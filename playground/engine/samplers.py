"""llama.cpp's samplers, applied one stage at a time, with a record of what each one left.

The stages keep their state (random numbers, what was written before) when parameters change in mid-stream: only a
stage whose own parameters changed is made anew, and is then told the history it missed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from playground.domain.sampling import SamplingParams, active_stages
from playground.domain.tokens import Stage
from playground.engine.capture import Distribution
from playground.engine.cuts import FEW, Cuts
from playground.engine.grammar import CANDIDATE, Held, allows, make_grammar
from playground.engine.libllama import Logits, pointer_to
from playground.engine.stages import Vocabulary, make_stage, stage_key
from playground.engine.touched import Touched, leading

_REMEMBERS: Final = ("penalties", "dry")
_ACCEPTS: Final = (*_REMEMBERS, "adaptive_p")
_MASKS: Final = ("logit_bias", "grammar", "top_n_sigma")  # they may set a logit to -inf
_ROW: Final = np.dtype((np.void, CANDIDATE.itemsize))  # whole candidates move six times faster than their fields


class Choice(NamedTuple):
    """The token that was picked and how it came to that."""

    token: int
    stages: tuple[Stage, ...]
    top: list[int]
    """The most likely tokens by raw logit, best first."""
    top_logits: list[float]
    prob: dict[int, float]
    """Probability after all samplers of each token that was left, or of the top ones among many."""
    cut_by: dict[int, int]
    """Index of the stage that removed a top token, for those that were."""


class SamplerChain:
    """The stages of one stream."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        params: SamplingParams,
        *,
        seed: int,
        bias: dict[int, float],
        history: Sequence[int] = (),
        written: Sequence[int] = (),
    ) -> None:
        self._vocabulary = vocabulary
        self._seed = seed
        self._made: dict[tuple[Any, ...], Any] = {}
        self._array = np.empty(vocabulary.size, CANDIDATE)
        self._rows = self._array.view(_ROW)
        self._ids, self._logits, self._p = (self._array[field] for field in ("id", "logit", "p"))
        self._all_ids = np.arange(vocabulary.size, dtype=np.int32)
        self._alive = np.zeros(vocabulary.size, bool)
        self._struct = lib.llama_token_data_array()
        self._reference = ctypes.byref(self._struct)
        self._base = self._array.ctypes.data
        self._struct.data = self._data = pointer_to(self._array, lib.llama_token_data)
        self._start = 0
        self._stages: list[tuple[str, Any]] = []
        self._held: Held | None = None
        self._banned = np.empty(0, np.int32)
        """Tokens that a bias removes, ascending."""
        self._front = 0
        """How many stages in front of a top-k change no tokens but the touched ones."""
        self._touched = Touched(vocabulary.size)
        self.params = params
        self.configure(params, bias, history, written)

    def configure(
        self, params: SamplingParams, bias: dict[int, float], history: Sequence[int], written: Sequence[int] = ()
    ) -> None:
        """Put other parameters in force.

        Args:
            params: the new parameters.
            bias: their logit bias by id.
            history: every token of the context so far.
            written: those of them that are part of the reply, which a grammar wants to know.

        Raises:
            BadInput: the grammar has a mistake in it, or the reply so far does not fit it; nothing has changed then.
        """
        names = active_stages(params)
        kept = self._made
        if "grammar" in names and (key := self._key("grammar", params, bias)) not in kept:
            kept = {**kept, key: make_grammar(self._vocabulary.pointer, self._vocabulary.prefixes, params, written)}
        self._made, self._stages, self.params = {}, [], params
        for name in names:
            key = self._key(name, params, bias)
            sampler = kept.pop(key, None)
            if sampler is None:
                sampler = make_stage(self._vocabulary, key)
                if name in _REMEMBERS:
                    for token in history[-key[1] :]:
                        lib.llama_sampler_accept(sampler, token)
            self._made[key] = sampler
            self._stages.append((name, sampler))
        held = dict(self._stages).get("grammar")
        self._held = Held(held, self._vocabulary.prefixes, params, self._stages[1][0]) if held else None
        for sampler in kept.values():
            lib.llama_sampler_free(sampler)
        self._look_ahead(names, history)

    def _look_ahead(self, names: tuple[str, ...], history: Sequence[int]) -> None:
        """Find out which tokens the stages in front of a first top-k may change."""
        keys = dict(zip(names, self._made, strict=True))
        biases = keys.get("logit_bias", ())[1:]
        self._banned = np.array([token for token, value in biases if value == -np.inf], np.int32)
        self._front = leading(names)
        front = [keys[name] for name in names[: self._front]]
        window = max((key[1] for key in front if key[0] in _REMEMBERS), default=0)
        biased = [token for key in front if key[0] == "logit_bias" for token, _ in key[1:]]
        self._touched.restart([*biased, *history[max(0, len(history) - window) :]])

    @property
    def wanted(self) -> int:
        """How many tokens near the top would spare the stages a walk over the whole vocabulary."""
        cuts = self._stages[self._front][0] == "top_k"
        return max(self.params.top, (self.params.top_k if cuts else 1) + len(self._touched.ids))

    def _key(self, name: str, params: SamplingParams, bias: dict[int, float]) -> tuple[Any, ...]:
        return stage_key(name, params, vocabulary=self._vocabulary, bias=bias, seed=self._seed)

    def choose(self, distribution: Distribution, count: int, also: Sequence[int] = ()) -> Choice:
        """Run all stages over the logits that `distribution` has read, and pick a token.

        Args:
            distribution: what the model thinks; its `near` must have been found with `wanted` in mind.
            count: how many of the most likely tokens are to be reported on.
            also: further tokens that are to be reported on, in `Choice.prob` and `Choice.cut_by`.
        """
        struct, reference, params = self._struct, self._reference, self.params
        few = self._fill(distribution, count, also)
        # A first top-k sorts what it keeps: the most likely tokens need not be looked for.
        sorted_by_first = few and self._stages[0][0] == "top_k" and params.top_k >= count
        cuts = Cuts(distribution, self._alive)
        if not sorted_by_first:
            top, top_logits = distribution.top(count)
            cuts.watched = [*top, *also]
        size, mass = self._vocabulary.size, 1.0
        stages: list[Stage] = []
        for index, (name, sampler) in enumerate(self._stages):
            if name == "grammar" and self._held is not None:
                allowed = self._held.allowed(self._ids[: struct.size])
                self._logits[: struct.size][~allowed] = -np.inf
            else:
                lib.llama_sampler_apply(sampler, reference)
            if index == 0 and sorted_by_first:
                top, top_logits = self._ids[:count].tolist(), self._logits[:count].tolist()
                cuts.watched = [*top, *also]
            elif name == "xtc":
                moved_to: Any = struct.data
                self._start = (ctypes.addressof(moved_to.contents) - self._base) // CANDIDATE.itemsize
            elif name in _MASKS or (name == "temperature" and params.temperature <= 0.0):
                left = self._drop_masked()
                if not left and self._held is not None:
                    raise self._held.nothing_left(self._vocabulary.end_tokens)
            if few and index < self._front:
                if name == "logit_bias" and len(self._banned):
                    size, mass = size - len(self._banned), cuts.ban(self._banned, index)
            elif struct.size != size:
                size = struct.size
                mass = cuts.record(self._ids[self._start : self._start + size], index)
            stages.append(Stage(name, size, mass, few and name == "grammar"))
        token, prob = self._probabilities(cuts.watched, cuts.by, size)
        return Choice(token, tuple(stages), top, top_logits, prob, cuts.by)

    def _fill(self, distribution: Distribution, count: int, also: Sequence[int]) -> bool:
        """Put the candidates into llama.cpp's array; True when those near the top were enough.

        A first stage that keeps the best few gives the same result on the tokens near the best one as on the whole
        vocabulary, at a fraction of the memory traffic; behind a bias or a penalty, on those and the touched tokens.
        """
        params = self.params
        match self._stages[0][0]:
            case "grammar" if self._held is not None:
                ids, few = self._held.candidates(distribution, count, also)
                if ids is not None:
                    self._put(ids, distribution.logits.take(ids))
                    return few
            case "top_k":
                few = distribution.holds_top(params.top_k)
            case "min_p":
                few = params.min_keep <= 1 and distribution.holds_share(params.min_p)
            case _ if self._front and not self._touched.too_many:
                # The rest is less likely than any of those near that stay as they are.
                beyond = distribution.beyond(self._touched.ids)
                if distribution.holds_top(params.top_k + len(self._touched.ids) - len(beyond)):
                    ids = np.concatenate([distribution.near, beyond])
                    self._put(ids, distribution.logits.take(ids))
                    return True
                few = False
            case _:
                few = False
        if few:
            self._put(distribution.near, distribution.near_logits)
        else:
            self._put(self._all_ids, distribution.logits)
        return few

    def _put(self, ids: NDArray[np.integer], logits: Logits) -> None:
        size, struct = len(ids), self._struct
        self._ids[:size] = ids
        self._logits[:size] = logits
        if self._start:  # XTC has moved the pointer past what it removed
            struct.data, self._start = self._data, 0
        struct.size, struct.selected, struct.sorted = size, -1, False

    def _drop_masked(self) -> int:
        """Some stages remove a token by a logit of -inf and leave it in the array: take it out; how many are left."""
        start, size = self._start, self._struct.size
        live = self._rows[start : start + size]
        kept = live[self._logits[start : start + size] > -np.inf]
        if 0 < len(kept) < size:
            live[: len(kept)] = kept
            self._struct.size = len(kept)
        return len(kept)

    def _probabilities(self, watched: Sequence[int], cut_by: dict[int, int], size: int) -> tuple[int, dict[int, float]]:
        """The token that was picked, and the probability of every survivor, or of the watched ones among many."""
        start, selected = self._start, self._struct.selected
        ids, p = self._ids[start : start + size], self._p[start : start + size]
        chosen = int(ids[selected])
        if self._stages[-1][0] == "greedy":
            return chosen, {token: float(token == chosen) for token in (*watched, chosen)}
        if size <= FEW:
            prob = dict(zip(ids.tolist(), p.tolist(), strict=True))
        else:
            prob = {chosen: float(p[selected])}
            for token in watched:
                if token not in cut_by:
                    at = token if token < size and ids[token] == token else int(np.flatnonzero(ids == token)[0])
                    prob[token] = float(p[at])
        return chosen, prob

    def left(self) -> tuple[NDArray[np.int32], Logits]:
        """Ids and logits of what the stages left of the last position; views, valid until the next one."""
        end = self._start + self._struct.size
        return self._ids[self._start : end], self._logits[self._start : end]

    def allows(self, token: int) -> bool:
        """False where the grammar does not let this token follow; accepting it would then end the process."""
        grammar = dict(self._stages).get("grammar")
        return grammar is None or allows(grammar, token)

    def accept(self, token: int) -> None:
        """Tell the stages that remember what was written."""
        if self._held is not None:
            self._held.accept(token)
        for index, (name, sampler) in enumerate(self._stages):
            if name in _ACCEPTS:
                lib.llama_sampler_accept(sampler, token)
            if index < self._front and name in _REMEMBERS:
                self._touched.add(token)

    def free(self) -> None:
        """Give the stages' memory back."""
        for sampler in self._made.values():
            lib.llama_sampler_free(sampler)
        self._made, self._stages = {}, []
