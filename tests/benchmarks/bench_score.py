"""What scoring a text costs against a bare evaluation of the same tokens that keeps the logits of each.

Both are done in turn, so that whatever else the machine does falls on both, and each pair gives a ratio. The score
goes the way it goes in the app: through the worker process and back as a struct. The bare evaluation is the library
alone, in this process, with a warm context of its own; in batches of 512 and of 128 tokens, and the quicker one counts.

Run it with `python -m tests.benchmarks.bench_score [MODEL.gguf]` on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import llama_cpp.llama_cpp as lib

from playground.backends.local import LocalBackend
from playground.domain.messages import RawPrompt
from playground.domain.models import LoadOptions
from playground.domain.score_texts import CANDIDATES
from playground.domain.scoring import ScoreRequest
from playground.services.models import starter_model
from tests.tiny_models import WORDS, write_tiny_model

PAIRS: Final = 7
TOKENS: Final = 2000
GOAL: Final = 1.3
BATCHES: Final = (512, 128)


class Bare:
    """The library alone: a model, a context, a batch in which every row wants its logits."""

    def __init__(self, path: str, threads: int, size: int) -> None:
        model_params = lib.llama_model_default_params()
        model_params.n_gpu_layers = 0
        self.model: Any = lib.llama_model_load_from_file(path.encode(), model_params)
        params = lib.llama_context_default_params()
        params.n_ctx, params.n_batch, params.n_ubatch = 4096, size, size
        params.n_threads = params.n_threads_batch = threads
        self.context: Any = lib.llama_init_from_model(self.model, params)
        self.batch: Any = lib.llama_batch_init(size, 0, 1)
        self.size = size

    def evaluate(self, ids: list[int]) -> float:
        """Seconds for all tokens, from an empty context."""
        lib.llama_memory_clear(lib.llama_get_memory(self.context), True)
        began = time.perf_counter()
        for start in range(0, len(ids), self.size):
            chunk = ids[start : start + self.size]
            for row, token in enumerate(chunk):
                self.batch.token[row], self.batch.pos[row], self.batch.logits[row] = token, start + row, 1
                self.batch.n_seq_id[row], self.batch.seq_id[row][0] = 1, 0
            self.batch.n_tokens = len(chunk)
            assert lib.llama_decode(self.context, self.batch) == 0
            lib.llama_get_logits_ith(self.context, len(chunk) - 1)
        return time.perf_counter() - began

    def free(self) -> None:
        """Give everything back."""
        lib.llama_batch_free(self.batch)
        lib.llama_free(self.context)
        lib.llama_model_free(self.model)


@contextmanager
def bare(path: str, threads: int) -> Iterator[list[Bare]]:
    """Bare evaluations with batches of each size."""
    made = [Bare(path, threads, size) for size in BATCHES]
    try:
        yield made
    finally:
        for one in made:
            one.free()


async def measure(path: str) -> None:
    """Ratios on one model."""
    text = " ".join(WORDS[index * 7 % len(WORDS)] for index in range(TOKENS))
    with tempfile.TemporaryDirectory() as logs:
        backend = await LocalBackend.load(path, LoadOptions(context=4096), Path(logs))
        try:
            assert backend.info is not None
            request = ScoreRequest(prompt=RawPrompt(text), top=CANDIDATES)
            ids = [token.id or 0 for token in (await backend.score(request)).tokens]
            with bare(path, backend.info.threads_batch) as others:
                for other in others:
                    other.evaluate(ids)  # the first one brings the weights into memory
                rows = [await pair(backend, request, others, ids) for _ in range(PAIRS)]
        finally:
            await backend.close()
    print(f"{backend.info.short_name}, {backend.info.n_vocab:,} tokens in the vocabulary, {len(ids):,} scored")
    for place, size in enumerate(BATCHES):
        alone = [times[place] for _, times in rows]
        print(f"  bare, batches of {size}: {statistics.median(alone):.2f} s")
    print(f"  score: {statistics.median(ours for ours, _ in rows):.2f} s")
    ratios = sorted(ours / min(times) for ours, times in rows)
    found = statistics.median(ratios)
    print(f"  {found:.2f} of the quicker bare evaluation, {ratios[0]:.2f} to {ratios[-1]:.2f} (goal {GOAL})")


async def pair(
    backend: LocalBackend, request: ScoreRequest, others: list[Bare], ids: list[int]
) -> tuple[float, list[float]]:
    """Seconds of a score, and of each bare evaluation right after it."""
    began = time.perf_counter()
    await backend.score(request)
    return time.perf_counter() - began, [other.evaluate(ids) for other in others]


def main() -> None:
    """Measure the starter model, or the one that is named, and a small one with the largest vocabulary."""
    asyncio.run(measure(sys.argv[1] if len(sys.argv) > 1 else str(starter_model())))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(str(write_tiny_model("large vocabulary", Path(folder) / "large.gguf"))))


if __name__ == "__main__":
    main()
