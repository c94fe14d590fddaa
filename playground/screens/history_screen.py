"""All that was kept: open it again, run it again, star, name, delete and put back, export, and what it cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.binding import BindingType

from playground.screens.history_browser import history_key
from playground.screens.history_changes import Changes
from playground.screens.history_narrowing import HistoryNarrowing
from playground.screens.keeping import Keeping
from playground.widgets.cost_plot import Cost, CostPlot
from playground.widgets.history_list import HistoryList

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen
    from playground.services.history_reader import Spending


class HistoryScreen(HistoryNarrowing):
    """The history over the panes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        history_key("n,shift+enter", "beside", "Beside", "Open it in a pane of its own, beside the present one"),
        history_key("s", "star", "Star", "Star the reply, or take its star away"),
        history_key("r", "rename", "Name", "Name the conversation, or take its name away"),
        history_key("v", "run_again", "Run again", "Run it again for real, and see where it differs"),
        history_key("e", "export", "Export", "Write the conversation to a file: Markdown, HTML or JSON Lines"),
        history_key("d,delete", "delete", "Delete", "Delete the reply from the list; u puts it back"),
        history_key("u", "undo", "Undo", "Put back what was deleted last; of deleted ones, that under the cursor"),
        history_key("g", "costs", "Costs", "What all of it cost, by model and by day; again: the text"),
    ]

    def __init__(self, main: TokenScreen, keeping: Keeping) -> None:
        super().__init__(main, keeping)
        self._changes = Changes(self)

    # -- what can be done with a reply -------------------------------------------------------------------------

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

    def action_run_again(self) -> None:
        """Run it again, and compare."""
        from playground.screens.history_replay_screen import HistoryReplayScreen

        if self.rows.entry is not None:
            self.app.push_screen(HistoryReplayScreen(self.main, self.keeping.file().path, self.rows.entry))

    def action_export(self) -> None:
        """Write it to a file."""
        from playground.screens.history_exporting import export

        export(self)

    def action_star(self) -> None:
        """A star, or none."""
        self._changes.star()

    def action_rename(self) -> None:
        """Ask for a name."""
        self._changes.rename()

    def action_delete(self) -> None:
        """Take it out of the list."""
        self._changes.delete()

    def action_undo(self) -> None:
        """Put one back."""
        self._changes.undo()

    # -- costs -------------------------------------------------------------------------------------------------

    def action_costs(self) -> None:
        """The plot, or the text."""
        self.toggle_class("-costs")
        if self.has_class("-costs"):
            self.later(self._show_costs, "costs")
            self.query_one(CostPlot).focus()  # so that arrows reach the days
        else:
            self.rows.focus()

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
