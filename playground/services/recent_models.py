"""The models that were used last, kept between runs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from playground.services.paths import locked, user_state_dir, write_text_atomic

_MOST: Final = 20
_MAX_BYTES: Final = 1 << 20


def recent_models() -> list[Path]:
    """Models used before, the latest first; files that are gone are left out."""
    return [path for path in _read() if os.path.isfile(path)]


def remember_model(path: Path) -> None:
    """Put a model at the head of the list; where that cannot be written, it is not remembered."""
    latest = Path(os.path.abspath(path))
    try:
        with locked("recent-models"):
            others = [other for other in _read() if other != latest]
            # Missing files stay in the file: a disk that is not mounted today may be back tomorrow.
            names = [str(model) for model in (latest, *others)][:_MOST]
            write_text_atomic(_file(), json.dumps({"models": names}, indent=1) + "\n")
    except OSError:
        return


def _file() -> Path:
    return user_state_dir() / "recent-models.json"


def _read() -> list[Path]:
    try:
        with _file().open("rb") as file:
            names = json.loads(file.read(_MAX_BYTES))["models"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    if not isinstance(names, list):
        return []
    return [Path(name) for name in names if isinstance(name, str) and os.path.isabs(name) and "\0" not in name][:_MOST]
