"""Pictures of the screen."""

from __future__ import annotations

import datetime
from pathlib import Path

from playground.domain.errors import ConfigError
from playground.services.paths import user_data_dir, write_text_atomic
from playground.services.toml_files import one_line


def save_picture(svg: str) -> Path:
    """Write a picture into a file named after this moment; returns it. Raises ConfigError."""
    now = datetime.datetime.now().astimezone()
    folder = user_data_dir() / "pictures"
    path, number = folder / f"{now:%Y-%m-%d-%H%M%S}.svg", 1
    while path.exists():
        number += 1
        path = folder / f"{now:%Y-%m-%d-%H%M%S}-{number}.svg"
    try:
        write_text_atomic(path, svg, mode=0o644)
    except OSError as error:
        why = one_line(error.strerror or str(error))
        raise ConfigError(f"{one_line(str(path))} cannot be written: {why}.", "Check that folder.") from error
    return path
