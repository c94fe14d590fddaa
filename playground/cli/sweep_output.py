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
from playground.domain.display import display_line
from playground.domain.experiment_groups import MEASURES, groups, unit_kind
from playground.domain.experiments import CellResult, Sweep, plan_dict
from playground.domain.prices import usd_text
from playground.services.experiment_output import note, table, write_outputs
from playground.services.experiment_plans import SweepEstimate
from playground.services.experiment_plots import chart_of, draw
from playground.services.experiment_store import CellFile
from playground.services.experiments import SweepProgress

_FRAME_S: Final = 0.25
_COLOURS: Final = ("blue", "yellow", "green", "magenta", "cyan", "red", "white", "bright_black")
_PLOT_ROWS: Final = 14


class SweepOutput:
    """Writes results to standard output, and to standard error what is only for somebody who watches."""

    def __init__(self, *, as_json: bool, plot: bool | None, measure: str | None) -> None:
        self.when_broken: Callable[[], None] = lambda: None
        """Called once when nobody reads the output any more."""
        self._json = as_json
        self._plot = sys.stdout.isatty() if plot is None else plot
        self._measure = measure
        self._watched = sys.stderr.isatty()
        self._line = StatusLine()
        self._broken: BrokenPipeError | None = None

    def planned(self, sweep: Sweep, estimate: SweepEstimate, *, dry: bool) -> None:
        """Tell what is to come: to whoever watches, and as the result of a dry run."""
        if self._json:
            told = {name: value for name, value in msgspec.structs.asdict(estimate).items() if name != "costs"}
            write_json({"event": "planned", **told, "plan": plan_dict(sweep)})
        elif dry or self._watched:
            click.echo("\n".join(_estimate_lines(sweep, estimate)), err=not dry)

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
        paths = write_outputs(file.path.parent, sweep, file.results)
        found = groups(sweep, file.results)
        if self._json:
            for group in found:
                write_json({"event": "group", **msgspec.to_builtins(group)})
            write_json({"event": "written", "files": [str(path) for path in (file.path, *paths)]})
            return
        if not found:
            return
        own = {cell.id: file.results[cell.id] for cell in sweep.cells if cell.id in file.results}
        click.echo("\n".join(_aligned(*table(found, brief=True))))
        click.echo(note(unit_kind(own)))
        if self._plot:
            charts = (chart_of(found, name) for name in ((self._measure,) if self._measure else MEASURES))
            chart = next((one for one in charts if one is not None), None)
            for line in draw(chart, _width(), _PLOT_ROWS) if chart else ():
                click.echo("".join(_coloured(piece.text, piece.curve) for piece in line).rstrip())
        if self._watched:
            click.echo(f"Cells, table and curves: {display_line(str(file.path.parent))}", err=True)

    def left(self, cells: int, folder: Path) -> None:
        """Say that not everything is done, and how to go on."""
        many = f"{cells:,} cells are" if cells != 1 else "1 cell is"
        say(f"{many} not done. Go on with: llm-playground sweep --resume {folder}")


def progress_line(progress: SweepProgress) -> str:
    """Such as " 12/64 · 210 tokens/s · 0:12 left · $0.0031"."""
    if progress.loading:
        return f"loading {display_line(progress.loading).rsplit('/', 1)[-1]} …"
    parts = [f"{progress.kept + progress.done}/{progress.total}"]
    speed, left = progress.tokens_per_second, progress.left_s
    parts.append("– tokens/s" if speed is None else f"{speed:,.0f} tokens/s")
    parts.append("time left: after the first reply" if left is None else f"≈{duration(left)} left")
    if progress.spent.usd or progress.spent.unknown:
        parts.append(str(progress.spent))
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return " · ".join(parts)


def duration(seconds: float) -> str:
    """Such as 0:12 or 1:02:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _estimate_lines(sweep: Sweep, estimate: SweepEstimate) -> list[str]:
    counts = (
        (len(sweep.prompts), "prompt"),
        (len(sweep.settings), "setting"),
        (len(sweep.models), "model"),
        (sweep.samples, "sample"),
    )
    product = " x ".join(f"{count:,} {what}{'s' if count != 1 else ''}" for count, what in counts)
    seeds = f"seed {sweep.seed}" if sweep.samples == 1 else f"seeds {sweep.seed} to {sweep.seed + sweep.samples - 1}"
    kept = f", {estimate.kept:,} of {estimate.kept + estimate.requests:,} done already" if estimate.kept else ""
    cost = "–" if estimate.cost is None else f"≈{usd_text(estimate.cost)} at most" if estimate.cost else usd_text(0)
    time = "known after the first reply" if estimate.seconds is None else f"≈{duration(estimate.seconds)}"
    return [
        f"Requests: {estimate.requests:,} ({product}; {seeds}){kept}",
        f"Tokens: ≈{estimate.prompt_tokens:,} of prompts, ≈{estimate.completion_tokens:,} of replies at most",
        f"Cost: {cost} · Time: {time}",
    ]


def _aligned(header: list[str], rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[at]) for row in (header, *rows)) for at in range(len(header))]
    return [
        "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]


def _coloured(text: str, curve: int | None) -> Any:
    return text if curve is None else click.style(text, fg=_COLOURS[curve % len(_COLOURS)])


def _width() -> int:
    return min(100, shutil.get_terminal_size((100, 24)).columns)
