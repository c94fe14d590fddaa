"""Tables that a person wants to keep."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path

from playground.domain.errors import ConfigError
from playground.services.paths import user_data_dir, write_text_atomic
from playground.services.toml_files import one_line


def save_tables(name: str, texts: Mapping[str, str]) -> list[Path]:
    """Write one table in several forms, by their endings, into files named after this moment; returns them.

    Raises ConfigError.
    """
    folder, now = user_data_dir() / "tables", datetime.datetime.now().astimezone()
    stem, number = f"{name}-{now:%Y-%m-%d-%H%M%S}", 1
    while any((folder / f"{stem}.{ending}").exists() for ending in texts):
        number += 1
        stem = f"{name}-{now:%Y-%m-%d-%H%M%S}-{number}"
    paths = []
    for ending, text in texts.items():
        path = folder / f"{stem}.{ending}"
        try:
            write_text_atomic(path, text, mode=0o644)
        except OSError as error:
            why = one_line(error.strerror or str(error))
            raise ConfigError(f"{one_line(str(path))} cannot be written: {why}.", "Check that folder.") from error
        paths.append(path)
    return paths
