from __future__ import annotations

import random
import time
from collections.abc import Iterable

import pytest
from textual import events
from textual._xterm_parser import BRACKETED_PASTE_END as END
from textual._xterm_parser import BRACKETED_PASTE_START as START
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.message import Message

from playground.widgets import terminal_pastes
from playground.widgets.terminal_pastes import PasteParser, keep_pastes_whole

LOG = "fox \x1b[31mred\rsecond \x1b line\x1b[A\x1b\rthird\x1b"


def told(messages: Iterable[Message]) -> list[str]:
    """Pastes as they are, keys by their names in angles, anything else by its class."""
    names = []
    for message in messages:
        match message:
            case events.Paste():
                names.append(message.text)
            case events.Key():
                names.append(f"<{message.key}>")
            case _:
                names.append(type(message).__name__)
    return names


@pytest.fixture
def parser(monkeypatch: pytest.MonkeyPatch) -> PasteParser:
    """One to which time passes when its `tick` is called."""
    monkeypatch.setattr(terminal_pastes, "GRACE_S", 0.0)
    return PasteParser()


def test_a_paste_with_escapes_is_one_text(parser: PasteParser) -> None:
    assert told(parser.feed(f"a{START}{LOG}{END}")) == ["<a>", LOG]
    assert told(parser.tick()) == []
    assert told(parser.feed("b\x1b[A")) == ["<b>", "<up>"]


@pytest.mark.parametrize("seed", range(40))
def test_it_does_not_matter_in_which_pieces_it_arrives(seed: int) -> None:
    parser, chance = PasteParser(), random.Random(seed)
    waiting, found = f"a\x1b[A{START}{LOG}{END}{START}more\x00{END}", []
    while waiting:
        size = chance.randint(1, 9)
        found += told(parser.feed(waiting[:size]))
        waiting = waiting[size:]
    assert found == ["<a>", "<up>", LOG, "more"]


def test_an_end_marker_in_the_text_does_not_make_keys_of_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_pastes, "GRACE_S", 60.0)
    parser = PasteParser()
    first = told(parser.feed(f"{START}fox {END}\rred{START}\r"))
    rest = told(parser.feed(f"{END}\rblue\r{END}"))
    assert "".join(first + rest) == f"fox {END}\rred{START}\r{END}\rblue\r"


def test_keys_right_after_a_paste_are_keys_a_moment_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal_pastes, "GRACE_S", 60.0)
    parser = PasteParser()
    assert told(parser.feed(f"{START}fox{END}\r")) == ["fox"]
    assert told(parser.feed("\x1b[A")) == []
    monkeypatch.setattr(time, "monotonic", lambda: float("inf"))
    assert told(parser.tick()) == ["<enter>", "<up>"]
    assert told(parser.feed("x")) == ["<x>"]


def test_the_escape_key_is_still_one(parser: PasteParser) -> None:
    assert told(parser.feed(f"\x1b{START}fox{END}")) == ["<escape>", "fox"]


def test_the_terminals_driver_reads_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(linux_driver), "XTermParser", XTermParser)
    keep_pastes_whole(linux_driver.LinuxDriver)
    assert vars(linux_driver)["XTermParser"] is PasteParser
