"""What a person wants to keep of a screen: its picture, or its table. The files are named after the moment."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from playground.domain.errors import BadInput, ConfigError
from playground.services.paths import user_data_dir, write_text_atomic
from playground.services.toml_files import one_line

_SHOWN: Final = 200
"""Characters of a path in a message that it may be too long for."""


def save_picture(svg: str) -> Path:
    """Write a picture of the screen; returns its file. Raises ConfigError."""
    return write_named_now(user_data_dir() / "pictures", "", {"svg": svg})[0]


def save_tables(name: str, texts: Mapping[str, str]) -> list[Path]:
    """Write one table in several forms, by their endings; returns their files. Raises ConfigError."""
    return write_named_now(user_data_dir() / "tables", f"{name}-", texts)


def write_named(path: Path, text: str) -> None:
    """Write a file that a person named. No folder is made for it: a name that is mistyped makes none.

    A regular file is replaced as a whole or not at all, links are followed, and what is neither a file nor a folder,
    such as a pipe, is written into; so is what somebody has open, such as /dev/stdout. Raises BadInput.
    """
    check_folder(path)
    try:
        write_text_atomic(path, text, mode=0o644)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error


def check_folder(path: Path) -> None:
    """Raises BadInput where there is no folder for a file that a person named, or no file can be called so."""
    try:
        missing = _missing_folder(path)
    except (OSError, ValueError) as error:
        raise _not_written(path, error) from error
    if missing is not None:
        raise BadInput(
            f"{_short(path)} cannot be written: there is no folder {_short(missing)}.",
            "Make that folder first, or give a file elsewhere.",
        )


def _missing_folder(path: Path) -> Path | None:
    """The folder a file needs and that is not there. Raises OSError, and ValueError for a zero byte in the name."""
    if path.exists():  # what is there needs none: a pipe of a shell, /dev/stdout, has no folder
        return None
    places = path.parent, Path(os.path.realpath(path)).parent  # a link that leads nowhere yet leads into a folder too
    return next((place for place in places if not place.is_dir()), None)


def _not_written(path: Path, error: OSError | ValueError) -> BadInput:
    if isinstance(error, UnicodeEncodeError):
        why = "half of a character stands in its text or its name"
    elif isinstance(error, OSError):
        why = one_line(error.strerror or str(error))
    else:
        why = "no file can be called so"
    return BadInput(f"{_short(path)} cannot be written: {why}.", "Give another file.")


def _short(path: Path) -> str:
    return one_line(str(path), _SHOWN)


def write_named_now(folder: Path, prefix: str, texts: Mapping[str, str]) -> list[Path]:
    """Write texts, by their endings, into new files of one name: the prefix, this moment, and a number if need be.

    Raises ConfigError when one cannot be written; those before it stay.
    """
    moment = f"{prefix}{datetime.datetime.now().astimezone():%Y-%m-%d-%H%M%S}"
    stem, number = moment, 1
    while any((folder / f"{stem}.{ending}").exists() for ending in texts):
        number += 1
        stem = f"{moment}-{number}"
    paths = [folder / f"{stem}.{ending}" for ending in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        try:
            write_text_atomic(path, text, mode=0o644)
        except OSError as error:
            why = one_line(error.strerror or str(error))
            raise ConfigError(f"{one_line(str(path))} cannot be written: {why}.", "Check that folder.") from error
    return paths
