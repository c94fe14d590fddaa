"""All that was kept: open it again, star, name, delete and put back, and what it cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from msgspec import structs
from textual import on
from textual.binding import BindingType

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.history import Entry
from playground.screens.history_browser import HistoryBrowser, history_key
from playground.screens.keeping import Keeping
from playground.screens.text_dialog import TextDialog, check_name
from playground.widgets.cost_plot import Cost, CostPlot
from playground.widgets.history_list import HistoryList

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen
    from playground.services.history_reader import Spending
    from playground.services.history_store import HistoryStore


class HistoryScreen(HistoryBrowser):
    """The history over the panes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        history_key("n,shift+enter", "beside", "Beside", "Open it in a pane of its own, beside the present one"),
        history_key("s", "star", "Star", "Star the reply, or take its star away"),
        history_key("r", "rename", "Name", "Name the conversation, or take its name away"),
        history_key("d,delete", "delete", "Delete", "Delete the reply from the list; u puts it back"),
        history_key("u", "undo", "Undo", "Put back what was deleted last; of deleted ones, that under the cursor"),
        history_key("g", "costs", "Costs", "What all of it cost, by day and by model; again: the text"),
    ]

    def __init__(self, main: TokenScreen, keeping: Keeping) -> None:
        super().__init__(main, keeping)
        self._deleted: list[Entry] = []
        """What was deleted here, the last one last."""

    # -- what can be done to a reply ---------------------------------------------------------------------------

    @on(HistoryList.Chosen)
    def _open(self) -> None:
        self._leave_for(beside=False)

    def action_beside(self) -> None:
        """Open it beside the present one."""
        self._leave_for(beside=True)

    def _leave_for(self, *, beside: bool) -> None:
        entry, main, keeping = self.rows.entry, self.main, self.keeping
        if entry is None:
            return

        async def open_it() -> None:
            from playground.screens.history_open import open_entry

            await open_entry(main, keeping, entry, beside=beside)

        self.dismiss()
        main.attempt_later(open_it, "history open")

    def _change(self, work: Callable[[HistoryStore], object], then: Callable[[], None]) -> None:
        """Write something about an entry, and go on when that is done."""

        async def write() -> None:
            try:
                await self.keeping.ready()
                await self.keeping.file().change(work)
            except PlaygroundError as error:
                self.tell(error)
            else:
                then()

        self.later(write, "change")

    def action_star(self) -> None:
        """A star, or none."""
        entry = self.rows.entry
        if entry is not None:
            new = structs.replace(entry, starred=not entry.starred)
            self._change(lambda store: store.set_starred(entry.id, new.starred), partial(self.rows.put, new))

    def action_rename(self) -> None:
        """Ask for a name."""
        entry = self.rows.entry
        if entry is None:
            return

        def named(name: str | None) -> None:
            if name is not None:
                title = name.strip()
                self._change(lambda store: store.set_title(entry, title), partial(self._named, entry.tree, title))

        help_text = "Stands before all replies of the conversation, and can be searched for. Empty: no name."
        dialog = TextDialog("Name of the conversation", entry.title, help_text, check_name, single=True)
        self.app.push_screen(dialog, named)

    def _named(self, tree: str, title: str) -> None:
        for entry in [entry for entry in self.rows.entries if entry.tree == tree]:
            self.rows.put(structs.replace(entry, title=title))

    def action_delete(self) -> None:
        """Take it out of the list."""
        entry = self.rows.entry
        if entry is None or entry.deleted:
            return

        def gone() -> None:
            self._deleted.append(entry)
            self.again()
            self.notify("Deleted. u puts it back, x shows all that was deleted.", timeout=4)

        self._change(lambda store: store.set_deleted(entry.id, True), gone)

    def action_undo(self) -> None:
        """Put one back."""
        under = self.rows.entry
        entry = under if under is not None and under.deleted else self._deleted[-1] if self._deleted else None
        if entry is None:
            self.tell(BadInput("There is nothing to put back.", "x shows what was deleted earlier."))
            return

        def back() -> None:
            self._deleted = [other for other in self._deleted if other.id != entry.id]
            self.again()

        self._change(lambda store: store.set_deleted(entry.id, False), back)

    # -- costs -------------------------------------------------------------------------------------------------

    def action_costs(self) -> None:
        """The plot, or the text."""
        self.toggle_class("-costs")
        if self.has_class("-costs"):
            self.later(self._show_costs, "costs")

    async def _show_costs(self) -> None:
        spent = await self.read(lambda reader: reader.spending()) or []
        days, models = _summed(spent, lambda one: one.day), _summed(spent, lambda one: one.model)
        models.sort(key=lambda one: (-one.cost, -one.tokens))
        self.query_one(CostPlot).show(days, models)


def _summed(spent: list[Spending], name_of: Callable[[Spending], str]) -> list[Cost]:
    """Sums by name, in the order in which the names come."""
    groups: dict[str, list[Spending]] = defaultdict(list)
    for one in spent:
        groups[name_of(one)].append(one)
    return [
        Cost(
            name or "–",
            sum(one.cost for one in group),
            sum(one.replies for one in group),
            sum(one.tokens for one in group),
            sum(one.unknown for one in group),
        )
        for name, group in groups.items()
    ]
