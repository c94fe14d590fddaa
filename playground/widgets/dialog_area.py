"""Fields to type into in which a key with Alt is never a letter."""

from __future__ import annotations

from textual import events
from textual.widgets import Input, TextArea


class _AltIsNoLetter:
    """Leaves keys with Alt to bindings: terminals send the letter along, and Textual would type it."""

    async def _on_key(self, event: events.Key) -> None:
        if event.key.startswith("alt+"):
            event.prevent_default()


class DialogArea(_AltIsNoLetter, TextArea):
    """A text of several lines in a dialog."""


class DialogInput(_AltIsNoLetter, Input):
    """A text of one line in a dialog."""
