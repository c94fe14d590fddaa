"""Words whose probability is followed at every step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class Watching:
    """Words whose probability is followed at every step."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def edit(self) -> None:
        """Choose the words."""

    def add_token(self) -> None:
        """Follow the token under the cursor as well."""
