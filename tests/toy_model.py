"""What is told of a model that there is not."""

from __future__ import annotations

from typing import Final

from playground.domain.models import ModelInfo

TOY: Final = ModelInfo(
    path="/models/Toy-1M.Q8_0.gguf",
    name="Toy",
    architecture="toy",
    quantisation="Q8_0",
    parameters=1_000_000,
    size_bytes=1_000_000,
    n_vocab=49_152,
    vocab_type="BPE",
    n_ctx=2048,
    n_ctx_train=2048,
    context_decided_by="model",
    context_note="Context 2,048, as trained.",
    chat_template="{{ messages }}",
    memory_kind="attention",
    can_cut=True,
    device="CPU",
    gpu_layers=0,
    threads=1,
    threads_batch=1,
    kv_type="f16",
    kv_bytes_per_token=100,
)
