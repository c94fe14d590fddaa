"""The main screen's dealings with several panes: opening, closing, walking between them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType

from playground.domain.errors import BadInput
from playground.domain.session import Session
from playground.domain.transcript import Transcript
from playground.screens.model_screen import TRY_ANOTHER
from playground.screens.pane import Pane
from playground.screens.params_screen import ParamsScreen
from playground.screens.tuning import Tuning
from playground.widgets.key_maker import KeyMaker

if TYPE_CHECKING:
    from playground.screens.deck import Deck
    from playground.widgets.pane_tabs import PaneTabs
    from playground.widgets.pane_view import PaneView

_key = KeyMaker("panes", priority=True)


class PanesScreen(ParamsScreen):
    """Keys and actions on panes; the subclass furnishes the screen and sets `deck`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("alt+n,f10", "add_pane", "Pane+", "Open another pane beside this one, with the same model and settings"),
        _key("alt+w", "close_pane", "Close pane", "Close the active pane; its reply is stopped"),
        _key("ctrl+pagedown", "step_pane(1)", "Next pane", "Go to the next pane", name="next"),
        _key("ctrl+pageup", "step_pane(-1)", "Previous pane", "Go to the previous pane", name="previous"),
        *(
            _key(f"alt+{number}", f"pick_pane({number})", f"Pane {number}", "Go to a pane", name=str(number))
            for number in range(1, 7)
        ),
        _key("alt+shift+right", "move_pane(1)", "Move right", "Move the pane to the right", name="move_right"),
        _key("alt+shift+left", "move_pane(-1)", "Move left", "Move the pane to the left", name="move_left"),
        _key("alt+m", "maximise_pane", "Maximise", "Give the active pane all the room, or share it again"),
        _key("alt+a", "to_all", "To all", "Send prompts to all panes, or to the active one alone"),
        _key("alt+l", "link", "Link", "Let sliders and options move in all panes together, or in the active one alone"),
    ]

    deck: Deck
    buffered = False
    """True while replies are held back until they are complete."""

    @property
    def pane(self) -> Pane:
        """The active pane."""
        return self.deck.active

    @property
    def all_panes(self) -> Sequence[Pane]:
        """Every pane, from left to right."""
        return self.deck.panes

    def action_add_pane(self) -> None:
        """Another pane like the active one."""
        self.attempt_later(self._add_pane, "panes")

    async def _add_pane(self) -> None:
        await self.open_pane_like(self.pane)
        self.editor.focus()

    async def open_pane_like(self, other: Pane, *, behind: Pane | None = None) -> Pane:
        """Open a pane with the model, preset, parameters and system prompt of another one. Raises BadInput.

        With `behind` it looks at the tree of `other`, so that their branches are branches of one tree; it stands right
        behind that pane, and the active one stays active.
        """
        session = Session(other.session.params, other.session.system)
        session.mode, session.options, session.watch = other.session.mode, other.session.options, other.session.watch
        if behind is not None:
            session.transcript = Transcript(beside=other.session.transcript)
        tuning = Tuning(other.tuning.shelf, other.tuning.preset)
        tuning.chosen = True
        pane = await self.deck.add(session, tuning, behind)
        pane.transcript.set_mode(other.transcript.mode)
        pane.transcript.set_buffered(self.buffered)
        self.dress(pane)
        pane.slot.stand_in = other.slot.stand_in
        if other.slot.ref is not None:
            pane.detach("loading", opening=True)  # at once, so that a prompt that follows waits for the model
            self.load_model(pane, other.slot.ref)
        else:
            pane.detach("no model")
            pane.transcript.set_welcome(TRY_ANOTHER)
        return pane

    def dress(self, pane: Pane) -> None:
        """Give a new pane's transcript the colours in force; the subclass knows them."""

    def action_close_pane(self) -> None:
        """Close the active pane."""
        self.attempt_later(partial(self.deck.close, self.pane), "panes")
        self.editor.focus()

    def action_step_pane(self, by: int) -> None:
        """The next pane, or the one before."""
        self.deck.step(by)
        self.editor.focus()

    def action_pick_pane(self, number: int) -> None:
        """The pane with this number."""
        self.attempt(lambda: self.deck.pick(number))
        self.editor.focus()

    def action_move_pane(self, by: int) -> None:
        """Change places with a neighbour."""
        self.attempt(lambda: self.deck.move(by))

    def action_maximise_pane(self) -> None:
        """All the room for one pane."""
        self.deck.grid.maximise(not self.deck.grid.maximised)

    def action_to_all(self) -> None:
        """A prompt for all, or for one."""
        self.deck.to_all = not self.deck.to_all
        self.show_editing()

    def action_link(self) -> None:
        """Sliders for all, or for one."""
        if not self.deck.several:
            self.tell(BadInput("There is only one pane.", "Alt+N opens another one."))
            return
        self.linked = not self.linked
        what = "in all panes together" if self.linked else "in the active pane alone"
        self.notify(f"Sliders now move {what}.", timeout=3)
        self.show_params()

    def on_pane_view_chosen(self, event: PaneView.Chosen) -> None:
        """The person pointed at a pane."""
        pane = self.deck.of_view(event.view)
        if pane is not None:
            self.deck.activate(pane)

    def on_pane_tabs_chosen(self, event: PaneTabs.Chosen) -> None:
        """The person chose a tab."""
        self.action_pick_pane(event.number)
