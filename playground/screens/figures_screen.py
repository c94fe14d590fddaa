"""Figures of the session: how long each model let people wait, how fast it wrote, and what all of it cost."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from playground.domain.display import display_text
from playground.services.accounts import Accounts
from playground.services.latency import LatencySummary, Percentiles
from playground.services.spending import Spent
from playground.widgets.bars import UNKNOWN

_COLUMNS = ("model", "replies", "cost", "TTFT p50", "p95", "p99", "tok/s p50", "p5", "p1")


class FiguresScreen(ModalScreen[None]):
    """A row for each model that replied since the start of the program."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,alt+i", "leave", "Close", id="figures.leave", tooltip="Back to the panes"),
    ]
    DEFAULT_CSS = """
    FiguresScreen {
        align: center middle;
        & > Vertical {
            width: 94%; max-width: 120; height: auto; max-height: 80%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & DataTable { height: auto; max-height: 20; background: $surface; margin: 1 0; }
        & Static { height: auto; }
        & #figures-help { color: $text-muted; }
    }
    """

    def __init__(self, accounts: Accounts, price_note: str) -> None:
        super().__init__()
        self._accounts = accounts
        self._price_note = price_note

    def compose(self) -> ComposeResult:
        """The table, the money, and how to read them."""
        spending = self._accounts.spending
        prices = f" Prices: {self._price_note}." if self._price_note else ""
        with Vertical() as box:
            box.border_title = Content("Figures of the session")
            box.border_subtitle = Content("esc leaves")
            yield DataTable(cursor_type="row", id="figures-table")
            yield Static(f"Cost: {spending.session} in this session, {spending.day} today.{prices}", markup=False)
            yield Static(
                "95 % of the replies had a TTFT no longer than its p95, and a speed no lower than its p5. Few replies "
                "make rough percentiles.",
                id="figures-help",
                markup=False,
            )

    def on_mount(self) -> None:
        """Fill the table."""
        table = self.query_one(DataTable)
        table.add_columns(*_COLUMNS)
        for summary in self._accounts.latency.summaries():
            table.add_row(*(Text(display_text(cell), no_wrap=True) for cell in self._cells(summary)))
        if not table.row_count:
            table.add_row(Text("no reply yet"), *(Text(UNKNOWN) for _ in _COLUMNS[1:]))

    def _cells(self, summary: LatencySummary) -> tuple[str, ...]:
        name = summary.model
        if name.endswith(".gguf"):
            name = name.replace("\\", "/").rsplit("/", 1)[-1]
        spent = self._accounts.spent_on.get(summary.model, Spent())
        ttft, speed = _three(summary.ttft_ms, ",.0f", " ms"), _three(summary.tokens_per_second, ",.1f", "")
        return (name, f"{summary.count:,}", str(spent), *ttft, *speed)

    def action_leave(self) -> None:
        """Back to the panes."""
        self.dismiss(None)


def _three(values: Percentiles, form: str, unit: str) -> tuple[str, ...]:
    return tuple(
        UNKNOWN if value is None else f"{value:{form}}{unit}" for value in (values.p50, values.p95, values.p99)
    )
