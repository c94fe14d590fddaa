"""What a person can do with a conversation: keys and actions of the main screen, each a line or two."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError, Problem, as_error
from playground.screens.pane import Pane
from playground.screens.prompt_view import PromptScreen
from playground.screens.text_dialog import TextDialog
from playground.widgets.colour_scale import ColourMode
from playground.widgets.prompt_editor import PromptEditor


def _key(keys: str, action: str, label: str, tooltip: str, *, show: bool = False, id: str = "") -> Binding:
    return Binding(keys, action, label, show=show, id=id or f"chat.{action}", tooltip=tooltip)


class ConversationScreen(Screen[None]):
    """Actions on the conversation. The subclass builds the screen and sets `pane`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("escape", "stop", "Stop", "End the reply that is being written; else leave the token cursor", show=True),
        _key("ctrl+r", "regenerate", "Again", "Write another reply to the last message, beside this one", show=True),
        _key("ctrl+g", "continue_reply", "Go on", "Let a reply go on that was cut off", show=True),
        _key("ctrl+b", "edit_last", "Edit", "Edit the last message and send it again as a branch", show=True),
        _key("ctrl+n", "new", "New", "Start a new conversation; presets and sliders stay"),
        _key(
            "ctrl+t", "tokens", "Tokens", "Go to the tokens of the last reply; arrows walk, Esc comes back", show=True
        ),
        _key("alt+left", "branch(-1)", "Earlier version", "Show the earlier version of the last turn that has several"),
        _key("alt+right", "branch(1)", "Later version", "Show the later version of the last turn that has several"),
        _key("f4", "colour", "Colour", "Colour tokens by probability, entropy, rank, or not at all", show=True),
        _key("f7", "raw", "Raw", "Switch between chat and raw completion, which applies no template"),
        _key("f8", "view_prompt", "Prompt", "Look at the exact prompt the model gets, token by token"),
        _key("f9", "system", "System", "Edit the system prompt"),
    ]

    pane: Pane

    async def attempt(self, action: Callable[[], Awaitable[None] | None]) -> None:
        """Do something that may be refused; a refusal is a notice, nothing more."""
        try:
            result = action()
            if result is not None:
                await result
        except PlaygroundError as error:
            self.tell(error)

    def tell(self, error: PlaygroundError) -> None:
        """Show an error: what happened and what to do."""
        self.notify(display_text(error.hint), title=display_text(error.message), severity="error", markup=False)

    def tell_problem(self, problem: Problem) -> None:
        """The same for an error that came as an event."""
        self.tell(as_error(problem))

    @property
    def editor(self) -> PromptEditor:
        """Where the prompt is written."""
        return self.query_one(PromptEditor)

    async def action_stop(self) -> None:
        """End the reply; when nothing runs, go back to the prompt."""
        pane = self.pane
        if pane.session.busy:
            await pane.runner.stop()
            return
        if pane.editing is not None:
            pane.editing = None
            self.editor.load_text("")
            self.show_editing()
        pane.transcript.view.follow_end()
        self.editor.focus()

    async def action_regenerate(self) -> None:
        """Another reply to the last message."""
        await self.attempt(self.pane.regenerate)

    async def action_continue_reply(self) -> None:
        """More of the last reply."""
        await self.attempt(self.pane.continue_reply)

    async def action_edit_last(self) -> None:
        """Bring the last message back into the editor."""

        def begin() -> None:
            self.editor.load_text(self.pane.begin_edit())
            self.editor.focus()
            self.editor.move_cursor(self.editor.document.end)
            self.show_editing()

        await self.attempt(begin)

    def show_editing(self) -> None:
        """Say in the editor's border what sending will do."""
        if self.pane.editing is not None:
            title = "Edit and send again · Esc leaves it"
        else:
            title = "Raw text" if self.pane.session.mode == "raw" else "Prompt"
        self.editor.border_title = title

    async def action_new(self) -> None:
        """Begin anew; the branch on screen stays in the tree."""
        await self.pane.runner.stop()
        await self.pane.runner.settle()
        self.pane.drain()
        self.pane.session.new_conversation()
        self.pane.ending = ""
        self.pane.sync()
        self.editor.focus()

    def action_tokens(self) -> None:
        """Walk over the tokens, beginning with the last one in sight."""
        view = self.pane.transcript.view
        view.focus()
        if view.cursor is None:
            view.action_move(-1)

    async def action_branch(self, step: int) -> None:
        """Another version of a turn."""
        await self.attempt(lambda: self.notify(self.pane.switch_branch(step), timeout=2))

    def action_colour(self) -> None:
        """The next colour mode."""
        modes = list(ColourMode)
        self.set_colour(modes[(modes.index(self.pane.transcript.mode) + 1) % len(modes)])

    def set_colour(self, mode: ColourMode) -> None:
        """Colour the tokens by something else."""
        self.pane.transcript.set_mode(mode)

    async def action_raw(self) -> None:
        """Chat or raw completion; switching starts a new conversation, because the two do not mix."""
        session = self.pane.session
        if self.pane.session.transcript.turns:
            await self.action_new()
        session.mode = "chat" if session.mode == "raw" else "raw"
        self.pane.sync()
        self.show_editing()
        now = "Raw completion: the text goes to the model as it is." if session.mode == "raw" else "Chat."
        self.notify(now, timeout=3)

    async def action_view_prompt(self) -> None:
        """The exact prompt, the draft included."""
        pane = self.pane

        async def show() -> None:
            if pane.runner.backend is None:
                pane.check_model()
                return
            prompt = pane.session.prompt(pane.session.transcript.head, draft=self.editor.text)
            view = await pane.runner.backend.view_prompt(prompt)
            self.app.push_screen(PromptScreen(view, pane.info.n_ctx if pane.info else None))

        await self.attempt(show)

    def action_system(self) -> None:
        """Edit the system prompt."""

        def changed(text: str | None) -> None:
            if text is not None:
                self.pane.session.system = text

        help_text = "Sent before the conversation with every call, from the next message on. Empty: none."
        self.app.push_screen(TextDialog("System prompt", self.pane.session.system, help_text), changed)
