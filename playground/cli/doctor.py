"""`llm-playground doctor`: this machine, its terminal and the person's files, line by line."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

import click
import msgspec

from playground.cli.run_output import INTERRUPTED, write_json
from playground.domain.display import display_line

if TYPE_CHECKING:
    from playground.services.doctor import Finding
    from playground.services.terminal_facts import TerminalFacts

_TRUE_COLOUR: Final = 1 << 24
_MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("problem", "red")}
_TERMINAL: Final = "terminal"
_LEAST_SIZE: Final = (80, 24)


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each line of the report.")
def doctor_command(as_json: bool) -> None:
    """Look at this machine, and say what is missing and how to get it.

    Versions, llama.cpp and what it computes on, memory, folders, settings, presets and themes, where keys are (never
    what they are), servers on this machine, models, and the terminal. Nothing leaves the machine; to servers on it a
    connection is opened and closed again. The exit status is 1 when there is a problem.

    \b
    Examples:
      llm-playground doctor
      llm-playground doctor --json | grep problem
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    report = _Report(as_json)
    try:
        asyncio.run(_examine(report))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(report.close())


async def _examine(report: _Report) -> None:
    from playground.services.doctor import examine

    async for finding in examine():
        report.add(finding)
    for finding in [*_looks(), *_terminal()]:
        report.add(finding)


class _Report:
    """Prints findings as they come, under the name of what they are about."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._area = ""
        self._counts: dict[str, int] = {}

    def add(self, finding: Finding) -> None:
        """Print one."""
        self._counts[finding.state] = self._counts.get(finding.state, 0) + 1
        if self._as_json:
            write_json(msgspec.to_builtins(finding))
            return
        if finding.area != self._area:
            self._area = finding.area
            click.secho(finding.area, bold=True)
        word, colour = _MARKS[finding.state]
        self._write(f"  {click.style(f'{word:<8}', fg=colour)}", finding.text)
        if finding.next_step:
            self._write(f"  {'':<8}→ ", finding.next_step)

    def close(self) -> int:
        """The sum of it, and the exit status."""
        problems, notes = self._counts.get("problem", 0), self._counts.get("note", 0)
        if not self._as_json:
            said = [
                f"{count} {word}{'s' if count != 1 else ''}"
                for count, word in ((problems, "problem"), (notes, "note"))
                if count
            ]
            click.echo(f"\n{' and '.join(said)}." if said else "\nNothing is missing.")
        return 1 if problems else 0

    def _write(self, head: str, text: str) -> None:
        width = len(click.unstyle(head))
        room = max(40, shutil.get_terminal_size((100, 24)).columns - width)
        # A command or a path in it is to be copied, so nothing is cut in the middle of a word.
        lines = textwrap.wrap(display_line(text), room, break_long_words=False, break_on_hyphens=False) or [""]
        click.echo(head + f"\n{' ' * width}".join(lines))


def _looks() -> Iterable[Finding]:
    """Mistakes in themes and in the key map, which belong to the screen."""
    from playground.app import DEFAULT_THEME, PlaygroundApp
    from playground.screens.keymap import checked_keymap
    from playground.screens.sections import sections
    from playground.services.doctor import Finding, State, from_error
    from playground.services.paths import shipped, user_config_dir
    from playground.services.settings import load_settings, settings_path
    from playground.theming import load_themes

    settings, _ = load_settings()
    themes, errors = load_themes((shipped("themes"), user_config_dir() / "themes"))
    yield from (from_error("themes", error) for error in errors)
    wanted = settings.theme or DEFAULT_THEME
    if wanted not in themes:
        known = f"There are: {', '.join(sorted(themes))}."
        yield Finding(area="themes", state=State.NOTE, text=f"No file has a theme called {wanted!r}.", next_step=known)
    yield Finding(area="themes", state=State.OK, text=f"{len(themes)} can be used")
    _, mistakes = checked_keymap(settings.keymap, sections(PlaygroundApp.BINDINGS), str(settings_path()))
    yield from (from_error("keys of the app", error) for error in mistakes)


def _terminal() -> Iterable[Finding]:
    from playground.services.doctor import Finding, State
    from playground.services.terminal_facts import terminal_facts

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        text = "Standard input and output are no terminal here, so it was not asked what it can do."
        yield Finding(area=_TERMINAL, state=State.NOTE, text=text, next_step="Run doctor in the terminal itself.")
        yield from _judged(terminal_facts(None))
        return
    handle = os.open(os.ttyname(sys.stdin.fileno()), os.O_RDWR | os.O_NOCTTY)
    try:
        yield from _judged(terminal_facts(handle))
    finally:
        os.close(handle)


def _judged(facts: TerminalFacts) -> Iterable[Finding]:
    from playground.services.doctor import Finding, State

    def say(state: State, text: str, next_step: str = "") -> Finding:
        return Finding(area=_TERMINAL, state=state, text=text, next_step=next_step)

    where = [facts.program, f"in {facts.multiplexer}" if facts.multiplexer else "", "over ssh" if facts.remote else ""]
    told = ", ".join(part for part in (f"TERM={facts.name or '–'}", *where) if part)
    if facts.name in ("", "dumb", "unknown"):
        yield say(State.PROBLEM, f"{told}: no screen can be drawn on it.", "Use another terminal, or only commands.")
    else:
        yield say(State.OK, told)
    if facts.columns:
        small = facts.columns < _LEAST_SIZE[0] or facts.rows < _LEAST_SIZE[1]
        text = f"{facts.columns} columns, {facts.rows} rows"
        yield say(State.NOTE, text, "At 80 x 24 everything has its place.") if small else say(State.OK, text)
    yield from _judged_colours(facts, say)
    match facts.kitty_keys:
        case True:
            yield say(State.OK, "tells all keys apart (kitty keyboard protocol)")
        case False:
            yield say(
                State.NOTE,
                "cannot tell Shift+Enter and Ctrl+Enter from Enter (no kitty keyboard protocol)",
                "F1 shows the keys that always work; kitty, Ghostty, WezTerm, foot and others know the protocol.",
            )
        case None if facts.columns:
            yield say(State.NOTE, "did not say which keys it can send")
    if not facts.utf8:
        yield say(State.NOTE, "The locale is not UTF-8.", "Set LANG to one such as en_GB.UTF-8 or C.UTF-8.")


def _judged_colours(facts: TerminalFacts, say: Callable[..., Finding]) -> Iterable[Finding]:
    from playground.services.doctor import State

    hint = "If it has true colour: export COLORTERM=truecolor."
    if facts.multiplexer == "tmux":
        hint += ' In tmux also: set -as terminal-features ",*:RGB".'
    match facts.colours:
        case None:
            yield say(State.NOTE, "does not say how many colours it has", hint)
        case 0:
            yield say(State.NOTE, "shows no colours (NO_COLOR, or TERM)", "Figures beside the tokens still tell all.")
        case number if number >= _TRUE_COLOUR:
            yield say(State.OK, "true colour")
        case number:
            yield say(State.NOTE, f"{number} colours: close shades look the same", hint)
