"""What is known about a model on disk before it is loaded: its header in words, and the memory it would take."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from playground.domain.models import LoadOptions
from playground.engine.gguf import GgufHeader, kv_bytes_per_token, read_header, recommended_params
from playground.engine.gguf_checks import check_text_model, split_parts
from playground.services.model_part import read_origin
from playground.services.toml_files import one_line

USUAL_CONTEXT: Final = 4096
"""Tokens of context that a list counts with when nobody says how many."""
_STEP: Final = 256
"""llama.cpp rounds a context window up to a multiple of this."""
_PIECE_BYTES: Final = 8 << 20


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate of what loading a model takes, in bytes, against what is free now."""

    context: int
    """Tokens."""
    weights_bytes: int
    kv_bytes: int | None
    """Of the KV cache; None when the header does not say enough."""
    free_bytes: int
    missing_bytes: int | None
    """What would have to be freed first, room for buffers included; 0 when it fits, None when that is unknown."""

    @property
    def total_bytes(self) -> int | None:
        """Weights and cache; None when the cache is unknown."""
        return None if self.kv_bytes is None else self.weights_bytes + self.kv_bytes


class ModelFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the header tells. None or empty: it does not say."""

    path: str
    name: str
    size_bytes: int
    parts: int
    architecture: str
    quantisation: str
    parameters: str
    """Size label such as "135M"."""
    layers: int | None
    width: int | None
    heads: int | None
    kv_heads: tuple[int, ...]
    """Different numbers among the layers; 0 for layers with a state of fixed size."""
    key_width: int | None
    """Numbers in one head's key and value."""
    value_width: int | None
    vocabulary: int | None
    context: int | None
    """Tokens the model was trained to take."""
    sliding_window: int | None
    kv_bytes_per_token: int | None
    """With the KV cache type of the settings."""
    chat_template: bool
    recommended: dict[str, float | int]
    licence: str
    tensors: int
    came_from: str = ""
    """Repository and commit of a model that was pulled."""


def read_facts(path: Path | str, options: LoadOptions) -> ModelFacts:
    """Read the header. Raises ModelFileError when the file cannot be used to generate text."""
    path = Path(path)
    parts, header = split_parts(path), read_header(path)
    check_text_model(header)
    origin = read_origin(path)
    heads, width = header.own("attention.head_count"), header.embedding_length
    usual = width // heads if heads and width else None
    return ModelFacts(
        path=str(path),
        name=one_line(header.name, 100),
        size_bytes=_size(parts),
        parts=len(parts),
        architecture=one_line(header.architecture, 40),
        quantisation=header.quantisation,
        parameters=one_line(header.size_label, 20),
        layers=header.block_count,
        width=width,
        heads=heads,
        kv_heads=_kv_heads(header, heads),
        key_width=header.own("attention.key_length") or usual,
        value_width=header.own("attention.value_length") or usual,
        vocabulary=header.vocab_size,
        context=header.context_length,
        sliding_window=header.sliding_window,
        kv_bytes_per_token=kv_bytes_per_token(header, options.kv_type),
        chat_template=bool(header.chat_template),
        recommended=recommended_params(header),
        licence=one_line(header.text("general.license.name") or header.text("general.license"), 60)
        or (origin.licence if origin else ""),
        tensors=len(header.tensors),
        came_from=one_line(f"{origin.repository} at {origin.commit[:12]}", 150) if origin else "",
    )


def memory_at(facts: ModelFacts, context: int, free_bytes: int) -> Memory:
    """What loading it with a context of so many tokens takes: weights and KV cache.

    The cache is 2 x layers x KV heads x head width x context x bytes of a number, summed over layers that may differ.
    Layers with a sliding window count in full, for the worker keeps them so; a state of fixed size is not counted.
    """
    from playground.engine.memory import missing_bytes

    context = -(-max(1, context) // _STEP) * _STEP
    kv = None if facts.kv_bytes_per_token is None else facts.kv_bytes_per_token * context
    # The weights alone may already be too much, whatever the cache takes.
    short = missing_bytes(facts.size_bytes, kv or 0, free_bytes)
    return Memory(
        context=context,
        weights_bytes=facts.size_bytes,
        kv_bytes=kv,
        free_bytes=free_bytes,
        missing_bytes=short if kv is not None or short else None,
    )


def too_big_by(size_bytes: int) -> str:
    """How much more memory than is free now weights of this size want, in words; empty when they fit."""
    from playground.domain.sizes import size_text
    from playground.engine.memory import available_bytes, missing_bytes

    short = missing_bytes(size_bytes, 0, available_bytes())
    return size_text(short) if short else ""


def contexts_to_show(facts: ModelFacts) -> tuple[int, ...]:
    """A few context windows up to the one the model was trained for."""
    most = facts.context or USUAL_CONTEXT
    return tuple(sorted({size for size in (2048, 8192, 32768, 131072) if size < most} | {most}))


def file_sha256(path: Path, progress: Callable[[int], None] = lambda _: None) -> list[tuple[Path, str]]:
    """SHA-256 of each file of a model, in hexadecimal; `progress` is told the bytes read so far.

    Raises ModelFileError as `split_parts` does, and OSError.
    """
    sums, done = [], 0
    for part in split_parts(path):
        state = hashlib.sha256()
        with part.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                state.update(piece)
                done += len(piece)
                progress(done)
        sums.append((part, state.hexdigest()))
    return sums


def _kv_heads(header: GgufHeader, heads: int | None) -> tuple[int, ...]:
    stated = header.metadata.get(f"{header.architecture}.attention.head_count_kv", heads)
    if isinstance(stated, tuple):
        return tuple(sorted({item for item in stated if isinstance(item, int) and item >= 0}))
    return (stated,) if isinstance(stated, int) and not isinstance(stated, bool) else ()


def _size(parts: Sequence[Path]) -> int:
    return sum(part.stat().st_size for part in parts)
