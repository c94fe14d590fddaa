"""Any text as the model sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Scoring:
    """Any text as the model sees it."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def open(self) -> None:
        """Choose a text and score it."""
