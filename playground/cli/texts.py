"""Texts that commands look at: from an argument, a file or standard input, whole and of bounded size."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

from playground.cli.run_output import say
from playground.domain.errors import BadInput
from playground.domain.texts import check_text
from playground.services import text_files

_LONGEST_NAME: Final = 4096
"""Characters; no system has a longer one."""
_LIKE_A_FILE: Final = re.compile(r"""[^\s<>|"?*]*(?:/[^\s<>|"?*]*|[^\s<>|"?*.]\.(?=[0-9]*[A-Za-z])\w{1,10})""")
"""Without blanks, with a slash or a suffix that is no number; not "</s>" and other names of special tokens."""


def text_argument(argument: str, *, as_text: bool = False) -> str:
    """What an argument stands for: `-` is standard input, the name of a file its text, anything else itself.

    What only looks like the name of a file is a text as well; that is said, for it may have been mistyped.
    Raises BadInput when there is nothing, too much, or no text.
    """
    if as_text:
        check_text(argument, "An argument")
        return _not_empty(argument)
    if argument == "-":
        return _not_empty(read_stdin())
    try:
        is_file = os.path.isfile(argument)
    except ValueError:  # a zero byte is in no name of a file
        is_file = False
    if is_file:
        return read_text_file(Path(argument))
    text = text_argument(argument, as_text=True)
    if len(argument) < _LONGEST_NAME and _LIKE_A_FILE.fullmatch(argument):
        say(f"There is no file {argument!r}, so it was taken for the text itself; with --text nothing is said.")
    return text


def prompt_argument(argument: str) -> str:
    """A prompt, or `-` for the one on standard input. Raises BadInput as `text_argument` does."""
    text = read_stdin() if argument == "-" else argument
    check_text(text, "An argument")
    if not text.strip():
        raise BadInput("The prompt is empty.", "Give a text after --prompt, or - to read standard input.")
    return text


def read_text_file(path: Path) -> str:
    """A whole file, not empty. Raises BadInput as `text_argument` does, and when it cannot be read."""
    return _not_empty(text_files.read_text_file(path))


def read_stdin() -> str:
    """Standard input to its end, or an error where it has none; may be empty. Raises BadInput for what is no text."""
    return text_files.read_all(sys.stdin.buffer, "Standard input")


def _not_empty(text: str) -> str:
    if not text:
        raise BadInput("The text is empty.", "Give a text, the name of a file, or - for standard input.")
    return text
