"""Choosing a model: those found on this machine, or any file by its path."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, Static

from playground.domain.display import display_text
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.models import ModelCard, ModelFile
from playground.domain.sizes import size_text
from playground.engine.memory import available_bytes
from playground.screens.model_rows import COLUMNS, file_cells, hosted_cells
from playground.screens.notices import tell_error
from playground.services.model_facts import USUAL_CONTEXT, Memory, contexts_to_show, memory_at, read_facts
from playground.services.model_pool import ModelPool
from playground.services.model_removal import Removal, plan_removal, remove
from playground.services.model_words import fact_lines, fits
from playground.services.models import scan_models
from playground.services.recent_models import recent_models


class ModelPicker(ModalScreen[ModelRef | None]):
    """Lists models while the disk is being searched; typing filters the list, a path opens a file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", id="models.leave", tooltip="Keep the present model"),
        Binding("down", "focus_list", "List", show=False, id="models.list", tooltip="Go to the list"),
        Binding("f4", "facts", "Facts", id="models.facts", tooltip="All that the marked model's header says"),
        Binding("f8", "remove", "Remove", id="models.remove", tooltip="Remove the marked model from the disk"),
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
        self._memory: dict[str, Memory] = {}
        """What each file would take, by its path."""
        self._free_bytes = 0
        self._unavailable: dict[str, str] = {}
        """Endpoints that were asked and had nothing, and why."""

    def compose(self) -> ComposeResult:
        """A field for a name or path over the list."""
        with Vertical() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content("enter takes it · f4 facts · f5 fetches one · f8 removes it · esc leaves")
            yield Input(placeholder="part of a name, the path of a .gguf file, or ENDPOINT/MODEL", id="model-name")
            yield DataTable(cursor_type="row", id="model-list")
            yield Static("", id="model-path", markup=False)
            yield Static("searching …", id="model-note", markup=False)
            yield Static("", id="model-missing", markup=False)

    def on_mount(self) -> None:
        """Start the search."""
        self.query_one(DataTable).add_columns(*COLUMNS)
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
        notes, load = list[str](), self._pool.settings.load
        wanted = load.context or USUAL_CONTEXT
        self._free_bytes = await asyncio.to_thread(available_bytes)
        async for model in scan_models(self._pool.settings.models.folders, notes):
            self._found.append(model)
            with contextlib.suppress(PlaygroundError, OSError):  # the list says itself what is wrong with a file
                facts = await asyncio.to_thread(read_facts, model.path, load)
                self._memory[model.path] = memory_at(facts, min(wanted, facts.context or wanted), self._free_bytes)
            self._found.sort(key=lambda found: (bool(found.problem), found.path not in self._recent))
            self._fill()
        usable = sum(not model.problem for model in self._found)
        other = len(self._found) - usable
        text = f"{usable} model{'s' * (usable != 1)}" + (f", {other} that cannot be loaded" if other else "")
        free = size_text(self._free_bytes)
        notes.append(f"Memory: weights and {load.kv_type} cache at a context of {wanted:,}; {free} is free.")
        if not self._found:
            text = "No model was found: F5 fetches a small one, or type a path"
        self.query_one("#model-note", Static).update(Content(display_text(" ".join([f"{text}.", *notes]))))

    @on(Input.Changed)
    def _fill(self) -> None:
        table = self.query_one(DataTable)
        wanted = self.query_one(Input).value.strip().casefold()
        row, marked = table.cursor_row, self._key()
        table.clear()
        for model in self._found:
            if not wanted or "/" in wanted or wanted in f"{model.name} {model.source} {model.path}".casefold():
                memory, recent = self._memory.get(model.path), model.path in self._recent
                table.add_row(*file_cells(model, self._current, memory, recent=recent), key=model.path)
        for card in self._hosted:
            if not wanted or wanted in card.id.casefold():
                table.add_row(*hosted_cells(card, self._current), key=card.id)
        if marked is not None and marked in table.rows:
            row = table.get_row_index(marked)
        table.move_cursor(row=min(row, max(0, table.row_count - 1)))

    def _key(self) -> str | None:
        """What the mark is on: the path of a file, or ENDPOINT/MODEL; None in an empty list."""
        table = self.query_one(DataTable)
        return table.coordinate_to_cell_key(table.cursor_coordinate).row_key.value if table.row_count else None

    @on(DataTable.RowHighlighted)
    def _say_more(self, event: DataTable.RowHighlighted) -> None:
        model = next((found for found in self._found if found.path == event.row_key.value), None)
        text = (model.problem or model.path) if model is not None else str(event.row_key.value)
        memory = self._memory.get(text)
        if memory is not None and memory.missing_bytes:
            text = f"{text} {fits(memory)}"
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

    def _marked(self) -> ModelFile | None:
        """The file that is marked; None, told, when none is."""
        path = self._key()
        found = next((model for model in self._found if model.path == path), None)
        if found is None:
            self.notify("Mark a model on this machine first.", markup=False)
        return found

    def action_facts(self) -> None:
        """All that the marked model's header says."""
        from playground.screens.model_facts_screen import ModelFactsScreen

        model, load = self._marked(), self._pool.settings.load
        if model is None:
            return
        try:
            facts = read_facts(model.path, load)
        except PlaygroundError as error:
            tell_error(self, error)
            return
        rows = [memory_at(facts, context, self._free_bytes) for context in contexts_to_show(facts)]
        self.app.push_screen(ModelFactsScreen(model.name, fact_lines(facts, rows, load.kv_type)))

    def _check_removal(self, model: ModelFile, removal: Removal) -> None:
        """Raises BadInput when it would take something else than this file, or one that is loaded."""
        if Path(model.path) not in removal.files:
            raise BadInput(f"{model.name} is not there any more.", "Open the list of models anew.")
        if any(self._pool.has_loaded(str(file)) for file in removal.files):
            raise BadInput(f"{model.name} is loaded.", "Take another model first, then remove it.")

    @work(group="removing", exclusive=True)
    async def action_remove(self) -> None:
        """Remove the marked model from the disk, when the person says so; never one that is loaded."""
        from playground.screens.choice_dialog import Answer, ChoiceDialog, Question

        model = self._marked()
        if model is None:
            return
        try:
            removal = plan_removal(model.path, self._pool.settings)
            self._check_removal(model, removal)
            answers = [Answer("Keep it"), Answer("Remove it", f"frees {size_text(removal.size_bytes)}")]
            text = "\n".join(map(str, removal.files))
            if await self.app.push_screen_wait(ChoiceDialog(Question("Remove this model?", text, answers))) != 1:
                return
            self._check_removal(model, removal)
            await asyncio.to_thread(remove, removal)
        except PlaygroundError as error:
            tell_error(self, error)
            return
        self._found.remove(model)
        self._fill()
        self.notify(display_text(f"{model.name} was removed."), markup=False)

    def action_leave(self) -> None:
        """Keep the present model."""
        self.dismiss(None)
