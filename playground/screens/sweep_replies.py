"""The replies of one group of a sweep: why each ended, its seed, its figures, and its text."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Static

from playground.domain.display import display_line, display_text
from playground.domain.experiment_live import Place
from playground.domain.experiments import CellResult
from playground.domain.text_measures import perplexity
from playground.services.experiment_job import SweepJob
from playground.services.experiment_output import number, short_model
from playground.widgets.key_bar import Hint, KeyBar

_COLUMNS = ("sample", "seed", "ended by", "tokens", "perplexity", "TTFT ms", "tokens/s", "text")
_FOOT = ("sweep_replies.leave", Hint("Another reply", "↑↓"), "sweep_replies.text", "sweep_replies.copy")
_REFRESH_S = 0.5
_PREVIEW = 160


class SweepReplies(ModalScreen[None]):
    """A list over the text of the reply that is marked. It grows while the sweep runs."""

    HORIZONTAL_BREAKPOINTS = [(0, "-below"), (150, "-beside")]  # noqa: RUF012 - Textual's interface
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "leave", "Close", id="sweep_replies.leave", tooltip="Back to the sweep"),
        Binding("c", "copy", "Copy", id="sweep_replies.copy", tooltip="Copy the text of the reply"),
        Binding("tab,shift+tab", "text", "Text", id="sweep_replies.text", tooltip="To the text, to scroll, and back"),
    ]
    DEFAULT_CSS = """
    SweepReplies {
        align: center middle;
        & > Vertical { width: 94%; height: 92%; border: round $border; background: $surface; padding: 0 1; }
        & DataTable { height: auto; max-height: 45%; overflow-x: hidden; scrollbar-size-vertical: 1; }
        & DataTable { background: $surface; }
        & VerticalScroll { height: 1fr; border-top: solid $border-blurred; }
        & VerticalScroll:focus { border-top: solid $border; }
        & Static { height: auto; }
        & #reply-problem { color: $text-error; }
        & KeyBar { padding: 0; background: $surface; }
    }
    """

    def __init__(self, job: SweepJob, place: Place) -> None:
        super().__init__()
        self._job = job
        self._place = place
        self._shown: list[CellResult] = []

    def compose(self) -> ComposeResult:
        """The list over the text."""
        model, prompt, setting = self._place
        sweep = self._job.sweep
        with Vertical() as box:
            title = f"{sweep.settings[setting].name} · {short_model(model)} · {sweep.prompts[prompt].name}"
            box.border_title = Content(display_line(title))
            yield DataTable(cursor_type="row", id="reply-list")
            with VerticalScroll(id="reply-scroll"):
                yield Static("", id="reply-text", markup=False)
                yield Static("", id="reply-problem", markup=False)
            yield KeyBar(_FOOT)

    def on_mount(self) -> None:
        """Fill the list, and go on filling it."""
        table = self.query_one(DataTable)
        table.add_columns(*_COLUMNS)
        table.focus()
        self._follow()
        self.set_interval(_REFRESH_S, self._follow)

    def _follow(self) -> None:
        results = self._job.live.results(self._place)
        if results == self._shown:
            return
        table, row = self.query_one(DataTable), self.query_one(DataTable).cursor_row
        self._shown = results
        table.clear()
        for result in results:
            table.add_row(*(Text(cell, no_wrap=True) for cell in _cells(result)))
        table.move_cursor(row=min(max(0, row), len(results) - 1))
        self._show_text()

    @on(DataTable.RowHighlighted)
    def _show_text(self) -> None:
        result = self._result()
        if result is None:
            return
        problem = result.problem
        text = display_text(result.text) if result.text or problem is not None else "(an empty reply)"
        self.query_one("#reply-text", Static).update(Content(text))
        self.query_one("#reply-problem", Static).update(Content(display_line(str(problem)) if problem else ""))
        self.query_one("#reply-scroll").scroll_home(animate=False)

    def _result(self) -> CellResult | None:
        row = self.query_one(DataTable).cursor_row
        return self._shown[row] if 0 <= row < len(self._shown) else None

    def action_text(self) -> None:
        """To the text, and back."""
        table = self.query_one(DataTable)
        (self.query_one("#reply-scroll") if table.has_focus else table).focus()

    def action_copy(self) -> None:
        """The text of the reply."""
        result = self._result()
        if result is not None:
            self.app.copy_to_clipboard(result.text)
            self.notify("Copied.", timeout=2)

    def action_leave(self) -> None:
        """Back to the sweep."""
        self.dismiss(None)


def _cells(result: CellResult) -> tuple[str, ...]:
    times = result.timings
    surprise = perplexity(result.logprob_sum, result.logprob_count) if result.logprob_sum is not None else None
    count = result.usage.completion_tokens
    return (
        str(result.sample),
        "–" if result.seed is None else str(result.seed),
        display_line(result.reason) if result.problem is None else f"failed: {result.problem.kind_in_words}",
        "–" if result.problem is not None else f"{count:,}",
        number(surprise, 2),
        number(times.ttft_ms, 0),
        number(times.tokens_per_second, 1),
        display_line(result.text[:_PREVIEW]),
    )
