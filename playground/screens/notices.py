"""What went wrong, said in a corner of the screen: what happened over what to do, none of it read as markup."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from playground.domain.display import display_text

if TYPE_CHECKING:
    from textual.widget import Widget

    from playground.domain.errors import HistoryUnusable, PlaygroundError

_LOSS_S: Final = 10.0


def tell_error(place: Widget, error: PlaygroundError) -> None:
    """Say what did not come about.

    Args:
        place: A screen, or a widget on it.
        error: What happened.
    """
    text, title = display_text(error.hint), display_text(error.message)
    place.notify(text, title=title, severity="error", markup=False)


def tell_loss(place: Widget, error: HistoryUnusable) -> None:
    """Say that replies are not kept: longer, for nothing on the screen shows it; and a warning, for they go on."""
    text, title = display_text(error.hint), display_text(error.message)
    place.notify(text, title=title, severity="warning", timeout=_LOSS_S, markup=False)
