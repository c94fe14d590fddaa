"""`llm-playground doctor`: this machine, its terminal and the person's files, line by line."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import click
import msgspec

from playground.cli.run_output import write_json
from playground.domain.display import display_line

if TYPE_CHECKING:
    from playground.services.findings import Finding

_MARKS: Final = {"ok": ("ok", "green"), "note": ("note", "yellow"), "problem": ("problem", "red")}


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each line of the report.")
def doctor_command(as_json: bool) -> None:
    """Look at this machine, and say what is missing and how to get it.

    Versions, llama.cpp and what it computes on, memory, folders, history, settings, presets and themes, where keys are
    (never what they are), servers on this machine, models, and the terminal. Nothing leaves the machine; to servers on
    it a connection is opened and closed again. The exit status is 1 when there is a problem.

    \b
    Examples:
      llm-playground doctor
      llm-playground doctor --json | grep problem
    """  # noqa: D301 - \b is click's mark for text that is not to be re-wrapped
    report = _Report(as_json)
    asyncio.run(_examine(report))
    sys.exit(report.close())


async def _examine(report: _Report) -> None:
    from playground.app import PlaygroundApp
    from playground.screens.file_findings import screen_findings
    from playground.services.doctor import examine

    async for finding in examine():
        report.add(finding)
    for finding in [*screen_findings(PlaygroundApp.BINDINGS), *_terminal()]:
        report.add(finding)


class _Report:
    """Prints findings as they come, under the name of what they are about."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._area = ""
        self._findings: list[Finding] = []

    def add(self, finding: Finding) -> None:
        """Print one."""
        self._findings.append(finding)
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
        from playground.services.findings import State, sum_text

        if not self._as_json:
            click.echo(f"\n{sum_text(self._findings)}.")
        return 1 if any(one.state is State.PROBLEM for one in self._findings) else 0

    def _write(self, head: str, text: str) -> None:
        width = len(click.unstyle(head))
        room = max(40, shutil.get_terminal_size((100, 24)).columns - width)
        # A command or a path in it is to be copied, so nothing is cut in the middle of a word.
        lines = textwrap.wrap(display_line(text), room, break_long_words=False, break_on_hyphens=False) or [""]
        click.echo(head + f"\n{' ' * width}".join(lines))


def _terminal() -> Iterable[Finding]:
    from playground.services.findings import note
    from playground.services.terminal_facts import terminal_facts
    from playground.services.terminal_findings import TERMINAL, judged

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        text = "Standard input and output are no terminal here, so it was not asked what it can do."
        yield note(TERMINAL, text, "Run doctor in the terminal itself.")
        yield from judged(terminal_facts(None))
        return
    handle = os.open(os.ttyname(sys.stdin.fileno()), os.O_RDWR | os.O_NOCTTY)
    try:
        yield from judged(terminal_facts(handle))
    finally:
        os.close(handle)
