"""What the header of a GGUF file tells about the model in it, without loading it."""

from __future__ import annotations

import math
import stat
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Final

from playground.domain.display import display_text
from playground.domain.errors import ModelFileError
from playground.domain.param_specs import SPECS
from playground.engine.gguf_reader import HeaderReader, Omitted, TensorInfo, Value
from playground.engine.gguf_types import FILE_TYPES, TENSOR_TYPES

KV_BYTES: Final = {"f16": Fraction(2), "q8_0": Fraction(34, 32), "q4_0": Fraction(18, 32)}
"""Bytes of one number in the key/value cache, by the cache's type."""

_GUESSED: Final = 1024
_MAX_LAYERS: Final = 4096
_MAX_ALIGNMENT: Final = 1 << 20


@dataclass(frozen=True, kw_only=True)
class GgufHeader:
    """A header that was read and found sound. Facts that it does not state are None or empty."""

    path: str
    version: int
    file_size: int
    """Bytes."""
    metadata: Mapping[str, Value]
    tensors: tuple[TensorInfo, ...]
    data_start: int
    """Bytes from the start of the file to the tensor data."""

    @cached_property
    def needed_size(self) -> int:
        """Bytes the file must have for its tensors to be whole; a tensor of an unknown type counts as empty."""
        ends = [info.offset + (info.size or 0) for info in self.tensors]
        return self.data_start + max(ends) if ends else 0

    @property
    def missing_bytes(self) -> int:
        """How many bytes are cut off at the end; 0 for a whole file."""
        return max(0, self.needed_size - self.file_size)

    def text(self, key: str) -> str:
        """A text value; empty when it is absent or something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else ""

    def whole(self, key: str) -> int | None:
        """A whole number that is not negative; None when it is absent or something else."""
        value = self.metadata.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None

    def own(self, name: str) -> int | None:
        """A whole number under the architecture's prefix, e.g. "block_count"."""
        return self.whole(f"{self.architecture}.{name}")

    @property
    def architecture(self) -> str:
        """Such as "llama"; empty when the file does not say."""
        return self.text("general.architecture")

    @property
    def name(self) -> str:
        """The model's own name; empty when the file does not say."""
        return self.text("general.name") or self.text("general.basename")

    @property
    def kind(self) -> str:
        """`general.type`: "model", "adapter", "mmproj" or "imatrix"; older files have none and are models."""
        return self.text("general.type") or "model"

    @property
    def chat_template(self) -> str:
        """The model's Jinja template; empty for a base model."""
        return self.text("tokenizer.chat_template")

    @property
    def split(self) -> tuple[int, int]:
        """(number of this part, counted from 0; number of parts); (0, 1) for a model in one file."""
        return self.whole("split.no") or 0, self.whole("split.count") or 1

    @cached_property
    def quantisation(self) -> str:
        """Name such as "Q4_K_M", from the file type or else the type most bytes are in; empty when neither tells."""
        stated = self.whole("general.file_type")
        if stated is not None and not stated & _GUESSED and stated in FILE_TYPES:
            return FILE_TYPES[stated]
        sizes: Counter[int] = Counter()
        for info in self.tensors:
            sizes[info.type] += info.size or 0
        return TENSOR_TYPES[sizes.most_common(1)[0][0]][0] if sizes.total() else ""

    @cached_property
    def parameters(self) -> int:
        """How many weights this file holds; a part of a split model counts its own alone."""
        return sum(info.elements for info in self.tensors)

    @property
    def size_label(self) -> str:
        """The stated size such as "135M" or "8x7B", or else one made from the number of weights."""
        stated = self.text("general.size_label")
        if stated or self.split[1] > 1 or not self.parameters:
            return stated
        for unit, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
            if self.parameters >= unit:
                return f"{self.parameters / unit:.3g}{letter}"
        return f"{self.parameters / 1000:.3g}K"

    @property
    def context_length(self) -> int | None:
        """Tokens the model was trained to take."""
        return self.own("context_length")

    @property
    def block_count(self) -> int | None:
        """Number of layers."""
        return self.own("block_count")

    @property
    def embedding_length(self) -> int | None:
        """Width of the model."""
        return self.own("embedding_length")

    @property
    def sliding_window(self) -> int | None:
        """Tokens that windowed layers look back; None when no layer has a window."""
        return self.own("attention.sliding_window") or None

    @property
    def vocab_size(self) -> int | None:
        """Number of tokens in the vocabulary."""
        value = self.metadata.get("tokenizer.ggml.tokens")
        if isinstance(value, Omitted):
            return value.count
        return len(value) if isinstance(value, tuple) else self.own("vocab_size")


