"""The report of `llm-playground doctor` on the screen: what is wrong comes first, with what to do about it."""

from __future__ import annotations

import asyncio
import textwrap
from typing import TYPE_CHECKING, ClassVar, Final

from msgspec import structs
from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from playground.domain.display import display_line
from playground.screens.file_findings import screen_findings
from playground.services.doctor import examine
from playground.services.findings import Finding, State, as_text, note, sum_text
from playground.services.terminal_facts import terminal_facts
from playground.services.terminal_findings import TERMINAL, judged
from playground.widgets.key_bar import Hint, KeyBar
from playground.widgets.key_maker import KeyMaker

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


_RANK: Final = {State.PROBLEM: 0, State.NOTE: 1, State.OK: 2}
_MARKS: Final = {
    State.PROBLEM: ("✗", "$text-error"),
    State.NOTE: ("!", "$text-warning"),
    State.OK: ("✓", "$text-success"),
}
_AREA_CELLS: Final = 16
_HEAD_CELLS: Final = _AREA_CELLS + 2
"""Before a text: the mark, and what it is about."""
_BORDER_CELLS: Final = 3
"""Around the options, and the scroll bar that comes with many of them."""
_LEAST_TEXT: Final = 30
NOT_ASKED: Final = "The terminal shows this screen, so it cannot be asked now which keys it can send."
_KEYS: Final = (
    Hint("Copy step", "enter"),
    *("doctor.leave", "doctor.again", "doctor.report", "app.help", "app.quit"),
)
_key = KeyMaker("doctor")


def open_doctor(main: TokenScreen) -> None:
    """Open it over the main screen."""
    main.app.push_screen(DoctorScreen())


class DoctorScreen(ModalScreen[None]):
    """Looks as soon as it is shown; findings come one by one. Nothing leaves the machine."""

    BINDINGS: ClassVar[list[BindingType]] = [
        _key("escape", "leave", "Close", "Back to the panes"),
        _key("r", "again", "Again", "Look at everything once more"),
        _key("c", "copy", "Copy", "Copy what is to be done about the finding under the cursor; so does Enter"),
        _key("a", "report", "Copy all", "Copy the whole report as text"),
    ]
    DEFAULT_CSS = """
    DoctorScreen {
        align: center middle;
        & > Vertical { width: 97%; max-width: 150; height: 94%; padding: 0 1; }
        & > Vertical { border: round $border; background: $surface; }
        & #doctor-sum { height: 1; text-style: bold; }
        &.-problems #doctor-sum { color: $text-error; }
        & OptionList, & OptionList:focus { height: 1fr; border: none; background: $surface; padding: 0; margin: 1 0; }
        & OptionList > .option-list--option-highlighted,
        & OptionList:focus > .option-list--option-highlighted {
            color: $foreground; background: $foreground 12%; text-style: none;
        }
        & KeyBar { padding: 0; background: $surface; }
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self.findings: list[Finding] = []
        """In the order in which they came."""
        self.looking = False
        self._shown: list[Finding] = []
        """As they stand in the list."""

    def compose(self) -> ComposeResult:
        """The sum over the findings."""
        with Vertical() as box:
            box.border_title = Content("Doctor")
            yield Static("looking …", id="doctor-sum", markup=False)
            yield OptionList()
            yield KeyBar(_KEYS)

    def on_mount(self) -> None:
        """Begin."""
        self.query_one(OptionList).focus()
        self._look()

    @work(group="doctor", exclusive=True)
    async def _look(self) -> None:
        self.findings, self.looking = [], True
        self._show()
        async for finding in examine():
            self._add(finding)
        everywhere = type(self.app).BINDINGS
        for finding in await asyncio.to_thread(lambda: [*screen_findings(everywhere)]):
            self._add(finding)
        for finding in self._terminal():
            self._add(finding)
        self.looking = False
        self._show()

    def _terminal(self) -> list[Finding]:
        width, height = self.app.size
        facts = structs.replace(terminal_facts(None), columns=width, rows=height)
        step = "llm-playground doctor, in the shell, asks the terminal itself."
        return [*judged(facts, asked=False), note(TERMINAL, NOT_ASKED, step)]

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self._show()

    def on_resize(self) -> None:
        """Another width, other lines."""
        self.call_after_refresh(self._show)

    # -- showing -----------------------------------------------------------------------------------------------

    def _show(self) -> None:
        """Problems first, each state in the order in which its findings came; the cursor stays on its finding."""
        found = self.query_one(OptionList)
        at = self._shown[found.highlighted] if found.highlighted and found.highlighted < len(self._shown) else None
        self._shown = sorted(self.findings, key=lambda one: _RANK[one.state])
        found.clear_options()
        room = max(_LEAST_TEXT, found.scrollable_content_region.width - _HEAD_CELLS - _BORDER_CELLS)
        found.add_options([Option(_line(one, room)) for one in self._shown])
        found.highlighted = self._shown.index(at) if at in self._shown else 0 if self._shown else None
        wrong = any(one.state is State.PROBLEM for one in self.findings)
        self.set_class(wrong, "-problems")
        fine = sum(one.state is State.OK for one in self.findings)
        parts = [sum_text(self.findings)] if wrong or not self.looking else []
        parts += [f"{fine} fine", *(["looking …"] if self.looking else [])]
        self.query_one("#doctor-sum", Static).update(Content(" · ".join(parts)), layout=False)

    # -- keys --------------------------------------------------------------------------------------------------

    @on(OptionList.OptionSelected)
    def action_copy(self) -> None:
        """Take along what is to be done."""
        place = self.query_one(OptionList).highlighted
        if place is None:
            return
        one = self._shown[place]
        self.app.copy_to_clipboard(display_line(one.next_step or one.text))
        what = "What is to be done" if one.next_step else "The finding"
        self.notify(f"{what} went to the clipboard of the terminal.", timeout=3)

    def action_report(self) -> None:
        """Take all of it along."""
        self.app.copy_to_clipboard(f"{as_text(self.findings)}\n{sum_text(self.findings)}.\n")
        self.notify("The report went to the clipboard of the terminal.", timeout=3)

    def action_again(self) -> None:
        """Look once more."""
        self._look()

    def action_leave(self) -> None:
        """Back to the panes."""
        self.dismiss(None)


def _line(one: Finding, room: int) -> Content:
    """A finding, its lines below one another."""
    mark, colour = _MARKS[one.state]
    area = Content.styled(f"{display_line(one.area):<{_AREA_CELLS}}", "$text-muted")
    line = Content.assemble((f"{mark} ", f"bold {colour}"), area, _wrapped(one.text, room))
    return Content.assemble(line, "\n", (_wrapped(one.next_step, room, "→ "), colour)) if one.next_step else line


def _wrapped(text: str, room: int, lead: str = "") -> str:
    """In lines of so many cells; all but the first, and that too behind a lead, begin where the text does."""
    margin = " " * _HEAD_CELLS
    first = f"{margin}{lead}" if lead else ""
    lines = textwrap.wrap(display_line(text), room - len(lead), break_on_hyphens=False) or [""]
    return first + f"\n{margin}{' ' * len(lead)}".join(lines)
