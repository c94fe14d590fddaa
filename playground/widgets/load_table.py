"""What a load costs on each model and how long a reply takes: a row a model, time as a bar of waiting and writing."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from playground.domain.display import display_line
from playground.domain.load_table import SORTINGS, money, seconds
from playground.domain.loads import Estimate
from playground.widgets.bars import fit, stack
from playground.widgets.key_maker import KeyMaker
from playground.widgets.row_list import RowList

GAP: Final = 2
_LEAST_BAR, _MOST_BAR = 12, 48
_LEAST_NAME, _GOOD_NAME, _MOST_NAME = 19, 36, 60
_DISPENSABLE: Final = 4
"""Columns from this rank on come only where names are not cut short for them."""
MEASURED: Final = "● "
"""Before a model whose speed was measured."""

_EXPLAINED: Final = """\
A row for each model. All of it is reckoned (≈); – is what nobody knows.
uncached   30 days where nothing is read from a cache, then a day and a request
reply      TTFT, and then one token after another; the bar is both, side by side
●          replied in this session: its own measured times, not those of the sliders
quieter    nothing in your settings, and no key, leads to this model yet

Models of resellers, and those whose context window is too small for one request, come when a name is typed.
A click on a title sorts by it."""
_key = KeyMaker("load", show=False)


class _Column(NamedTuple):
    title: str
    text: Callable[[Estimate], str]
    cells: int
    rank: int
    """What has the highest goes first when there is no room."""
    sorting: int
    """The order that a click on the title asks for, by its place in SORTINGS."""


_COLUMNS: Final = (
    _Column("a request", lambda row: money(row.request), 10, 3, 0),
    _Column("a day", lambda row: money(row.day), 10, 1, 0),
    _Column("30 days", lambda row: money(row.month), 10, 0, 0),
    _Column("uncached", lambda row: money(row.uncached_month), 10, 2, 1),
    _Column("day uncached", lambda row: money(row.uncached_day), 12, 5, 1),
    _Column("request uncached", lambda row: money(row.uncached_request), 16, 4, 1),
)
_TIME_CELLS: Final = 7


class Shown(NamedTuple):
    """What stands in the table."""

    rows: Sequence[Estimate] = ()
    """As they are to stand."""
    measured: Collection[str] = ()
    """Models whose times were measured."""
    elsewhere: Collection[str] = ()
    """Models that a person cannot ask yet; written more quietly."""
    sorting: int = 0
    """By what the rows are sorted, a place in SORTINGS."""


class LoadTable(RowList):
    """A row a model, under titles that sort."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("up", "move(-1)", "Up", "The row above", name="up"),
        _key("down", "move(1)", "Down", "The row below", name="down"),
        _key("pageup", "page(-1)", "Page up", "A page up", name="pageup"),
        _key("pagedown", "page(1)", "Page down", "A page down", name="pagedown"),
        _key("home", "go_to(0)", "First", "The first row", name="home"),
        _key("end", "go_to(-1)", "Last", "The last row", name="end"),
    ]
    PARTS = "load-table"
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        f"load-table--{part}"
        for part in ("head", "sorted", "name", "own", "elsewhere", "figure", "waiting", "writing", "cursor")
    }
    DEFAULT_CSS = """
    LoadTable {
        background: $background;
        padding: 0 1;
        & > .load-table--head { color: $text-muted; text-style: bold; }
        & > .load-table--sorted { color: $accent; text-style: bold; }
        & > .load-table--name { color: $foreground; }
        & > .load-table--own { color: $role-assistant; text-style: bold; }
        & > .load-table--elsewhere { color: $foreground 70%; }
        & > .load-table--figure { color: $foreground 80%; }
        & > .load-table--waiting { color: $warning; }
        & > .load-table--writing { color: $primary; }
        & > .load-table--cursor { background: $foreground 18%; }
    }
    """

    class Moved(Message):
        """The cursor is on another row, or the row has changed."""

        def __init__(self, row: Estimate | None) -> None:
            super().__init__()
            self.row = row

    class SortingWanted(Message):
        """A title was clicked."""

        def __init__(self, sorting: int) -> None:
            super().__init__()
            self.sorting = sorting

    def __init__(self) -> None:
        super().__init__()
        self.tooltip = Content(_EXPLAINED)
        self._shown = Shown()
        self._most_s = 0.0
        self._nothing = ""

    @property
    def rows(self) -> Sequence[Estimate]:
        """What stands in it."""
        return self._shown.rows

    @property
    def count(self) -> int:
        """How many models."""
        return len(self.rows)

    @property
    def row(self) -> Estimate | None:
        """The one under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def tell(self) -> None:
        """Say which row the cursor is on."""
        self.post_message(self.Moved(self.row))

    def show(self, shown: Shown, *, at: str, nothing: str) -> None:
        """Show other rows.

        Args:
            shown: The rows, and what is known of their models.
            at: The model that the cursor is to be on, if it is among them.
            nothing: What stands here when there is no row.
        """
        self._shown, self._nothing = shown, nothing
        self._most_s = max((row.response_s or 0.0 for row in self.rows), default=0.0)
        self.cursor = next((place for place, row in enumerate(self.rows) if row.model == at), 0)
        self.virtual_size = Size(1, len(self.rows) + 1)
        self.reveal()
        self.refresh()
        self.tell()

    # -- drawing -----------------------------------------------------------------------------------------------

    def _plan(self) -> tuple[int, list[_Column], int]:
        """Cells of the names, the columns there is room for, and cells of the bar."""
        room = self.scrollable_content_region.width - _LEAST_NAME - GAP - _TIME_CELLS - 1 - _LEAST_BAR
        chosen: list[_Column] = []
        for column in sorted(_COLUMNS, key=lambda column: column.rank):
            kept = _GOOD_NAME - _LEAST_NAME if column.rank >= _DISPENSABLE else 0
            if column.cells + GAP + kept > room:
                break
            chosen.append(column)
            room -= column.cells + GAP
        longest = max((cell_len(_name(row)) for row in self.rows[:200]), default=0) + len(MEASURED)
        more = max(0, min(room, min(_MOST_NAME, longest) - _LEAST_NAME))
        columns = [column for column in _COLUMNS if column in chosen]
        return _LEAST_NAME + more, columns, min(_MOST_BAR, _LEAST_BAR + max(0, room - more))

    def render_line(self, y: int) -> Strip:
        """The titles, which stay in sight, or one model."""
        width, base = self.scrollable_content_region.width, self.rich_style
        names, columns, bar = self._plan()
        if y == 0:
            return Strip(self._head(names, columns, base)).adjust_cell_length(width, base)
        place = y + self.scroll_offset.y - 1
        if place >= len(self.rows):
            text = self._nothing if not self.rows and y == 2 else ""
            return Strip([Segment(fit(f"  {text}", width), base + self.part("figure"))])
        row, ground = self.rows[place], base
        if place == self.cursor:
            ground = self.under_cursor(base)
        own = row.model in self._shown.measured
        name = (MEASURED if own else "  ") + _fitting(_name(row), names - len(MEASURED))
        look = "own" if own else "elsewhere" if row.model in self._shown.elsewhere else "name"
        segments = [Segment(name, ground + self.part(look))]
        for column in columns:
            text = fit(column.text(row), column.cells).rstrip().rjust(column.cells)
            segments += [Segment(" " * GAP, ground), Segment(text, ground + self.part("figure"))]
        segments.append(Segment(" " * GAP, ground))
        segments.append(Segment(seconds(row.response_s).rjust(_TIME_CELLS) + " ", ground + self.part("figure")))
        return Strip([*segments, *self._bar(row, bar, ground)]).adjust_cell_length(width, ground)

    def _head(self, names: int, columns: Sequence[_Column], base: Style) -> list[Segment]:
        def title(text: str, sorting: int) -> Segment:
            return Segment(text, base + self.part("sorted" if sorting == self._shown.sorting else "head"))

        segments = [title(fit("  model", names), len(SORTINGS) - 1)]
        for column in columns:
            segments += [Segment(" " * GAP, base), title(column.title.rjust(column.cells), column.sorting)]
        segments += [Segment(" " * GAP, base), title("reply".rjust(_TIME_CELLS), 2), Segment(" ", base)]
        segments.append(Segment("■wait ", base + self.part("waiting")))
        return [*segments, Segment("■write", base + self.part("writing"))]

    def _bar(self, row: Estimate, cells: int, ground: Style) -> list[Segment]:
        if row.response_s is None or not self._most_s:
            return []
        eighths = max(1, round(cells * 8 * row.response_s / self._most_s))
        waiting = min(eighths, round(eighths * (row.waiting_s or 0.0) / row.response_s)) if row.response_s else 0
        parts = [
            (waiting, self.part("waiting")),
            (eighths - waiting, self.part("writing")),
            (cells * 8 - eighths, Style(color=ground.bgcolor)),
        ]
        shown = stack([(length, Style(color=style.color)) for length, style in parts], cells)
        return [Segment(segment.text, ground + (segment.style or Style.null())) for segment in shown]

    def on_click(self, event: events.Click) -> None:
        """On a title, sort by it."""
        if event.y == self.gutter.top:
            self.post_message(self.SortingWanted(self._sorting_at(event.x - self.gutter.left)))

    def _sorting_at(self, x: int) -> int:
        names, columns, _ = self._plan()
        if x < names:
            return len(SORTINGS) - 1
        end = names
        for column in columns:
            end += GAP + column.cells
            if x < end:
                return column.sorting
        return 2


def _name(row: Estimate) -> str:
    name = row.model
    if name.endswith(".gguf"):
        name = name.replace("\\", "/").rsplit("/", 1)[-1]
    return display_line(name)


def _fitting(name: str, cells: int) -> str:
    """The end of a name tells models of one maker apart, so its beginning goes first."""
    if cell_len(name) <= cells:
        return fit(name, cells)
    start = next(at for at in range(len(name)) if cell_len(name[at:]) < cells)
    return fit(f"…{name[start:]}", cells)
