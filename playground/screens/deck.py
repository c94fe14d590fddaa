"""The panes on the main screen: which there are, in which order, and which of them keys act upon."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Protocol

from playground.domain.errors import BadInput
from playground.domain.events import Event
from playground.domain.session import Session
from playground.screens.pane import Pane
from playground.screens.tuning import Tuning
from playground.services.model_pool import ModelPool
from playground.services.model_slot import ModelSlot
from playground.widgets.pane_grid import PaneGrid
from playground.widgets.pane_layout import MOST_PANES
from playground.widgets.pane_view import PaneView

_PATIENCE_S: Final = 2.0


class Progress(Protocol):
    """Takes how far a pane's model is loaded, 0 to 1."""

    def __call__(self, pane: Pane, fraction: float, /) -> None:
        """Show it."""
        ...


class Deck:
    """One to six panes.

    `on_change` is told that another one is active, `on_last` what still came for one that was closed.
    """

    def __init__(
        self,
        grid: PaneGrid,
        pool: ModelPool,
        progress: Progress,
        on_change: Callable[[], None],
        on_last: Callable[[Pane, list[Event]], None],
    ) -> None:
        self.grid = grid
        self.panes: list[Pane] = []
        self.to_all = True
        """A prompt goes to every pane; otherwise to the active one alone."""
        self._pool = pool
        self._progress = progress
        self._on_change = on_change
        self._on_last = on_last
        self._opening = asyncio.Lock()
        """Held while a pane is opened: two key presses must not open a seventh."""
        self._active: Pane | None = None

    @property
    def active(self) -> Pane:
        """The pane that keys, controls and inspector act upon."""
        assert self._active is not None, "there is always one pane once the screen is furnished"
        return self._active

    @property
    def several(self) -> bool:
        """True when there is more than one pane."""
        return len(self.panes) > 1

    @property
    def targets(self) -> list[Pane]:
        """The panes that the next prompt goes to."""
        return list(self.panes) if self.to_all else [self.active]

    def number(self, pane: Pane) -> int:
        """Place of a pane, counted from 1."""
        return self.panes.index(pane) + 1

    @property
    def room(self) -> int:
        """How many more panes there can be."""
        return MOST_PANES - len(self.panes)

    async def add(self, session: Session, tuning: Tuning, behind: Pane | None = None) -> Pane:
        """Open another pane. Raises BadInput when there are six.

        It stands behind all others and is the active one; or `behind` a certain one, and the active one stays active.
        """
        async with self._opening:
            if len(self.panes) >= MOST_PANES:
                raise BadInput(f"There are {MOST_PANES} panes already.", "Close one with Alt+W first.")
            view = PaneView()
            slot = ModelSlot(self._pool, lambda fraction: self._progress(pane, fraction))
            pane = Pane(session, view, slot, tuning)
            await self.grid.add(view)
            if behind is None or behind not in self.panes:
                self.panes.append(pane)
                self.activate(pane)
            else:
                self.panes.insert(self.panes.index(behind) + 1, pane)
                self.grid.set_order([pane.view for pane in self.panes])
                self._on_change()
        return pane

    async def close(self, pane: Pane) -> None:
        """Close a pane: its reply is stopped, its model given up. Raises BadInput for the last one."""
        if not self.several:
            raise BadInput("This is the only pane.", "Ctrl+Q leaves the program.")
        if pane not in self.panes:
            return
        place = self.panes.index(pane)
        self.panes.remove(pane)
        if pane is self._active:
            self.activate(self.panes[min(place, len(self.panes) - 1)])
        pane.load_number += 1  # whatever still loads for it is for nobody
        pane.settled.set()
        await self.grid.take_away(pane.view)
        with contextlib.suppress(TimeoutError):  # a model that does not answer is left
            await pane.runner.stop()
            await asyncio.wait_for(asyncio.shield(pane.runner.settle()), _PATIENCE_S)
        await pane.slot.close()
        self._on_last(pane, pane.runner.drain())
        if pane.session.active is not None:  # it never told its end; other panes may look at the same reply
            pane.session.active.writing = False
        self._on_change()

    def activate(self, pane: Pane) -> None:
        """Let keys act upon this pane."""
        if pane is not self._active:
            self._active = pane
            self.grid.set_active(pane.view)
            self._on_change()

    def pick(self, number: int) -> None:
        """Make the pane with this number, from 1, the active one. Raises BadInput when there is none."""
        if not 1 <= number <= len(self.panes):
            raise BadInput(f"There is no pane {number}.", "Alt+N opens another one.")
        self.activate(self.panes[number - 1])

    def step(self, by: int) -> None:
        """Make the next or previous pane the active one."""
        self.activate(self.panes[(self.panes.index(self.active) + by) % len(self.panes)])

    def move(self, by: int) -> None:
        """Let the active pane change places with its neighbour. Raises BadInput at the edge."""
        place = self.panes.index(self.active)
        if not 0 <= place + by < len(self.panes):
            raise BadInput("There is no pane on that side.")
        self.panes[place], self.panes[place + by] = self.panes[place + by], self.panes[place]
        self.grid.set_order([pane.view for pane in self.panes])
        self._on_change()

    def of_view(self, view: PaneView) -> Pane | None:
        """The pane that a view shows; None for one that is being closed."""
        return next((pane for pane in self.panes if pane.view is view), None)
