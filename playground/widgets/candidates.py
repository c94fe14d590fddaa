"""What the model could have said at one position: its top candidates, as bars."""

from __future__ import annotations

from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message

from playground.domain.tokens import Candidate, Token
from playground.widgets.candidate_canvas import HEADER, CandidateCanvas
from playground.widgets.candidate_keys import CANDIDATE_KEYS
from playground.widgets.candidate_rows import CandidateRows


class CandidateList(CandidateCanvas, can_focus=True):
    """A row a candidate: the model's own probability as a bar, and what the samplers made of it.

    A candidate that a sampler removed names the stage that did it. In front: the digit that takes it, ▸ was chosen,
    ✗ is banned, ↑ and ↓ are bent. The cursor stays on its candidate when the rows change places.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*CANDIDATE_KEYS]

    class _Message(Message):
        """Something about the list."""

        def __init__(self, candidates: CandidateList) -> None:
            super().__init__()
            self.candidates = candidates

        @property
        def control(self) -> CandidateList:
            """The list."""
            return self.candidates

    class _AtRow(_Message):
        """Something about a row."""

        def __init__(self, candidates: CandidateList, index: int) -> None:
            super().__init__(candidates)
            self.index = index
            """Index into the token's `top`."""

    class Picked(_AtRow):
        """The person wants this candidate instead (a click, or Enter)."""

    class Highlighted(_AtRow):
        """The keyboard cursor moved to this candidate."""

    class _Wish(_Message):
        """Something is to be done about a candidate."""

        def __init__(self, candidates: CandidateList, candidate: Candidate) -> None:
            super().__init__(candidates)
            self.candidate = candidate

    class BiasRequested(_Wish):
        """The person wants this candidate likelier or less likely, or banned."""

        def __init__(self, candidates: CandidateList, candidate: Candidate, amount: float | None) -> None:
            super().__init__(candidates, candidate)
            self.amount = amount
            """What to add to its logit; None bans it, or allows it again."""

    class WatchRequested(_Wish):
        """The person wants to follow this candidate's probability."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._under: Candidate | None = None
        """What the person put the cursor on; kept while another distribution lacks it."""

    def show(self, token: Token | None) -> None:
        """Show the candidates of a token; only rows that differ are painted again."""
        old = self._rows
        if token is old.token:
            return
        same_place = token is not None and old.token is not None and token.index == old.token.index
        self._rows = rows = CandidateRows(token)
        count = len(rows)
        if same_place and self._under is not None:
            self._follow()
        else:
            self.cursor = min(self.cursor, count - 1)
            self._under = self.candidates[self.cursor] if self.cursor >= 0 else None
            if self.has_focus:
                self.on_focus()
        for index in range(max(len(old), count)):
            if index >= len(old) or index >= count or old.key(index) != rows.key(index):
                self._repaint(index)
        if bool(len(old)) != bool(count):
            self.refresh_line(0)
        self._fit_height()

    def _follow(self) -> None:
        """Bring the cursor to where its candidate is now; another one must not get its keys."""
        under = self._under
        if under is not None:
            self.cursor = self._rows.place_of(under, self.cursor)
            self._under = under

    def watch_cursor(self, old: int, new: int) -> None:
        """Move the highlight and keep it in view, below the header."""
        for index in (old, new):
            self._repaint(index)
        self._under = self.candidates[new] if 0 <= new < len(self.candidates) else None
        self.refresh_line(0)
        if new < 0:
            return
        visible = max(1, self.scrollable_content_region.height - HEADER)
        top = self.scroll_offset.y
        if not top <= new < top + visible:
            self.scroll_to(y=new if new < top else new - visible + 1, animate=False)

    def on_focus(self) -> None:
        """Begin at the chosen candidate."""
        if self.cursor < 0 and self._under is None and self.candidates:
            self.cursor = max(0, self._rows.chosen)

    def on_blur(self) -> None:
        """A cursor that keys do not move would only distract."""
        self.cursor = -1
        self._under = None

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        if self.candidates:
            before = self.cursor
            self.cursor = min(len(self.candidates) - 1, max(0, before + rows))
            if self.cursor != before:
                self.post_message(self.Highlighted(self, self.cursor))

    def action_page(self, pages: int) -> None:
        """Move the cursor by some pages."""
        self.action_move(pages * max(1, self.size.height - HEADER))

    def action_pick(self) -> None:
        """Take the candidate under the cursor."""
        if 0 <= self.cursor < len(self.candidates):
            self.post_message(self.Picked(self, self.cursor))

    def action_bend(self, amount: float | None) -> None:
        """Ask for the candidate under the cursor to be bent, or banned."""
        if 0 <= self.cursor < len(self.candidates):
            self.post_message(self.BiasRequested(self, self.candidates[self.cursor], amount))

    def action_follow(self) -> None:
        """Ask for the candidate under the cursor to be followed."""
        if 0 <= self.cursor < len(self.candidates):
            self.post_message(self.WatchRequested(self, self.candidates[self.cursor]))

    def on_click(self, event: events.Click) -> None:
        """Take the candidate under the mouse."""
        index = event.y - HEADER + self.scroll_offset.y
        if event.y >= HEADER and index < len(self.candidates):
            self.cursor = index
            self.post_message(self.Picked(self, index))
