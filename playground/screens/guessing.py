"""What guessing ahead gains: the same run with it and without."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Guessing:
    """What guessing ahead gains: the same run with it and without."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def measure(self) -> None:
        """Run both and tell."""
