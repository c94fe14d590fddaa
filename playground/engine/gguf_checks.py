"""Says early and in words why a GGUF file cannot be used to generate text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from playground.domain.display import display_text
from playground.domain.errors import ModelFileError
from playground.engine.gguf import GgufHeader, read_header, shown_path

_TEXT_MODEL: Final = "Choose a model that generates text."

_WRONG_ARCHITECTURES: Final[dict[str, tuple[str, ...]]] = {
    "an embedding model": (
        "bert",
        "modern-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "neo-bert",
        "jina-bert-v2",
        "jina-bert-v3",
        "eurobert",
        "roberta",
        "gte",
        "t5encoder",
        "gemma-embedding",
        "llama-embed",
    ),
    "the vision part of a model, without the text part": ("clip", "mmproj", "siglip"),
    "an audio model": ("whisper", "wavtokenizer-dec", "bark", "encodec", "snac", "csm", "parler-tts", "kokoro"),
    "an encoder-decoder model": ("t5",),
    "a diffusion language model, which does not write token after token": ("dream", "llada", "llada-moe", "rnd1"),
    "an image or video model": (
        "sd1",
        "sd3",
        "sdxl",
        "flux",
        "flux2",
        "aura",
        "hidream",
        "cosmos",
        "ltxv",
        "hyvid",
        "wan",
        "lumina2",
        "qwen_image",
        "z_image",
        "chroma",
        "pig",
    ),
}

_WRONG_KINDS: Final = {
    "adapter": ("a LoRA adapter", "Choose the model it was made for; adapters are not loaded by themselves."),
    "mmproj": ("the vision part of a model, without the text part", "Choose the model's main file instead."),
    "imatrix": ("an importance matrix for quantising", _TEXT_MODEL),
}

_WHY: Final = {name: why for why, names in _WRONG_ARCHITECTURES.items() for name in names}

_SPLIT: Final = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})(?P<end>\.gguf)", re.IGNORECASE)
_MAX_PARTS: Final = 1000


def check_text_model(header: GgufHeader) -> None:
    """Raise ModelFileError, saying what the file is instead, unless it is a model that writes text."""
    name = shown_path(Path(header.path))
    if header.kind in _WRONG_KINDS:
        what, hint = _WRONG_KINDS[header.kind]
        raise ModelFileError(f"{name} is {what}.", hint)
    part, count = header.split
    if part:
        raise ModelFileError(f"{name} is part {part + 1} of {count}.", "Choose the first part; it loads the others.")
    if not header.architecture:
        raise ModelFileError(f"{name} does not say which architecture it has.", _TEXT_MODEL)
    if header.architecture in _WHY:
        what = _WHY[header.architecture]
        raise ModelFileError(f"{name} is {what} ({display_text(header.architecture)}).", _TEXT_MODEL)
    if header.own("pooling_type") or header.metadata.get(f"{header.architecture}.attention.causal") is False:
        raise ModelFileError(f"{name} is an embedding or ranking model; it cannot write text.", _TEXT_MODEL)
    if not header.tensors:
        raise ModelFileError(f"{name} has no weights, only a vocabulary.", _TEXT_MODEL)


def is_later_part(name: str) -> bool:
    """True for the name of a split file's second or later part."""
    match = _SPLIT.fullmatch(name)
    return match is not None and int(match["part"]) > 1


def split_parts(path: Path | str) -> tuple[Path, ...]:
    """Every file of a model, first part first; a model in one file is its only part.

    Raises ModelFileError when `path` is a later part, or when parts are missing.
    """
    path = Path(path)
    match = _SPLIT.fullmatch(path.name)
    if match is None:
        return (path,)
    part, count = int(match["part"]), int(match["count"])
    if not 1 <= part <= count <= _MAX_PARTS:
        return (path,)
    parts = tuple(path.with_name(_part_name(match, number, count)) for number in range(1, count + 1))
    if part > 1:
        raise ModelFileError(
            f"{shown_path(path)} is part {part} of {count}.",
            f"Choose the first part, {shown_path(Path(parts[0].name))}.",
        )
    missing = _missing(parts)
    if missing:
        raise ModelFileError(
            f"{shown_path(path)} is split into {count} files, and {len(missing)} of them are missing.",
            f"Put {shown_path(Path(missing[0].name))} beside it.",
        )
    return parts


def check_model_file(path: Path | str) -> GgufHeader:
    """Check all that can be checked without loading, in every part of a split model; returns the first part's header.

    Raises ModelFileError as `read_header`, `check_text_model` and `split_parts` do.
    """
    parts = split_parts(path)
    header = read_header(parts[0])
    check_text_model(header)
    count = header.split[1]
    if count != len(parts):
        raise ModelFileError(
            f"{shown_path(Path(header.path))} was made as {count} file(s), and its name says {len(parts)}.",
            "Give every part the name it was downloaded with.",
        )
    for later in parts[1:]:
        read_header(later)
    return header


def _part_name(match: re.Match[str], number: int, count: int) -> str:
    return f"{match['stem']}-{number:05d}-of-{count:05d}{match['end']}"


def _missing(parts: Iterable[Path]) -> list[Path]:
    return [part for part in parts if not part.is_file()]
