"""How a sweep's groups become curves and rows; and its state in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from playground.domain.experiment_groups import Group
from playground.domain.experiments import Sweep
from playground.services.experiment_job import SweepJob
from playground.services.experiment_output import Table, table
from playground.services.experiment_plots import MARKS, Chart, chart_of, draw_within
from playground.services.experiment_words import duration
from playground.widgets.sweep_chart import Drawn, Painter

SHORT: Final = {
    "consistency": "consistency",
    "distinct_1": "distinct-1",
    "distinct_2": "-2",
    "distinct_3": "-3",
    "tokens": "tokens",
    "perplexity": "perplexity",
    "ttft_p50_ms": "TTFT",
    "speed_p50": "tokens/s",
}
"""Names of `MEASURES` where there is little room."""


def view_of(sweep: Sweep, groups: Sequence[Group], measure: str) -> Painter | None:
    """What draws a measure; None when there is nothing to draw yet."""
    chart = chart_of(groups, measure)
    if chart is None:
        return None
    if chart.x_label:  # the axis has room from the start for what is to come
        chart = chart._replace(xs=tuple(sorted({setting.values[chart.x_label] for setting in sweep.settings})))

    def paint(width: int, rows: int, at: int | None) -> Drawn:
        xs = sorted({x for curve in chart.curves for x, _ in curve.points})
        x = xs[min(at, len(xs) - 1)] if at is not None and chart.x_label and xs else None
        drawing = draw_within(chart, width, rows, x)
        return Drawn(drawing.lines[:rows], tuple(drawing.columns.values()), _reading(chart, x))

    return paint


def _reading(chart: Chart, x: float | None) -> list[tuple[str, int | None]]:
    """The figures of every curve at one place."""
    if not chart.x_label or x is None:
        return []
    parts: list[tuple[str, int | None]] = [(f"  {chart.x_label} {x:g}: ", None)]
    for number, curve in enumerate(chart.curves):
        value = dict(curve.points).get(x)
        name = f" {curve.name}" if len(chart.curves) > 1 else ""
        parts.append((f"{MARKS[number % len(MARKS)]}{name} {'–' if value is None else f'{value:.4g}'}  ", number))
    return parts


def table_of(sweep: Sweep, groups: Sequence[Group]) -> Table:
    """The rows, with how many samples there are still to come."""
    if not groups:
        return Table(["no replies yet"], [], 0)
    shown = table(groups, brief=True)
    for group, row in zip(groups, shown.rows, strict=True):
        if group.samples < sweep.samples:
            failed = f" ({group.failed} failed)" if group.failed else ""
            row[shown.named] = f"{group.samples} of {sweep.samples}{failed}"
    return shown


def told(job: SweepJob) -> str:
    """A sweep that does not run, in words."""
    progress = job.progress
    parts = [f"{job.answered}/{progress.total}"]
    if job.complete:
        parts.append("done")
    elif job.answered + job.failed < progress.total:
        parts.append("r goes on")
    if job.failed:
        parts.append(f"{job.failed} failed, r tries them again")
    if job.speed is not None:
        parts.append(f"{job.speed:,.0f} tokens/s in {duration(job.took_s)}")
    if progress.spent.usd or progress.spent.unknown:
        parts.append(str(progress.spent))
    return " · ".join(parts)


def place_text(folder: Path) -> str:
    """A folder as one writes it."""
    home = str(Path.home())
    text = str(folder)
    return f"~{text.removeprefix(home)}" if text.startswith(f"{home}/") else text
