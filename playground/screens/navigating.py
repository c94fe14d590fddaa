"""Goes from one telling token to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Navigating:
    """Goes from one telling token to the next."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def go(self, kind: str, step: int) -> None:
        """Go to the next place of a kind, or the one before."""
