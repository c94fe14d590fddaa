"""Looking through the history: what to look for, the replies that are like that, and the text of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from msgspec import structs
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Input, Static

from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError
from playground.domain.history import Entry, Query
from playground.domain.transcript import Turn
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.history_filters import Filters
from playground.screens.keeping import PRIVATE, Keeping
from playground.theming import token_palette
from playground.widgets.cost_plot import CostPlot
from playground.widgets.history_list import HistoryList
from playground.widgets.history_preview import HistoryPreview
from playground.widgets.key_bar import KeyBar

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen
    from playground.services.history_reader import HistoryReader

T = TypeVar("T")

_REST_SECONDS: Final = 0.06
_FOOT: Final = (
    *("history.open", "history.leave", "history.search", "history.beside", "history.star", "history.rename"),
    *("history.delete", "history.undo", "history.costs", "history.model", "history.preset", "history.date"),
    *("history.cost", "history.starred", "history.deleted", "history.clear"),
)
_NOTHING: Final = (
    "Nothing is kept yet.\n\nEvery reply will be here from its first token on, with its branches\n"
    "and figures: to be found by its words, opened again as it was,\nand set beside another."
)
_NOT_FOUND: Final = "No reply is like that.\n\n/ changes the words, a leaves out nothing."
_NOT_DELETED: Final = "Nothing is deleted.\n\nx leads back."


def history_key(keys: str, action: str, label: str, tooltip: str, *, id: str = "") -> Binding:
    """A key of the history screen."""
    return Binding(keys, action, label, id=f"history.{id or action}", tooltip=tooltip)


class HistoryBrowser(ModalScreen[None]):
    """Finds replies and shows them. What is being written goes on behind it."""

    HORIZONTAL_BREAKPOINTS = [(0, "-below"), (150, "-beside")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        history_key("escape,alt+c", "leave", "Close", "Back to the panes"),
        history_key("slash", "search", "Search", "Words that stand in prompt, reply or title"),
        history_key("m", "filter('model')", "Model", "Only the replies of one model", id="model"),
        history_key("p", "filter('preset')", "Preset", "Only those under one preset", id="preset"),
        history_key("t", "filter('date')", "Time", "Only those of some days", id="date"),
        history_key("c", "filter('cost')", "Cost", "Only those that cost something", id="cost"),
        history_key("f", "starred", "Starred", "Only those with a star, or all"),
        history_key("x", "deleted", "Deleted", "Those that were deleted, or back to those that were not"),
        history_key("a", "clear", "All", "Leave nothing out"),
        Binding("down", "to_list", "List", show=False, id="history.list", tooltip="From the search to the list"),
    ]
    DEFAULT_CSS = """
    HistoryBrowser {
        align: center middle;
        & > Vertical { width: 97%; height: 94%; border: round $border; background: $surface; padding: 0 1; }
        & Input, & Input:focus { border: none; height: 1; padding: 0; background: $panel; }
        & #history-filters { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & #history-body { height: 1fr; layout: vertical; }
        & HistoryList { height: 3fr; }
        & #history-side { height: 2fr; border-top: solid $border-blurred; }
        & HistoryPreview, & CostPlot { height: 1fr; background: $surface; }
        & CostPlot { display: none; }
        &.-costs CostPlot { display: block; }
        &.-costs HistoryPreview { display: none; }
        & KeyBar { padding: 0; background: $surface; }
        &.-low.-below {
            & HistoryList { height: 2fr; }
            & #history-side { height: 3fr; }
            & #history-facts { height: 1; text-wrap: nowrap; text-overflow: ellipsis; }
        }
        &.-beside {
            & #history-body { layout: horizontal; }
            & HistoryList { height: 1fr; width: 3fr; }
            & #history-side { height: 1fr; width: 2fr; border-top: none; border-left: solid $border-blurred; }
            & #history-side { padding: 0 0 0 1; }
        }
    }
    """

    def __init__(self, main: TokenScreen, keeping: Keeping) -> None:
        super().__init__()
        self.main = main
        self.keeping = keeping
        self._filters = Filters()
        self._wanted: Query | None = None
        """What to look for next, when a look is under way."""
        self._looking = False
        self.listed = False
        """True once there was an answer."""
        self._keep_row = False
        """True when the same list is read again."""
        self._resting: Timer | None = None
        self._seen: tuple[str, dict[int, Turn]] = ("", {})
        """The conversation that was read last, by its turns."""

    def compose(self) -> ComposeResult:
        """What to look for over what there is."""
        with Vertical() as box:
            box.border_title = Content("History")
            yield Input(placeholder="words of a prompt, a reply or a title", id="history-words")
            yield Static("", id="history-filters", markup=False)
            with Horizontal(id="history-body"):
                yield HistoryList(id="history-list")
                with Vertical(id="history-side"):
                    yield HistoryPreview(self.main.pane.transcript.mode, id="history-preview")
                    yield CostPlot(id="history-costs")
            yield KeyBar(_FOOT, id="history-keys")

    def on_mount(self) -> None:
        """Begin at the newest."""
        self.query_one(HistoryPreview).set_palette(token_palette(self.app.theme_variables))
        self.rows.focus()
        self._show_filters()
        self._find(self._filters.query)

    @property
    def rows(self) -> HistoryList:
        """Where the replies are."""
        return self.query_one(HistoryList)

    def tell(self, error: PlaygroundError) -> None:
        """What went wrong, and what to do."""
        self.notify(display_text(error.hint), title=display_text(error.message), severity="error", markup=False)

    async def read(self, work: Callable[[HistoryReader], T]) -> T | None:
        """Look something up; None when the file cannot be read, which is told."""
        try:
            return await self.keeping.file().read(work)
        except PlaygroundError as error:
            self.tell(error)
            return None

    def later(self, work: Callable[[], object], group: str) -> None:
        """Do what waits for the disk; the screen goes on meanwhile."""
        self.run_worker(work, group=group)

    # -- looking -----------------------------------------------------------------------------------------------

    def _find(self, query: Query) -> None:
        """Look for something; what was looked for before and is not there yet, nobody wants any more."""
        self._wanted = query
        if not self._looking:
            self._looking = True
            self.later(self._look, "look")

    async def _look(self) -> None:
        try:
            await self.keeping.keep()
            while self._wanted is not None:
                query, self._wanted = self._wanted, None
                found = await self._matches(query)
                if self._wanted is None:
                    self._show(found, query)
            self._show_title(await self.read(lambda reader: reader.count()) or 0)
        finally:
            self._looking = False

    async def _matches(self, query: Query) -> Sequence[Entry]:
        return await self.read(lambda reader: reader.find(query)) or []

    def _show(self, found: Sequence[Entry], query: Query) -> None:
        nothing = _NOT_FOUND if self._filters.narrow else _NOT_DELETED if query.deleted else _NOTHING
        same = self.rows.entry is not None and bool(found)
        at = self.rows.cursor if same and self._keep_row else 0
        self._keep_row, self.listed = False, True
        self.rows.show(found, more=len(found) == query.limit, nothing=nothing, at=at)

    def _show_title(self, count: int) -> None:
        title = f"History · {count:,} {'reply' if count == 1 else 'replies'}"
        if self.keeping.private:
            title += f" · {PRIVATE}"
        self.query_one(Vertical).border_title = Content(title)

    def _show_filters(self) -> None:
        parts: list[tuple[str, str]] = []
        for words, narrow in self._filters.words():
            parts += [(words, "bold $accent" if narrow else ""), (" · ", "")]
        self.query_one("#history-filters", Static).update(Content.assemble(*parts[:-1]))

    def _changed(self) -> None:
        self._show_filters()
        self._find(self._filters.query)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._filters.search(event.value)
        self._find(self._filters.query)

    @on(HistoryList.MoreWanted)
    def _more(self) -> None:
        self.later(self._read_more, "more")

    async def _read_more(self) -> None:
        query = structs.replace(self._filters.query, offset=len(self.rows.entries))
        found = await self._matches(query)
        if structs.replace(self._filters.query, offset=query.offset) == query:
            self.rows.append(found, more=len(found) == query.limit)

    @on(HistoryList.Moved)
    def _moved(self) -> None:
        """The text comes when the cursor has come to rest."""
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(_REST_SECONDS, partial(self.later, self._preview, "preview"))

    async def _preview(self) -> None:
        entry = self.rows.entry
        turns: list[Turn] = []
        if entry is not None:
            if self._seen[0] != entry.tree or entry.turn not in self._seen[1]:
                stored = await self.read(lambda reader: reader.tree(entry.tree))
                said = {turn.id: turn.turn(tokens) for turn, tokens in stored.turns} if stored is not None else {}
                self._seen = entry.tree, said
            reply = self._seen[1].get(entry.turn)
            turns = [turn for turn in (self._seen[1].get(reply.parent or 0), reply) if turn] if reply else []
        if entry is self.rows.entry:
            self.query_one(HistoryPreview).show(entry, turns)

    @on(HistoryList.Left)
    def action_search(self) -> None:
        """To the words."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def action_to_list(self) -> None:
        """To what was found."""
        self.rows.focus()

    # -- filters -----------------------------------------------------------------------------------------------

    def action_filter(self, which: str) -> None:
        """Choose which ones are listed."""
        self.later(partial(self._ask_filter, which), "filter")

    async def _ask_filter(self, which: str) -> None:
        models, presets = await self.read(lambda reader: reader.names()) or ([], [])
        names = models if which == "model" else presets
        answer = await self.app.push_screen_wait(ChoiceDialog(self._filters.question(which, names)))
        if answer is not None:
            self._filters.choose(which, names, answer)
            self._changed()

    def action_starred(self) -> None:
        """Only those with a star, or all."""
        self._filters.toggle_starred()
        self._changed()

    def action_deleted(self) -> None:
        """Those that were deleted, or the others."""
        self._filters.toggle_deleted()
        self._changed()

    def action_clear(self) -> None:
        """Leave nothing out."""
        self._filters.clear()
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self._changed()

    def again(self) -> None:
        """Read the same list again, with the cursor where it is."""
        self._keep_row = True
        self._find(self._filters.query)

    def action_leave(self) -> None:
        """Back to the panes."""
        self.dismiss()
