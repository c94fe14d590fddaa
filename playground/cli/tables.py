"""Tables for a terminal: every row stays on one line, whatever its width. On a pipe nothing is cut or left out."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import click

_NARROWEST: Final = 4
"""Cells to which a text is cut at worst."""


class Layout(NamedTuple):
    """How wide the columns are."""

    widths: dict[int, int]
    """Cells of each column that is shown, by its number."""
    left_out: tuple[int, ...]
    """Columns there is no room for."""
    gap: str
    texts: Mapping[int, int]
    cuts: bool
    """Whether a text that is too long is cut."""

    def line(self, cells: Sequence[str]) -> str:
        """One row: texts to the left, figures to the right of their columns."""
        shown = (
            self._text(cells[at], width) if at in self.texts else " " * (width - cells_of(cells[at])) + cells[at]
            for at, width in self.widths.items()
        )
        return self.gap.join(shown).rstrip()

    def _text(self, text: str, width: int) -> str:
        return padded(text, width if self.cuts else max(width, cells_of(text)))


def terminal_width() -> int | None:
    """Columns of the terminal that standard output is; None when it is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def laid_out(
    widths: Sequence[int],
    room: int | None,
    *,
    texts: Mapping[int, int],
    least: Iterable[int],
    gap: str = " ",
) -> Layout:
    """Find room for a table.

    Args:
        widths: What each column would like, in cells.
        room: What there is; None: as much as wanted.
        texts: Columns that hold texts, which may be cut, and to how many cells at least.
        least: Columns that may be left out, the least important first.
        gap: What stands between columns.
    """
    if room is None:
        return Layout(dict(enumerate(widths)), (), gap, texts, cuts=False)
    left_out: list[int] = []
    for column in (*least, None):
        shown = {at: width for at, width in enumerate(widths) if at not in left_out}
        over = sum(shown.values()) + len(gap) * (len(shown) - 1) - room
        # Where nothing can be left out any more, a short name is better than a row on two lines.
        floors = [texts, dict.fromkeys(texts, _NARROWEST)] if column is None else [texts]
        for floor in floors:
            for at in sorted(set(texts) & set(shown), key=lambda at: -shown[at]):
                narrower = max(min(shown[at], floor[at]), shown[at] - max(0, over))
                over, shown[at] = over - (shown[at] - narrower), narrower
        if over <= 0 or column is None:
            break
        left_out.append(column)
    return Layout(shown, tuple(sorted(left_out)), gap, texts, cuts=True)


def print_table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    texts: Mapping[int, int],
    least: Iterable[int],
    gap: str = " ",
) -> None:
    """Print a table as wide as it wants, or as the terminal is."""
    lines = [heads, *rows]
    widths = [max(cells_of(line[at]) for line in lines) for at in range(len(heads))]
    layout = laid_out(widths, terminal_width(), texts=texts, least=least, gap=gap)
    for line in lines:
        click.echo(layout.line(line))
    tell_left_out(heads, layout)


def tell_left_out(heads: Sequence[str], layout: Layout) -> None:
    """Say on standard error which columns are not there, so that nobody looks for them."""
    if layout.left_out:
        names = ", ".join(heads[at] for at in layout.left_out)
        click.echo(shortened(f"No room for: {names}.", terminal_width() or 80), err=True)


def cells_of(text: str) -> int:
    """Cells of a terminal that a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, width: int) -> str:
    """A text in so many cells at most."""
    from rich.cells import set_cell_size

    return text if cells_of(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def padded(text: str, width: int) -> str:
    """A text in exactly so many cells, cut where it must be."""
    short = shortened(text, width)
    return short + " " * (width - cells_of(short))
