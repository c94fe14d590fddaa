"""What the terminal can show and which keys it can send, as far as it tells."""

from __future__ import annotations

import contextlib
import os
import re
import select
import termios
import time
import tty
from collections.abc import Mapping
from typing import Final

import msgspec

_ASK: Final = b"\x1b[?u\x1b[c"
"""Which flags of the kitty keyboard protocol are on, and then what every terminal answers: what it is."""
_KITTY: Final = re.compile(rb"\x1b\[\?\d+u")
_DEVICE: Final = re.compile(rb"\x1b\[\?[\d;]*c")
_PATIENCE_S: Final = 0.5
_TRUE_COLOUR: Final = ("truecolor", "24bit")
_PROGRAMS: Final = {"Apple_Terminal": 256}
"""Colours of terminals that are known for fewer than they are asked for."""


class TerminalFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal. None is "nobody told"."""

    name: str
    """TERM."""
    program: str
    """Which program it is; empty where it does not say."""
    multiplexer: str
    """"tmux", "screen" or "zellij"; empty for none."""
    remote: bool
    """Over ssh."""
    colours: int | None
    """16,777,216 for true colour; 0 when NO_COLOR is set."""
    kitty_keys: bool | None
    """Knows the kitty keyboard protocol, which tells keys apart that send the same otherwise."""
    columns: int
    rows: int
    utf8: bool


def terminal_facts(handle: int | None, environment: Mapping[str, str] = os.environ) -> TerminalFacts:
    """Find out about the terminal.

    Args:
        handle: Open for reading and writing; None when there is no terminal to be asked.
        environment: What it says about itself.
    """
    size = os.get_terminal_size(handle) if handle is not None else os.terminal_size((0, 0))
    return TerminalFacts(
        name=environment.get("TERM", ""),
        program=_program(environment),
        multiplexer=_multiplexer(environment),
        remote="SSH_CONNECTION" in environment or "SSH_TTY" in environment,
        colours=_colours(environment),
        kitty_keys=None if handle is None else _ask_for_kitty(handle),
        columns=size.columns,
        rows=size.lines,
        utf8=_is_utf8(environment),
    )


def _program(environment: Mapping[str, str]) -> str:
    for variable, name in (("KITTY_WINDOW_ID", "kitty"), ("WT_SESSION", "Windows Terminal"), ("VTE_VERSION", "VTE")):
        if variable in environment and "TERM_PROGRAM" not in environment:
            return name
    parts = (environment.get("TERM_PROGRAM", ""), environment.get("TERM_PROGRAM_VERSION", ""))
    return " ".join(part for part in parts if part)


def _multiplexer(environment: Mapping[str, str]) -> str:
    found = (("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij"))
    return next((name for variable, name in found if environment.get(variable)), "")


def _colours(environment: Mapping[str, str]) -> int | None:
    if environment.get("NO_COLOR"):
        return 0
    term = environment.get("TERM", "")
    if environment.get("COLORTERM", "").lower() in _TRUE_COLOUR or term.endswith(("-direct", "-truecolor")):
        return 1 << 24
    if environment.get("TERM_PROGRAM") in _PROGRAMS:
        return _PROGRAMS[environment["TERM_PROGRAM"]]
    if "256color" in term or term in ("xterm-kitty", "xterm-ghostty", "alacritty", "foot"):
        return 256 if "256color" in term else 1 << 24
    return 0 if term in ("", "dumb", "unknown") else None


def _is_utf8(environment: Mapping[str, str]) -> bool:
    locale = environment.get("LC_ALL") or environment.get("LC_CTYPE") or environment.get("LANG") or ""
    return "utf8" in locale.lower().replace("-", "")


def _ask_for_kitty(handle: int) -> bool | None:
    """Ask the terminal itself; None when it does not answer."""
    with contextlib.suppress(OSError):  # not the terminal that sends us signals
        if os.tcgetpgrp(handle) != os.getpgrp():
            return None  # in the background, where a change of its settings would stop the program
    try:
        before = termios.tcgetattr(handle)
    except termios.error:
        return None
    answer = b""
    try:
        tty.setcbreak(handle, termios.TCSAFLUSH)
        os.write(handle, _ASK)
        until = time.monotonic() + _PATIENCE_S
        while not _DEVICE.search(answer):
            left = until - time.monotonic()
            if left <= 0 or not select.select([handle], [], [], left)[0]:
                return None
            part = os.read(handle, 1024)
            if not part:
                return None
            answer += part
    except OSError:
        return None
    finally:
        termios.tcsetattr(handle, termios.TCSAFLUSH, before)
    return _KITTY.search(answer) is not None
