"""Walks over the branches of a conversation, and shows them as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Branching:
    """Walks over the branches of a conversation, and shows them as a tree."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def show(self) -> None:
        """Show the tree."""

    def parent(self) -> None:
        """Go to the branch this one forked from."""

    def child(self) -> None:
        """Go to the newest branch that forked from this one."""
