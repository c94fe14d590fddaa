"""What a person can do with a conversation: keys and actions of the main screen, each a line or two."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Literal

from textual.binding import BindingType
from textual.message import Message

from playground.domain.errors import Unsupported
from playground.domain.messages import Prompt
from playground.domain.stepping import leave_behind
from playground.screens.attempting import AttemptingScreen
from playground.screens.pane import Pane
from playground.screens.versions import switch_branch
from playground.widgets.colour_scale import ColourMode
from playground.widgets.key_maker import KeyMaker
from playground.widgets.prompt_editor import PromptEditor

_key = KeyMaker("chat", priority=True)


class SettingChanged(Message):
    """The person chose something that the app should remember."""

    def __init__(self, key: str, value: str) -> None:
        super().__init__()
        self.key = key
        self.value = value


class ConversationScreen(AttemptingScreen):
    """Actions on the conversation. The subclass builds the screen and sets `pane`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key(
            "escape",
            "stop",
            "Stop",
            "End this pane's reply, then those of the others, or a load; else leave the token cursor or an edit",
            priority=False,
        ),
        _key("ctrl+r", "regenerate", "Again", "Write another reply to the last message, beside this one"),
        _key("ctrl+g", "continue_reply", "Go on", "Let a reply go on that was cut off"),
        _key("ctrl+b", "edit_last", "Edit", "Edit the last message and send it again as a branch"),
        _key("ctrl+n", "new", "New", "Start a new conversation; presets and sliders stay, Alt+Left comes back"),
        _key("ctrl+t", "tokens", "Tokens", "Go to the tokens of the last reply; arrows walk, Esc comes back"),
        _key(
            "alt+left",
            "branch(-1)",
            "Earlier",
            "Earlier version of the last turn (or of that under the token cursor) that has several",
            name="earlier",
        ),
        _key(
            "alt+right",
            "branch(1)",
            "Later",
            "Later version of the last turn (or of that under the token cursor) that has several",
            name="later",
        ),
        _key("f4", "colour", "Colour", "Colour tokens by probability, entropy, rank, or not at all"),
        _key("f7", "raw", "Raw", "Switch between chat and raw completion, which applies no template"),
        _key("f8", "view_prompt", "Exact prompt", "Look at the exact prompt the model gets, token by token"),
        _key("f9", "system", "System", "Edit the system prompt"),
    ]

    @property
    @abstractmethod
    def pane(self) -> Pane:
        """The conversation that keys act upon."""

    @property
    def targets(self) -> Sequence[Pane]:
        """The conversations that a prompt goes to; the subclass that has several says which."""
        return (self.pane,)

    @property
    def editor(self) -> PromptEditor:
        """Where the prompt is written."""
        return self.query_one(PromptEditor)

    async def action_stop(self) -> None:
        """End the reply of this pane, else those of the others; when nothing runs, go back to the prompt."""
        pane = self.pane
        busy = [pane] if pane.session.busy else [target for target in self.targets if target.session.busy]
        for target in busy:
            await target.runner.stop()
        if busy:
            return
        if pane.editing is not None:
            pane.editing = None
            self.editor.load_text("")
            self.show_editing()
        pane.transcript.view.follow_end()
        self.editor.focus()

    def action_edit_last(self) -> None:
        """Bring the last message back into the editor."""

        def begin() -> None:
            self.editor.load_text(self.pane.begin_edit())
            self.editor.focus()
            self.editor.move_cursor(self.editor.document.end)
            self.show_editing()

        self.attempt(begin)

    def show_editing(self) -> None:
        """Say in the editor's border what sending will do."""
        if self.pane.editing is not None:
            title = "Edit and send again · Esc leaves it"
        elif self.pane.stepping:
            title = "Prompt · token by token: Ctrl+T to the tokens"
        elif self.pane.session.mode == "raw":
            title = "Raw text, no template · F7 leads back to chat"
        else:
            title = "Prompt, with a system prompt" if self.pane.session.system.strip() else "Prompt"
        self.editor.border_title = f"{title}{self.addressees}"

    @property
    def addressees(self) -> str:
        """Where a prompt goes, for the editor's border; empty when that goes without saying."""
        return ""

    def action_new(self) -> None:
        """Begin anew; the branch on screen stays in the tree."""
        self.attempt_later(self._begin_anew, "conversation")

    async def _begin_anew(self) -> None:
        for pane in self.targets:
            await pane.end_reply()
            if pane.stepping:
                leave_behind(pane.session)
            pane.session.new_conversation()
            pane.editing = None
            pane.sync()
        self.show_editing()
        self.editor.focus()

    def action_tokens(self) -> None:
        """Walk over the tokens, beginning with the last one in sight."""
        view = self.pane.transcript.view
        view.focus()
        if view.cursor is None:
            view.action_move(-1)

    def action_branch(self, step: int) -> None:
        """Another version of a turn."""

        def switch() -> None:
            switch_branch(self.pane, step)
            self.show_editing()

        self.attempt(switch)

    def action_colour(self) -> None:
        """The next colour mode."""
        modes = list(ColourMode)
        self.set_colour(modes[(modes.index(self.pane.transcript.mode) + 1) % len(modes)])

    def set_colour(self, mode: ColourMode) -> None:
        """Colour the tokens by something else, now and the next time."""
        for pane in self.targets:
            pane.transcript.set_mode(mode)
        self.post_message(SettingChanged("colour", mode.value))

    def action_raw(self) -> None:
        """Chat or raw completion; switching starts a new conversation, because the two do not mix."""
        self.attempt_later(self._switch_mode, "conversation")

    async def _switch_mode(self) -> None:
        session = self.pane.session
        mode: Literal["chat", "raw"] = "chat" if session.mode == "raw" else "raw"
        await self._begin_anew()
        for pane in self.targets:
            pane.session.mode = mode
            pane.sync()
        self.show_editing()
        raw = "Raw completion: the text goes to the model as it is, special tokens and all."
        self.notify(raw if session.mode == "raw" else "Chat: the model's template goes around the text.", timeout=3)

    def action_view_prompt(self) -> None:
        """The exact prompt, the draft included; without a draft the conversation up to here."""
        self.attempt_later(self._view_prompt, "prompt view")

    async def _view_prompt(self) -> None:
        pane = self.pane
        backend = pane.need_model()
        prompt = pane.session.prompt(pane.session.transcript.head, draft=self.editor.text)
        from playground.screens.going_on import said_so_far

        try:
            said = None if self.editor.text else await said_so_far(pane)
            view = said or await backend.view_prompt(prompt)
        except Unsupported as error:
            await self.tell_count(pane, prompt, error)
            return
        from playground.screens.prompt_view import PromptScreen

        self.app.push_screen(PromptScreen(view, pane.card.n_ctx if pane.card else None))

    async def tell_count(self, pane: Pane, prompt: Prompt, error: Unsupported) -> None:
        """The exact prompt cannot be shown; a subclass that can count says at least how long it is."""
        raise error

    def action_system(self) -> None:
        """Edit the system prompt."""

        def changed(text: str | None) -> None:
            if text is not None:
                self.pane.session.system = text
                self.show_editing()

        help_text = "Sent before the conversation with every call, from the next message on. Empty: none."
        from playground.screens.text_dialog import TextDialog

        self.app.push_screen(TextDialog("System prompt", self.pane.session.system, help_text), changed)
