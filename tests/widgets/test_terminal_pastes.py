from __future__ import annotations

import random
import time
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from textual import events
from textual._xterm_parser import BRACKETED_PASTE_END as END
from textual._xterm_parser import BRACKETED_PASTE_START as START
from textual._xterm_parser import XTermParser
from textual.drivers import linux_driver
from textual.message import Message

from playground.widgets import terminal_pastes
from playground.widgets.terminal_pastes import GRACE_S, PasteParser, keep_pastes_whole

LOG = "fox \x1b[31mred\rsecond \x1b line\x1b[A\x1b\rthird\x1b"
MOUSE = "\x1b[<35;10;15M"


@dataclass
class Clock:
    """The time as the parser sees it, in seconds."""

    now_s: float = 0.0


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


# What the terminal sends, what is told of it at once, and what only time brings.
STREAMS = {
    "an end marker in the text": (
        f"{START}fox {END}\rred\x1b[A\r{END}",
        ["fox ", f"{END}\rred\x1b[A\r"],
        [],
    ),
    "three of them": (f"{START}a{END}\r{END}{END}b\r{END}", ["a", f"{END}\r", END, f"{END}b\r"], []),
    "markers of a whole paste in the text": (
        f"{START}a {START}b{END}\rc{END}",
        [f"a {START}b", f"{END}\rc"],
        [],
    ),
    "Enter after each paste": (f"{START}a{END}\r{START}b{END}\r", ["a", "<enter>", "b"], ["<enter>"]),
    "keys between pastes": (
        f"{START}a{END}\x1b[A\rxy{START}b{END}",
        ["a", "<up>", "<enter>", "<x>", "<y>", "b"],
        [],
    ),
    "escape between pastes": (f"{START}a{END}\x1b{START}b{END}", ["a", "<escape>", "b"], []),
    "the mouse between pastes": (f"{START}a{END}{MOUSE}{START}b{END}", ["a", "MouseMove", "b"], []),
    "the mouse and Enter between pastes": (
        f"{START}a{END}{MOUSE}\r{MOUSE}{START}b{END}",
        ["a", "MouseMove", "<enter>", "MouseMove", "b"],
        [],
    ),
    "the mouse, the focus and Enter after a paste": (
        f"{START}a{END}{MOUSE}\x1b[O\x1b[I{MOUSE}\r{MOUSE}",
        ["a", "MouseMove", "AppBlur", "AppFocus", "MouseMove"],
        ["<enter>", "MouseMove"],
    ),
    "an end marker in the second": (
        f"{START}a{END}\r{START}b{END}\rc{END}\r",
        ["a", "<enter>", "b", f"{END}\rc"],
        ["<enter>"],
    ),
    "a paste held down": (f"{START}word {END}{MOUSE}" * 20, ["word ", "MouseMove"] * 20, []),
    "a long word held back": (f"{START}a{END}{'x' * 300}{START}b{END}", ["a", *["<x>"] * 300, "b"], []),
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Time stands still until somebody sets it."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now_s)
    return clock


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", STREAMS)
def test_keys_stay_keys_and_text_stays_text(name: str, seed: int, clock: Clock) -> None:
    waiting, at_once, later = STREAMS[name]
    parser, chance, found = PasteParser(), random.Random(seed), []
    longest = chance.choice((1, 3, 9, 40)) if seed else len(waiting)
    while waiting:
        size = chance.randint(1, longest) if seed else longest
        found += told(parser.feed(waiting[:size]))
        waiting = waiting[size:]
    assert found == at_once
    clock.now_s += GRACE_S
    assert told(parser.tick()) == later
    assert told(parser.feed("!")) == ["<exclamation_mark>"]


def test_keys_right_after_a_paste_are_keys_a_moment_later(clock: Clock) -> None:
    parser = PasteParser()
    assert told(parser.feed(f"{START}fox{END}\r")) == ["fox"]
    assert told(parser.feed("\x1b[A")) == []
    clock.now_s += GRACE_S
    assert told(parser.tick()) == ["<enter>", "<up>"]
    assert told(parser.feed("x")) == ["<x>"]


@pytest.mark.parametrize("noise", [MOUSE * 7, "\x1b[B" * 30, "\x1b[97;;97u" * 20])
def test_what_comes_all_the_time_does_not_hold_up_enter(noise: str, clock: Clock) -> None:
    parser = PasteParser()
    assert told(parser.feed(f"{START}fox{END}")) == ["fox"]
    found = told(parser.feed("\r"))
    while clock.now_s < GRACE_S:
        found += told(parser.feed(noise)) + told(parser.tick())
        clock.now_s += GRACE_S / 8
    found += told(parser.tick())
    assert found[0] == "<enter>"


def test_the_mouse_moves_on_after_a_paste(clock: Clock) -> None:
    parser = PasteParser()
    assert told(parser.feed(f"{START}fox{END}")) == ["fox"]
    assert told(parser.feed(MOUSE * 7)) == ["MouseMove"] * 7
    assert told(parser.feed(MOUSE[:9])) == []
    assert told(parser.feed(MOUSE[9:])) == ["MouseMove"]


def test_a_long_rest_of_a_paste_may_take_its_time(clock: Clock) -> None:
    """It comes in blocks that nobody types, and in time that grows with its length, not with the square of it."""
    parser, block, found = PasteParser(), "a line\r" * 585, told([])
    assert told(parser.feed(f"{START}fox ")) == []
    found += told(parser.feed(END))
    began_s = time.process_time()
    for _ in range(1_500):
        clock.now_s += GRACE_S / 2
        found += told(parser.feed(block)) + told(parser.tick())
    found += told(parser.feed(END))
    assert time.process_time() - began_s < 1.0, "6 MB; a look at all of it for each block takes several seconds"
    assert found == ["fox ", END + block * 1_500]


def test_an_end_that_comes_late_still_makes_text_of_what_was_held(clock: Clock) -> None:
    parser = PasteParser()
    assert told(parser.feed(f"{START}fox {END}red\r")) == ["fox "]
    clock.now_s += 9
    assert told(parser.feed(f"blue\r{END}")) == [f"{END}red\rblue\r"]


def test_the_end_of_the_input_loses_no_key(clock: Clock) -> None:
    parser = PasteParser()
    assert told(parser.feed(f"{START}fox{END}\r")) == ["fox"]
    assert told(parser.feed("")) == ["<enter>"]


def test_the_escape_key_is_still_one(parser: PasteParser) -> None:
    assert told(parser.feed(f"\x1b{START}fox{END}")) == ["<escape>", "fox"]


def test_the_terminals_driver_reads_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(linux_driver), "XTermParser", XTermParser)
    keep_pastes_whole(linux_driver.LinuxDriver)
    assert vars(linux_driver)["XTermParser"] is PasteParser
