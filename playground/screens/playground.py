"""The main screen: controls, transcript, inspector, prompt, status; and the frame in which they keep up."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import ClassVar, Final

from msgspec import structs
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from playground.domain.display import display_text
from playground.domain.events import Event, Failed, Started
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.screens import key_order
from playground.screens.inspecting_screen import InspectingScreen
from playground.screens.model_screen import WELCOME
from playground.screens.pane import REFUSALS, Pane
from playground.screens.pane_figures import status_of
from playground.services.presets import Preset
from playground.services.settings import Settings
from playground.theming import token_palette
from playground.widgets.colour_scale import ColourMode
from playground.widgets.key_bar import KeyBar
from playground.widgets.prompt_editor import PromptEditor
from playground.widgets.sparing import SparingCompositor
from playground.widgets.status_bar import StatusBar

_DETAIL_SECONDS: Final = 1 / 8
"""How often inspector and status bar are drawn anew while tokens stream; the eye reads no faster."""


_HIGH: Final = 50
_MANY_CANDIDATES: Final = 25
"""How many candidates are kept where the screen is high enough to show them all."""


class PlaygroundScreen(InspectingScreen):
    """Everything on one screen. It folds: narrow terminals show controls and inspector one at a time."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (88, "-medium"), (112, "-normal"), (160, "-wide")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f2",
            "toggle_controls",
            "Controls",
            id="view.controls",
            tooltip="Show or hide the sampling controls",
            priority=True,
        ),
        Binding(
            "f3",
            "toggle_inspector",
            "Inspector",
            id="view.inspector",
            tooltip="Show or hide the inspector",
            priority=True,
        ),
        Binding(
            "ctrl+o",
            "sliders",
            "Sliders",
            id="view.sliders",
            tooltip="Go to the temperature, from anywhere; Esc leads back",
            priority=True,
        ),
    ]

    def __init__(
        self, settings: Settings, *, model: str, presets: dict[str, Preset], preset: Preset, params: SamplingParams
    ) -> None:
        super().__init__(settings, model, presets, preset)
        self._compositor = SparingCompositor()
        self._params = params
        self._last_note = ""
        self.furnished = False
        """True once all panels are there, a moment after the first paint."""

    def compose(self) -> ComposeResult:
        """What the first paint needs: a place to write. The rest comes right after it."""
        with Horizontal(id="body"), Vertical(id="right"):
            yield Horizontal(id="upper")
            yield PromptEditor(placeholder="Write a prompt; Enter sends it", id="prompt")
        yield StatusBar(id="status")
        yield KeyBar(key_order.EMPTY, id="keys")

    def on_mount(self) -> None:
        """Typing works from the first paint on."""
        self.editor.focus()
        self.call_after_refresh(self._furnish)

    async def _furnish(self) -> None:
        """Controls at the left, transcript and inspector over the prompt; then the model loads behind them."""
        # Imported here because all this comes after the first paint.
        from playground.screens.deck import Deck
        from playground.screens.folding import Folding
        from playground.widgets.controls import Controls
        from playground.widgets.inspector import Inspector
        from playground.widgets.pane_grid import PaneGrid

        grid = PaneGrid(id="panes")
        self.controls = Controls(self._params, preset=self.first_tuning.name, id="controls")
        self.inspector = Inspector(id="inspector")
        self.furnish_sending()
        self.furnish_inside()
        self.folding: Folding = Folding(self)
        self.deck = Deck(grid, self.pool, self.progress_of, self._pane_changed, self.book)
        with self.app.batch_update():
            await self.query_one("#body").mount(self.controls, before=0)
            await self.query_one("#upper").mount(grid, self.inspector)
            session = Session(self._params_for(self.size.height), self.settings.system)
            pane = await self.deck.add(session, self.first_tuning)
        self.furnished = True
        pane.transcript.set_mode(ColourMode(self.settings.colour))
        pane.transcript.set_welcome(WELCOME)
        self.apply_theme()
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.apply_theme())
        self.show_editing()
        self.show_params()
        self.refresh_bindings()
        self.set_interval(1 / self.settings.frames_per_second, self._frame)
        pane.detach("looking for a model", opening=True)
        self.begin_loading(pane)
        self.send_waiting()
        self.keeping.begin()

    async def leave(self) -> None:
        """Before the models are given up: end replies as a person does, so that they are kept as such."""
        if self.furnished:
            await self.sweeping.end()
            await self.keeping.end_replies()

    async def on_unmount(self) -> None:
        """What was said is kept, however the program ends."""
        if self.furnished:
            await self.keeping.end()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No action has anything to act on before the screen is furnished."""
        return self.furnished and super().check_action(action, parameters)

    def _params_for(self, height: int) -> SamplingParams:
        """The parameters to begin with; a high screen has room for more candidates than the usual number."""
        params = self._params
        if height >= _HIGH and params.top == SamplingParams().top:
            params = structs.replace(params, top=_MANY_CANDIDATES)
        return params

    def apply_theme(self) -> None:
        """Draw tokens in the colours of the theme in force."""
        for pane in self.all_panes:
            self.dress(pane)

    def dress(self, pane: Pane) -> None:
        """The same for one pane."""
        pane.transcript.set_palette(token_palette(self.app.theme_variables))

    def _pane_changed(self) -> None:
        """Another pane is active, or there is one more or less."""
        if self.furnished:
            self.hovered = None
            self.set_class(self.deck.several, "-several")
            self.set_class(len(self.deck.panes) > 2, "-many")
            self.show_params()
            self.show_editing()
            self.show_details()
            self.count_draft()
            self.attempt_later(self.fit_table, "table")

    # -- the frame ---------------------------------------------------------------------------------------------

    def _frame(self) -> None:
        """Take what came from the model since the last frame; one pass, however much came."""
        now = time.monotonic()
        for pane in self.all_panes:
            events = pane.drain()
            self.book(pane, events)
            for event in events:
                if isinstance(event, Started):
                    self._show_note(event.note)
            if events and not pane.session.busy:
                self._run_ended(pane, events)
        self.comparison.follow(self.all_panes)
        if now >= self.detail_due and not self.pane.about_to_write:
            self.detail_due = now + _DETAIL_SECONDS
            self.show_details()
        self.take_changes()

    def show_details(self) -> None:
        """Bring everything up to date but the transcripts."""
        spent = self.accounts.spending
        status = replace(
            status_of(self.pane),
            session_cost=spent.session.usd,
            session_unknown=spent.session.unknown,
            day_cost=spent.day.usd,
            price_note=self.price_note,
        )
        self.query_one(StatusBar).show(status)
        self.query_one(KeyBar).show(self._keys())
        self.show_headings()
        self.watching.follow()
        self.replaying.follow()
        self.show_token()

    def _keys(self) -> key_order.Keys:
        """What one is likely to want now, the likeliest first."""
        pane = self.pane
        if pane.runner.backend is None and not pane.opening and not pane.session.busy:
            return key_order.LOST if pane.slot.ref is not None else key_order.EMPTY
        busy, listed = pane.session.busy, bool(self.inspector.display)
        if keys := key_order.of_focus(self.focused, busy=busy, stepping=pane.stepping, listed=listed):
            return keys
        if busy:
            return key_order.BUSY
        if pane.stepping:
            return key_order.STEPPING
        if self.deck.several:
            return key_order.SEVERAL
        return key_order.ANSWERED if pane.session.transcript.head is not None else key_order.EMPTY

    def _run_ended(self, pane: Pane, events: list[Event]) -> None:
        last = events[-1]
        self.keeping.look()
        if isinstance(last, Failed) and last.problem.kind in REFUSALS:
            text = pane.take_back(last.problem)
            self.tell_problem(last.problem)
            if text:
                self.give_back(text)
            self.show_editing()
        if pane is self.pane:
            self.show_params()  # the reply may have told what the model takes
        self.count_draft()

    def _show_note(self, note: str) -> None:
        """What the model's template could not take; once, not with every message."""
        if note and note != self._last_note:
            self.notify(display_text(note), title="About the prompt", timeout=6, markup=False)
        self._last_note = note

    async def action_stop(self) -> None:
        """Esc leaves the controls and what would have been otherwise, once nothing is written any more."""
        busy = any(target.session.busy for target in self.targets)
        if busy or not (self.folding.back() or self.replaying.leave()):
            await super().action_stop()

    # -- folding -----------------------------------------------------------------------------------------------

    def action_toggle_controls(self) -> None:
        """Show or hide the controls."""
        self.folding.toggle_controls()

    def action_toggle_inspector(self) -> None:
        """Show or hide the inspector."""
        self.folding.toggle_inspector()

    def action_sliders(self) -> None:
        """To the temperature."""
        self.folding.to_sliders()
