"""Texts of files and of standard input: whole, of bounded size, and really text."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Final

from playground.domain.errors import BadInput
from playground.domain.sizes import size_text
from playground.services.toml_files import one_line

LARGEST: Final = 8_000_000
"""Bytes; a longer text fits no model, and its tokens no screen."""
_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")


def read_text_file(path: Path) -> str:
    """A whole file, without the mark some editors begin one with.

    Raises BadInput when it cannot be read, is too large, or is no text.
    """
    name = one_line(str(path))
    try:
        with path.open("rb") as file:
            return read_all(file, name)
    except (OSError, ValueError) as error:
        why = one_line(getattr(error, "strerror", None) or str(error))
        raise BadInput(
            f"{name} cannot be read: {why}.", "Give the path of a text file, or - for standard input."
        ) from error


def read_all(file: BinaryIO, name: str) -> str:
    """What is left of a file or a pipe, which may have no end. Raises BadInput naming it."""
    raw = file.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise BadInput(f"{name} is larger than {size_text(LARGEST)}.", "Give a part of it, e.g. with head -c 1M.")
    if raw.startswith(_UTF16):
        raise BadInput(f"{name} is UTF-16, and not UTF-8 text.", "Convert it first: iconv -f UTF-16 -t UTF-8.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8 text (byte {error.start:,}).", "Convert it first.") from error
    if "\0" in text:
        raise BadInput(f"{name} is no text: byte {raw.index(0):,} of it is zero.", "Is it the right file?")
    return text
