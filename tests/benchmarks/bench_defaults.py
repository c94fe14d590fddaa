"""Which load options are good defaults here: prefill and decode speed of each against the default, in turn.

Run it with `python tests/benchmarks/bench_defaults.py [MODEL.gguf]` on a machine that does nothing else.
"""

from __future__ import annotations

import statistics
import sys
import time

from msgspec import structs

from playground.domain.models import LoadOptions
from playground.engine.libllama import Batch
from playground.engine.model import LoadedModel, open_model
from playground.services.models import starter_model

PAIRS = 5
PROMPT_TOKENS = 1024
DECODE_TOKENS = 48
BASE = LoadOptions(context=2048)
VARIANTS: dict[str, dict[str, object]] = {
    "threads 1": {"threads": 1},
    "threads 2": {"threads": 2},
    "batch 128": {"batch": 128},
    "batch 256": {"batch": 256},
    "batch 1024": {"batch": 1024},
    "flash attention off": {"flash_attention": "off"},
    "flash attention on": {"flash_attention": "on"},
    "kv q8_0": {"kv_type": "q8_0"},
    "kv q4_0": {"kv_type": "q4_0"},
}


def speeds(model: LoadedModel, capacity: int) -> tuple[float, float]:
    """Prefill and decode speed in tokens per second."""
    context, batch = model.context, Batch(capacity)
    prompt = [1000 + index % 5000 for index in range(PROMPT_TOKENS)]
    context.remove(0, 0)
    began = time.perf_counter()
    for start in range(0, PROMPT_TOKENS, capacity):
        batch.clear()
        batch.add(prompt[start : start + capacity], start, 0, want_last=True)
        context.decode(batch)
    prefilled = time.perf_counter()
    for step in range(DECODE_TOKENS):
        batch.clear()
        batch.add((1000 + step,), PROMPT_TOKENS + step, 0, want_last=True)
        context.decode(batch)
    return PROMPT_TOKENS / (prefilled - began), DECODE_TOKENS / (time.perf_counter() - prefilled)


def main() -> None:
    """Print, for each variant, its speed as a ratio to the default's: median of the pairs."""
    path = sys.argv[1] if len(sys.argv) > 1 else str(starter_model())
    base = open_model(path, BASE)
    print(f"default: threads {base.info.threads}, batch {BASE.batch}, {BASE.kv_type}, flash {BASE.flash_attention}")
    for name, changes in VARIANTS.items():
        options = structs.replace(BASE, **changes)
        model = open_model(path, options)
        prefill, decode = [], []
        for _ in range(PAIRS):
            base_prefill, base_decode = speeds(base, BASE.batch)
            own_prefill, own_decode = speeds(model, options.batch)
            prefill.append(own_prefill / base_prefill)
            decode.append(own_decode / base_decode)
        model.close()
        print(f"{name:<22} prefill {statistics.median(prefill):5.2f} x   decode {statistics.median(decode):5.2f} x")
    base.close()


if __name__ == "__main__":
    main()
