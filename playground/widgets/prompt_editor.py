"""Where the person writes: Enter sends, the arrows at the edges bring back earlier prompts."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import ClassVar

from rich.text import Text
from textual import events, on
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import TextArea
from textual.widgets.text_area import Edit, EditResult, Location

from playground.widgets.explained import fitting

SHIELD = 0x100000
"""Unsafe characters are kept in the document as private-use characters of plane 16, which are one cell wide and which
no text breaks lines at; whoever asks for the text gets the originals back."""
_PRIVATE = re.compile("[\U00100000-\U0010fffd]")
HISTORY_LIMIT = 500
TO_SEND = " with reply"
"""End of an estimate that is left out where there is no room for it."""
CORNERS = 4
"""Cells of the border beside its text."""


def _unsafe(character: str) -> bool:
    return character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")


def shield(text: str) -> str:
    """The text with every character a terminal would act upon replaced by a private one."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    out = []
    for character in text:
        if "\ud800" <= character <= "\udfff":
            out.append("\ufffd")
        else:
            out.append(chr(SHIELD + (ord(character) & 0xFFFF)) if _unsafe(character) else character)
    return "".join(out)


def _original(private: re.Match[str]) -> str:
    low = ord(private[0]) - SHIELD
    planes = (chr(low), chr(0xE0000 + low), chr(0x10000 + low))
    return next((character for character in planes if _unsafe(character)), private[0])


def unshield(text: str) -> str:
    """The text as it was before `shield`."""
    return text if text.isascii() else _PRIVATE.sub(_original, text)


def _picture(private: re.Match[str]) -> str:
    code = ord(_original(private))
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\u25cc"


class _Told(Message):
    """Something that an editor tells."""

    def __init__(self, editor: PromptEditor) -> None:
        super().__init__()
        self.editor = editor

    @property
    def control(self) -> PromptEditor:
        """The editor."""
        return self.editor


class _Written(_Told):
    """What stands in an editor."""

    def __init__(self, editor: PromptEditor, text: str) -> None:
        super().__init__(editor)
        self.text = text


