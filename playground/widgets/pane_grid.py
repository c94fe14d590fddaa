"""The room for panes: columns, two rows of columns, or one pane behind tabs, as the terminal allows."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical

from playground.widgets.pane_layout import PaneLayout, arrange
from playground.widgets.pane_tabs import PaneTabs
from playground.widgets.pane_view import PaneView


class PaneGrid(Vertical):
    """Lays out views; which of them is the active one, and in which order they stand, is told from outside."""

    DEFAULT_CSS = """
    PaneGrid {
        width: 1fr;
        height: 1fr;
        & > Container { layout: grid; grid-gutter: 0; width: 1fr; height: 1fr; }
        & > PaneTabs { display: none; height: 1; }
        &.-tabbed > PaneTabs { display: block; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.views: list[PaneView] = []
        self._active: PaneView | None = None
        self.maximised = False
        """True while the active pane has all the room."""

    def compose(self) -> ComposeResult:
        """Tabs over the cells; the tabs show only where the cells do not fit."""
        yield PaneTabs()
        yield Container()

    @property
    def _cells(self) -> Container:
        return self.query_one("PaneGrid > Container", Container)

    @property
    def tabs(self) -> PaneTabs:
        """The row of tabs, for the screen to fill."""
        return self.query_one(PaneTabs)

    @property
    def tabbed(self) -> bool:
        """True while only the active pane is to be seen."""
        return len(self.views) > 1 and (self.maximised or arrange(len(self.views), *self.size).tabbed(len(self.views)))

    async def add(self, view: PaneView) -> None:
        """Put a view behind the others."""
        await self._cells.mount(view)
        self.views.append(view)
        self._arrange()

    async def take_away(self, view: PaneView) -> None:
        """Take a view away."""
        self.views.remove(view)
        await view.remove()
        self._arrange()

    def set_order(self, views: Sequence[PaneView]) -> None:
        """Show the same views in another order."""
        self.views = list(views)
        self._cells.sort_children(key=lambda view: self.views.index(view) if isinstance(view, PaneView) else 0)
        self._arrange()

    def set_active(self, view: PaneView) -> None:
        """Mark a view as the one that keys act upon; behind tabs it is the one to be seen."""
        if view is not self._active:
            self._active = view
            self._arrange()

    def maximise(self, on: bool) -> None:
        """Give the active pane all the room, or share it again."""
        self.maximised = on
        self._arrange()

    def on_resize(self) -> None:
        """Another size, another arrangement."""
        self._arrange()

    def _arrange(self) -> None:
        count = len(self.views)
        tabbed = self.tabbed
        columns, _rows = PaneLayout(1, 1) if tabbed else arrange(count, *self.size)
        self.set_class(tabbed, "-tabbed")
        cells = self._cells
        cells.styles.grid_size_columns = columns
        for view in self.views:
            view.display = not tabbed or view is self._active
            view.set_class(count > 1, "-several")
            view.set_class(view is self._active, "-active")
            view.styles.column_span = 1
        if self.views and not tabbed:
            missing = -count % columns
            self.views[-1].styles.column_span = 1 + missing
