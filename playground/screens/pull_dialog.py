"""Fetching a model from the hub: which repository, which of its files, how far it is."""

from __future__ import annotations

import asyncio
import time
from typing import ClassVar, Final

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import DataTable, Input, ProgressBar, Static
from textual.worker import Worker

from playground.domain.display import display_text
from playground.domain.endpoints import ModelRef
from playground.domain.errors import PlaygroundError
from playground.domain.sizes import size_text
from playground.engine.memory import available_bytes
from playground.services.hub_address import find_hub
from playground.services.hub_names import Choice, choices, parse_reference
from playground.services.hub_offers import Offer, look_up
from playground.services.model_facts import too_big_by
from playground.services.model_hub import HubClient
from playground.services.model_pull import Progress, Puller, pace_text
from playground.services.suggestions import SUGGESTIONS

_REDRAW_S: Final = 0.1
_CLOSES: Final = "enter takes it · esc closes"
_STOPS: Final = "esc stops; what came is kept"


class PullDialog(ModalScreen[ModelRef | None]):
    """Lists good small models, what a search finds, or what a repository has; Enter goes on to an open model."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape", "leave", "Stop or close", id="pull.leave", tooltip="Stop fetching, keeping what came; else close"
        ),
        Binding("down", "focus_list", "List", show=False, id="pull.list", tooltip="Go to the list"),
    ]
    DEFAULT_CSS = """
    PullDialog {
        align: center middle;
        & > Vertical {
            width: 94%; max-width: 120; height: 80%; max-height: 24;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Input, & Input:focus { border: none; height: 1; margin: 1 0; background: $panel; }
        & DataTable { height: 1fr; background: $surface; }
        & ProgressBar { width: 1fr; height: 1; display: none; }
        & ProgressBar Bar { width: 1fr; }
        & #pull-note { height: auto; max-height: 4; color: $text-muted; }
        & #pull-problem { height: auto; max-height: 5; color: $error; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._offer: Offer | None = None
        """What was found in a repository; None while repositories are listed."""
        self._found: list[Choice] = []
        self._fetching: Worker[None] | None = None
        self._drawn_s = 0.0

    def compose(self) -> ComposeResult:
        """A field for the repository over the list."""
        with Vertical() as box:
            box.border_title = Content("Models from the hub")
            box.border_subtitle = Content(_CLOSES)
            yield Input(placeholder="words to search for, ORG/REPO, ORG/REPO:QUANT, or an address", id="pull-name")
            yield DataTable(cursor_type="row", id="pull-list")
            yield ProgressBar(show_eta=False)
            yield Static("", id="pull-note", markup=False)
            yield Static("", id="pull-problem", markup=False)

    def on_mount(self) -> None:
        """Begin with models that are good to begin with."""
        table = self.query_one(DataTable)
        table.add_columns("model", "size", "licence", "what it is")
        for one in SUGGESTIONS:
            cells = (one.name, f"≈ {size_text(one.approx_size_bytes)}", one.licence, one.note)
            table.add_row(*(Text(cell, no_wrap=True) for cell in cells), key=one.reference)
        self._note("Some good small models. Enter asks the hub what there is; nothing is fetched yet.")

    @on(DataTable.RowHighlighted)
    def _say_more(self, event: DataTable.RowHighlighted) -> None:
        one = next((one for one in SUGGESTIONS if one.reference == event.row_key.value), None)
        if one is not None and self.query_one(DataTable).has_focus:
            self._note(f"{one.reference}: {one.note}. Enter asks the hub for it; nothing is fetched yet.")

    @on(Input.Submitted)
    def _typed(self, event: Input.Submitted) -> None:
        if self._fetching is not None:
            self.notify("Esc stops what is being fetched; then another can be looked for.", markup=False)
        elif "/" in event.value:
            self._look(event.value)
        elif event.value.strip():
            self._find(event.value)
        else:
            self.action_focus_list()

    @on(DataTable.RowSelected)
    def _chosen(self, event: DataTable.RowSelected) -> None:
        if self._fetching is not None:
            return
        if self._offer is None:
            self.query_one(Input).value = str(event.row_key.value)
            self._look(str(event.row_key.value))
        else:
            choice = self._found[event.cursor_row]
            self._fetching = self._fetch(Offer(self._offer.listing, choice, ()))

    @work(group="hub", exclusive=True)
    async def _find(self, words: str) -> None:
        self._problem("")
        self._note("searching the hub …")
        try:
            async with self._client("") as client:
                hits = await client.search(words.strip())
        except PlaygroundError as error:
            self._note("")
            self._problem(str(error))
            return
        self._offer = None
        table = self.query_one(DataTable)
        table.clear(columns=True)
        table.add_columns("repository", "downloads", "likes")
        for hit in hits:
            counts = ["–" if count is None else f"{count:,}" for count in (hit.downloads, hit.likes)]
            cells = (Text(hit.repository, no_wrap=True), *(Text(count, justify="right") for count in counts))
            table.add_row(*cells, key=hit.repository)
        if not hits:
            self._note(f"The hub has no GGUF model whose name holds {words.strip()!r}. Try fewer or other words.")
            return
        table.focus()
        more = "the most fetched of those whose names hold" if len(hits) > 1 else "its name holds"
        self._note(f"{len(hits)} found: {more} {words.strip()!r}. Enter lists what a repository has.")

    @work(group="hub", exclusive=True)
    async def _look(self, text: str) -> None:
        self._problem("")
        self._note("asking the hub …")
        try:
            async with self._client(text) as client:
                offer = await look_up(client, parse_reference(text))
        except PlaygroundError as error:
            self._note("")
            self._problem(str(error))
            return
        self._offer, self._found = offer, choices(offer.listing.files)
        too_big = await asyncio.to_thread(lambda: [too_big_by(one.size_bytes) for one in self._found])
        self._list_files(offer, too_big, await asyncio.to_thread(available_bytes))

    def _list_files(self, offer: Offer, too_big: list[str], free_bytes: int) -> None:
        table = self.query_one(DataTable)
        table.clear(columns=True)
        table.add_columns("quant.", "size", "memory", "file")
        for choice, short in zip(self._found, too_big, strict=True):
            parts = f" in {len(choice.files)} files" if len(choice.files) > 1 else ""
            fit = f"too big by {short}" if short else "fits"
            cells = (choice.quantisation or "–", f"{size_text(choice.size_bytes)}{parts}", fit, choice.files[0].path)
            table.add_row(*(Text(display_text(cell), no_wrap=True) for cell in cells))
        table.move_cursor(row=self._found.index(offer.choice))
        table.focus()
        licence = f" Licence: {offer.listing.licence}." if offer.listing.licence else ""
        free = f" {size_text(free_bytes)} of memory is free; a file takes its size, and a cache beside it."
        self._note(f"{offer.listing.repository}.{licence}{free} Enter fetches the marked file and opens it.")

    @work(group="hub", exclusive=True)
    async def _fetch(self, offer: Offer) -> None:
        bar, box = self.query_one(ProgressBar), self.query_one(Vertical)
        bar.display, box.border_subtitle = True, Content(_STOPS)
        bar.update(total=offer.choice.size_bytes, progress=0)
        self._problem("")
        try:
            async with self._client(self.query_one(Input).value) as client:
                pulled = await Puller(client, offer, self._report).pull()
        except PlaygroundError as error:
            self._problem(str(error))
        except asyncio.CancelledError:
            self._note("Stopped. What came is kept: Enter goes on from there.")
            raise
        else:
            self.dismiss(ModelRef("", str(pulled.path)))
        finally:
            self._fetching = None
            if self.is_attached:
                bar.display, box.border_subtitle = False, Content(_CLOSES)

    def _client(self, text: str) -> HubClient:
        hub = find_hub(parse_reference(text).host if text else "")
        if hub.note:
            self.notify(display_text(hub.note), markup=False)
        return HubClient(hub, self._note)

    def _report(self, progress: Progress) -> None:
        now_s, whole = time.monotonic(), progress.done_bytes >= progress.total_bytes
        if now_s - self._drawn_s < _REDRAW_S and not whole:
            return
        self._drawn_s = now_s
        self.query_one(ProgressBar).update(progress=progress.done_bytes)
        self._note("checking and opening …" if whole else pace_text(progress))

    def _note(self, text: str) -> None:
        if not self.is_attached:
            return  # the app is closing while something is fetched
        self.query_one("#pull-note", Static).update(Content(display_text(text)))

    def _problem(self, text: str) -> None:
        self.query_one("#pull-problem", Static).update(Content(display_text(text)))

    def action_focus_list(self) -> None:
        """From the field into the list."""
        self.query_one(DataTable).focus()

    def action_leave(self) -> None:
        """Stop fetching, or close."""
        if self._fetching is not None:
            self._fetching.cancel()
        else:
            self.dismiss(None)
