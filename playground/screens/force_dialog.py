"""A dialog for a text that is to stand in a reply: its tokens are shown as it is typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar, Final, NamedTuple

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import Static, TextArea

from playground.domain.display import display_line, display_text, visible_piece
from playground.domain.errors import PlaygroundError
from playground.domain.tokens import Token
from playground.services.beginnings import Seen
from playground.widgets.dialog_area import DialogArea

_QUIET_SECONDS: Final = 0.08
"""Pause in typing after which the tokens are looked at."""
_MOST_SHOWN: Final = 200
"""Tokens that are drawn; of a long paste the end would be out of sight anyhow."""
_SHADES: Final = ("on $primary 35%", "on $foreground 18%")
"""Two grounds in turn, so that one sees where tokens begin."""
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
        look: tells the tokens of a text; raises a PlaygroundError for one that cannot be taken.
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
            width: 80%; max-width: 100; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & Static { height: auto; }
        & TextArea, & TextArea:focus {
            height: auto; min-height: 1; max-height: 8; border: none; margin: 1 0; padding: 0; background: $panel;
        }
        & #force-before { color: $text-muted; height: 1; }
        & #force-help { color: $text-muted; }
        & VerticalScroll { height: auto; max-height: 10; scrollbar-size-vertical: 1; }
        & #force-remarks { color: $warning; }
        & #force-remarks.-refused { color: $error; }
    }
    """

    def __init__(self, occasion: Occasion, look: Callable[[str], Awaitable[Seen]]) -> None:
        super().__init__()
        self._occasion = occasion
        self._look = look
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
            with VerticalScroll(can_focus=False):
                yield Static("", id="force-tokens", markup=False)
                yield Static("", id="force-remarks", markup=False)

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
            self._show_seen(await self._look(text))
        except PlaygroundError as error:
            self._refuse(str(error))

    def _refuse(self, why: str) -> None:
        self.query_one("#force-tokens", Static).update(Content(""))
        remarks = self.query_one("#force-remarks", Static)
        remarks.set_class(bool(why), "-refused")
        remarks.update(Content(display_text(why)))

    def _show_seen(self, seen: Seen) -> None:
        shown = Content("")
        if any(token.id is not None for token in seen.tokens):
            count = len(seen.tokens)
            label = f"{count:,} {'token' if count == 1 else 'tokens'}"
            rows: list[tuple[str, Sequence[bytes]]] = [(label, [token.piece for token in seen.tokens])]
            if seen.whole:
                rows += [("given", seen.given), ("in one go", seen.whole)]
            width = max(len(name) for name, _ in rows)
            shown = Content("\n").join(_row(f"{name:<{width}}  ", pieces) for name, pieces in rows)
        self.query_one("#force-tokens", Static).update(shown)
        remarks = self.query_one("#force-remarks", Static)
        remarks.remove_class("-refused")
        remarks.update(Content(display_text("\n".join(seen.remarks))))

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
            seen = await self._look(text)
        except PlaygroundError as error:
            self._refuse(str(error))
            return
        self.dismiss(Forced(text, seen.tokens))

    def action_leave(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)


def _row(label: str, pieces: Sequence[bytes]) -> Content:
    """Tokens side by side, so that one sees where each begins and what of it is white space."""
    tokens = [(visible_piece(piece), _SHADES[index % 2]) for index, piece in enumerate(pieces[:_MOST_SHOWN])]
    more = len(pieces) - _MOST_SHOWN
    rest = f" … and {more:,} more" if more > 0 else ""
    return Content.assemble((label, "$foreground 60%"), *tokens, (rest, "$foreground 60%"))
