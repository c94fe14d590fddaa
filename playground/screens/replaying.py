"""A whole reply seen under the sliders as they stand now."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.domain.tokens import Token
    from playground.domain.transcript import Turn
    from playground.screens.pane import Pane
    from playground.screens.token_screen import TokenScreen


class Replaying:
    """A whole reply seen under the sliders as they stand now."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def toggle(self) -> None:
        """Show it, or go back to colours."""

    def leave(self) -> bool:
        """Go back to colours; False when they are shown already."""
        return False

    def follow(self) -> None:
        """Keep up with the sliders, or end when the reply is gone."""

    def remark(self, pane: Pane, turn: Turn | None, token: Token | None) -> str:
        """What becomes of a token, in a line; empty when that is not on display."""
        return ""
