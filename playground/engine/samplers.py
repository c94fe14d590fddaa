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
    prob: dict[int, float]
    """Probability after all samplers of each watched token; 0.0 when removed."""
    cut_by: dict[int, int]
    """Index of the stage that removed a watched token, for those that were."""


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
        self._banned: NDArray[np.int32] = np.empty(0, np.int32)
        self._alive = np.zeros(vocabulary.size, bool)
        self._struct = lib.llama_token_data_array()
        self._struct.data = pointer_to(self._array, lib.llama_token_data)
        self._stages: list[tuple[str, Any]] = []
        self.params = params
        self.configure(params, bias, history)

    def configure(self, params: SamplingParams, bias: dict[int, float], history: Sequence[int]) -> None:
        """Put other parameters in force; `history` is every token of the context so far."""
        kept = self._made
        self._made, self._stages, self.params = {}, [], params
        ends = self._vocabulary.end_tokens if params.ignore_eos else ()
        self._banned = np.array([*(t for t, b in bias.items() if b == float("-inf")), *ends], np.int32)
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
                texts = (ctypes.c_char_p * len(breakers))(*(text.encode() for text in breakers))
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

    def choose(self, distribution: Distribution, watched: Sequence[int]) -> Choice:
        """Run all stages over the logits that `distribution` has read, and pick a token."""
        struct = self._struct
        size = self._fill(distribution)
        hidden, mass = self._vocabulary.size - size, 1.0
        reference = ctypes.byref(struct)
        stages: list[Stage] = []
        cut_by: dict[int, int] = {}
        for index, (name, sampler) in enumerate(self._stages):
            lib.llama_sampler_apply(sampler, reference)
            if name == "temperature" and self.params.temperature <= 0.0:
                self._keep_best()
            elif name == "logit_bias" and len(self._banned):
                hidden, mass = -len(self._banned), 1.0 - distribution.mass(self._banned)
                self._record_bans(watched, index, cut_by)
            if struct.size != size:
                size, hidden = struct.size, 0
                ids = self._ids[:size]
                mass = distribution.mass(ids)
                self._record_cuts(ids, watched, index, cut_by)
            stages.append(Stage(name, size + hidden, mass))
        chosen = int(self._ids[struct.selected])
        return Choice(chosen, tuple(stages), self._probabilities(watched, cut_by, size), cut_by)

    def _fill(self, distribution: Distribution) -> int:
        """Put the candidates into llama.cpp's array; returns how many.

        A first stage that keeps the best few gives the same result on the tokens near the best one as on the whole
        vocabulary, at a fraction of the memory traffic.
        """
        struct, near = self._struct, None
        match self._stages[0][0]:
            case "top_k" if distribution.holds_top(self.params.top_k):
                near = distribution.near
            case "min_p" if distribution.holds_share(self.params.min_p) and self.params.min_keep <= 1:
                near = distribution.near
        if near is None:
            size = self._vocabulary.size
            self._ids[:] = self._all_ids
            self._logits[:] = distribution.logits
        else:
            size = len(near)
            self._ids[:size] = near
            self._logits[:size] = distribution.logits[near]
        struct.size, struct.selected, struct.sorted = size, -1, False
        return size

    def _keep_best(self) -> None:
        """Temperature 0 sets every other logit to -inf: what is left is one candidate."""
        best = int(self._logits[: self._struct.size].argmax())
        self._array[0] = self._array[best]
        self._struct.size = 1

    def _record_bans(self, watched: Sequence[int], stage: int, cut_by: dict[int, int]) -> None:
        """A ban is a logit of -inf: the token stays in llama.cpp's array, but it is no candidate any more."""
        banned = set(self._banned.tolist())
        cut_by.update((token, stage) for token in watched if token in banned)

    def _record_cuts(self, ids: NDArray[np.int32], watched: Sequence[int], stage: int, cut_by: dict[int, int]) -> None:
        if len(ids) <= _FEW:
            left = set(ids.tolist())
            for token in watched:
                if token not in left:
                    cut_by.setdefault(token, stage)
            return
        self._alive[ids] = True
        for token in watched:
            if not self._alive[token]:
                cut_by.setdefault(token, stage)
        self._alive[ids] = False

    def _probabilities(self, watched: Sequence[int], cut_by: dict[int, int], size: int) -> dict[int, float]:
        selected = self._struct.selected
        chosen = int(self._ids[selected])
        if self._stages[-1][0] == "greedy":
            return {token: float(token == chosen) for token in (*watched, chosen)}
        ids, p = self._ids[:size], self._p[:size]
        prob = dict.fromkeys(watched, 0.0)
        if size <= _FEW:
            by_id = dict(zip(ids.tolist(), p.tolist(), strict=True))
            prob.update((token, by_id[token]) for token in watched if token in by_id)
        else:
            for token in watched:
                if token not in cut_by:
                    at = token if token < size and ids[token] == token else int(np.flatnonzero(ids == token)[0])
                    prob[token] = float(p[at])
        prob[chosen] = float(p[selected])
        return prob

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
