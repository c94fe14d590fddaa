"""The main screen's dealings with panes as competitors: races, differences, the table, what streaming is worth."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec import structs
from textual.binding import BindingType

from playground.domain.compare_rows import CompareRow, as_csv, as_markdown
from playground.domain.errors import BadInput
from playground.screens.comparing import Comparison
from playground.screens.pane import Pane
from playground.screens.pane_figures import compare_row
from playground.screens.sending_screen import SendingScreen
from playground.services.presets import Preset
from playground.services.settings import Settings
from playground.widgets.key_maker import KeyMaker

if TYPE_CHECKING:
    from playground.screens.race_dialog import Race
    from playground.widgets.compare_table import CompareTable


_HIGH: Final = 30
"""Rows a screen must have for the table to come by itself."""
_key = KeyMaker("compare", priority=True)


class CompareScreen(SendingScreen):
    """Sets panes against each other and shows how they did."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("alt+r", "race", "Race", "Race presets: one prompt, one seed, a pane for each preset"),
        _key("alt+t", "table", "Table", "Go to the table of all panes; there c copies Markdown, v CSV, Alt+T hides it"),
        _key("alt+d", "difference", "Diff", "Show where this reply and the next pane's differ, then the one after's"),
        _key("alt+u", "buffered", "Buffered", "Show replies only when they are complete, as without streaming"),
        _key("alt+j", "parting", "Parting", "Go to the token at which the replies part, in all panes"),
        _key("alt+i", "figures", "Figures", "Waiting times, speeds and costs of the session, by model"),
        _key("alt+h", "thinking", "Thinking", "Unfold or fold what the model thought before it answered"),
    ]

    _table: CompareTable | None = None
    _table_wanted: bool | None = None
    """None: shown as soon as there are several panes and enough rows."""

    def __init__(self, settings: Settings, model: str, presets: dict[str, Preset], preset: Preset) -> None:
        super().__init__(settings, model, presets, preset)
        self.comparison = Comparison()

    # -- the table ---------------------------------------------------------------------------------------------

    @property
    def table(self) -> CompareTable | None:
        """The table, when it is on screen."""
        return self._table

    def action_table(self) -> None:
        """Go to the table, showing it where it is not; from the table, hide it again."""
        table = self.table
        if table is not None and not table.has_focus:
            table.focus()
            return
        self._table_wanted = table is None
        self.attempt_later(self.fit_table, "table")

    async def fit_table(self) -> None:
        """Put the table under the panes, or take it away, as the person and the room want it."""
        from playground.widgets.compare_table import CompareTable

        wanted = self._table_wanted
        if wanted is None:
            wanted = self.deck.several and self.size.height >= _HIGH
        table = self.table
        if wanted and table is None:
            self._table = table = CompareTable(id="compare")
            await self.query_one("#right").mount(table, before="#prompt")
            self.show_table()
            if self._table_wanted:  # asked for by a key: c and v copy it, Esc leads back to the prompt
                table.focus()
        elif not wanted and table is not None:
            self._table = None
            await table.remove()
            self.editor.focus()

    def show_table(self) -> None:
        """Bring the table up to date."""
        table = self.table
        if table is not None:
            table.show(self.rows())

    def show_headings(self) -> None:
        """Bring everything up to date that tells the panes apart."""
        grid = self.deck.grid
        if not self.deck.several:
            self.pane.view.show_heading(None)
            return
        rows = self.rows()
        present = [replace(row, model=pane.name) for pane, row in zip(self.all_panes, rows, strict=True)]
        for pane, row in zip(self.all_panes, present, strict=True):
            pane.view.show_heading(row)
        if grid.tabbed:
            grid.tabs.show(present, self.deck.number(self.pane))
        table = self.table
        if table is not None:
            table.show(rows)

    def rows(self) -> list[CompareRow]:
        """One row for each pane."""
        return [compare_row(pane, number) for number, pane in enumerate(self.all_panes, 1)]

    def on_compare_table_row_chosen(self, event: CompareTable.RowChosen) -> None:
        """The person chose a pane by its row."""
        self.action_pick_pane(event.number)

    def on_compare_table_copy_requested(self, event: CompareTable.CopyRequested) -> None:
        """Put the table into the clipboard."""
        text = as_markdown(self.rows()) if event.format == "markdown" else as_csv(self.rows())
        self.app.copy_to_clipboard(text)
        name = "Markdown" if event.format == "markdown" else "CSV"
        self.notify(f"The table went to the clipboard of the terminal as {name}.", timeout=3)

    # -- races and differences ---------------------------------------------------------------------------------

    def action_race(self) -> None:
        """Set up a preset race."""
        from playground.screens.race_dialog import RaceDialog

        chosen = {pane.tuning.name for pane in self.all_panes}
        self.tuning.look_again(self)
        presets = list(self.tuning.presets.values())
        self.app.push_screen(RaceDialog(presets, chosen, self.pane.session.params.seed), self._race)

    def _race(self, race: Race | None) -> None:
        if race is not None:
            self.attempt_later(partial(self._set_up, race), "panes")

    async def _may_close(self, count: int) -> bool:
        """Ask before conversations are closed with their panes."""
        from playground.screens.choice_dialog import Answer, Question

        what = "another pane and its conversation" if count == 1 else f"{count} other panes and their conversations"
        text = f"The race opens panes of its own; {what} would be closed. This pane keeps its own (Alt+Left)."
        return await self.ask(Question("Close the other panes?", text, [Answer("Close them and race")])) is not None

    async def _set_up(self, race: Race) -> None:
        """One pane for each preset, all with the active pane's model, prompt and seed."""
        first = self.pane
        talked = [pane for pane in self.deck.panes if pane is not first and pane.session.transcript.turns]
        if talked and not await self._may_close(len(talked)):
            return
        if first.session.transcript.head is not None or first.session.busy:  # the others know nothing of what was said
            await first.end_reply()
            first.session.new_conversation()
            first.editing = None
            first.sync()
        for pane in [pane for pane in self.deck.panes if pane is not first]:
            await self.deck.close(pane)
        for number, preset in enumerate(race.presets):
            pane = first if number == 0 else await self.open_pane_like(first)
            params = structs.replace(preset.apply(pane.session.params), seed=race.seed)
            pane.tuning.take(preset, params)
            pane.tuning.pending = None
            await pane.runner.set_params(params)
        self.deck.activate(first)
        self.deck.to_all = True
        self.show_params()
        self.show_editing()
        self.editor.focus()
        if text := self.editor.text:
            self.submit(text, time.monotonic())
        else:
            self.notify("The race is set up: write a prompt for all panes.", timeout=3)

    def action_parting(self) -> None:
        """Bring the places at which the replies part into sight, side by side."""
        if not self.comparison.show_parting():
            self.tell(BadInput("The replies do not part, as far as all of them have come.", "Alt+R races presets."))

    def action_figures(self) -> None:
        """Percentiles and sums of the session."""
        from playground.screens.figures_screen import FiguresScreen

        self.app.push_screen(FiguresScreen(self.accounts, self.price_note))

    def action_difference(self) -> None:
        """What two replies share, and where they differ."""
        if not self.deck.several:
            self.tell(BadInput("There is only one pane.", "Alt+N opens another one."))
            return
        other = self._next_to_differ_from()
        self.comparison.hide_diff(self.all_panes)
        if other is None:
            return
        refusal = self.comparison.show_diff(self.pane, other)
        if refusal:
            self.tell(BadInput(refusal, "Send a prompt to both first."))
            return
        which = f"Pane {self.deck.number(self.pane)} and pane {self.deck.number(other)}"
        self.notify(f"{which} compared. Alt+D goes on.", timeout=3)

    def _next_to_differ_from(self) -> Pane | None:
        """The pane to compare the active one with next, from its right neighbour round; None behind the last."""
        panes, here = self.deck.panes, self.deck.panes.index(self.pane)
        others = [*panes[here + 1 :], *panes[:here]]
        left, right = self.comparison.pair or (None, None)
        if left is not self.pane or right not in others:
            return others[0]
        return dict(pairwise([*others, None])).get(right)

    # -- how replies are shown ---------------------------------------------------------------------------------

    def action_buffered(self) -> None:
        """What a person would see without streaming."""
        self.buffered = not self.buffered
        for pane in self.all_panes:
            pane.transcript.set_buffered(self.buffered)
            pane.sync()
        complete = "Replies come complete, with both waiting times. Alt+U goes back."
        self.notify(complete if self.buffered else "Replies stream again.", timeout=3)

    def action_thinking(self) -> None:
        """What the model thought."""
        for pane in self.targets:
            pane.transcript.toggle_thinking()
