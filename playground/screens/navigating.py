"""Goes from one telling token to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playground.domain.errors import BadInput
from playground.domain.places import Found, PlaceIndex, find, why_none

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen
    from playground.widgets.transcript import TranscriptPane

_OTHER: dict[str, str] = {"any": "Ctrl+T walks over all tokens.", "change": "Move a slider while a reply is written."}


class Navigating:
    """Goes from one telling token to the next."""

    def __init__(self, screen: TokenScreen) -> None:
        self._screen = screen
        self._index = PlaceIndex()

    def go(self, kind: str, step: int) -> None:
        """Go to the next place of a kind, or the one before.

        Without a cursor it is the first one from the top of what is in sight, or backwards from its bottom.

        Args:
            kind: "entropy", "rank", "tie", "change" or "any".
            step: 1 for the next, -1 for the one before.
        """
        transcript = self._screen.pane.transcript
        replies = transcript.replies
        start = _token_of(transcript, transcript.view.cursor)
        at_cursor = start is not None
        if start is None:
            start = _token_of(transcript, _edge_of_sight(transcript, step))
        places = {turn.id: self._index.of(turn, shown) for turn, shown in replies}
        found = find(places, kind, step, start, at=not at_cursor)
        if found is None:
            tokens = (token for turn, shown in replies for token in turn.tokens[:shown])
            hint = _OTHER.get(kind, "n goes to the next telling token of any kind.")
            self._screen.tell(BadInput(why_none(tokens, kind), hint))
            return
        transcript.view.move_to(transcript.view.store.refs.index((found.turn, found.place.at)))
        transcript.say_why(_said(found, kind, step))


def _said(found: Found, kind: str, step: int) -> str:
    """Why one is there, and which of how many it is."""
    around = ("↺ from the top again · " if step > 0 else "↺ from the end again · ") if found.wrapped else ""
    return f"{around}{found.number:,}/{found.total:,} · {found.place.why(kind)}"


def _edge_of_sight(transcript: TranscriptPane, step: int) -> int | None:
    """The first token in sight, or backwards the last one."""
    view = transcript.view
    lines = view.wrapping.lines
    last = min(len(lines), view.scroll_offset.y + view.scrollable_content_region.height) - 1
    y = view.scroll_offset.y if step > 0 else last
    while 0 <= y < len(lines) and not lines[y].pieces:
        y += step
    if not 0 <= y < len(lines):
        return None
    pieces = lines[y].pieces
    return view.store.token_near(pieces[0][0] if step > 0 else pieces[-1][0], step)


def _token_of(transcript: TranscriptPane, item: int | None) -> tuple[int, int] | None:
    """Turn id and index of the token that an item stands for."""
    ref = transcript.view.store.refs[item] if item is not None else None
    return ref if isinstance(ref, tuple) else None
