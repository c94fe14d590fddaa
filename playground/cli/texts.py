"""Texts that commands look at: from an argument, a file or standard input, whole and of bounded size."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from playground.domain.errors import BadInput
from playground.domain.texts import check_text
from playground.services.toml_files import one_line

LARGEST: Final = 8 << 20
"""Bytes; a longer text fits no model, and its tokens no screen."""


def text_argument(argument: str, *, as_text: bool = False) -> str:
    """What an argument stands for: `-` is standard input, the name of a file its text, anything else itself.

    Raises BadInput when there is nothing, too much, or no text.
    """
    if as_text:
        return _checked(argument)
    if argument == "-":
        return read_stdin()
    try:
        is_file = os.path.isfile(argument)
    except ValueError:  # a zero byte is in no name of a file
        is_file = False
    return read_text_file(Path(argument)) if is_file else _checked(argument)


def read_text_file(path: Path) -> str:
    """A whole file. Raises BadInput as `text_argument` does, and when it cannot be read."""
    name = one_line(str(path))
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        why = one_line(getattr(error, "strerror", None) or str(error))
        raise BadInput(
            f"{name} cannot be read: {why}.", "Give the path of a text file, or - for standard input."
        ) from error
    return _decoded(raw, name)


def read_stdin() -> str:
    """Standard input to its end. Raises BadInput as `text_argument` does."""
    return _decoded(sys.stdin.buffer.read(LARGEST + 1), "Standard input")


def _decoded(raw: bytes, name: str) -> str:
    if len(raw) > LARGEST:
        raise BadInput(f"{name} is larger than {LARGEST >> 20} MiB.", "Give a part of it, e.g. with head -c 1M.")
    try:
        return _checked(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise BadInput(f"{name} is not UTF-8 text (byte {error.start:,}).", "Convert it first.") from error


def _checked(text: str) -> str:
    check_text(text, "An argument")
    if not text:
        raise BadInput("The text is empty.", "Give a text, the name of a file, or - for standard input.")
    return text
