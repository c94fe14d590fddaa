"""Tokenizers side by side: the keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.binding import BindingType

from playground.domain.display import display_line
from playground.domain.endpoints import ModelRef
from playground.domain.messages import Role
from playground.screens.choice_dialog import Answer, ChoiceDialog, Question
from playground.screens.tokenizer_examples import EXAMPLES
from playground.screens.tokenizers_view import TokenizersView
from playground.services.tokenizers import SOURCE
from playground.widgets.key_maker import KeyMaker

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen

_key = KeyMaker("tokenizers", priority=True)


def open_tokenizers(main: TokenScreen) -> None:
    """Open the screen with what is being written, else with the last message."""
    said = main.pane.session.transcript.last(Role.USER)
    draft = main.editor.text
    text = draft if draft.strip() else said.text if said is not None else ""
    main.app.push_screen(TokenizersScreen(main, text))


class TokenizersScreen(TokenizersView):
    """A text to write in, its tokens under each tokenizer, and what they cost."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("escape", "leave", "Back", "Back to the conversation", priority=False),
        _key("f2", "examples", "Examples", "Texts on which one sees that tokens are not words"),
        _key("f3", "next_example", "Next example", "The next of these texts", name="next"),
        _key("f4", "special", "Control tokens", "Let names such as <|im_end|> stand for control tokens"),
        _key("f5", "add", "Add a model", "Another model on this machine: only its vocabulary is read"),
        _key("shift+f5", "remove", "Take away", "Take the model away that was added last"),
        _key("f6", "fetch", "Fetch", "Fetch vocabularies of tiktoken that are not on this machine"),
        _key("f7", "reply", "Reply's text", "Take the text of the last reply"),
    ]
    _example = -1
    """Number of the last example."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No key for what would do nothing."""
        if action == "fetch":
            return self._missing
        if action == "remove":
            return len(self._windows) > self._on_screen
        return super().check_action(action, parameters)

    def action_next_example(self) -> None:
        """The next example."""
        self._show_example((self._example + 1) % len(EXAMPLES))

    def action_examples(self) -> None:
        """Choose an example."""

        def chosen(number: int | None) -> None:
            if number is not None:
                self._show_example(number)

        answers = [Answer(one.name, one.lesson) for one in EXAMPLES]
        self.app.push_screen(ChoiceDialog(Question("Examples: tokens are not words", "", answers)), chosen)

    def _show_example(self, number: int) -> None:
        self._example = number
        example = EXAMPLES[number]
        self._take(example.text, f"{example.name}: {example.lesson}")

    def action_special(self) -> None:
        """Names of control tokens stand for them, or are text."""
        self._special = not self._special
        on = "Names such as <|im_end|> stand for control tokens now." if self._special else "All of it is text again."
        self._note(on)
        self._look()

    def action_reply(self) -> None:
        """The text of the last reply."""
        reply = self._main.pane.session.transcript.last(Role.ASSISTANT)
        if reply is None or not reply.content:
            self.notify("There is no reply in this pane yet.", severity="warning", markup=False)
            return
        self._take(reply.content)

    def action_add(self) -> None:
        """Add a model on this machine."""
        from playground.screens.model_picker import ModelPicker

        def chosen(ref: ModelRef | None) -> None:
            if ref is None:
                return
            if ref.endpoint:
                message = "The tokenizer of a hosted model is not on this machine. Choose a model file."
                self.notify(message, title=display_line(ref.text), severity="warning", markup=False)
                return
            self._windows.setdefault(Path(ref.name), None)
            self._sources.files = list(self._windows)
            self._look()

        self.app.push_screen(ModelPicker(self._main.pool, None, title="Model whose tokenizer is added"), chosen)

    def action_remove(self) -> None:
        """Take the model away that was added last."""
        if len(self._windows) > self._on_screen:
            self._windows.popitem()
            self._sources.files = list(self._windows)
            self._look()

    @work(group="fetch", exclusive=True)
    async def action_fetch(self) -> None:
        """Fetch vocabularies that are missing."""
        missing = await self._sources.missing()
        if not missing:
            self._note("Both vocabularies of tiktoken are on this machine.")
            return
        self._note(f"Fetching {' and '.join(missing)} from {SOURCE.split('/')[2]}, 2 to 4 MB each …")
        left = await self._sources.fetch()
        failed = f"{' and '.join(left)} could not be fetched. Is there a network? F6 tries again."
        self._note(failed if left else "Fetched. They stay on this machine.")
        self._look()

    def action_leave(self) -> None:
        """Back to the conversation."""
        self.dismiss()