class PromptEditor(TextArea):
    """A prompt of several lines, three to eight rows high with its border."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Send", id="prompt.send", tooltip="Send the prompt to the model"),
        Binding(
            "shift+enter,ctrl+j,alt+enter",
            "newline",
            "New line",
            show=False,
            id="prompt.newline",
            tooltip="Start a new line instead of sending",
        ),
        Binding("up", "cursor_up", "Up", show=False, id="prompt.up", tooltip="Line up; on the first, earlier prompt"),
        Binding(
            "down", "cursor_down", "Down", show=False, id="prompt.down", tooltip="Line down; on the last, later prompt"
        ),
    ]
    DEFAULT_CSS = """
    PromptEditor {
        height: auto;
        min-height: 3;
        max-height: 8;
        border: round $border-blurred;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        border-title-color: $text-muted;
        border-subtitle-color: $text-muted;
        &:focus { border: round $border; }
        & .text-area--placeholder { color: $foreground 70%; }
        &.-over { border-subtitle-color: $error; border-subtitle-style: bold; }
    }
    """

    class Submitted(_Written):
        """The person pressed send."""

    class Edited(_Written):
        """The text changed; comes with every key, so costly work should wait for a pause."""

    class Resized(_Told):
        """The editor has another size: it grows with the text."""

        def __init__(self, editor: PromptEditor, rows: int) -> None:
            super().__init__(editor)
            self.rows = rows

    def __init__(self, text: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(shield(text), soft_wrap=True, id=id, placeholder=Content(placeholder), tab_behavior="focus")
        self._history: list[str] = []
        self._place = 0
        """Index into the history; its length stands for the draft."""
        self._draft = ""
        self._figures = ("", "")
        """How long the prompt is, and what sending it would cost."""
        self.highlight_cursor_line = False

    @property
    def text(self) -> str:
        """The prompt, exactly as typed or pasted."""
        return unshield(super().text)

    @text.setter
    def text(self, value: str) -> None:
        self.load_text(value)

    def load_text(self, text: str) -> None:
        """Replace everything; the undo history starts anew."""
        super().load_text(shield(text))

    def get_text_range(self, start: Location, end: Location) -> str:
        """Part of the prompt, exactly as typed or pasted."""
        return unshield(super().get_text_range(start, end))

    def edit(self, edit: Edit) -> EditResult:
        """Apply an edit, whether typed or pasted; every one comes through here."""
        return super().edit(replace(edit, text=shield(edit.text)))

    def get_line(self, line_index: int) -> Text:
        """A line as drawn: nothing in it reaches the terminal as a command."""
        return Text(_PRIVATE.sub(_picture, self.document.get_line(line_index)), end="", no_wrap=True)

    def remember(self, text: str) -> None:
        """Add a prompt to those that the arrow keys bring back."""
        if text and text not in self._history[-1:]:
            self._history.append(text)
            del self._history[:-HISTORY_LIMIT]
        self._place = len(self._history)

    def clear_sent(self, text: str) -> None:
        """Take out a prompt that was sent; what was typed or pasted since then stays."""
        now = self.text
        pairs = enumerate(zip(now, text, strict=False))
        same = next((at for at, (one, other) in pairs if one != other), min(len(now), len(text)))
        after = text[same:]
        self.load_text(now[same : len(now) - len(after)] if now[same:].endswith(after) else now)
        self.move_cursor(self.document.end)

    def show_count(self, text: str, over: bool = False) -> None:
        """Show how long the prompt is, e.g. "12 tokens"; `over` says that it does not fit."""
        self.set_class(over, "-over")
        self._show_figures(text, self._figures[1])

    def show_send_estimate(self, text: str) -> None:
        """Show beside the count what sending would cost, e.g. "≈$0.0031 with reply"; empty for nothing."""
        self._show_figures(self._figures[0], text)

    def _show_figures(self, count: str, estimate: str) -> None:
        if (count, estimate) != self._figures:
            self._figures = count, estimate
            self._fit_figures()

    def _fit_figures(self) -> None:
        """What fits into the border of both; how long the prompt is comes first, and of that the end."""
        count, estimate = self._figures
        both = [f"{count} · {cost}" for cost in (estimate, estimate.removesuffix(TO_SEND)) if count and estimate]
        self.border_subtitle = Content(
            fitting((*both, count or estimate, count.rpartition(": ")[2] or estimate), self.outer_size.width - CORNERS)
        )

    def on_resize(self) -> None:
        """The border has other room."""
        self._fit_figures()
        self.post_message(self.Resized(self, self.outer_size.height))

    @on(TextArea.Changed)
    def _tell_edited(self, event: TextArea.Changed) -> None:
        event.stop()
        self.post_message(self.Edited(self, self.text))

    async def _on_key(self, event: events.Key) -> None:
        """Send in turn: a priority binding would overtake the letters typed just before."""
        if event.is_printable and event.key != "enter":
            return
        active = self.screen.active_bindings.get(event.key)
        if active is not None and active.binding.action == "submit":
            event.stop()
            event.prevent_default()
            self.action_submit()

    def action_submit(self) -> None:
        """Send what is written, unless there is nothing."""
        if text := self.text:
            self.post_message(self.Submitted(self, text))

    def action_newline(self) -> None:
        """Start a new line."""
        self._replace_via_keyboard("\n", *self.selection)

    def action_cursor_up(self, select: bool = False) -> None:
        """Go up, or from the first row to the prompt before."""
        top = self.wrapped_document.location_to_offset(self.cursor_location).y == 0
        if select or not top or not self._walk(-1):
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Go down, or from the last row to the prompt after."""
        row = self.wrapped_document.location_to_offset(self.cursor_location).y
        if select or row < self.wrapped_document.height - 1 or not self._walk(1):
            super().action_cursor_down(select)

    def _walk(self, direction: int) -> bool:
        place = self._place + direction
        if not 0 <= place <= len(self._history):
            return False
        if self._place == len(self._history):
            self._draft = self.text
        self._place = place
        self.load_text(self._draft if place == len(self._history) else self._history[place])
        self.move_cursor(self.document.end)
        return True
