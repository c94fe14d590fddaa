"""What a person changes in the history: a star, a name, what is deleted and put back."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from msgspec import structs

from playground.domain.errors import BadInput, PlaygroundError
from playground.screens.text_dialog import TextDialog, check_name

if TYPE_CHECKING:
    from playground.domain.history import Entry
    from playground.screens.history_browser import HistoryBrowser
    from playground.services.history_store import HistoryStore


class Changes:
    """Changes the reply under the cursor of a screen's list."""

    def __init__(self, screen: HistoryBrowser) -> None:
        self._screen = screen
        self._deleted: list[Entry] = []
        """What was deleted here, the last one last."""

    def _change(self, work: Callable[[HistoryStore], object], then: Callable[[], None]) -> None:
        """Write something about an entry, and go on when that is done."""
        screen = self._screen

        async def write() -> None:
            try:
                await screen.keeping.ready()
                await screen.keeping.file().change(work)
            except PlaygroundError as error:
                screen.tell(error)
            else:
                then()

        screen.later(write, "change")

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
                self._change(lambda store: store.set_title(entry, title), partial(self._named, entry.tree, title))

        help_text = "Stands before all replies of the conversation, and can be searched for. Empty: no name."
        dialog = TextDialog("Name of the conversation", entry.title, help_text, check_name, single=True)
        self._screen.app.push_screen(dialog, named)

    def _named(self, tree: str, title: str) -> None:
        rows = self._screen.rows
        for entry in [entry for entry in rows.entries if entry.tree == tree]:
            rows.put(structs.replace(entry, title=title))

    def delete(self) -> None:
        """Take it out of the list."""
        screen, entry = self._screen, self._screen.rows.entry
        if entry is None or entry.deleted:
            return

        def gone() -> None:
            self._deleted.append(entry)
            screen.finding.again()
            what = "All replies of the sweep are deleted. u puts them" if entry.more else "Deleted. u puts it"
            screen.notify(f"{what} back, x shows all that was deleted.", timeout=4)

        self._change(lambda store: _set_deleted(store, entry, True), gone)

    def undo(self) -> None:
        """Put one back."""
        screen, under = self._screen, self._screen.rows.entry
        entry = under if under is not None and under.deleted else self._deleted[-1] if self._deleted else None
        if entry is None:
            screen.tell(BadInput("There is nothing to put back.", "x shows what was deleted earlier."))
            return

        def back() -> None:
            self._deleted = [other for other in self._deleted if other.id != entry.id]
            screen.finding.again()

        self._change(lambda store: _set_deleted(store, entry, False), back)


def _set_deleted(store: HistoryStore, entry: Entry, deleted: bool) -> None:
    """Of the line of a sweep, all that it stands for."""
    if entry.more:
        store.set_batch_deleted(entry.batch, deleted)
    else:
        store.set_deleted(entry.id, deleted)
