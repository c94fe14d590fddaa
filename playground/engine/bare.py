"""The yardstick: llama_decode and llama.cpp's own sampler chain in the tightest loop Python allows, nothing else."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import llama_cpp.llama_cpp as lib

from playground.domain.sampling import SamplingParams
from playground.engine.libllama import Batch
from playground.engine.model import LoadedModel


class BareLoop:
    """Generates tokens on a model's own context, in which nothing else may run or be cached meanwhile.

    A context of its own would lie elsewhere in memory, which alone makes a decode faster or slower by some percent.
    """

    def __init__(self, model: LoadedModel, params: SamplingParams, *, batch: int) -> None:
        self._context = model.context
        self._params = params
        self._batch = Batch(batch)

    def run(self, prompt: Sequence[int], tokens: int, streams: int = 1) -> float:
        """Decode speed in tokens per second, all streams together; the prompt's prefill is not counted."""
        context, batch = self._context, self._batch
        chains = [self._chain(seed) for seed in range(1, streams + 1)]
        current = [0] * streams
        for stream in range(streams):
            for start in range(0, len(prompt), batch.capacity):
                batch.clear()
                chunk = prompt[start : start + batch.capacity]
                batch.add(chunk, start, stream, want_last=True)
                context.decode(batch)
            current[stream] = lib.llama_sampler_sample(chains[stream], context.pointer, -1)
        began = time.perf_counter()
        for step in range(tokens):
            batch.clear()
            for stream in range(streams):
                batch.add((current[stream],), len(prompt) + step, stream, want_last=True)
            context.decode(batch)
            for stream in range(streams):
                current[stream] = lib.llama_sampler_sample(chains[stream], context.pointer, stream)
        spent = time.perf_counter() - began
        for stream, chain in enumerate(chains):
            lib.llama_sampler_free(chain)
            context.remove(stream, 0)
        return tokens * streams / spent

    def _chain(self, seed: int) -> Any:
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        params = self._params
        for sampler in (
            lib.llama_sampler_init_top_k(params.top_k),
            lib.llama_sampler_init_top_p(params.top_p, params.min_keep),
            lib.llama_sampler_init_min_p(params.min_p, params.min_keep),
            lib.llama_sampler_init_temp(params.temperature),
            lib.llama_sampler_init_dist(seed),
        ):
            lib.llama_sampler_chain_add(chain, sampler)
        return chain
