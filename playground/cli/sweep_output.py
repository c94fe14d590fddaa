"""What `llm-playground sweep` puts out: the estimate, how far it is, table and curves; or all of it as JSON."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from playground.cli.run_output import say, write_json
from playground.cli.status_line import StatusLine
from playground.cli.tables import print_table
from playground.domain.counts import count_of
from playground.domain.display import display_line
from playground.domain.experiment_groups import MEASURES, groups, unit_kind
from playground.domain.experiments import CellResult, Sweep, plan_dict
from playground.services.experiment_output import note, rounding_note, table, write_outputs
from playground.services.experiment_plans import SweepEstimate
from playground.services.experiment_plots import chart_of, draw
from playground.services.experiment_store import CellFile
from playground.services.experiment_words import estimate_lines, nothing_run_line, progress_line
from playground.services.experiments import SweepProgress

_FRAME_S: Final = 0.25
_COLOURS: Final = ("blue", "yellow", "green", "magenta", "cyan", "red", "white", "bright_black")
_PLOT_ROWS: Final = 14
_UNCUT: Final = 1_000
_LEAST: Final = ("tokens/s p50/p5", "TTFT p50/p95 ms", "distinct-1/2/3", "ended by", "perplexity", "cost")
"""Columns that a narrow terminal goes without, these first."""


class SweepOutput:
    """Writes results to standard output, and to standard error what is only for somebody who watches."""

    def __init__(self, *, as_json: bool, plot: bool | None, measure: str | None, keeps: bool = True) -> None:
        """Prepare the output.

        Args:
            as_json: One object a line.
            plot: Draw curves; None: on a terminal.
            measure: What they show; None: the first there are figures of.
            keeps: The sweep has a folder, and can be gone on with.
        """
        self.when_broken: Callable[[], None] = lambda: None
        """Called once when nobody reads the output any more."""
        self._json = as_json
        self._keeps = keeps
        self._plot = sys.stdout.isatty() if plot is None else plot
        self._measure = measure
        self._watched = sys.stderr.isatty()
        self._line = StatusLine()
        self._broken: BrokenPipeError | None = None

    @property
    def tells_estimate(self) -> bool:
        """True when somebody gets to see what `planned` is told, also before a run."""
        return self._json or self._watched

    def planned(self, sweep: Sweep, estimate: SweepEstimate, *, dry: bool) -> None:
        """Tell what is to come: to whoever watches, and as the result of a dry run."""
        if self._json:
            told = {name: value for name, value in msgspec.structs.asdict(estimate).items() if name != "costs"}
            write_json({"event": "planned", **told, "plan": plan_dict(sweep)})
        elif dry or (self._watched and estimate.requests):
            click.echo("\n".join(estimate_lines(sweep, estimate)), err=not dry)
        if self._watched and not dry and not estimate.requests:
            say(nothing_run_line(sweep))
        if self._watched and not dry and not self._keeps:
            say("Private: no file is kept, so it cannot go on once it has been stopped. --output keeps the files.")

    def cell(self, result: CellResult) -> None:
        """One cell is done."""
        if not self._json or self._broken is not None:
            return
        try:
            write_json({"event": "cell", **msgspec.to_builtins(result)})
        except BrokenPipeError as error:
            self._broken = error
            self.when_broken()

    async def show(self, progress: SweepProgress) -> None:
        """Keep a line of a terminal up to date until cancelled."""
        while self._watched:
            self._line.show(progress_line(progress), at_once=True)
            await asyncio.sleep(_FRAME_S)

    def clear(self) -> None:
        """Take that line away."""
        self._line.clear()

    def results(self, sweep: Sweep, file: CellFile) -> None:
        """Write the files; show the table and the curves."""
        if self._broken is not None:
            raise self._broken
        paths = [file.path, *write_outputs(file.path.parent, sweep, file.results)] if self._keeps else []
        found = groups(sweep, file.results)
        if self._json:
            for group in found:
                write_json({"event": "group", **msgspec.to_builtins(group)})
            write_json({"event": "written", "files": [str(path) for path in paths]})
            return
        if not found:
            return
        own = {cell.id: file.results[cell.id] for cell in sweep.cells if cell.id in file.results}
        shown = table(found, brief=True)
        texts = {at: 12 if at < shown.named else _UNCUT for at in range(len(shown.columns))}
        least = (shown.columns.index(name) for name in _LEAST)
        print_table(shown.columns, shown.rows, texts=texts, least=least, gap="  ")
        click.echo(note(unit_kind(own)))
        if why := rounding_note(sweep, found):
            click.echo(f"{why[0].upper()}{why[1:]}")
        if self._plot:
            charts = (chart_of(found, name) for name in ((self._measure,) if self._measure else MEASURES))
            chart = next((one for one in charts if one is not None), None)
            for line in draw(chart, _width(), _PLOT_ROWS) if chart else ():
                click.echo("".join(_coloured(piece.text, piece.curve) for piece in line).rstrip())
        if self._watched and self._keeps:
            click.echo(f"Cells, table and curves: {display_line(str(file.path.parent))}", err=True)

    def left(self, cells: int, folder: Path) -> None:
        """Say that not everything is done, and how to go on."""
        many = f"{count_of(cells, 'cell')} {'is' if cells == 1 else 'are'}"
        onward = (
            f"Go on with: llm-playground sweep --resume {folder}" if self._keeps else "Nothing was kept to go on with."
        )
        say(f"{many} not done. {onward}")


def _coloured(text: str, curve: int | None) -> Any:
    return text if curve is None else click.style(text, fg=_COLOURS[curve % len(_COLOURS)])


def _width() -> int:
    return min(100, shutil.get_terminal_size((100, 24)).columns)
