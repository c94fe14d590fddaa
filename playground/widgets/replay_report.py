"""What became of a reply that was run again: the verdict, why, the text where the runs part, and both lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from playground.domain.display import display_line
from playground.domain.repeating import ReplayReport, Verdict
from playground.domain.replay_rows import HEAD, CandidateRow, Parting, candidate_rows
from playground.widgets.bars import fit

_HEADLINES: Final = {
    Verdict.EQUAL: ("✓ equal", "bold $success"),
    Verdict.CHECKED: ("✓ looked at again: chosen by hand, so nothing could be drawn again", "bold $success"),
    Verdict.NEAR_TIE: ("≈ a near tie: what the runs differ by decided", "bold $warning"),
    Verdict.EDGE: ("≈ on the edge: the draw fell between two tokens", "bold $warning"),
    Verdict.DIFFERENT: ("✗ different", "bold $error"),
}
_WIDE: Final = ("≈ the two tokens are no further apart than the two runs", "bold $warning")
"""In place of a near tie where the runs differ by much."""
_FIGURES: Final = 20
"""Cells of one run's figures."""
_CHANGE: Final = 10
_LABEL: Final = 6
_LEAST_TOKEN, _MOST_TOKEN = 8, 28
_MUTED: Final = "$foreground 70%"

_Part = tuple[str, str]


class ReplayReportView(VerticalScroll, can_focus=True):
    """Draws a report; longer ones scroll."""

    DEFAULT_CSS = """
    ReplayReportView {
        height: auto; scrollbar-size-vertical: 1; background: $surface;
        & > Static { height: auto; margin: 0 0 1 0; }
        & > #replay-table { margin: 0; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._report: ReplayReport | None = None
        self._text: Parting | None = None

    def compose(self) -> ComposeResult:
        """One text below the other."""
        for name in ("verdict", "text", "table"):
            yield Static("", id=f"replay-{name}", markup=False)

    def show(self, report: ReplayReport | None, text: Parting | None = None) -> None:
        """Show a report, and the text where the runs part; None: nothing."""
        self._report, self._text = report, text
        verdict: list[_Part] = []
        if report is not None:
            wide = report.verdict is Verdict.NEAR_TIE and not report.small
            verdict = [_WIDE if wide else _HEADLINES[report.verdict]]
            verdict += [(f"\n{display_line(sentence)}", "") for sentence in report.sentences]
        self._put("verdict", verdict)
        self._fit()
        self.scroll_home(animate=False)

    def on_resize(self) -> None:
        """Another width, other columns."""
        self._fit()

    def _fit(self) -> None:
        width = self.scrollable_content_region.width
        self._put("text", _around(self._text, width) if self._text is not None else [])
        difference = self._report.difference if self._report is not None else None
        rows = candidate_rows(difference) if difference is not None else []
        self._put("table", list(_table(rows, width)) if rows else [])

    def _put(self, name: str, parts: Sequence[_Part]) -> None:
        text = self.query_one(f"#replay-{name}", Static)
        text.display = bool(parts)
        text.update(Content.assemble(*parts))


def _around(text: Parting, width: int) -> list[_Part]:
    lines = (("both", text.before, "$foreground 75%"), ("then", text.then, "$foreground"), ("now", text.now, "$mark"))
    parts: list[_Part] = []
    for name, line, look in lines:
        parts += [("\n" if parts else "", ""), (f"{name:<{_LABEL}}", _MUTED)]
        parts.append((fit(line, max(1, width - _LABEL)).rstrip(), look))
    return parts


def _table(rows: Sequence[CandidateRow], width: int) -> Iterator[_Part]:
    change = width >= _LEAST_TOKEN + 2 * _FIGURES + _CHANGE
    room = width - 2 * _FIGURES - (_CHANGE if change else 0)
    token = max(_LEAST_TOKEN, min(_MOST_TOKEN, room))
    yield f"{'':{token}}{'then':>13}{'now':>{_FIGURES}}\n", f"bold {_MUTED}"
    for row in (HEAD, *rows):
        head = row is HEAD
        chosen = row.was_chosen or row.is_chosen
        yield fit(row.token, token), f"bold {_MUTED}" if head else "bold $foreground" if chosen else "$foreground"
        for (logprob, chance), mark, colour in (
            (row.then, row.was_chosen, "$foreground"),
            (row.now, row.is_chosen, "$mark"),
        ):
            look = f"bold {_MUTED}" if head else f"bold {colour}" if mark else "$foreground 75%"
            yield f" {'▸' if mark else ' '}{logprob:>9}{chance:>9}", look
        if change:
            yield f"{row.change:>{_CHANGE}}", f"bold {_MUTED}" if head else "$foreground 75%"
        yield "\n", ""
