"""Which panels are to be seen, and where the focus goes as they come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from playground.widgets.pane_layout import MIN_WIDTH, arrange
from playground.widgets.slider import ParamSlider

if TYPE_CHECKING:
    from textual.widget import Widget

    from playground.screens.playground import PlaygroundScreen

_BOTH: Final = 112
"""Columns from which controls and inspector stand beside the transcript at once."""
_INSPECTOR: Final = {False: 40, True: 62}
"""Columns that the inspector takes beside several panes, and on a wide screen; as in app.tcss."""
_WIDE: Final = 160


class Folding:
    """Shows and hides controls and inspector of the main screen."""

    def __init__(self, screen: PlaygroundScreen) -> None:
        self._screen = screen
        self._from: Widget | None = None
        """What had the focus before the controls got it."""
        self._before: tuple[bool, bool] | None = None
        """The controls' classes before they were opened for a moment; None when they were there, or are to stay."""
        self._hinted = False

    # -- controls ----------------------------------------------------------------------------------------------

    @property
    def in_controls(self) -> bool:
        """True while a row of the controls has the focus."""
        focused = self._screen.focused
        return focused is not None and self._screen.controls in focused.ancestors

    def toggle_controls(self) -> None:
        """Show them with the focus on the first slider, or hide them and go back to where one was."""
        screen, self._before = self._screen, None
        if not screen.controls.display:
            self._remember()
            self._show("controls", True)
            screen.call_after_refresh(self._focus_slider, "")
        else:
            if self.in_controls:
                self._return()
            self._show("controls", False)

    def to_sliders(self) -> None:
        """To the temperature, from anywhere; where the controls are hidden, they come until Esc."""
        screen = self._screen
        self._remember()
        if not screen.controls.display:
            self._before = screen.has_class("-no-controls"), screen.has_class("-with-controls")
            self._show("controls", True)
        screen.call_after_refresh(self._focus_slider, "temperature")

    def back(self) -> bool:
        """From the controls to where one was; False when one is not there."""
        if not self.in_controls:
            return False
        screen, before = self._screen, self._before
        if before is not None:
            self._before = None
            screen.set_class(before[0], "-no-controls")
            screen.set_class(before[1], "-with-controls")
        screen.call_after_refresh(self._return)
        return True

    def _remember(self) -> None:
        if not self.in_controls:
            self._from = self._screen.focused

    def _return(self) -> None:
        there = self._from
        (there if there is not None and there.is_attached and there.focusable else self._screen.editor).focus()

    def _focus_slider(self, name: str) -> None:
        chain = self._screen.focus_chain
        sliders = [one for one in chain if isinstance(one, ParamSlider) and self._screen.controls in one.ancestors]
        wanted = next((one for one in sliders if one.name == name), sliders[0] if sliders else None)
        if wanted is not None:
            wanted.focus()

    # -- inspector ---------------------------------------------------------------------------------------------

    def toggle_inspector(self) -> None:
        """Show it, or hide it."""
        screen = self._screen
        self._show("inspector", not screen.inspector.display)

    def token_pinned(self) -> None:
        """Somebody wants to know about a token: show the inspector where there is room, else say how it comes."""
        screen = self._screen
        if screen.inspector.display:
            return
        if self._has_room() and not screen.has_class("-no-inspector"):
            self._show("inspector", True)
        elif not self._hinted and not self.in_controls:
            self._hinted = True
            screen.notify("F3 shows what else could stand here.", timeout=4)

    def to_candidates(self) -> None:
        """To the list of candidates, which is brought into sight if need be."""
        screen = self._screen
        if not screen.inspector.display:
            if screen.size.width < _BOTH:
                self._show("controls", False)
            self._show("inspector", True)
        screen.call_after_refresh(lambda: screen.inspector.query_one("CandidateList").focus())

    def _has_room(self) -> bool:
        """True when no pane has to move, or to become narrower than is pleasant, for the inspector."""
        screen, grid = self._screen, self._screen.deck.grid
        count, now = len(grid.views), grid.size
        left = now.width - _INSPECTOR[screen.size.width >= _WIDE]
        if screen.size.width < _BOTH or count < 2:
            return False
        if grid.tabbed:
            return left >= MIN_WIDTH
        return arrange(count, left, now.height) == arrange(count, now.width, now.height)

    def _show(self, which: str, shown: bool) -> None:
        self._screen.set_class(not shown, f"-no-{which}")
        self._screen.set_class(shown, f"-with-{which}")
