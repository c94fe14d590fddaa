"""What a load costs and how long its users wait, by model, under sliders that change it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from playground.domain.display import display_text
from playground.domain.errors import ConfigError
from playground.domain.load_table import SORTINGS, as_csv, as_markdown
from playground.domain.loads import Load
from playground.screens.load_models import LoadModels
from playground.screens.load_start import load_of, start_of
from playground.screens.load_words import plot, words
from playground.screens.notices import tell_error
from playground.services.kept_files import save_tables
from playground.widgets.key_bar import KeyBar
from playground.widgets.key_maker import KeyMaker
from playground.widgets.load_break_even import BreakEven
from playground.widgets.load_sliders import LoadSliders
from playground.widgets.load_table import LoadTable, Shown

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


_KEYS: Final = (
    *("load.leave", "load.sort", "load.copy", "load.save", "slider.less", "slider.more", "slider.reset"),
    *("app.help", "app.quit"),
)
_key = KeyMaker("load")


def open_load(main: TokenScreen) -> None:
    """Open it over the main screen."""
    main.app.push_screen(LoadScreen(main))


class LoadScreen(Screen[None]):
    """Begins with the figures of the active pane. Nothing is sent anywhere."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (110, "-normal")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high"), (50, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("escape", "leave", "Back", "Show all models again, else leave"),
        _key("f3", "sort", "Sort", "Sort by cost, cost without a cache, time or name"),
        _key("f6", "copy", "Copy", "Copy the table as Markdown, as it stands"),
        _key("f7", "save", "Save", "Keep the table as a Markdown and a CSV file"),
        _key("down", "below", "Down", "To the slider or list below", show=False),
        _key("up", "above", "Up", "To the slider above", show=False),
    ]
    DEFAULT_CSS = """
    LoadScreen {
        layout: vertical; background: $background;
        & #load-note { height: auto; max-height: 2; padding: 0 1; margin: 0 0 1 0; color: $text-muted; }
        & #load-filter-row { height: 1; }
        & Input, & Input:focus { border: none; height: 1; padding: 0 1; background: $panel; }
        & LoadSliders { margin: 0 0 1 0; }
        & LoadTable { height: 1fr; }
        & #load-state { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-low { & #load-note, & LoadSliders { margin: 0; } }
        &.-high BreakEven { height: 13; }
        &.-tall BreakEven { height: 18; }
        &.-normal LoadSliders { grid-size: 3; }
    }
    """

    def __init__(self, main: TokenScreen) -> None:
        super().__init__()
        self._start = start_of(main.pane, main.accounts)
        self._models = LoadModels(main, self._start.model)
        self._sorting = 0
        self._at = self._start.model
        """The model that the cursor stays on."""
        self._load = load_of(self._start.values)

    @property
    def load(self) -> Load:
        """What the sliders say."""
        return self._load

    def compose(self) -> ComposeResult:
        """Where the figures are from, the sliders, the models, and from when on a cache pays."""
        yield Static(Content(self._start.note), id="load-note", markup=False)
        yield LoadSliders(self._start.values)
        yield Input(placeholder="part of a model's name: just type", id="load-filter", select_on_focus=False)
        yield LoadTable()
        yield Static("", id="load-state", markup=False)
        yield BreakEven()
        yield KeyBar(_KEYS)

    def on_mount(self) -> None:
        """What is known at once; the prices follow."""
        self.query_one(LoadTable).focus()
        self._fill()
        self._read_prices()

    @work(group="prices", exclusive=True)
    async def _read_prices(self) -> None:
        await self._models.read()
        self._fill()

    # -- the table ---------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Reckon all of it anew."""
        models, wanted = self._models, self.query_one(Input).value
        rows = models.rows(self._load, wanted, self._sorting)
        self.query_one(LoadTable).show(
            Shown(rows, models.measured, models.elsewhere, self._sorting), at=self._at, nothing=models.nothing()
        )
        self.query_one("#load-state", Static).update(Content(models.about(rows, wanted, self._sorting)), layout=False)

    def _fill_again(self) -> None:
        """The same, and the cursor stays on its model."""
        row = self.query_one(LoadTable).row
        self._at = row.model if row is not None else self._at
        self._fill()

    @on(LoadTable.Moved)
    def _explain(self, event: LoadTable.Moved) -> None:
        row, models = event.row, self._models
        if row is None:
            self.query_one(BreakEven).show(Content(""), None)
            return
        small = models.small_window(row.model, self._load)
        said = words(row, self._load, hosted=models.is_hosted(row.model), small_window=small)
        self.query_one(BreakEven).show(said, plot(row))

    # -- changing it -------------------------------------------------------------------------------------------

    @on(LoadSliders.Changed)
    def _changed(self, event: LoadSliders.Changed) -> None:
        self._load = load_of(event.values)
        self._fill_again()

    @on(Input.Changed)
    def _filtered(self) -> None:
        self._fill_again()

    @on(LoadTable.SortingWanted)
    def _sorted(self, event: LoadTable.SortingWanted) -> None:
        self._sorting = event.sorting
        self._fill_again()

    def on_key(self, event: events.Key) -> None:
        """What is typed over the list is a name."""
        if self.query_one(LoadTable).has_focus and event.character and event.is_printable:
            event.stop()
            field = self.query_one(Input)
            field.focus()
            field.insert_text_at_cursor(event.character)

    # -- keys --------------------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """The next order."""
        self._sorting = (self._sorting + 1) % len(SORTINGS)
        self._fill_again()

    def action_below(self) -> None:
        """From a slider to the next, from the name to the list."""
        if isinstance(self.focused, Input):
            self.query_one(LoadTable).focus()
        else:
            self.focus_next()

    def action_above(self) -> None:
        """From a slider to the one before."""
        self.focus_previous()

    def action_copy(self) -> None:
        """Put the table into the clipboard."""
        self.app.copy_to_clipboard(as_markdown(self.query_one(LoadTable).rows, self._load))
        self.notify("The table went to the clipboard of the terminal as Markdown.", timeout=3)

    @work(group="save", exclusive=True)
    async def action_save(self) -> None:
        """Write the table into files."""
        rows, load = self.query_one(LoadTable).rows, self._load
        texts = {"md": as_markdown(rows, load), "csv": as_csv(rows, load)}
        try:
            paths = await asyncio.to_thread(save_tables, "load", texts)
        except ConfigError as error:
            tell_error(self, error)
        else:
            text = "\n".join(str(path) for path in paths)
            self.notify(display_text(text), title="The table is kept as", timeout=6, markup=False)

    def action_leave(self) -> None:
        """All models again; else back to the panes."""
        field = self.query_one(Input)
        if field.value:
            field.value = ""
            self.query_one(LoadTable).focus()
        else:
            self.dismiss(None)
