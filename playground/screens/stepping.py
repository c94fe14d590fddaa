"""One token at a time, chosen by hand or by the samplers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playground.domain.what_if import WhatIf
    from playground.screens.token_screen import TokenScreen


class Stepping:
    """One token at a time, chosen by hand or by the samplers."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen

    @property
    def on(self) -> bool:
        """True while the active pane goes token by token."""
        return False

    def shown(self) -> WhatIf | None:
        """The position that waits for a token in the active pane, for the inspector; None when there is none."""
        return None

    def choose(self, choice: int) -> None:
        """Put this candidate, an index into `shown().token.top`, at the end of the reply."""

    def toggle(self) -> None:
        """Begin, or go back to whole replies."""
