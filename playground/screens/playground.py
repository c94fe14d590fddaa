"""The main screen: controls, transcript, inspector, prompt, status; and the frame in which they keep up."""

from __future__ import annotations

import time
from typing import Any, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Footer

from playground.domain.display import display_text
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.models import ModelInfo
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.screens.model_screen import ModelScreen
from playground.screens.pane import Pane
from playground.screens.tuning import Tuning
from playground.services.presets import Preset
from playground.services.settings import Settings
from playground.theming import token_palette
from playground.widgets.colour_scale import ColourMode
from playground.widgets.controls import Controls
from playground.widgets.inspector import Inspector
from playground.widgets.prompt_editor import PromptEditor
from playground.widgets.status_bar import StatusBar
from playground.widgets.token_view import TokenMessage, TokenView
from playground.widgets.transcript import TranscriptPane

_DETAIL_SECONDS: Final = 1 / 12
"""How often inspector and status bar are drawn anew while tokens stream; the eye reads no faster."""
_COUNT_SECONDS: Final = 0.15
"""Pause in typing after which the draft is counted."""


class PlaygroundScreen(ModelScreen):
    """Everything on one screen. It folds: narrow terminals show controls and inspector one at a time."""

    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-normal"), (160, "-wide")]  # noqa: RUF012 - Textual's interface
    VERTICAL_BREAKPOINTS = [(0, "-low"), (30, "-high")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "toggle_controls", "Controls", id="view.controls", tooltip="Show or hide the sampling controls"),
        Binding("f3", "toggle_inspector", "Inspector", id="view.inspector", tooltip="Show or hide the inspector"),
        Binding("f6", "presets", "Preset", id="preset.choose", tooltip="Choose a sampling preset"),
        Binding("ctrl+s", "save_preset", "Save preset", show=False, id="preset.save", tooltip="Save the sliders"),
    ]

    def __init__(
        self, settings: Settings, *, model: str, presets: dict[str, Preset], preset: Preset, params: SamplingParams
    ) -> None:
        super().__init__(settings, model)
        self.tuning = Tuning(presets, preset)
        self._params = params
        self._pinned = False
        self._hovered: object = None
        self._detail_due = 0.0
        self._count_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Controls at the left, transcript and inspector over the prompt, status and keys at the foot."""
        with Horizontal(id="body"):
            yield Controls(self._params, preset=self.tuning.name, id="controls")
            with Vertical(id="right"):
                with Horizontal(id="upper"):
                    yield TranscriptPane(id="transcript")
                    yield Inspector(id="inspector")
                yield PromptEditor(placeholder="Write a prompt; Enter sends it", id="prompt")
        yield StatusBar(id="status")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        """Begin: the model loads behind the first paint."""
        transcript = self.query_one(TranscriptPane)
        session = Session(self._params, self.settings.system)
        self.pane = Pane(session, transcript)
        self.apply_theme()
        self.set_colour(ColourMode(self.settings.colour))
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self.apply_theme())
        self.show_editing()
        self.show_params()
        self.editor.focus()
        self.set_interval(1 / self.settings.frames_per_second, self._frame)
        self.call_after_refresh(self.begin_loading)

    def apply_theme(self) -> None:
        """Draw tokens in the colours of the theme in force."""
        self.pane.transcript.set_palette(token_palette(self.app.theme_variables))

    # -- the frame ---------------------------------------------------------------------------------------------

    def _frame(self) -> None:
        """Take what came from the model since the last frame; one pass, however much came."""
        events = self.pane.drain()
        now = time.monotonic()
        if events and not self.pane.session.busy:
            self._run_ended(events)
        if now >= self._detail_due:
            self._detail_due = now + _DETAIL_SECONDS
            self._show_details()
        if self.tuning.pending is not None:
            params, self.tuning.pending = self.tuning.pending, None
            self.run_worker(self.attempt(lambda: self._use(params)), group="params")

    def _show_details(self) -> None:
        info = self.pane.info
        self.query_one(StatusBar).show(self.pane.status(self.model_state))
        transcript = self.pane.transcript
        token = transcript.token_at(self._shown_ref()) or self.pane.last_token()
        self.query_one(Inspector).show(token, info.n_vocab if info is not None else None, self._pinned)

    def _shown_ref(self) -> object:
        view = self.pane.transcript.view
        if view.cursor is not None:
            return view.store.refs[view.cursor]
        return self._hovered

    def _run_ended(self, events: list[Any]) -> None:
        text = self.pane.refused_text(events)
        if text:
            self.editor.load_text(text)
            self.tell_problem(events[-1].problem)
        self._count_draft()

    @on(TokenView.Selected)
    def _token_selected(self, event: TokenMessage) -> None:
        self._pinned = event.ref is not None
        self._show_details()

    @on(TokenView.Hovered)
    def _token_hovered(self, event: TokenMessage) -> None:
        self._hovered = event.ref
        self._detail_due = 0.0

    # -- the prompt --------------------------------------------------------------------------------------------

    @on(PromptEditor.Submitted)
    def _submitted(self, event: PromptEditor.Submitted) -> None:
        pressed = time.monotonic()
        if self.pane.session.busy:
            self.tell(BadInput("A reply is still being written.", "Stop it with Esc, or wait for its end."))
            return
        self.submit(event.text, pressed)

    @on(PromptEditor.Edited)
    def _edited(self) -> None:
        if self._count_timer is not None:
            self._count_timer.stop()
        self._count_timer = self.set_timer(_COUNT_SECONDS, self._count_draft)

    def _count_draft(self) -> None:
        self.run_worker(self._count(), group="count", exclusive=True)

    async def _count(self) -> None:
        text, backend, info = self.editor.text, self.pane.runner.backend, self.pane.info
        if backend is None or info is None or not text:
            self.pane.draft_tokens = 0
            self.editor.show_count("")
            return
        try:
            self.pane.draft_tokens = count = await backend.count_tokens(text)
        except PlaygroundError:
            return  # the model is lost; whoever watches it says so
        used = self.pane.status("").parts.total
        over = used >= info.n_ctx
        fits = f" · {used:,} of {info.n_ctx:,}: too long by {used - info.n_ctx + 1:,}" if over else ""
        self.editor.show_count(f"{count:,} tokens{fits}", over)

    # -- parameters --------------------------------------------------------------------------------------------

    def show_params(self) -> None:
        """Bring the controls in line with the parameters in force."""
        params = self.pane.session.params
        self.query_one(Controls).show(params, self.tuning.defaults(params), self.tuning.title(params))

    async def _use(self, params: SamplingParams) -> None:
        try:
            await self.pane.runner.set_params(params)
        finally:
            self.show_params()

    @on(Controls.ParamChanged)
    def _param_changed(self, event: Controls.ParamChanged) -> None:
        self._change(**{event.name: event.value})

    @on(Controls.OrderChanged)
    def _order_changed(self, event: Controls.OrderChanged) -> None:
        self._change(order=event.order)

    @on(Controls.Rejected)
    def _rejected(self, event: Controls.Rejected) -> None:
        self.notify(display_text(event.reason), title=event.name, severity="warning", markup=False)

    def _change(self, **changes: Any) -> None:
        try:
            self.tuning.change(self.pane.session.params, changes)
        except PlaygroundError as error:
            self.tell(error)

    @on(Controls.EditRequested)
    def _edit_requested(self, event: Controls.EditRequested) -> None:
        self.tuning.edit_list(self, event.name, self.pane.session.params)

    @on(Controls.PresetRequested)
    def action_presets(self) -> None:
        """Choose a preset."""
        self.tuning.choose(self, self.use_preset)

    def use_preset(self, preset: Preset) -> None:
        """Put a preset in force, from the next token on if one is being written."""
        self.tuning.take(preset, self.pane.session.params)
        if preset.watch:
            title = f"{preset.name}: watch for"
            self.notify(display_text(preset.watch), title=display_text(title), timeout=12, markup=False)

    def action_save_preset(self) -> None:
        """Save the sliders as a preset."""
        self.tuning.save(self, self.pane.session.params)

    def model_ready(self, info: ModelInfo) -> None:
        """Offer what the model's file recommends."""
        recommended = self.tuning.recommend(info)
        if recommended is not None and not self.settings.preset:
            self.use_preset(recommended)
        super().model_ready(info)
        self._count_draft()

    # -- folding -----------------------------------------------------------------------------------------------

    def action_toggle_controls(self) -> None:
        """Show or hide the controls."""
        self._toggle("controls")

    def action_toggle_inspector(self) -> None:
        """Show or hide the inspector."""
        self._toggle("inspector")

    def _toggle(self, which: str) -> None:
        panel = self.query_one(f"#{which}")
        shown = bool(panel.display)
        self.set_class(shown, f"-no-{which}")
        self.set_class(not shown, f"-with-{which}")
