"""A dialog for a text that is to stand in a reply: its tokens are shown as it is typed."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from playground.domain.display import display_line, display_text
from playground.domain.errors import PlaygroundError
from playground.domain.tokens import Token
from playground.services.beginnings import Seen, Typing
from playground.widgets.bars import UNKNOWN, percent, probability
from playground.widgets.dialog_area import DialogArea
from playground.widgets.token_rows import token_rows

_QUIET_SECONDS: Final = 0.08
"""Pause in typing after which the tokens are looked at."""
_REST_SECONDS: Final = 0.3
"""Rest after which the model is asked how likely it finds them."""
_BEFORE: Final = 200
"""Characters of the text before that are shown, as far as there is room."""


class Forced(NamedTuple):
    """What a person wants to stand in a reply."""

    text: str
    tokens: Sequence[Token]


class Occasion(NamedTuple):
    """What the text is for."""

    title: str
    help: str
    before: str = ""
    """What stands before it."""
    text: str = ""
    """What to begin with."""


class ForceDialog(ModalScreen[Forced | None]):
    """Asks for a text and shows its tokens. Enter takes it, Escape leaves everything as it was (None).

    Args:
        occasion: what the text is for.
        typing: tells the tokens of a text and how likely they are; raises a PlaygroundError for what cannot be taken.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,ctrl+s,f10", "accept", "Accept", id="force.accept", tooltip="Put it there", priority=True),
        Binding(
            "shift+enter,ctrl+j,alt+enter",
            "newline",
            "New line",
            id="force.newline",
            tooltip="Start a new line of the text",
            priority=True,
        ),
        Binding("escape", "leave", "Leave", id="force.leave", tooltip="Leave everything as it was"),
    ]
    DEFAULT_CSS = """
    ForceDialog {
        align: center middle;
        & > Vertical {
            width: 90%; max-width: 100; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Static { height: auto; }
        & TextArea, & TextArea:focus {
            height: auto; min-height: 1; max-height: 6; border: none; padding: 0; background: $panel;
        }
        & #force-before { color: $text-muted; height: 1; }
        & #force-help { color: $text-muted; }
        & VerticalScroll { height: auto; max-height: 6; margin: 1 0 0 0; scrollbar-size-vertical: 1; }
        & #force-likely { color: $text-muted; }
        & #force-remarks { margin: 1 0 0 0; display: none; color: $warning; }
        & #force-remarks.-refused { color: $error; }
        & #force-remarks.-said { display: block; }
    }
    """

    def __init__(self, occasion: Occasion, typing: Typing) -> None:
        super().__init__()
        self._occasion = occasion
        self._typing = typing
        self._weighed: Sequence[Token] = ()
        """The tokens looked at last, with figures; empty while these are not known."""
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """The text between what stands before it and its tokens."""
        with Vertical() as box:
            box.border_title = Content(self._occasion.title)
            box.border_subtitle = Content("enter takes it · alt+enter new line · esc leaves")
            yield Static(Content(self._occasion.help), id="force-help", markup=False)
            if self._occasion.before:
                yield Static("", id="force-before", markup=False)
            yield DialogArea(self._occasion.text, soft_wrap=True, show_line_numbers=False, compact=True)
            yield Static("", id="force-remarks", markup=False)
            with VerticalScroll(can_focus=False):
                yield Static("", id="force-tokens", markup=False)
            yield Static("", id="force-likely", markup=False)

    def on_mount(self) -> None:
        """Begin at the end of what is there."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)
        self._changed()

    def on_resize(self) -> None:
        """Show as much of what stands before as there is room for: its end."""
        self.call_after_refresh(self._show_before)

    def _show_before(self) -> None:
        for line in self.query("#force-before").results(Static):
            text, room = display_line(self._occasion.before[-_BEFORE:]), max(8, line.size.width - 3)
            line.update(Content(f"…{text[-room:]} ▏" if len(text) > room else f"{text} ▏"), layout=False)

    @on(TextArea.Changed)
    def _changed(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_QUIET_SECONDS, self._show)

    @work(exclusive=True)
    async def _show(self) -> None:
        text = self.query_one(TextArea).text
        if not text:
            self._refuse("")
            return
        try:
            seen = await self._typing.look(text)
        except PlaygroundError as error:
            self._refuse(str(error))
            return
        self._weighed = ()
        self._show_seen(seen)
        await asyncio.sleep(_REST_SECONDS)  # another key ends this
        await self._weigh(seen)

    async def _weigh(self, seen: Seen) -> None:
        """Show how likely the model finds the tokens, where it can be asked."""
        try:
            found = await self._typing.weigh(seen.tokens)
        except PlaygroundError as error:
            self.query_one("#force-likely", Static).update(
                Content(f"How likely: {UNKNOWN} ({display_line(str(error))})")
            )
            return
        if found is not None:
            self._weighed = found
            self._show_seen(seen)

    def _refuse(self, why: str) -> None:
        for name in ("#force-tokens", "#force-likely"):
            self.query_one(name, Static).update(Content(""))
        self._remark(why, refused=True)

    def _remark(self, text: str, *, refused: bool = False) -> None:
        remarks = self.query_one("#force-remarks", Static)
        remarks.set_class(refused, "-refused")
        remarks.set_class(bool(text), "-said")
        remarks.update(Content(display_text(text)))

    def _show_seen(self, seen: Seen) -> None:
        shown = Content("")
        if any(token.id is not None for token in seen.tokens):
            count = len(seen.tokens)
            label = f"{count:,} {'token' if count == 1 else 'tokens'}"
            rows: list[tuple[str, Sequence[bytes]]] = [(label, [token.piece for token in seen.tokens])]
            if seen.whole:
                rows += [("given", seen.given), ("in one go", seen.whole)]
            width, room = max(len(name) for name, _ in rows), self.query_one(VerticalScroll).size.width - 1
            logprobs = [token.logprob for token in self._weighed]
            shown = Content("\n").join(
                token_rows(f"{name:<{width}}  ", pieces, room, () if row else logprobs)
                for row, (name, pieces) in enumerate(rows)
            )
        self.query_one("#force-tokens", Static).update(shown)
        self.query_one("#force-likely", Static).update(Content(_likely(self._weighed)))
        self._remark("\n".join(seen.remarks))

    def action_newline(self) -> None:
        """Start a new line."""
        self.query_one(TextArea).insert("\n")

    def action_accept(self) -> None:
        """Take the text, unless it cannot be taken."""
        if self._timer is not None:
            self._timer.stop()  # a look at the tokens would take the place of this one
        self._accept()

    @work(exclusive=True)
    async def _accept(self) -> None:
        text = self.query_one(TextArea).text
        try:
            seen = await self._typing.look(text)
            await self._typing.check(seen.tokens)
        except PlaygroundError as error:
            self._refuse(str(error))
            return
        known = [token.id for token in self._weighed] == [token.id for token in seen.tokens]
        self.dismiss(Forced(text, self._weighed if known else seen.tokens))

    def action_leave(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)


def _likely(tokens: Sequence[Token]) -> str:
    """How likely the model finds all of them, one behind the other; empty while that is not known."""
    known = [token.logprob for token in tokens if token.logprob is not None]
    if not tokens or len(known) < len(tokens):
        return ""
    total = math.fsum(known)
    what = "it" if len(tokens) == 1 else "all of it"
    return f"How likely the model finds {what}: {percent(probability(total), 0)}, log-probability {total:,.2f}"
