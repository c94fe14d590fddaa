"""Biases, bans and grammars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Bending:
    """Biases, bans and grammars."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def ban(self) -> None:
        """Ban the token under the cursor, or allow it again."""

    def edit_grammar(self) -> None:
        """Edit grammar and JSON schema."""
