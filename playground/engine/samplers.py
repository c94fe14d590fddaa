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
from playground.engine.libllama import pointer_to

_CANDIDATE: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
_REMEMBERS: Final = ("penalties", "dry")
_ACCEPTS: Final = (*_REMEMBERS, "adaptive_p")
_MASKS: Final = ("logit_bias", "top_n_sigma")  # they may set a logit to -inf
_FEW: Final = 256  # up to here Python's own sets are quicker than an array of the whole vocabulary
_MIROSTAT_M: Final = 100  # tokens mirostat 1 looks at to estimate the distribution's tail; llama.cpp's default


class Vocabulary(NamedTuple):
    """What samplers need to know about a model."""

    pointer: Any
    size: int
    n_ctx: int
    n_ctx_train: int
    end_tokens: tuple[int, ...]


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


class _Cuts:
    """Notes, stage after stage, how much of the model's own probability is left and which tokens were removed."""

    def __init__(self, distribution: Distribution, alive: NDArray[np.bool_]) -> None:
        self.by: dict[int, int] = {}
        self.watched: list[int] = []
        self._distribution = distribution
        self._alive = alive
        self._weights: dict[int, float] = {}

    def record(self, ids: NDArray[np.int32], stage: int) -> float:
        """Take the tokens a stage has left; returns their mass."""
        if len(ids) > _FEW:
            alive = self._alive
            alive[ids] = True
            for token in self.watched:
                if not alive[token]:
                    self.by.setdefault(token, stage)
            alive[ids] = False
            return self._distribution.mass(ids)
        left = ids.tolist()
        if not self._weights:
            self._weights = dict(zip(left, self._distribution.weights(ids), strict=True))
        weights, known = self._weights, set(left)
        for token in self.watched:
            if token not in known:
                self.by.setdefault(token, stage)
        return min(1.0, sum([weights[token] for token in left]) / self._distribution.total)


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
    ) -> None:
        self._vocabulary = vocabulary
        self._seed = seed
        self._made: dict[tuple[Any, ...], Any] = {}
        self._array = np.empty(vocabulary.size, _CANDIDATE)
        self._ids, self._logits, self._p = (self._array[field] for field in ("id", "logit", "p"))
        self._all_ids = np.arange(vocabulary.size, dtype=np.int32)
        self._alive = np.zeros(vocabulary.size, bool)
        self._struct = lib.llama_token_data_array()
        self._reference = ctypes.byref(self._struct)
        self._base = self._array.ctypes.data
        self._struct.data = self._data = pointer_to(self._array, lib.llama_token_data)
        self._start = 0
        self._stages: list[tuple[str, Any]] = []
        self.params = params
        self.wanted = 1
        """How many tokens near the top would spare the stages a walk over the whole vocabulary."""
        self.configure(params, bias, history)

    def configure(self, params: SamplingParams, bias: dict[int, float], history: Sequence[int]) -> None:
        """Put other parameters in force; `history` is every token of the context so far."""
        kept = self._made
        self._made, self._stages, self.params = {}, [], params
        for name in active_stages(params):
            key = self._key(name, params, bias)
            sampler = kept.pop(key, None)
            if sampler is None:
                sampler = self._make(name, key)
                if name in _REMEMBERS:
                    for token in history[-key[1] :]:
                        lib.llama_sampler_accept(sampler, token)
            self._made[key] = sampler
            self._stages.append((name, sampler))
        for sampler in kept.values():
            lib.llama_sampler_free(sampler)
        self.wanted = max(params.top, params.top_k if self._stages[0][0] == "top_k" else 1)

    def _window(self, tokens: int) -> int:
        return tokens if tokens >= 0 else self._vocabulary.n_ctx

    def _key(self, name: str, p: SamplingParams, bias: dict[int, float]) -> tuple[Any, ...]:
        """The stage's name and every value that shapes it. For stages with a window, the window comes second."""
        match name:
            case "logit_bias":
                banned = dict.fromkeys(self._vocabulary.end_tokens, float("-inf")) if p.ignore_eos else {}
                return (name, *sorted({**bias, **banned}.items()))
            case "penalties":
                return name, self._window(p.penalty_last_n), p.repeat_penalty, p.frequency_penalty, p.presence_penalty
            case "dry":
                return (
                    name,
                    self._window(p.dry_last_n),
                    p.dry_multiplier,
                    p.dry_base,
                    p.dry_allowed_length,
                    p.dry_breakers,
                )
            case "temperature":
                return name, p.temperature, p.dynatemp_range, p.dynatemp_exponent
            case "xtc":
                return name, p.xtc_probability, p.xtc_threshold, p.min_keep, self._seed
            case "top_p" | "min_p" | "typical_p":
                return name, getattr(p, name), p.min_keep
            case "mirostat" | "mirostat_v2":
                return name, self._seed, p.mirostat_tau, p.mirostat_eta
            case "adaptive_p":
                return name, p.adaptive_target, p.adaptive_decay, self._seed
            case "dist":
                return name, self._seed
            case "greedy":
                return (name,)
            case _:
                return name, getattr(p, name)

    def _make(self, name: str, key: tuple[Any, ...]) -> Any:
        values = key[1:]
        match name:
            case "logit_bias":
                array = (lib.llama_logit_bias * len(values))(*(lib.llama_logit_bias(t, b) for t, b in values))
                return lib.llama_sampler_init_logit_bias(self._vocabulary.size, len(values), array)
            case "dry":
                window, multiplier, base, allowed, breakers = values
                texts = (ctypes.c_char_p * len(breakers))(*(text.encode("utf-8", "replace") for text in breakers))
                pointer = self._vocabulary.pointer
                return lib.llama_sampler_init_dry(pointer, multiplier, base, allowed, window, texts, len(breakers))
            case "penalties":
                return lib.llama_sampler_init_penalties(self._vocabulary.size, *values)
            case "temperature":
                return lib.llama_sampler_init_temp_ext(*values)
            case "mirostat":
                return lib.llama_sampler_init_mirostat(self._vocabulary.size, *values, _MIROSTAT_M)
            case "typical_p":
                return lib.llama_sampler_init_typical(*values)
            case _:
                return getattr(lib, f"llama_sampler_init_{name}")(*values)

    def choose(self, distribution: Distribution, count: int, also: Sequence[int] = ()) -> Choice:
        """Run all stages over the logits that `distribution` has read, and pick a token.

        Args:
            distribution: what the model thinks; its `near` must have been found with `wanted` in mind.
            count: how many of the most likely tokens are to be reported on.
            also: further tokens that are to be reported on, in `Choice.prob` and `Choice.cut_by`.
        """
        struct, reference, params = self._struct, self._reference, self.params
        few = self._fill(distribution)
        # A first top-k sorts what it keeps: the most likely tokens need not be looked for.
        sorted_by_first = few and self._stages[0][0] == "top_k" and params.top_k >= count
        cuts = _Cuts(distribution, self._alive)
        if not sorted_by_first:
            top, top_logits = distribution.top(count)
            cuts.watched = [*top, *also]
        size, mass = self._vocabulary.size, 1.0
        stages: list[Stage] = []
        for index, (name, sampler) in enumerate(self._stages):
            lib.llama_sampler_apply(sampler, reference)
            if index == 0 and sorted_by_first:
                top, top_logits = self._ids[:count].tolist(), self._logits[:count].tolist()
                cuts.watched = [*top, *also]
            elif name == "xtc":
                moved_to: Any = struct.data
                self._start = (ctypes.addressof(moved_to.contents) - self._base) // _CANDIDATE.itemsize
            elif name in _MASKS or (name == "temperature" and params.temperature <= 0.0):
                self._drop_masked()
            if struct.size != size:
                size = struct.size
                mass = cuts.record(self._ids[self._start : self._start + size], index)
            stages.append(Stage(name, size, mass))
        token, prob = self._probabilities(cuts.watched, cuts.by, size)
        return Choice(token, tuple(stages), top, top_logits, prob, cuts.by)

    def _fill(self, distribution: Distribution) -> bool:
        """Put the candidates into llama.cpp's array; True when those near the top were enough.

        A first stage that keeps the best few gives the same result on the tokens near the best one as on the whole
        vocabulary, at a fraction of the memory traffic.
        """
        struct, params = self._struct, self.params
        match self._stages[0][0]:
            case "top_k":
                few = distribution.holds_top(params.top_k)
            case "min_p":
                few = params.min_keep <= 1 and distribution.holds_share(params.min_p)
            case _:
                few = False
        if few:
            size = len(distribution.near)
            self._ids[:size] = distribution.near
            self._logits[:size] = distribution.near_logits
        else:
            size = self._vocabulary.size
            self._ids[:] = self._all_ids
            self._logits[:] = distribution.logits
        if self._start:  # XTC has moved the pointer past what it removed
            struct.data, self._start = self._data, 0
        struct.size, struct.selected, struct.sorted = size, -1, False
        return few

    def _drop_masked(self) -> None:
        """Some stages remove a token by a logit of -inf and leave it in the array: take it out."""
        start, size = self._start, self._struct.size
        live = self._array[start : start + size]
        kept = live[live["logit"] > -np.inf]
        if 0 < len(kept) < size:
            live[: len(kept)] = kept
            self._struct.size = len(kept)

    def _probabilities(self, watched: Sequence[int], cut_by: dict[int, int], size: int) -> tuple[int, dict[int, float]]:
        """The token that was picked, and the probability of every survivor, or of the watched ones among many."""
        start, selected = self._start, self._struct.selected
        ids, p = self._ids[start : start + size], self._p[start : start + size]
        chosen = int(ids[selected])
        if self._stages[-1][0] == "greedy":
            return chosen, {token: float(token == chosen) for token in (*watched, chosen)}
        if size <= _FEW:
            prob = dict(zip(ids.tolist(), p.tolist(), strict=True))
        else:
            prob = {chosen: float(p[selected])}
            for token in watched:
                if token not in cut_by:
                    at = token if token < size and ids[token] == token else int(np.flatnonzero(ids == token)[0])
                    prob[token] = float(p[at])
        return chosen, prob

    def accept(self, token: int) -> None:
        """Tell the stages that remember what was written."""
        for name, sampler in self._stages:
            if name in _ACCEPTS:
                lib.llama_sampler_accept(sampler, token)

    def free(self) -> None:
        """Give the stages' memory back."""
        for sampler in self._made.values():
            lib.llama_sampler_free(sampler)
        self._made, self._stages = {}, []
