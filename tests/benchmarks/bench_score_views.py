"""What the divergence over the whole vocabulary costs: two views of a text with it against two views without.

Both are done in turn, so that whatever else the machine does falls on both, and each pair gives a ratio. The views go
the way they go in the app, through two worker processes: the same file with two types of KV cache.

Run it with `python -m tests.benchmarks.bench_score_views [MODEL.gguf …]` on a machine that does nothing else.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playground.backends.local import LocalBackend
from playground.domain.messages import RawPrompt
from playground.domain.models import LoadOptions
from playground.domain.score_texts import CANDIDATES
from playground.domain.scoring import KeepRows, ScoreRequest, compare_scores
from playground.services.models import starter_model
from playground.services.score_rows import MOST_BYTES
from tests.tiny_models import WORDS, write_tiny_model

PAIRS: Final = 5
TOKENS: Final = 2000


async def two_views(first: LocalBackend, second: LocalBackend, rows: Path | None) -> tuple[float, str]:
    """Seconds of two views, with the whole distributions where there is a file for them; and what was found."""
    text = " ".join(WORDS[index * 7 % len(WORDS)] for index in range(TOKENS))
    keep = None if rows is None else KeepRows(path=str(rows), most_bytes=MOST_BYTES, spare_bytes=0)
    prompt, began = RawPrompt(text), time.perf_counter()
    one = await first.score(ScoreRequest(prompt=prompt, top=CANDIDATES, keep=keep))
    other = await second.score(ScoreRequest(prompt=prompt, top=CANDIDATES, against=str(rows or "")))
    took = time.perf_counter() - began
    compared = compare_scores(one, other)
    assert (compared.mean_kl is None) == (rows is None), compared.why_bound
    return took, f"{len(one.tokens):,} tokens, {compared.kl_text} bits"


async def measure(path: str) -> None:
    """Ratios on one model."""
    with tempfile.TemporaryDirectory() as folder:
        rows, options = Path(folder) / "rows", [LoadOptions(context=4096, kv_type=kind) for kind in ("f16", "q8_0")]
        first, second = [await LocalBackend.load(path, one, Path(folder)) for one in options]
        try:
            assert first.info is not None
            pairs = []
            for number in range(PAIRS + 1):
                bare, bound = await two_views(first, second, None)
                exact, found = await two_views(first, second, rows)
                if number:  # the first ones bring the weights into memory
                    pairs.append((bare, exact))
                size = rows.stat().st_size
                rows.unlink()
        finally:
            await first.close()
            await second.close()
    print(f"{first.info.short_name}, {first.info.n_vocab:,} tokens in the vocabulary: {bound} and {found}")
    print(f"  without: {statistics.median(one for one, _ in pairs):.2f} s")
    print(f"  with: {statistics.median(one for _, one in pairs):.2f} s, {size / 1e6:,.0f} MB in the file")
    ratios = sorted(exact / bare for bare, exact in pairs)
    print(f"  {statistics.median(ratios):.2f} of it, {ratios[0]:.2f} to {ratios[-1]:.2f}")


def main() -> None:
    """Measure the models that are named, or the starter model and a small one with the largest vocabulary."""
    if sys.argv[1:]:
        for path in sys.argv[1:]:
            asyncio.run(measure(path))
        return
    asyncio.run(measure(str(starter_model())))
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(str(write_tiny_model("large vocabulary", Path(folder) / "large.gguf"))))


if __name__ == "__main__":
    main()
