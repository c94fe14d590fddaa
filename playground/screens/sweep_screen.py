"""A sweep while it runs and afterwards: how far it is, the curves, the table, and where the results lie."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container
from textual.content import Content
from textual.screen import Screen
from textual.widgets import DataTable, Static

from playground.domain.display import display_line
from playground.domain.errors import PlaygroundError
from playground.domain.experiment_groups import MEASURES
from playground.screens.sweep_questions import affordable, nothing_else_runs
from playground.screens.sweep_views import SHORT, place_text, table_of, told, view_of
from playground.services.experiment_job import SweepJob
from playground.services.experiment_output import rounding_note
from playground.services.experiment_plans import estimate_sweep
from playground.services.experiment_words import product_words, progress_line
from playground.widgets.bars import thin_bar
from playground.widgets.key_bar import Hint, KeyBar
from playground.widgets.key_maker import KeyMaker
from playground.widgets.sweep_chart import Measures, SweepChart
from playground.widgets.sweep_table import SweepTable

if TYPE_CHECKING:
    from playground.screens.sweeping import Sweeping


_TICK_S: Final = 0.25
"""How often the figures are brought up to date at most."""
_SHARE: Final = 10
"""Reckoning takes at most one of so many seconds, however large the sweep is."""
_BAR: Final = 24
_USUAL_AT_ONCE: Final = 8
_REPLIES: Final = Hint("Replies", "⏎")
"""The table has a binding of its own for this key."""
_RUNNING: Final = (
    *("sweep.leave", "sweep.behind", "sweep.measure", "sweep.table", _REPLIES, "sweep.copy", "app.help"),
)
_STANDING: Final = (
    *(Hint("Close", id="sweep.leave"), "sweep.resume", "sweep.measure", "sweep.table", _REPLIES, "sweep.new"),
    *("sweep.earlier", "sweep.copy", "app.help"),
)
_RECKONING: Final = "reckoning …"
_NOTHING_YET: Final = "The curves begin with the first replies."
_key = KeyMaker("sweep")


class SweepScreen(Screen[None]):
    """Follows a job. Esc stops it, and leaves when nothing runs; b leaves while it goes on."""

    HORIZONTAL_BREAKPOINTS = [(0, "-below"), (240, "-beside")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        _key("escape", "leave", "Stop", "Stop it: what is done is kept. When nothing runs: back to the panes"),
        _key("b", "behind", "Behind", "Back to the panes while it goes on behind them"),
        _key("r", "resume", "Go on", "Run what is left"),
        _key("m", "measure(1)", "Measure", "Draw another figure", name="measure"),
        _key("M,shift+m", "measure(-1)", "Measure before", "The figure before", name="measure_before"),
        _key("tab,shift+tab", "table", "Table", "From the curves to the table, and back"),
        _key("enter", "replies", "Replies", "Read the replies of the row that is marked"),
        _key("n", "new", "New", "Set another sweep up"),
        _key("e", "earlier", "Earlier", "Those that were run before: open, go on, delete"),
        _key("c", "copy", "Copy", "Copy the curves as text"),
    ]
    DEFAULT_CSS = """
    SweepScreen {
        layout: vertical; background: $background;
        & > Static { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
        & > #sweep-title { text-style: bold; }
        & > #sweep-note { height: auto; max-height: 3; text-wrap: wrap; color: $text-warning; display: none; }
        & > #sweep-files { color: $text-muted; }
        & > Measures { margin: 0 1; }
        & > #sweep-body { height: 1fr; layout: vertical; padding: 0 1; }
        & SweepChart { height: 3fr; min-height: 9; }
        & SweepTable { height: 2fr; min-height: 4; }
        &.-low SweepChart { height: 2fr; }
        &.-low SweepTable { height: 1fr; }
        &.-beside #sweep-body { layout: horizontal; }
        &.-beside SweepChart { width: 1fr; height: 1fr; }
        &.-beside SweepTable { width: 1fr; height: 1fr; margin: 0 0 0 2; }
    }
    """

    def __init__(self, sweeping: Sweeping, job: SweepJob) -> None:
        super().__init__()
        self._sweeping = sweeping
        self.job = job
        self._measure = 0
        self._due = 0.0
        """`time.monotonic()` from which on groups may be reckoned again."""
        self._reckoning = False
        self._was_running: bool | None = None

    def compose(self) -> ComposeResult:
        """Plan and progress over curves and table, the files and the keys."""
        yield Static(Content(self._title()), id="sweep-title", markup=False)
        yield Static("", id="sweep-progress", markup=False)
        yield Static("", id="sweep-note", markup=False)
        yield Measures([SHORT[name] for name in MEASURES])
        with Container(id="sweep-body"):
            yield SweepChart(id="sweep-chart")
            yield SweepTable(id="sweep-table")
        yield Static("", id="sweep-files", markup=False)
        yield KeyBar(_RUNNING)

    def _title(self) -> str:
        sweep = self.job.sweep
        names = " · ".join(display_line(prompt.name) for prompt in sweep.prompts[:3])
        return f"Sweep · {product_words(sweep)} · {names}"

    def on_mount(self) -> None:
        """Begin with what is there."""
        self.query_one(SweepTable).focus()
        self._draw()
        self._tick()
        self.set_interval(_TICK_S, self._tick)

    # -- keeping up --------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        """Progress each time; curves and table when something has changed."""
        job = self.job
        if job.running or self._was_running is not job.running:
            self._was_running = job.running
            self._show_progress()
        if job.live.changed and not self._reckoning and time.monotonic() >= self._due:
            self._reckoning = True
            self._reckon()

    @work(group="reckon")
    async def _reckon(self) -> None:
        live, began = self.job.live, time.monotonic()
        live.put(await asyncio.to_thread(live.reckoned, *live.take()))
        self._draw()
        self._due = began + max(_TICK_S, (time.monotonic() - began) * _SHARE)
        self._reckoning = False

    def _show_progress(self) -> None:
        job, progress = self.job, self.job.progress
        share = (job.answered + job.failed) / max(1, progress.total)
        if job.running:
            state = "stopping … " if job.stopping else ""
            line = f"{state}{progress_line(progress)}"
        else:
            line = told(job)
        text = Content.assemble((thin_bar(share, _BAR), "$accent on $panel"), f" {share:4.0%}  {line}")
        self.query_one("#sweep-progress", Static).update(text, layout=False)
        notes = [self._sweeping.runner.sharing if job.running else "", *dict.fromkeys(map(str, job.errors))]
        notes.append(rounding_note(job.sweep, job.live.groups))
        note = self.query_one("#sweep-note", Static)
        note.display = any(notes)
        note.update(Content(display_line(" ".join(filter(None, notes)))))
        names = ", ".join(path.name for path in job.files)
        gone = "private: gone when the program ends · " if job.private else ""
        where = f"{gone}{display_line(place_text(job.folder))}: cells.jsonl{f', {names}' if names else ''}"
        self.query_one("#sweep-files", Static).update(Content(where))
        self.query_one(KeyBar).show(_RUNNING if job.running else _STANDING)
        self.refresh_bindings()

    def _draw(self) -> None:
        job, name = self.job, list(MEASURES)[self._measure]
        groups = job.live.groups
        view = view_of(job.sweep, groups, name)
        reckoning = job.live.changed and not groups
        nothing = f"Nobody told what {SHORT[name]} needs." if groups and not job.running else _NOTHING_YET
        self.query_one(SweepChart).show(view, _RECKONING if reckoning else nothing)
        self.query_one(Measures).show(self._measure)
        shown = table_of(job.sweep, groups)
        self.query_one(SweepTable).show([_RECKONING] if reckoning else shown.columns, shown.rows, shown.named)

    # -- keys --------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What cannot be done just now is not offered."""
        if action == "behind":
            return self.job.running
        if action in ("new", "earlier"):
            return not self.job.running
        if action == "resume":
            return not self.job.running and not self.job.complete
        return True

    @on(Measures.Chosen)
    def _chosen(self, event: Measures.Chosen) -> None:
        self._measure = event.number
        self._draw()

    def action_measure(self, by: int) -> None:
        """Another figure."""
        self._measure = (self._measure + by) % len(MEASURES)
        self._draw()

    def action_table(self) -> None:
        """From the curves to the table, and back."""
        table = self.query_one(SweepTable)
        (self.query_one(SweepChart) if table.has_focus else table).focus()

    @on(DataTable.RowSelected)
    def action_replies(self) -> None:
        """Read what came."""
        from playground.screens.sweep_replies import SweepReplies

        places, row = self.job.live.places, self.query_one(SweepTable).cursor_row
        if 0 <= row < len(places):
            self.app.push_screen(SweepReplies(self.job, places[row]))

    def action_copy(self) -> None:
        """The curves, for wherever they are to be shown."""
        title = f"{MEASURES[list(MEASURES)[self._measure]]} · {self._title()}"
        self.app.copy_to_clipboard(f"{title}\n{self.query_one(SweepChart).text}\n")
        self.notify("Copied, as text. The folder has the same as SVG.", timeout=3)

    @work(group="resume", exclusive=True)
    async def action_resume(self) -> None:
        """Run what is left."""
        job, runner = self.job, self._sweeping.runner
        at_once = job.at_once or _USUAL_AT_ONCE
        try:
            todo = await asyncio.to_thread(lambda: job.todo)
            estimate = await estimate_sweep(job.sweep, todo, runner.pool, runner.accounts, job.results, at_once)
            if not await nothing_else_runs(self.app, runner):
                return
            anyway = await affordable(self.app, runner, estimate)
            if anyway is not None:
                job.expected_s = estimate.seconds
                runner.run(job, at_once=at_once, anyway=anyway)
        except PlaygroundError as error:
            self.notify(display_line(error.hint), title=display_line(error.message), severity="error", markup=False)
        self._tick()

    def action_new(self) -> None:
        """Another one."""
        self.dismiss(None)
        self.app.call_later(self._sweeping.new)

    def action_earlier(self) -> None:
        """Those that were run before."""
        self._sweeping.show_shelf(over=self)

    async def action_leave(self) -> None:
        """Stop; or leave."""
        if not self.job.running:
            self.dismiss(None)
        elif not self.job.stopping:
            await self.job.stop()
            self._show_progress()

    def action_behind(self) -> None:
        """Leave, and let it go on."""
        self.dismiss(None)
