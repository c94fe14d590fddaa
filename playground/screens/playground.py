"""The main screen: controls, transcript, inspector, prompt, status; and the frame in which they keep up."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from msgspec import structs
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical

from playground.domain.display import display_text
from playground.domain.events import Event, Failed, Started
from playground.domain.messages import Role
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.screens import key_order
from playground.screens.model_screen import WELCOME
from playground.screens.pane import REFUSALS, Pane
from playground.screens.pane_figures import status_of
from playground.screens.token_screen import TokenScreen
from playground.screens.what_if import WhatIfs, essence, table_of
from playground.services.presets import Preset
from playground.services.settings import Settings
from playground.theming import token_palette
from playground.widgets.colour_scale import ColourMode
from playground.widgets.key_bar import KeyBar
from playground.widgets.prompt_editor import PromptEditor
from playground.widgets.sparing import SparingCompositor
from playground.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from playground.widgets.candidates import CandidateList
    from playground.widgets.token_view import TokenMessage

_DETAIL_SECONDS: Final = 1 / 8
"""How often inspector and status bar are drawn anew while tokens stream; the eye reads no faster."""


_HIGH: Final = 50
_MANY_CANDIDATES: Final = 25
"""How many candidates are kept where the screen is high enough to show them all."""


class PlaygroundScreen(TokenScreen):
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
        self._hovered: object = None
        self._last_note = ""
        self._what_ifs = WhatIfs(self._ask_what_if, self._show_token)
        self._essence = ""
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
            self._hovered = None
            self.set_class(self.deck.several, "-several")
            self.set_class(len(self.deck.panes) > 2, "-many")
            self.show_params()
            self.show_editing()
            self._show_details()
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
        if now >= self.detail_due:
            self.detail_due = now + _DETAIL_SECONDS
            self._show_details()
        self.take_changes()

    def _show_details(self) -> None:
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
        self._show_token()

    def _show_token(self) -> None:
        """What the inspector shows; the answer to a what-if comes this way, without waiting for a frame."""
        pane, card = self.pane, self.pane.card
        n_vocab = card.n_vocab if card is not None else None
        waiting = self.stepping.shown()
        if waiting is not None:
            self.inspector.show(waiting.token, n_vocab, "next", table=table_of(waiting, waiting.computed))
            return
        pinned = pane.transcript.view.cursor is not None
        ref = self._shown_ref()
        token = pane.transcript.token_at(ref) or pane.last_token()
        tree = pane.session.transcript
        turn = tree.turns.get(ref[0]) if isinstance(ref, tuple) else tree.last(Role.ASSISTANT)
        remark = self.replaying.remark(pane, turn, token)
        if not pinned or turn is None or token is None:
            self._what_ifs.look(pane, None, None)
            self._essence = ""
            self.inspector.show(token, n_vocab, "pinned" if pinned else "latest", remark=remark)
            return
        self._what_ifs.look(pane, turn, token)
        view = self._what_ifs.view(token)
        note, recorded = ("what if", token) if view.what_if else ("pinned", None)
        if view.what_if:  # one figure for one question
            remark = self.replaying.remark(pane, turn, token, view.token.prob)
        self._say_essence(essence(token, view) if self.folding.in_controls and not self.inspector.display else "")
        self.inspector.show(view.token, n_vocab, note, recorded=recorded, remark=remark, table=view.table)

    def _say_essence(self, text: str) -> None:
        """Where the sliders stand in the inspector's place, the legend says what becomes of the token."""
        if text or self._essence:
            self.pane.transcript.say_why(text)
        self._essence = text

    def _ask_what_if(self) -> None:
        self.attempt_later(self._what_ifs.ask, "what if")

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

    def _shown_ref(self) -> object:
        view = self.pane.transcript.view
        if view.cursor is not None:
            return view.store.refs[view.cursor]
        return self._hovered

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

    def show_params(self) -> None:
        """A what-if follows the sliders at once."""
        super().show_params()
        self.detail_due = 0.0

    def _change(self, **changes: Any) -> None:
        """A slider moved: what becomes of the pinned token is asked at once, not with the next frame."""
        super()._change(**changes)
        self._show_token()

    async def action_stop(self) -> None:
        """Esc leaves the controls and what would have been otherwise, once nothing is written any more."""
        busy = any(target.session.busy for target in self.targets)
        if busy or not (self.folding.back() or self.replaying.leave()):
            await super().action_stop()

    def action_otherwise(self, what: str) -> None:
        """The next token that could differ, or could not come, under the sliders as they stand."""
        self.replaying.go(what)

    def action_temperatures(self) -> None:
        """The token at several temperatures, or the funnel."""
        self.inspector.action_temperatures()

    def on_token_view_selected(self) -> None:
        """The cursor is on another token."""
        if self.pane.transcript.view.cursor is not None:
            self.folding.token_pinned()
        self._show_details()

    def on_token_view_activated(self) -> None:
        """From a token to its candidates."""
        self.folding.to_candidates()

    def on_candidate_list_picked(self, event: CandidateList.Picked) -> None:
        """Another candidate is to stand in place of the token that was chosen, or at the end of what is stepped."""
        if self.stepping.takes:
            self.stepping.pick(event.index)
        else:
            self.forks.take(event.index)

    def on_token_view_hovered(self, event: TokenMessage) -> None:
        """The mouse is over another token."""
        self._hovered = event.ref
        self.detail_due = 0.0

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
