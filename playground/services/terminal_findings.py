"""What a terminal's facts mean for the program."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from playground.services.findings import Finding, note, ok, problem
from playground.services.terminal_facts import TerminalFacts

TERMINAL: Final = "terminal"
_TRUE_COLOUR: Final = 1 << 24
_LEAST_SIZE: Final = (80, 24)


def judged(facts: TerminalFacts, *, asked: bool = True) -> Iterable[Finding]:
    """Findings about a terminal; `asked` is False where it could not be asked which keys it can send."""
    where = [facts.program, f"in {facts.multiplexer}" if facts.multiplexer else "", "over ssh" if facts.remote else ""]
    told = ", ".join(part for part in (f"TERM={facts.name or '–'}", *where) if part)
    if facts.name in ("", "dumb", "unknown"):
        text = f"{told}: no screen can be drawn on it."
        yield problem(TERMINAL, text, "Use another terminal, or only commands.")
    else:
        yield ok(TERMINAL, told)
    if facts.columns:
        small = facts.columns < _LEAST_SIZE[0] or facts.rows < _LEAST_SIZE[1]
        text = f"{facts.columns} columns, {facts.rows} rows"
        yield note(TERMINAL, text, "At 80 x 24 everything has its place.") if small else ok(TERMINAL, text)
    yield _colours(facts)
    match facts.kitty_keys:
        case True:
            yield ok(TERMINAL, "tells all keys apart (kitty keyboard protocol)")
        case False:
            yield note(
                TERMINAL,
                "cannot tell Shift+Enter and Ctrl+Enter from Enter (no kitty keyboard protocol)",
                "F1 shows the keys that always work; kitty, Ghostty, WezTerm, foot and others know the protocol.",
            )
        case None if facts.columns and asked:
            yield note(TERMINAL, "did not say which keys it can send")
    if not facts.utf8:
        yield note(TERMINAL, "The locale is not UTF-8.", "Set LANG to one such as en_GB.UTF-8 or C.UTF-8.")


def _colours(facts: TerminalFacts) -> Finding:
    hint = "If it has true colour: export COLORTERM=truecolor."
    if facts.multiplexer == "tmux":
        hint += ' In tmux also: set -as terminal-features ",*:RGB".'
    match facts.colours:
        case None:
            return note(TERMINAL, "does not say how many colours it has", hint)
        case 0:
            return note(TERMINAL, "shows no colours (NO_COLOR, or TERM)", "Figures beside the tokens still tell all.")
        case number if number >= _TRUE_COLOUR:
            return ok(TERMINAL, "true colour")
        case number:
            return note(TERMINAL, f"{number} colours: close shades look the same", hint)
