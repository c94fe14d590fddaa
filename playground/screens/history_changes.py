"""What a person changes in the history: a star, a name, what is deleted and put back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.names import check_name
from playground.screens.text_dialog import TextDialog

if TYPE_CHECKING:
    from playground.domain.history import Entry, Query
    from playground.screens.history_browser import HistoryBrowser
    from playground.services.history_store import HistoryStore


class Changes:
    """Changes the reply under the cursor of a screen's list."""

    def __init__(self, screen: HistoryBrowser) -> None:
        self._screen = screen
        self._deleted: list[Sequence[int]] = []
        """What was deleted here, the last one last: of the line of a sweep, all replies that it stood for."""

    def _change(self, work: Callable[[HistoryStore], object], then: Callable[[], None]) -> None:
        """Write something about an entry, and go on when that is done."""
        self._screen.later(partial(self._write, work, then), "change")

    async def _write(self, work: Callable[[HistoryStore], object], then: Callable[[], None]) -> None:
        try:
            await self._screen.keeping.ready()
            await self._screen.keeping.file().change(work)
        except PlaygroundError as error:
            self._screen.tell(error)
        else:
            then()

    def star(self) -> None:
        """A star, or none."""
        entry = self._screen.rows.entry
        if entry is not None:
            new = structs.replace(entry, starred=not entry.starred)
            self._change(lambda store: store.set_starred(entry.id, new.starred), partial(self._screen.rows.put, new))

    def rename(self) -> None:
        """Ask for a name."""
        entry = self._screen.rows.entry
        if entry is None:
            return

        def named(name: str | None) -> None:
            if name is not None:
                title = name.strip()
                self._change(lambda store: store.set_title(entry, title), self._screen.finding.again)

        help_text = "Stands before all replies of the conversation, and can be searched for. Empty: no name."
        dialog = TextDialog("Name of the conversation", entry.title, help_text, check_name, single=True)
        self._screen.app.push_screen(dialog, named)

    def delete(self) -> None:
        """Take it out of the list."""
        entry = self._screen.rows.entry
        if entry is not None and not entry.deleted:
            self._screen.later(partial(self._delete, entry, self._screen.finding.shown), "change")

    async def _delete(self, entry: Entry, query: Query) -> None:
        runs = await self._runs(entry, query)

        def gone() -> None:
            self._deleted.append(runs)
            self._screen.finding.again()
            what = (
                f"{len(runs):,} replies of the sweep are deleted. u puts them" if entry.more else "Deleted. u puts it"
            )
            self._screen.notify(f"{what} back, x shows all that was deleted.", timeout=4)

        await self._write(lambda store: store.set_all_deleted(runs, True), gone)

    def undo(self) -> None:
        """Put back what is under the cursor, among those that were deleted; else what was deleted here last."""
        screen, under = self._screen, self._screen.rows.entry
        if under is not None and under.deleted:
            screen.later(partial(self._undo, under, screen.finding.shown), "change")
        elif self._deleted:
            self._put_back(self._deleted[-1])
        else:
            screen.tell(BadInput("There is nothing to put back.", "x shows what was deleted earlier."))

    async def _undo(self, entry: Entry, query: Query) -> None:
        self._put_back(await self._runs(entry, query))

    def _put_back(self, runs: Sequence[int]) -> None:
        def back() -> None:
            self._deleted = [others for others in self._deleted if not set(others) <= set(runs)]
            self._screen.finding.again()

        self._change(lambda store: store.set_all_deleted(runs, False), back)

    async def _runs(self, entry: Entry, query: Query) -> Sequence[int]:
        """What its line stands for: of a sweep, no more than what the filters let through."""
        return await self._screen.read(lambda reader: reader.ids_of(entry, query)) or []
