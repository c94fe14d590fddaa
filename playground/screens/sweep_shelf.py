"""Earlier sweeps: open one, or delete it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from playground.domain.display import display_line
from playground.domain.errors import PlaygroundError
from playground.screens.choice_dialog import Answer, ChoiceDialog, Question
from playground.screens.sweep_views import place_text
from playground.services.experiment_output import short_model
from playground.services.experiment_shelf import Shelved, shelf, sweeps_folder, throw_away
from playground.widgets.bars import fit
from playground.widgets.key_bar import Hint, KeyBar

_COLUMNS = ("when", "done", "prompt", "varied", "settings", "samples", "models")
_PROMPT = 30
_FOOT = (Hint("Open", "⏎"), "sweep_shelf.leave", "sweep_shelf.delete")


class SweepShelf(ModalScreen[Path | None]):
    """Gives the folder of the one that is to be opened; None for leaving."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", id="sweep_shelf.open", tooltip="Its curves and replies; there r goes on"),
        Binding("escape,f7", "leave", "Close", id="sweep_shelf.leave", tooltip="Back to where one was"),
        Binding("d,delete", "delete", "Delete", id="sweep_shelf.delete", tooltip="Delete it, after a question"),
    ]
    DEFAULT_CSS = """
    SweepShelf {
        align: center middle;
        & > Vertical { width: 94%; height: 80%; border: round $border; background: $surface; padding: 0 1; }
        & DataTable { height: 1fr; background: $surface; scrollbar-size-vertical: 1; }
        & Static { height: auto; max-height: 2; color: $text-muted; }
        & KeyBar { padding: 0; background: $surface; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._sweeps: list[Shelved] = []

    def compose(self) -> ComposeResult:
        """The list, and more on the one that is marked."""
        with Vertical() as box:
            box.border_title = Content("Earlier sweeps")
            yield DataTable(cursor_type="row", id="shelf-list")
            yield Static("reading …", id="shelf-more", markup=False)
            yield KeyBar(_FOOT)

    def on_mount(self) -> None:
        """Read them, one after another."""
        table = self.query_one(DataTable)
        table.add_columns(*_COLUMNS)
        table.focus()
        self._read()

    @work(group="shelf", exclusive=True)
    async def _read(self) -> None:
        found = shelf()
        while (one := await asyncio.to_thread(next, found, None)) is not None:
            self._sweeps.append(one)
            self.query_one(DataTable).add_row(*(Text(cell, no_wrap=True) for cell in _cells(one)))
        self._say()

    def _one(self) -> Shelved | None:
        row = self.query_one(DataTable).cursor_row
        return self._sweeps[row] if 0 <= row < len(self._sweeps) else None

    @on(DataTable.RowHighlighted)
    def _say(self) -> None:
        one = self._one()
        nothing = f"There are none in {place_text(sweeps_folder())}."
        text = nothing if one is None else f"{place_text(one.folder)} {one.problem}"
        if one is not None and one.sweep is not None:
            text += " · " + " · ".join(prompt.name for prompt in one.sweep.prompts[:4])
        self.query_one("#shelf-more", Static).update(Content(display_line(text)))

    @on(DataTable.RowSelected)
    def action_open(self) -> None:
        """Show it."""
        one = self._one()
        if one is not None and one.sweep is not None:
            self.dismiss(one.folder)

    @work(group="delete", exclusive=True)
    async def action_delete(self) -> None:
        """Delete it, when the person says so."""
        one = self._one()
        if one is None:
            return
        text = f"{one.done:,} replies in {place_text(one.folder)}, with their table and curves. They do not come back."
        question = Question("Delete this sweep?", text, [Answer("Delete it")])
        if await self.app.push_screen_wait(ChoiceDialog(question)) is None:
            return
        try:
            await asyncio.to_thread(throw_away, one.folder)
        except PlaygroundError as error:
            self.notify(display_line(error.hint), title=display_line(error.message), severity="error", markup=False)
            return
        row = self._sweeps.index(one)
        self._sweeps.remove(one)
        table = self.query_one(DataTable)
        table.remove_row(table.coordinate_to_cell_key((row, 0)).row_key)  # type: ignore[arg-type]
        self._say()

    def action_leave(self) -> None:
        """Back to where one was."""
        self.dismiss(None)


def _cells(one: Shelved) -> tuple[str, ...]:
    when = one.touched.strftime("%Y-%m-%d %H:%M")
    sweep = one.sweep
    if sweep is None:
        return (when, *("–" for _ in _COLUMNS[1:]))
    varied = ", ".join(dict.fromkeys(name for setting in sweep.settings for name in setting.values))
    models = ", ".join(display_line(short_model(model)) for model in sweep.models)
    failed = f", {one.failed} failed" if one.failed else ""
    more = f" + {len(sweep.prompts) - 1}" if len(sweep.prompts) > 1 else ""
    prompt = f"{fit(sweep.prompts[0].name, _PROMPT).rstrip()}{more}"
    counts = (str(len(sweep.settings)), str(sweep.samples))
    return (when, f"{one.done}/{one.total}{failed}", prompt, varied or "–", *counts, models)
