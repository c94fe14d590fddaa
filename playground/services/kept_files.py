"""What a person wants to keep of a screen: its picture, or its table. The files are named after the moment."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

from playground.domain.errors import ConfigError
from playground.services.paths import user_data_dir, write_text_atomic
from playground.services.toml_files import one_line


def save_picture(svg: str) -> Path:
    """Write a picture of the screen; returns its file. Raises ConfigError."""
    return write_named_now(user_data_dir() / "pictures", "", {"svg": svg})[0]


def save_tables(name: str, texts: Mapping[str, str]) -> list[Path]:
    """Write one table in several forms, by their endings; returns their files. Raises ConfigError."""
    return write_named_now(user_data_dir() / "tables", f"{name}-", texts)


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
