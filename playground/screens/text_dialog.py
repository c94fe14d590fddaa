"""A dialog for a text: the system prompt, stop strings, the name of a preset."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static, TextArea

from playground.domain.display import display_text
from playground.domain.errors import PlaygroundError
from playground.widgets.dialog_area import DialogArea, DialogInput


class TextDialog(ModalScreen[str | None]):
    """Asks for a text. Ctrl+S or F10 takes it, Escape leaves everything as it was (None).

    Args:
        title: what the text is.
        text: what is there now.
        help_text: how it is to be written, one or two lines.
        single: one line, which Enter accepts.
        check: raises a PlaygroundError for a text that cannot be taken; the dialog shows why and stays open.
        confirm: the same, asked afterwards, for what takes a moment to find out.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s,f10", "accept", "Accept", id="dialog.accept", tooltip="Take the text; of one line, Enter too"),
        Binding("escape", "leave", "Leave", id="dialog.leave", tooltip="Leave everything as it was"),
    ]
    DEFAULT_CSS = """
    TextDialog {
        align: center middle;
        & > Vertical {
            width: 80%; max-width: 90; height: auto; max-height: 80%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & TextArea, & TextArea:focus {
            height: auto; min-height: 4; max-height: 14; border: none; margin: 1 0; background: $panel;
        }
        & Input, & Input:focus { height: 1; border: none; margin: 1 0; background: $panel; }
        & .dialog--help { color: $text-muted; }
        & .dialog--reason { color: $error; }
    }
    """

    def __init__(
        self,
        title: str,
        text: str,
        help_text: str,
        check: Callable[[str], object] = lambda _text: None,
        *,
        single: bool = False,
        confirm: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__()
        self._confirm = confirm
        self._single = single
        self._title = title
        self._text = text
        self._help = help_text
        self._check = check

    def compose(self) -> ComposeResult:
        """The text between what it is for and how to leave."""
        with Vertical() as box:
            box.border_title = Content(self._title)
            box.border_subtitle = Content(f"{'enter' if self._single else 'ctrl+s'} accepts · esc leaves it as it was")
            yield Static(Content(self._help), classes="dialog--help", markup=False)
            if self._single:
                yield DialogInput(self._text)
            else:
                yield DialogArea(self._text, soft_wrap=True, show_line_numbers=False)
            yield Static("", classes="dialog--reason", markup=False)

    def on_mount(self) -> None:
        """Begin at the end of what is there."""
        if self._single:
            self.query_one(Input).focus()
            return
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)

    @on(Input.Submitted)
    def action_accept(self) -> None:
        """Take the text, unless it cannot be taken."""
        text = self.query_one(Input).value if self._single else self.query_one(TextArea).text
        try:
            self._check(text)
        except PlaygroundError as error:
            self.say_why_not(str(error))
            return
        if self._confirm is None:
            self.dismiss(text)
        else:
            self.say_why_not("")  # a refusal was of the text before
            self.run_worker(self._accept(text, self._confirm), exclusive=True)

    async def _accept(self, text: str, confirm: Callable[[str], Awaitable[None]]) -> None:
        try:
            await confirm(text)
        except PlaygroundError as error:
            self.say_why_not(str(error))
            return
        self.dismiss(text)

    def say_why_not(self, reason: str) -> None:
        """Show why a text cannot be taken; nothing for an empty reason."""
        self.query_one(".dialog--reason", Static).update(Content(display_text(reason)))

    def action_leave(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)
