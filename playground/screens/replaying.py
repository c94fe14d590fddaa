"""A whole reply seen under the sliders as they stand now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Replaying:
    """A whole reply seen under the sliders as they stand now."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def toggle(self) -> None:
        """Show it, or go back to colours."""
