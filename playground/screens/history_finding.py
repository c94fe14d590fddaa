"""Which replies the history lists: read as filters change and words are typed, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import structs

from playground.domain.history import Entry, Query
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.history_filters import Filters

if TYPE_CHECKING:
    from playground.screens.history_browser import HistoryBrowser

_NOTHING: Final = (
    "Nothing is kept yet.\n\nEvery reply will be here from its first token on, with its branches\n"
    "and figures: to be found by its words, opened again as it was,\nand set beside another."
)
_NOT_FOUND: Final = "No reply is like that.\n\n/ changes the words, a leaves out nothing."
_NOT_DELETED: Final = "Nothing is deleted.\n\nx leads back."


class Finding:
    """Looks things up for the list of a screen, one after another; what nobody wants any more is left out."""

    def __init__(self, screen: HistoryBrowser) -> None:
        self._screen = screen
        self.filters = Filters()
        self.listed = False
        """True once there was an answer."""
        self.shown = Query()
        """What the list was read for; the filters may be others already."""
        self._wanted: Query | None = None
        """What to look for next, when a look is under way."""
        self._looking = False
        self._keep_row = False
        """True when the same list is read again."""
        self._in_all = 0
        """Replies that are not deleted."""
        self._more = self._narrow = False
        """There are others behind those that are listed; something is left out."""

    def find(self) -> None:
        """List what the filters let through."""
        self._wanted = self.filters.query
        if not self._looking:
            self._looking = True
            self._screen.later(self._look, "look")

    def again(self) -> None:
        """Read the same list again, with the cursor where it is."""
        self._keep_row = True
        self.find()

    async def _look(self) -> None:
        screen = self._screen
        try:
            await screen.keeping.keep()
            while self._wanted is not None:
                query, self._wanted = self._wanted, None
                found = await self._matches(query)
                if self._wanted is None:
                    self._show(found, query)
                    self._in_all = await screen.read(lambda reader: reader.count()) or 0
                    self._count()
        finally:
            self._looking = False

    def _count(self) -> None:
        """Say how many of all were found, as far as that is known: the line of a sweep stands for several."""
        rows, query = self._screen.rows, self.shown
        many = f"{sum(entry.more + 1 for entry in rows.entries):,}{'+' if self._more else ''}"
        if query.deleted:
            self._screen.show_count(self._in_all, f"{many} deleted, beside ")
        else:
            self._screen.show_count(self._in_all, f"{many} of " if self._narrow else "")

    async def _matches(self, query: Query) -> Sequence[Entry]:
        return await self._screen.read(lambda reader: reader.find(query)) or []

    def _show(self, found: Sequence[Entry], query: Query) -> None:
        rows = self._screen.rows
        nothing = _NOT_FOUND if self.filters.narrow else _NOT_DELETED if query.deleted else _NOTHING
        same = rows.entry is not None and bool(found)
        at = rows.cursor if same and self._keep_row else 0
        self._keep_row, self.listed, self.shown = False, True, query
        self._more, self._narrow = len(found) == query.limit, self.filters.narrow
        rows.show(found, more=len(found) == query.limit, nothing=nothing, at=at)

    async def read_more(self) -> None:
        """List those behind the ones that are listed."""
        rows = self._screen.rows
        query = structs.replace(self.filters.query, offset=len(rows.entries))
        found = await self._matches(query)
        if structs.replace(self.filters.query, offset=query.offset) == query:
            rows.append(found, more=len(found) == query.limit)
            self._more = len(found) == query.limit
            self._count()

    async def ask(self, which: str) -> bool:
        """Let a person choose a filter: "model", "preset", "date" or "cost"; False when they would rather not."""
        deleted = self.filters.query.deleted
        models, presets = await self._screen.read(lambda reader: reader.names(deleted)) or ([], [])
        names = models if which == "model" else presets
        answer = await self._screen.app.push_screen_wait(ChoiceDialog(self.filters.question(which, names)))
        if answer is not None:
            self.filters.choose(which, names, answer)
        return answer is not None
