"""Choosing a model: those found on this machine, or any file by its path."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Static

from playground.domain.display import display_text
from playground.domain.endpoints import ModelRef
from playground.domain.errors import PlaygroundError
from playground.domain.models import ModelCard, ModelFile
from playground.domain.sizes import size_text
from playground.screens.notices import tell_error
from playground.services.model_pool import ModelPool
from playground.services.models import scan_models
from playground.services.recent_models import recent_models

_COLUMNS = ("model", "size", "quant.", "params", "context", "arch.", "found in")


class ModelPicker(ModalScreen[ModelRef | None]):
    """Lists models while the disk is being searched; typing filters the list, a path opens a file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="models.leave", tooltip="Keep the present model"),
        Binding("down", "focus_list", "List", show=False, id="models.list", tooltip="Go to the list"),
        Binding("f5", "pull", "Fetch", id="models.pull", tooltip="Fetch a model from the Hugging Face hub"),
    ]
    DEFAULT_CSS = """
    ModelPicker {
        align: center middle;
        & > Vertical { width: 94%; height: 80%; border: round $border; background: $surface; padding: 0 1; }
        & Input, & Input:focus { border: none; height: 1; margin: 1 0; background: $panel; }
        & DataTable { height: 1fr; background: $surface; }
        & #model-path { height: auto; max-height: 3; }
        & #model-note { height: auto; max-height: 3; color: $text-muted; }
        & #model-missing { height: auto; max-height: 4; color: $text-warning; }
    }
    """

    def __init__(self, pool: ModelPool, current: ModelRef | None, *, title: str = "Models") -> None:
        super().__init__()
        self._title = title
        self._pool = pool
        self._current = current
        self._recent = {str(path) for path in recent_models()}
        self._found: list[ModelFile] = []
        self._hosted: list[ModelCard] = []
        self._unavailable: dict[str, str] = {}
        """Endpoints that were asked and had nothing, and why."""

    def compose(self) -> ComposeResult:
        """A field for a name or path over the list."""
        with Vertical() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("enter takes it · f5 fetches one from the hub · esc keeps the present one")
            yield Input(placeholder="part of a name, the path of a .gguf file, or ENDPOINT/MODEL", id="model-name")
            yield DataTable(cursor_type="row", id="model-list")
            yield Static("", id="model-path", markup=False)
            yield Static("searching …", id="model-note", markup=False)
            yield Static("", id="model-missing", markup=False)

    def on_mount(self) -> None:
        """Start the search."""
        self.query_one(DataTable).add_columns(*_COLUMNS)
        self._search()
        self._ask_endpoints()

    @work(group="endpoints", exclusive=True)
    async def _ask_endpoints(self) -> None:
        from playground.services.offers import scan_offers

        async for offer in scan_offers(self._pool.endpoints, self._pool.settings):
            self._hosted += offer.models
            if offer.problem:
                self._unavailable[offer.endpoint] = offer.problem
            self._fill()
            self._say_what_is_missing()

    def _say_what_is_missing(self) -> None:
        lines = [f"{name}: {problem}" for name, problem in self._unavailable.items()]
        self.query_one("#model-missing", Static).update(Content(display_text("\n".join(lines))))

    @work(group="files", exclusive=True)
    async def _search(self) -> None:
        notes: list[str] = []
        async for model in scan_models(self._pool.settings.models.folders, notes):
            self._found.append(model)
            self._found.sort(key=lambda found: (bool(found.problem), found.path not in self._recent))
            self._fill()
        usable = sum(not model.problem for model in self._found)
        other = len(self._found) - usable
        text = f"{usable} model{'s' * (usable != 1)}" + (f", {other} that cannot be loaded" if other else "")
        if not self._found:
            text = "No model was found: F5 fetches a small one, or type a path"
        self.query_one("#model-note", Static).update(Content(display_text(" ".join([f"{text}.", *notes]))))

    @on(Input.Changed)
    def _fill(self) -> None:
        table = self.query_one(DataTable)
        wanted = self.query_one(Input).value.strip().casefold()
        row = table.cursor_row
        table.clear()
        for model in self._found:
            if not wanted or "/" in wanted or wanted in f"{model.name} {model.source} {model.path}".casefold():
                table.add_row(*self._cells(model), key=model.path)
        for card in self._hosted:
            if not wanted or wanted in card.id.casefold():
                table.add_row(*self._hosted_cells(card), key=card.id)
        table.move_cursor(row=min(row, max(0, table.row_count - 1)))

    def _cells(self, model: ModelFile) -> list[Text]:
        mark = "● " if self._current is not None and model.path == self._current.name else ""
        style = "dim" if model.problem else ""
        context = f"{model.n_ctx_train:,}" if model.n_ctx_train else "–"
        source = "recent" if model.path in self._recent and model.source != "starter" else model.source
        cells = (
            mark + model.name,
            size_text(model.size_bytes),
            model.quantisation or "–",
            model.parameters or "–",
            context,
            model.architecture or "–",
            source,
        )
        return [Text(display_text(cell), style=style, no_wrap=True) for cell in cells]

    def _hosted_cells(self, card: ModelCard) -> list[Text]:
        mark = "● " if self._current is not None and card.id == self._current.text else ""
        context = f"{card.n_ctx:,}" if card.n_ctx else "–"
        cells = (f"{mark}{card.short_name}", "–", "–", "–", context, "–", card.provider)
        return [Text(display_text(cell), no_wrap=True) for cell in cells]

    @on(DataTable.RowHighlighted)
    def _say_more(self, event: DataTable.RowHighlighted) -> None:
        model = next((found for found in self._found if found.path == event.row_key.value), None)
        text = (model.problem or model.path) if model is not None else str(event.row_key.value)
        self.query_one("#model-path", Static).update(Content(display_text(text)))

    @on(DataTable.RowSelected)
    def _chosen(self, event: DataTable.RowSelected) -> None:
        model = next((found for found in self._found if found.path == event.row_key.value), None)
        if model is None:
            self.dismiss(self._pool.find(str(event.row_key.value)))
        elif model.problem:
            self.notify(display_text(model.problem), severity="error", markup=False)
        else:
            self.dismiss(ModelRef("", model.path))

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        table = self.query_one(DataTable)
        if table.row_count and "/" not in event.value:
            table.action_select_cursor()
            return
        try:
            self.dismiss(self._pool.find(event.value))
        except PlaygroundError as error:
            tell_error(self, error)

    def action_focus_list(self) -> None:
        """From the field into the list."""
        self.query_one(DataTable).focus()

    def action_pull(self) -> None:
        """Fetch another one, which is taken when it is there."""
        from playground.screens.pull_dialog import PullDialog

        def fetched(ref: ModelRef | None) -> None:
            if ref is not None:
                self.dismiss(ref)

        self.app.push_screen(PullDialog(), fetched)

    def action_leave(self) -> None:
        """Keep the present model."""
        self.dismiss(None)
