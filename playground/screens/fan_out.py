"""The best candidates of a token, each going on in a pane of its own, all in one batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class FanOut:
    """The best candidates of a token, each going on in a pane of its own, all in one batch."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    def open(self) -> None:
        """Ask how many and let them go."""
