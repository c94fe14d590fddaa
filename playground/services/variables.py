"""`${NAME}` in settings: the value of an environment variable."""

from __future__ import annotations

import os
import re
from typing import Final

_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def variables_in(text: str) -> tuple[str, ...]:
    """Names of the variables a text refers to."""
    return tuple(_VARIABLE.findall(text))


def unset_variables(text: str) -> tuple[str, ...]:
    """Those of them that are not set, or empty."""
    return tuple(name for name in variables_in(text) if not os.environ.get(name, "").strip())


def expand(text: str) -> str:
    """The text with the variables' values; empty when one of them is not set."""
    if unset_variables(text):
        return ""
    return _VARIABLE.sub(lambda match: os.environ[match[1]].strip(), text)
