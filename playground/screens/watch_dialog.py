"""Choosing the words to follow, with the tokens that stand for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static, TextArea

from playground.domain.display import display_text, visible_piece
from playground.domain.errors import PlaygroundError
from playground.domain.watch_list import MOST_WORDS, parse_words, show_word, show_words
from playground.domain.watching import WatchedWord
from playground.screens.text_dialog import TextDialog
from playground.widgets.watch_grid import SIGNS

Namer = Callable[[Sequence[str]], Awaitable[Sequence[WatchedWord]]]
"""Tells which tokens stand for words. Raises what `Backend.watched_words` raises."""

_HELP: Final = (
    f"One word a line, {MOST_WORDS} at most: in quotes where a space belongs to it, or a token's #id.\n"
    '" Yes" is the word inside a sentence, "Yes" the one at its beginning. Empty: no watch list.'
)
_PAUSE_S: Final = 0.15
"""Pause in typing after which the words are looked up."""


class WatchDialog(TextDialog):
    """Takes words once the model has said which tokens they are; gives the text of the list, None for leaving it."""

    DEFAULT_CSS = """
    WatchDialog .dialog--named { height: auto; color: $text-muted; }
    """

    def __init__(self, words: Sequence[str], name: Namer) -> None:
        super().__init__("Words to watch", show_words(words), _HELP, parse_words)
        self._namer = name

    def on_mount(self) -> None:
        """Say at once what stands for the words that are there."""
        super().on_mount()
        self.query_one(Vertical).mount(Static("", classes="dialog--named", markup=False), before=".dialog--reason")
        self._look_up()

    def on_text_area_changed(self) -> None:
        """Other words, other tokens."""
        self._look_up()

    def _look_up(self) -> None:
        work: Any = self._tell_tokens  # a function: see `attempt_later`
        self.run_worker(work, group="words", exclusive=True)

    async def _tell_tokens(self) -> None:
        await asyncio.sleep(_PAUSE_S)
        named = await self._named()
        if named is not None:
            self.query_one(".dialog--named", Static).update(_explained(named))

    async def _named(self) -> Sequence[WatchedWord] | None:
        """The tokens of the words as they stand there; None when they cannot be taken, which the dialog then says."""
        try:
            words = parse_words(self.query_one(TextArea).text)
            named = await self._namer(words) if words else ()
        except PlaygroundError as error:
            self.say_why_not(str(error))
            return None
        self.say_why_not("")
        return named

    def action_accept(self) -> None:
        """Take the words, unless one of them cannot be watched."""
        work: Any = self._take
        self.run_worker(work, group="words", exclusive=True)

    async def _take(self) -> None:
        text = self.query_one(TextArea).text
        if await self._named() is not None:
            self.dismiss(text)


def _explained(named: Sequence[WatchedWord]) -> Content:
    """A line for each word: its sign in the plot, and its token."""
    lines = []
    for sign, word in zip(SIGNS, named, strict=False):
        token = f"{visible_piece(word.piece) or display_text(word.word)} #{word.id}"
        several = f": the first of its {word.tokens} tokens is watched" if word.tokens > 1 else ""
        lines.append(f"{sign} {display_text(show_word(word.word))} → {token}{several}")
    return Content("\n".join(lines))
