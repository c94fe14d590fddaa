"""What a terminal sends for Alt and a digit, and what Textual makes of it."""

from __future__ import annotations

from typing import Final

from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

_DIGITS: Final = "0123456789"


def free_alt_digits() -> None:
    """Let Alt+1 be Alt+1.

    Terminals without the kitty protocol send escape and the digit. Textual 8 takes that for the sign which a Mac's
    Option key makes, such as "¡", and types it. A Mac's terminal sends that sign itself as long as Option is not Meta.
    """
    assert isinstance(ANSI_SEQUENCES_KEYS, dict), "a table that can be changed"
    for digit in _DIGITS:
        ANSI_SEQUENCES_KEYS.pop(f"\x1b{digit}", None)
