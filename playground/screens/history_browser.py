"""Looking through the history: what to look for, the replies that are like that, and the text of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.style import Style
from textual.widgets import Input, Static

from playground.domain.errors import PlaygroundError
from playground.screens.history_finding import Finding
from playground.screens.history_previewing import Previewing
from playground.screens.keeping import PRIVATE, Keeping
from playground.screens.notices import tell_error
from playground.theming import token_palette
from playground.widgets.cost_plot import CostPlot
from playground.widgets.history_list import HistoryList
from playground.widgets.history_preview import HistoryPreview
from playground.widgets.key_bar import KeyBar
from playground.widgets.key_maker import KeyMaker

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen
    from playground.services.history_reader import HistoryReader


T = TypeVar("T")

_FOOT: Final = (
    *("history.open", "history.leave", "history.search", "history.beside", "history.star", "history.rename"),
    *("history.run_again", "history.export", "history.delete", "history.undo", "history.costs"),
)
_PRESSED: Final = "filter"
_GAP: Final = 2
"""Cells between two filters."""
history_key = KeyMaker("history")
"""A key of the history screen."""


class HistoryBrowser(ModalScreen[None]):
    """Finds replies and shows them. What is being written goes on behind it."""

    HORIZONTAL_BREAKPOINTS = [(0, "-below"), (150, "-beside")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        history_key("escape,alt+c", "leave", "Close", "Back to the panes"),
        history_key("slash", "search", "Search", "Words that stand in prompt, reply or title"),
        history_key("down", "to_list", "List", "From the search to the list", name="list", show=False),
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
        self.finding = Finding(self)
        """What is listed."""
        self._previewing = Previewing(self)

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
        self.preview.set_palette(token_palette(self.app.theme_variables))
        self.rows.focus()
        self.changed()

    @property
    def rows(self) -> HistoryList:
        """Where the replies are."""
        return self.query_one(HistoryList)

    @property
    def preview(self) -> HistoryPreview:
        """Where the text of one is."""
        return self.query_one(HistoryPreview)

    @property
    def listed(self) -> bool:
        """True once the history was read."""
        return self.finding.listed

    def tell(self, error: PlaygroundError) -> None:
        """What went wrong, and what to do."""
        tell_error(self, error)

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

    # -- what is listed ----------------------------------------------------------------------------------------

    def show_count(self, count: int, found: str = "") -> None:
        """Say how many replies there are in all, and how many were found of them where that is not all."""
        title = f"History · {found}{count:,} {'reply' if count == 1 else 'replies'}"
        if self.keeping.private:
            title += f" · {PRIVATE}"
        self.query_one(Vertical).border_title = Content(title)

    def _show_filters(self) -> None:
        line = self.query_one("#history-filters", Static)
        bindings = self._bindings.copy()  # the active ones are without those that the search takes as letters
        bindings.apply_keymap(self.app._keymap)
        keys = {binding.id: binding for _, binding in bindings}
        shown = {key: self.app.get_key_display(binding) for key, binding in keys.items() if key}
        filters = [(shown.get(f"history.{one.key}", ""), one) for one in self.finding.filters.words()]
        long = sum(len(key) + 1 + cell_len(one.words) + _GAP for key, one in filters) - _GAP
        parts: list[Content] = []
        for key, one in filters:
            words = one.words if one.narrow or long <= line.size.width else one.short
            press = Style.from_meta({_PRESSED: one.action})  # a link of Textual's would have its own look
            look = "bold $accent" if one.narrow else "$foreground 75%"
            parts += [Content.styled(key, "bold $footer-key-foreground"), Content.styled(f" {words}", look)]
            parts[-2:] = [Content.assemble(*parts[-2:]).stylize(press), Content(" " * _GAP)]
        line.update(Content.assemble(*parts[:-1]))

    @on(events.Click, "#history-filters")
    async def _press(self, event: events.Click) -> None:
        if action := event.style.meta.get(_PRESSED):
            await self.run_action(action)

    def on_resize(self) -> None:
        """Another width, other words."""
        self.call_after_refresh(self._show_filters)

    def changed(self) -> None:
        """Other filters are in force."""
        self._show_filters()
        self.finding.find()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.finding.filters.search(event.value)
        self.finding.find()

    @on(HistoryList.MoreWanted)
    def _more(self) -> None:
        self.later(self.finding.read_more, "more")

    @on(HistoryList.Moved)
    def _moved(self) -> None:
        self._previewing.follow()

    @on(HistoryPreview.MoreWanted)
    def _read_on(self) -> None:
        self.later(self._previewing.read_more, "preview more")

    # -- keys --------------------------------------------------------------------------------------------------

    @on(HistoryList.Left)
    def action_search(self) -> None:
        """To the words."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def action_to_list(self) -> None:
        """To what was found."""
        self.rows.focus()

    def action_leave(self) -> None:
        """Back to the panes."""
        self.dismiss()
