"""The groups of a sweep as a table that grows while it is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import DataTable


class SweepTable(DataTable[Text]):
    """Columns at the left stay in sight; Enter or a click on the marked row opens a group."""

    DEFAULT_CSS = """
    SweepTable {
        height: 1fr; background: $background; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 1;
        & > .datatable--fixed { background: $background; color: $accent; }
        & > .datatable--even-row, & > .datatable--odd-row { background: $background; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row")
        self._header: tuple[str, ...] = ()
        self._rows: list[tuple[str, ...]] = []

    def show(self, header: Sequence[str], rows: Sequence[Sequence[str]], fixed: int) -> None:
        """Show these rows; only cells that have changed are touched. So many columns stay in sight."""
        if tuple(header) != self._header or len(rows) < len(self._rows):
            self.clear(columns=True)
            self._header, self._rows = tuple(header), []
            for at, name in enumerate(header):
                self.add_column(Text(name), key=str(at))
            self.fixed_columns = fixed
        for number, row in enumerate(rows):
            cells = tuple(row)
            if number == len(self._rows):
                self.add_row(*map(_cell, cells), key=str(number))
                self._rows.append(cells)
                continue
            old, self._rows[number] = self._rows[number], cells
            for at, (before, now) in enumerate(zip(old, cells, strict=True)):
                if before != now:
                    self.update_cell(str(number), str(at), _cell(now), update_width=True)


def _cell(text: str) -> Text:
    return Text(text, no_wrap=True)