def read_header(path: Path | str) -> GgufHeader:
    """Read the header of a GGUF file, little endian, version 2 or 3.

    Raises ModelFileError for a file that is missing, unreadable, not GGUF, damaged, or shorter than its tensors need.
    """
    path = Path(path)
    name = shown_path(path)
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            what = "is a folder" if stat.S_ISDIR(facts.st_mode) else "is not an ordinary file"
            raise ModelFileError(f"{name} {what}.", "Give the path of a .gguf file.")
        with path.open("rb") as file:
            header = _read(HeaderReader(file, facts.st_size, name), str(path), facts.st_size)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ModelFileError(f"{name} does not exist.", "Check the path, or choose a model from the list.") from error
    except PermissionError as error:
        raise ModelFileError(f"{name} may not be read: no permission.", "Change its permissions or owner.") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        why = display_text(getattr(error, "strerror", None) or str(error))
        raise ModelFileError(f"{name} cannot be read: {why}.", "Check the path and the disk.") from error
    if header.missing_bytes:
        raise ModelFileError(
            f"{name} is cut off: {header.missing_bytes:,} of {header.needed_size:,} bytes are missing.",
            "Download it again; the download did not finish.",
        )
    return header


def shown_path(path: Path) -> str:
    """A path as it may stand in a sentence: on one line, without control characters."""
    return display_text(str(path)).replace("\n", "␊").replace("\t", "␉")


def _read(reader: HeaderReader, path: str, size: int) -> GgufHeader:
    version = reader.magic()
    tensor_count, key_count = reader.counts()
    metadata = reader.metadata(key_count)
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= _MAX_ALIGNMENT or alignment & (alignment - 1):
        raise reader.damaged("its alignment is not a power of two")
    tensors = tuple(reader.tensor() for _ in range(tensor_count))
    start = -(-reader.position // alignment) * alignment
    return GgufHeader(path=path, version=version, file_size=size, metadata=metadata, tensors=tensors, data_start=start)


def kv_bytes_per_token(header: GgufHeader, kv_type: str) -> int | None:
    """Bytes of key/value cache that one token of context takes with a cache of type "f16", "q8_0" or "q4_0".

    None when the header does not say enough; 0 for a model whose memory does not grow. Layers with a sliding window
    are counted in full, so for them it is an upper bound.
    """
    heads = _kv_heads(header)
    key, value = _head_widths(header)
    if not heads or (any(heads) and not (key and value)):
        return None
    return math.ceil(sum(heads) * (key + value) * KV_BYTES[kv_type])


def _kv_heads(header: GgufHeader) -> tuple[int, ...]:
    """Key/value heads of each layer, 0 where a layer keeps a state of fixed size instead; empty when unknown."""
    layers = header.block_count
    if not layers or layers > _MAX_LAYERS:
        return ()
    stated = header.metadata.get(f"{header.architecture}.attention.head_count_kv")
    if isinstance(stated, tuple):
        heads = [item if isinstance(item, int) and item > 0 else 0 for item in stated][:layers]
        return (*heads, *(0,) * (layers - len(heads)))
    every = header.own("full_attention_interval") or 1
    own_cache = layers - (header.own("attention.shared_kv_layers") or 0)
    count = header.own("attention.head_count_kv")
    if count is None:
        count = header.own("attention.head_count") or 0
    return tuple(count if layer < own_cache and (layer + 1) % every == 0 else 0 for layer in range(layers))


def _head_widths(header: GgufHeader) -> tuple[int, int]:
    """Numbers in one head's key and in its value; 0 when unknown."""
    heads, width = header.own("attention.head_count"), header.embedding_length
    default = width // heads if heads and width else 0
    key, value = header.own("attention.key_length"), header.own("attention.value_length")
    return (default if key is None else key), (default if value is None else value)


def recommended_params(header: GgufHeader) -> dict[str, float | int]:
    """Sampling parameters the file recommends, by field of SamplingParams; unknown or impossible ones are left out."""
    found: dict[str, float | int] = {}
    for key, raw in header.metadata.items():
        prefix, _, short = key.partition("general.sampling.")
        spec = SPECS.get(_SAMPLING_NAMES.get(short, ""))
        if prefix or spec is None or isinstance(raw, bool) or not isinstance(raw, (int, float)):
            continue
        # The file holds single precision: 0.7 comes out as 0.699999988.
        value = float(f"{raw:.6g}")
        if math.isfinite(value) and spec.low <= value <= spec.high and not (spec.whole and value % 1):
            found[spec.name] = int(value) if spec.whole else value
    return found


_SAMPLING_NAMES: Final = {
    "temp": "temperature",
    "penalty_repeat": "repeat_penalty",
    **{
        name: name
        for name in (
            "top_k",
            "top_p",
            "min_p",
            "xtc_probability",
            "xtc_threshold",
            "penalty_last_n",
            "mirostat",
            "mirostat_tau",
            "mirostat_eta",
        )
    },
}
"""Name under `general.sampling.` to the field of SamplingParams."""
