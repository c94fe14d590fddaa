"""A bracketed paste is text from its first marker to its last, and what comes after it are keys."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Generator, Iterable
from typing import Final

from textual import events
from textual._xterm_parser import BRACKETED_PASTE_END as END
from textual._xterm_parser import BRACKETED_PASTE_START as START
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.message import Message

GRACE_S: Final = 0.1
"""How long after the end of a paste what comes may still belong to it: an end marker may stand in the pasted text.
Nobody types that fast after pasting, and a program that does is answered this much later."""
_BLOCK: Final = 64
"""Characters that arrive at once of which nobody typed any: more of the paste may follow them."""
_SEAM: Final = 32
"""Characters at least as long as any marker or report: how far back one that arrives in two parts may begin."""
_MARKER: Final = re.compile("|".join(map(re.escape, (START, END))))
_REPORTS: Final = re.compile(r"(?:\x1b\[(?:<\d+;-?\d+;-?\d+[Mm]|[IO]))+")
"""What a terminal tells of the mouse and of its focus."""
_SEQUENCE: Final = re.compile(r"\x1b\[[<?]?[\d;:-]*[A-Za-z~]")
"""A key or a report: many may arrive at once while nobody pastes."""

Rest = Generator[Message, None, str]
"""Tells what arrived, and returns what of it is still to be looked at."""


def keep_pastes_whole(driver: type[Driver]) -> None:
    """Let a terminal's driver read pastes with a `PasteParser`; drivers that read no terminal stay as they are."""
    for name in (driver.__module__, "textual.drivers.win32"):
        module = sys.modules.get(name)
        if module is not None and hasattr(module, "XTermParser"):
            vars(module)["XTermParser"] = PasteParser


class PasteParser(XTermParser):
    """Takes pastes out of the input before Textual looks into it.

    Textual 8 looks for escape sequences within a paste too: from an escape on, the pasted text becomes keys, among them
    Enter, a thousand of them for a log with colours. Everything outside pastes is Textual's business as before.

    An end marker may also stand in the pasted text. The next marker tells: no terminal sends a second end without a
    start, so another end makes the first one text, and a start makes what stands before it keys. Where none comes,
    what was held back becomes keys after `GRACE_S`.
    """

    def __init__(self, debug: bool = False) -> None:
        super().__init__(debug)
        self._seen = ""
        """The last characters outside pastes: a marker may arrive in two parts."""
        self._paste: list[str] | None = None
        """The paste under way but for `_tail`; None outside of one."""
        self._held: list[str] | None = None
        """What came right after a paste but for `_tail`, until it is clear whether it was over; None when it is."""
        self._tail = ""
        self._hold_until = 0.0

    def feed(self, data: str) -> Iterable[Message]:
        """Events of what the terminal sent; an empty text is the end of everything."""
        if not data:
            if held := self._let_go():
                yield from super().feed(held)
            yield from super().feed("")
        while data:
            if self._paste is not None:
                data = yield from self._gather(data)
            elif self._held is not None:
                data = yield from self._hold(data)
            else:
                data = yield from self._pass(data)

    def tick(self) -> Iterable[Message]:
        """Events that only time brings, such as the escape key by itself."""
        if self._held is not None and time.monotonic() >= self._hold_until:
            held = self._let_go()
            yield from self.feed(held) if held else ()
        yield from super().tick()

    def _pass(self, data: str) -> Rest:
        joined = self._seen + data
        at = joined.find(START)
        if at < 0:
            self._seen = joined[1 - len(START) :]
            yield from super().feed(data)
            return ""
        begun = at + len(START) - len(self._seen)
        self._seen = ""
        yield from super().feed(data[:begun])
        for _ in super().feed(END):  # for Textual the paste is over, and was empty
            pass
        self._paste, self._tail = [], ""
        return data[begun:]

    def _gather(self, data: str) -> Rest:
        assert self._paste is not None, "a paste is under way"
        joined = self._tail + data
        at = joined.find(END)
        if at < 0:
            self._tail = _keep(joined, self._paste)
            return ""
        yield _pasted("".join([*self._paste, joined[:at]]))
        self._paste = None
        self._begin_hold()
        return joined[at + len(END) :]

    def _hold(self, data: str) -> Rest:
        assert self._held is not None, "a paste has just ended"
        joined = self._tail + data
        marker = _MARKER.search(joined)
        if marker is not None and marker[0] == END:
            yield _pasted("".join([END, *self._held, joined[: marker.start()]]))
            self._begin_hold()
            return joined[marker.end() :]
        now = time.monotonic()
        if marker is not None or now >= self._hold_until:
            return self._let_go() + data
        if len(_SEQUENCE.sub("", data)) >= _BLOCK:
            self._hold_until = now + GRACE_S
        if not self._held and (reports := _REPORTS.match(joined)):
            yield from super().feed(reports[0])
            joined = joined[reports.end() :]
        self._tail = _keep(joined, self._held)
        return ""

    def _begin_hold(self) -> None:
        self._held, self._tail = [], ""
        self._hold_until = time.monotonic() + GRACE_S

    def _let_go(self) -> str:
        """What was held back, to be looked at as if it came now; empty where nothing was."""
        if self._held is None:
            return ""
        held = "".join([*self._held, self._tail])
        self._held, self._tail = None, ""
        return held


def _keep(text: str, pieces: list[str]) -> str:
    """Put a text to the pieces but for its last characters, which it returns."""
    edge = max(0, len(text) - _SEAM)
    if edge:
        pieces.append(text[:edge])
    return text[edge:]


def _pasted(text: str) -> events.Paste:
    return events.Paste(text.replace("\x00", ""))
