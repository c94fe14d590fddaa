"""The text of the reply under the cursor: read beside the screen, only as far as it is seen, only the newest wanted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from playground.domain.errors import PlaygroundError

if TYPE_CHECKING:
    from playground.domain.history import Entry
    from playground.screens.history_browser import HistoryBrowser
    from playground.services.history_preview import Exchange

_PAUSE_S: Final = 0.06
"""From one text to the next at the least: a cursor that runs over many rows leaves most of them out."""
_MORE: Final = 4
"""How many times as much of a long reply is read each time that somebody reads on."""


class Previewing:
    """Follows the cursor of a screen's list."""

    def __init__(self, screen: HistoryBrowser) -> None:
        self._screen = screen
        self._wanted: Entry | None = None
        self._shown: Entry | None = None
        self._at_work = False

    def follow(self) -> None:
        """The cursor is somewhere, perhaps on another reply."""
        self._wanted = self._screen.rows.entry
        if not self._at_work:
            self._at_work = True
            self._screen.later(self._work, "preview")

    async def _work(self) -> None:
        """Show what is wanted, and then what is wanted by then."""
        try:
            while True:
                entry = self._wanted
                exchange = await self._read(entry) if entry is not None else None
                turns, more = exchange if exchange is not None else ([], False)
                if entry is self._wanted or exchange is not None:
                    self._screen.preview.show(entry, turns, more=more)
                    self._shown = entry
                if entry is self._wanted:
                    return
                await asyncio.sleep(_PAUSE_S)
        finally:
            self._at_work = False

    async def _read(self, entry: Entry, most: int | None = None) -> Exchange | None:
        """A part of the text; None when it cannot be read, which is told."""
        from playground.services.history_preview import MOST_TOKENS, read_exchange

        path = self._screen.keeping.file().path
        try:
            return await asyncio.to_thread(read_exchange, path, entry.tree, entry.turn, most or MOST_TOKENS)
        except PlaygroundError as error:
            self._screen.tell(error)
            return None

    async def read_more(self) -> None:
        """More of the reply that is shown."""
        entry, preview = self._shown, self._screen.preview
        exchange = await self._read(entry, preview.tokens * _MORE) if entry is not None else None
        if exchange is not None and exchange.turns and entry is self._shown:
            preview.grow(exchange.turns[-1], more=exchange.more)
