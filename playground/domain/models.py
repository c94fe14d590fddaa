"""What is known about a model: the file on disk, how it is loaded, what it turned out to be."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

LOCAL: Final = "local"
"""The provider of models that run on this machine in a worker of ours."""


class LoadOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How a GGUF file is loaded. 0 or "auto" lets the engine decide, and it says what it decided."""

    context: int = 0
    """Context window in tokens; 0: what the model was trained for, capped by free memory."""
    gpu_layers: int = -1
    """-1: all when the build offloads, else none."""
    threads: int = 0
    """Threads for decode; 0: one per physical core."""
    threads_batch: int = 0
    """Threads for prefill; 0: one per core."""
    batch: int = 512
    """Prompt tokens computed in one chunk."""
    flash_attention: Literal["auto", "on", "off"] = "auto"
    kv_type: Literal["f16", "q8_0", "q4_0"] = "f16"
    streams: int = 8
    """How many sequences (running streams and cached prefixes) the context can hold at once."""
    mmap: bool = True


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded model."""

    path: str
    name: str
    architecture: str
    quantisation: str
    parameters: int
    size_bytes: int
    n_vocab: int
    vocab_type: str
    """"BPE", "SPM", "WPM", "UGM" or "RWKV"."""
    n_ctx: int
    """Context window in use, shared by all streams."""
    n_ctx_train: int
    context_decided_by: Literal["model", "memory", "setting"]
    context_note: str
    """One sentence: why the context window has this size."""
    chat_template: str
    """The model's own Jinja template; empty for a base model."""
    memory_kind: Literal["attention", "sliding window", "recurrent", "hybrid"]
    can_cut: bool
    """True when a cached prefix can be cut anywhere; otherwise prefixes are recomputed."""
    device: str
    gpu_layers: int
    threads: int
    threads_batch: int
    kv_type: str
    kv_bytes_per_token: int
    recommended: dict[str, float | int] = {}
    """Sampling parameters the file itself recommends (`general.sampling.*`)."""
    load_ms: float = 0.0
    llama_cpp: str = ""

    @property
    def short_name(self) -> str:
        """The file's name without its ending; files named by their hash go by the name inside."""
        stem = self.path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".gguf")
        return self.name if stem.startswith("sha256-") and self.name else stem

    @property
    def card(self) -> ModelCard:
        """The same, as the screen wants it."""
        return ModelCard(
            id=self.path,
            short_name=self.short_name,
            provider=LOCAL,
            n_ctx=self.n_ctx,
            n_vocab=self.n_vocab,
            note=self.context_note,
            recommended=self.recommended,
        )

    @property
    def is_chat(self) -> bool:
        """True when the model brings a chat template."""
        return bool(self.chat_template)


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """What the screen needs to know about whatever answers, wherever it runs. None is "nobody told us"."""

    id: str
    """What one writes to choose it: "/models/x.gguf", "anthropic/claude-sonnet-5"."""
    short_name: str
    provider: str
    """"local", or the name of the endpoint."""
    n_ctx: int | None = None
    """Context window in tokens."""
    max_output: int | None = None
    """Most tokens of one reply; None: the context window is the only limit."""
    n_vocab: int | None = None
    note: str = ""
    """One sentence about the context window or the server; may be empty."""
    recommended: dict[str, float | int] = {}
    """Sampling parameters that the model's own file recommends."""

    @property
    def local(self) -> bool:
        """True when it runs in this program's own worker and costs nothing."""
        return self.provider == LOCAL


class ModelFile(msgspec.Struct, frozen=True, kw_only=True):
    """A GGUF file found on disk; what its header tells without loading it."""

    path: str
    name: str
    source: str
    """Which program keeps it there: "starter", "recent", "Hugging Face", "Ollama", "LM Studio", …"""
    size_bytes: int
    architecture: str = ""
    quantisation: str = ""
    parameters: str = ""
    """Size label such as "135M", when the header has one."""
    n_ctx_train: int | None = None
    problem: str = ""
    """Why it cannot be used; empty when nothing is wrong."""
