"""What was found out about this machine: one line after the other, from what is fine to what is a problem."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum

import msgspec

from playground.domain.display import display_line
from playground.domain.errors import ConfigError


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Works, but could be better, or is worth knowing."""
    PROBLEM = "problem"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report."""

    area: str
    """Such as "llama.cpp" or "folders"."""
    state: State
    text: str
    next_step: str = ""
    """What to do about it; empty when nothing is to be done."""


def ok(area: str, text: str) -> Finding:
    """A line about what is as it should be."""
    return Finding(area=area, state=State.OK, text=text)


def note(area: str, text: str, next_step: str = "") -> Finding:
    """A line about what could be better, or is worth knowing."""
    return Finding(area=area, state=State.NOTE, text=text, next_step=next_step)


def problem(area: str, text: str, next_step: str) -> Finding:
    """A line about what does not work."""
    return Finding(area=area, state=State.PROBLEM, text=text, next_step=next_step)


def from_error(area: str, error: ConfigError) -> Finding:
    """A mistake in one of the person's files, as a line of the report."""
    return problem(area, error.message, error.hint)


def sum_text(findings: Iterable[Finding]) -> str:
    """The sum of a report, such as "1 problem and 2 notes"."""
    counts = Counter(finding.state for finding in findings)
    said = [
        f"{counts[state]} {state}{'s' if counts[state] != 1 else ''}"
        for state in (State.PROBLEM, State.NOTE)
        if counts[state]
    ]
    return " and ".join(said) or "Nothing is missing"


def as_text(findings: Iterable[Finding]) -> str:
    """The report as plain text, under the names of what it is about."""
    lines, area = list[str](), ""
    for finding in findings:
        if finding.area != area:
            area = finding.area
            lines.append(area)
        lines.append(f"  {finding.state:<8}{display_line(finding.text)}")
        if finding.next_step:
            lines.append(f"  {'':<8}→ {display_line(finding.next_step)}")
    return "".join(f"{line}\n" for line in lines)
