"""An app to try one widget in, and a token that looks like a real one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from textual.app import App, ComposeResult
from textual.message import Message
from textual.widget import Widget

from playground.domain.tokens import Candidate, Stage, Token

COLOURS = dict.fromkeys(
    (
        *("meter-system", "meter-history", "meter-prompt", "meter-reserve", "meter-free", "stage-cut", "mark"),
        *(f"prob-{level}" for level in range(5)),
    ),
    "#808080",
)

MessageT = TypeVar("MessageT", bound=Message)


class Stand(App[None]):
    """Shows one widget and keeps the messages that reach the screen."""

    CSS = "Screen { layout: vertical; }"

    def __init__(self, build: Callable[[], Widget]) -> None:
        super().__init__()
        self.build = build
        self.seen: list[Message] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return COLOURS

    def compose(self) -> ComposeResult:
        yield self.build()

    def note(self, message: Message) -> None:
        """A `message_hook` for `run_test`."""
        self.seen.append(message)

    def posted(self, kind: type[MessageT]) -> list[MessageT]:
        """The distinct messages of one kind, oldest first."""
        unique: dict[int, MessageT] = {id(m): m for m in self.seen if isinstance(m, kind)}
        return list(unique.values())

    def row(self, widget: Widget, y: int = 0) -> str:
        """One row of a widget as text."""
        return widget.render_line(y).text


def screen_text(app: App[None]) -> str:
    """Everything on the screen, as text."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text[:width] for strip in strips[:height])


RAW = (
    (b" the", 0.412, 0.52, -1),
    (b" a", 0.213, 0.22, -1),
    ("日本".encode(), 0.08, 0.26, -1),
    (b"\xe6\x97", 0.015, 0.0, 2),
    (b"[/red]", 0.009, 0.0, 2),
    (b"\x1b[31m", 0.004, 0.0, 1),
)


def make_token(index: int = 17, chosen: int = 1, extra: int = 0) -> Token:
    """A token with `6 + extra` candidates, three of which were cut."""
    top = [Candidate(10 + i, piece, math.log(raw), prob, False, cut) for i, (piece, raw, prob, cut) in enumerate(RAW)]
    top += [Candidate(100 + i, f" word{i}".encode(), math.log(1e-4), 0.0, False, 1) for i in range(extra)]
    one = top[chosen]
    stages = (
        Stage("penalties", 49152, 1.0),
        Stage("top_k", 40, 0.971),
        Stage("top_p", 3, 0.705),
        Stage("temperature", 3, 0.705),
        Stage("dist", 3, 0.705),
    )
    return Token(index, one.id, one.piece, one.logprob, one.prob, chosen + 1, 2.91, tuple(top), stages, 1234.5)


BARE = Token(0, None, b"hi", None, None, None, None)
"""A token of a backend that tells nothing but the text."""
