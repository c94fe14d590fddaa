"""The panes' figures side by side: one row a pane, as many columns as there is room for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Final, Literal, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.compare_rows import CompareRow, PaneState
from playground.domain.display import display_line
from playground.widgets.bars import UNKNOWN, fit
from playground.widgets.pane_header import cost_text, speed_text, state_text, ttft_text

MOST_ROWS: Final = 6
GAP: Final = 2

_EXPLAINED: Final = """\
One row for each pane. Bold figures are the best of their column.
in       tokens of the whole prompt, cached the part not computed again
out      tokens written; ≈ where nobody counted them exactly
TTFT     time to first token: what one waits for
tok/s    decode speed, ≈ while it is written
ppl      perplexity: e to the mean surprise at its own tokens; low is sure of itself

c copies the table as Markdown, v as CSV, Enter goes to the pane."""


class _Column(NamedTuple):
    title: str
    text: Callable[[CompareRow], str]
    rank: int
    """What has the highest goes first when there is no room."""
    least: int
    """Cells it takes at the least, so that the first figures move nothing."""
    most: int = 0
    """Cells it takes at most, for what may be shortened to `least`; 0: it is never shortened."""
    right: bool = True
    best: Callable[[CompareRow], float | None] | None = None
    """Goodness, the higher the better; None for a column in which there is no best."""


def _count(value: int | None, row: CompareRow) -> str:
    return UNKNOWN if value is None else f"{'≈' if row.tokens_estimate else ''}{value:,}"


def _perplexity(row: CompareRow) -> str:
    value = row.perplexity
    if value is None:
        return UNKNOWN
    return f"{value:.2f}" if value < 99.995 else f"{value:,.0f}" if value < 1e5 else ">99,999"


def _less(value: float | None) -> float | None:
    return None if value is None else -value


_COLUMNS: Final = (
    _Column("#", lambda row: str(row.number), 0, 1),
    _Column("model", lambda row: display_line(row.model) or UNKNOWN, 1, 11, 32, right=False),
    _Column("preset", lambda row: display_line(row.preset) or UNKNOWN, 7, 8, 18, right=False),
    _Column("in", lambda row: _count(row.prompt_tokens, row), 8, 5),
    _Column("cached", lambda row: _count(row.cached_tokens, row), 10, 6),
    _Column("out", lambda row: _count(row.completion_tokens, row), 6, 4),
    _Column("TTFT", ttft_text, 3, 6, best=lambda row: _less(row.ttft_ms)),
    _Column("tok/s", speed_text, 2, 5, best=lambda row: row.tokens_per_second),
    _Column("cost", cost_text, 4, 5, best=lambda row: _less(row.cost)),
    _Column("ppl", _perplexity, 9, 4),
    _Column("end", state_text, 5, 13, 40, right=False),
)

_Line = tuple[tuple[str, bool], ...]
"""Text of each cell as long as it is drawn, and whether it is the best of its column."""


class CompareTable(Widget, can_focus=True):
    """As high as it has rows. Showing other figures lays nothing out and paints only the rows that changed."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Row up", show=False, id="compare.up", tooltip="The row above"),
        Binding("down", "move(1)", "Row down", show=False, id="compare.down", tooltip="The row below"),
        Binding("enter", "choose", "Go to pane", id="compare.choose", tooltip="Go to the pane of this row"),
        Binding("c", "copy('markdown')", "Markdown", id="compare.markdown", tooltip="Copy the table as Markdown"),
        Binding("v", "copy('csv')", "CSV", id="compare.csv", tooltip="Copy the table as CSV, for a spreadsheet"),
    ]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"compare-table--{part}" for part in ("head", "best", "busy", "failed", "cursor")
    }
    DEFAULT_CSS = """
    CompareTable {
        height: 1;
        width: 1fr;
        padding: 0 1;
        pointer: pointer;
        & > .compare-table--head { color: $text-muted; text-style: bold; }
        & > .compare-table--best { color: $success; text-style: bold; }
        & > .compare-table--busy { color: $accent; }
        & > .compare-table--failed { color: $error; }
        & > .compare-table--cursor { background: $foreground 14%; }
    }
    """

    class CopyRequested(Message):
        """The person wants to take the table along."""

        def __init__(self, table: CompareTable, format: Literal["markdown", "csv"]) -> None:
            super().__init__()
            self.table = table
            self.format = format

        @property
        def control(self) -> CompareTable:
            """The table."""
            return self.table

    class RowChosen(Message):
        """The person chose a pane."""

        def __init__(self, table: CompareTable, number: int) -> None:
            super().__init__()
            self.table = table
            self.number = number
            """Number of the pane."""

        @property
        def control(self) -> CompareTable:
            """The table."""
            return self.table

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.tooltip = Content(_EXPLAINED)
        self._rows: tuple[CompareRow, ...] = ()
        self._cursor = 0
        self._needs = [max(column.least, len(column.title)) for column in _COLUMNS]
        """The widest each column had to be so far: one that shrank again would move the others with every token."""
        self._widths: dict[int, int] = {}
        """Cells of each column that is shown, by its place in `_COLUMNS`."""
        self._lines: list[_Line] = []

    def show(self, rows: Sequence[CompareRow]) -> None:
        """Show these rows, six at most; cheap when little or nothing changed."""
        rows = tuple(rows[:MOST_ROWS])
        if rows == self._rows and self._lines:
            return
        if [row.number for row in rows] != [row.number for row in self._rows] or not self._lines:
            self._needs = [max(column.least, len(column.title)) for column in _COLUMNS]
            self._cursor = max(0, min(self._cursor, len(rows) - 1))
            self.styles.height = 1 + len(rows)
        self._rows = rows
        self._lay_out()

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._lay_out()

    def _lay_out(self) -> None:
        cells = [[column.text(row) for column in _COLUMNS] for row in self._rows]
        self._needs = [
            max([need, *(cell_len(line[place]) for line in cells)]) for place, need in enumerate(self._needs)
        ]
        widths = _divided(self._needs, self.scrollable_content_region.width)
        best = [_best(column, self._rows) for column in _COLUMNS]
        lines = [tuple((column.title, False) for column in _COLUMNS)]
        lines += [tuple(zip(line, (number in set_ for set_ in best), strict=True)) for number, line in enumerate(cells)]
        whole = widths != self._widths or len(lines) != len(self._lines)
        changed = [y for y, line in enumerate(lines) if whole or line != self._lines[y]]
        self._widths, self._lines = widths, lines
        for y in changed:
            self._paint(y)

    def _paint(self, y: int) -> None:
        self.refresh(Region(0, y, self.outer_size.width, 1))

    def render_line(self, y: int) -> Strip:
        """One row, the first of them the titles."""
        width, base = self.size.width, self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, base)
        if y == self._cursor + 1 and self.has_focus:
            base = self.get_component_rich_style("compare-table--cursor")
        segments: list[Segment] = []
        for place, cells in self._widths.items():
            text, best = self._lines[y][place]
            text = fit(text, cells) if cell_len(text) > cells else text
            space = " " * (cells - cell_len(text))
            shown = space + text if _COLUMNS[place].right else text + space
            segments += [Segment(shown, base + self._look(y, place, best)), Segment(" " * GAP, base)]
        return Strip(segments[:-1]).adjust_cell_length(width, base)

    def _part(self, name: str) -> Style:
        return self.get_component_rich_style(f"compare-table--{name}", partial=True)

    def _look(self, y: int, place: int, best: bool) -> Style:
        if y == 0:  # whole, because its colour is made to suit what is behind it
            return self.get_component_rich_style("compare-table--head")
        state = self._rows[y - 1].state
        if place == len(_COLUMNS) - 1 and (state.busy or state is PaneState.FAILED):
            return self._part("busy" if state.busy else "failed")
        return self._part("best") if best else Style.null()

    def on_focus(self) -> None:
        """The cursor shows while there is somebody to move it."""
        self._paint(self._cursor + 1)

    def on_blur(self) -> None:
        """And goes with them."""
        self._paint(self._cursor + 1)

    def on_click(self, event: events.Click) -> None:
        """Choose the pane under the mouse."""
        event.stop()
        row = event.y - self.gutter.top - 1
        if 0 <= row < len(self._rows):
            self._go_to(row)
            self.action_choose()

    def action_move(self, by: int) -> None:
        """Another row."""
        self._go_to(max(0, min(self._cursor + by, len(self._rows) - 1)))

    def _go_to(self, row: int) -> None:
        old, self._cursor = self._cursor, row
        self._paint(old + 1)
        self._paint(row + 1)

    def action_choose(self) -> None:
        """Tell which pane was chosen."""
        if self._rows:
            self.post_message(self.RowChosen(self, self._rows[self._cursor].number))

    def action_copy(self, format: Literal["markdown", "csv"]) -> None:
        """Ask for the table as text."""
        self.post_message(self.CopyRequested(self, format))


def _divided(needs: Sequence[int], width: int) -> dict[int, int]:
    """Cells for each column that has room, by its place: the important ones first, what is left to those cut short."""
    room, widths = width + GAP, dict[int, int]()
    for place in sorted(range(len(_COLUMNS)), key=lambda place: _COLUMNS[place].rank):
        column = _COLUMNS[place]
        cells = min(needs[place], column.least) if column.most else needs[place]
        if cells + GAP > room:
            break
        widths[place] = cells
        room -= cells + GAP
    for place in sorted(widths, key=lambda place: _COLUMNS[place].rank):
        most = _COLUMNS[place].most
        more = min(room, max(0, min(needs[place], most) - widths[place])) if most else 0
        widths[place] += more
        room -= more
    return dict(sorted(widths.items()))


def _best(column: _Column, rows: Sequence[CompareRow]) -> set[int]:
    """Rows that are the best of a column; none when there is nothing to choose between."""
    if column.best is None:
        return set()
    known = {number: value for number, row in enumerate(rows) if (value := column.best(row)) is not None}
    best = max(known.values(), default=None)
    return {number for number, value in known.items() if value == best} if len(set(known.values())) > 1 else set()
