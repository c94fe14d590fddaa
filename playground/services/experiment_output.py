"""What a sweep leaves in its folder beside the cells: the table by group as CSV and Markdown, and the plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from playground.domain.display import display_line
from playground.domain.errors import RunFailed
from playground.domain.experiment_groups import MEASURES, Group, UnitKind, groups, unit_kind
from playground.domain.experiments import CellResult, Sweep
from playground.domain.prices import usd_text
from playground.domain.sampling import active_stages
from playground.services.experiment_plots import chart_of
from playground.services.experiment_svg import svg
from playground.services.paths import write_text_atomic
from playground.services.toml_files import one_line

UNKNOWN: Final = "–"
ROUNDING: Final = "temperature 0: differences come from rounding in batches, not from sampling."
"""What replies differ by that take the likeliest token each time."""
_NAMES: Final = ("model", "preset", "prompt")
_FIGURES: Final = (
    *("samples", "consistency", "distinct-1/2/3", "tokens", "perplexity", "ended by", "cost"),
    *("TTFT p50/p95 ms", "tokens/s p50/p5"),
)


class Table(NamedTuple):
    """Groups as they are shown."""

    columns: list[str]
    """Their names."""
    rows: list[list[str]]
    named: int
    """So many columns, from the left, tell what a row is; figures begin behind them, with the number of samples."""


def write_outputs(folder: Path, sweep: Sweep, results: Mapping[str, CellResult]) -> list[Path]:
    """Write table and plots of what is there; returns the files. Raises RunFailed."""
    found = groups(sweep, results)
    if not found:
        return []
    kind = unit_kind({cell.id: results[cell.id] for cell in sweep.cells if cell.id in results})
    why = rounding_note(sweep, found)
    also = f"\n{why[0].upper()}{why[1:]}\n" if why else ""
    texts = {"groups.csv": csv_table(found), "groups.md": markdown_table(found, kind) + also}
    for measure in MEASURES:
        chart = chart_of(found, measure)
        if chart is not None:
            texts[f"{measure}.svg"] = svg(chart)
    paths = []
    for name, text in texts.items():
        try:
            write_text_atomic(folder / name, text, mode=0o644)
        except OSError as error:
            why = one_line(error.strerror or str(error))
            raise RunFailed(f"{one_line(str(folder / name))} cannot be written: {why}.", "Check the folder.") from error
        paths.append(folder / name)
    return paths


def csv_table(found: Sequence[Group]) -> str:
    """Every figure of every group, as exact as it is known; an empty field is an unknown one."""
    out = io.StringIO()
    varied = list(dict.fromkeys(name for group in found for name in group.values))
    figures = [name for name in Group.__struct_fields__ if name not in (*_NAMES, "values", "reasons")]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_NAMES, *varied, *figures, "reasons"])
    for group in found:
        writer.writerow(
            [
                *(display_line(getattr(group, name)) for name in _NAMES),
                *(group.values.get(name, "") for name in varied),
                *("" if getattr(group, name) is None else getattr(group, name) for name in figures),
                _reasons(group),
            ]
        )
    return out.getvalue()


def markdown_table(found: Sequence[Group], kind: UnitKind) -> str:
    """The table as Markdown, with a line on what texts were compared by."""
    shown = table(found)
    lines = [shown.columns, ["---"] * len(shown.columns), *shown.rows]
    body = "\n".join(f"| {' | '.join(map(_markdown, line))} |" for line in lines)
    return f"{body}\n\n{note(kind)}\n"


def note(kind: UnitKind) -> str:
    """What consistency and distinct-n were counted in, and what the percentiles say."""
    unknown = "" if kind == "tokens" else ": not every server tells the tokens of a reply"
    return (
        f"Consistency and distinct-n count {kind}{unknown}. Of 100 replies, 95 began within the TTFT p95 and were at "
        "least as fast as the tokens/s p5."
    )


def rounding_note(sweep: Sweep, found: Sequence[Group]) -> str:
    """Why replies differ that nothing was drawn for; empty where none do."""
    greedy = [one for one in sweep.settings if "greedy" in active_stages(one.params)]
    differ = any(
        group.consistency is not None and group.consistency < 1.0
        for group in found
        if any(group.preset == one.preset and group.values == one.values for one in greedy)
    )
    return ROUNDING if differ else ""


def table(found: Sequence[Group], *, brief: bool = False) -> Table:
    """A row a group. `brief` leaves out names that are the same in every row."""
    varied = list(dict.fromkeys(name for group in found for name in group.values))
    names = [name for name in _NAMES if not brief or len({getattr(group, name) for group in found}) > 1]
    named = [*names, *varied]
    rows = [
        [
            *(display_line(short_model(group.model) if name == "model" else getattr(group, name)) for name in names),
            *(f"{group.values[name]:g}" if name in group.values else "" for name in varied),
            *figures_of(group),
        ]
        for group in found
    ]
    return Table([*named, *_FIGURES], rows, len(named))


def figures_of(group: Group) -> list[str]:
    """The figures of a group as they are shown."""
    distincts = (group.distinct_1, group.distinct_2, group.distinct_3)
    return [
        f"{group.samples} ({group.failed} failed)" if group.failed else str(group.samples),
        number(group.consistency, 3),
        "/".join(number(one, 2) for one in distincts),
        number(group.tokens, 1),
        number(group.perplexity, 2),
        _reasons(group) or UNKNOWN,
        UNKNOWN if group.cost is None else usd_text(group.cost),
        f"{number(group.ttft_p50_ms, 0)}/{number(group.ttft_p95_ms, 0)}",
        f"{number(group.speed_p50, 1)}/{number(group.speed_p5, 1)}",
    ]


def number(value: float | None, decimals: int) -> str:
    """A figure, or the mark of an unknown one."""
    return UNKNOWN if value is None else f"{value:,.{decimals}f}"


def short_model(model: str) -> str:
    """A model's name where there is little room: of a file, its name without folder and ending."""
    return model.rsplit("/", 1)[-1].removesuffix(".gguf") if model.endswith(".gguf") else model


def _reasons(group: Group) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in group.reasons.items())


def _markdown(text: str) -> str:
    """Text that Markdown shows as it is."""
    for mark in "\\`*_[]|":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
