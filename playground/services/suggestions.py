"""A few good small models to begin with, for somebody who has none."""

from __future__ import annotations

from typing import Final

import msgspec


class Suggestion(msgspec.Struct, frozen=True):
    """A model that runs on most machines."""

    reference: str
    """As `models pull` takes it: ORG/REPO:QUANT."""
    name: str
    approx_size_bytes: int
    """Of the file, as it was when this was written; the hub tells the exact size before anything is fetched."""
    licence: str
    note: str


SUGGESTIONS: Final = (
    Suggestion(
        "bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M",
        "SmolLM2 135M",
        105_000_000,
        "Apache 2.0",
        "tiny and quick: good for seeing how sampling works",
    ),
    Suggestion(
        "bartowski/SmolLM2-360M-Instruct-GGUF:Q4_K_M",
        "SmolLM2 360M",
        271_000_000,
        "Apache 2.0",
        "its bigger sibling, with the same vocabulary",
    ),
    Suggestion(
        "Qwen/Qwen3-0.6B-GGUF:Q8_0", "Qwen3 0.6B", 639_000_000, "Apache 2.0", "many languages; thinks before it answers"
    ),
    Suggestion("ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", "Gemma 3 1B", 806_000_000, "Gemma terms", "a vocabulary of 262k"),
    Suggestion(
        "bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M",
        "Llama 3.2 1B",
        808_000_000,
        "Llama 3.2 Community",
        "a good all-rounder of its size",
    ),
    Suggestion(
        "ggml-org/SmolLM3-3B-GGUF:Q4_K_M", "SmolLM3 3B", 1_915_000_000, "Apache 2.0", "long contexts; can think first"
    ),
    Suggestion(
        "bartowski/Phi-3.5-mini-instruct-GGUF:Q4_K_M", "Phi 3.5 mini", 2_393_000_000, "MIT", "the most able of these"
    ),
)

SMALLEST: Final = SUGGESTIONS[0]
