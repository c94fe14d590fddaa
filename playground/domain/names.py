"""Names that people give to what they keep: a branch, a conversation."""

from __future__ import annotations

from typing import Final

from playground.domain.display import display_line
from playground.domain.errors import BadInput

LONGEST_NAME: Final = 80
"""Characters of a name that stands in a line of a list."""


def check_name(name: str) -> None:
    """For names that stand in a line of a list. Raises BadInput for one that is too long."""
    if len(display_line(name)) > LONGEST_NAME:
        raise BadInput("This name is too long.", f"Take at most {LONGEST_NAME} characters.")
