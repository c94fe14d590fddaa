"""What the model could have said at one position: its top candidates, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from playground.domain.tokens import Candidate, Token
from playground.widgets.bars import fit
from playground.widgets.candidate_keys import CANDIDATE_KEYS
from playground.widgets.candidate_row import ROW_PARTS
from playground.widgets.candidate_rows import CandidateRows

HEADER = 1


class CandidateList(ScrollView, can_focus=True):
    """A row a candidate: the model's own probability as a bar, and what the samplers made of it.

    A candidate that a sampler removed names the stage that did it. In front: the digit that takes it, ▸ was chosen,
    ✗ is banned, ↑ and ↓ are bent. The cursor stays on its candidate when the rows change places.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*CANDIDATE_KEYS]
    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"candidates--{part}" for part in ("header", "cursor", *ROW_PARTS)}
    DEFAULT_CSS = """
    CandidateList {
        height: 1fr;
        min-height: 4;
        overflow-x: hidden;
        scrollbar-size-vertical: 1;
        & > .candidates--header { color: $text-muted; }
        & > .candidates--digit { color: $text-muted; }
        & > .candidates--piece { color: $foreground; }
        & > .candidates--chosen { color: $mark; text-style: bold; }
        & > .candidates--mark { color: $mark; text-style: bold; }
        & > .candidates--bent { color: $warning; text-style: bold; }
        & > .candidates--bar { color: $primary; }
        & > .candidates--after { color: $accent; }
        & > .candidates--cut { color: $stage-cut; }
        & > .candidates--cursor { background: $foreground 12%; }
    }
    """

    cursor: reactive[int] = reactive(-1)
    """Index of the candidate under the keyboard cursor; -1 for none."""

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
        self._rows = CandidateRows(None)
        self._under: Candidate | None = None
        """What the person put the cursor on; kept while another distribution lacks it."""
        self._bias: Mapping[str, float] = {}
        self._strips: dict[int, Strip] = {}
        self._parts: dict[str, Style] = {}

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """What is on display, best first."""
        return self._rows.all

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

    def show_bias(self, bias: Mapping[str, float]) -> None:
        """Mark candidates that are banned, or bent, from now on; this is not always what the token was drawn with.

        Args:
            bias: Logit bias by a token's text or "#id".
        """
        if bias != self._bias:
            self._bias = bias
            self._strips.clear()
            self.refresh()

    def _follow(self) -> None:
        """Bring the cursor to where its candidate is now; another one must not get its keys."""
        under = self._under
        if under is not None:
            self.cursor = self._rows.place_of(under, self.cursor)
            self._under = under

    def _repaint(self, index: int) -> None:
        self._strips.pop(index, None)
        self.refresh_line(index + HEADER)

    def _fit_height(self) -> None:
        """Keep the scroll range, without a layout for every token.

        The chosen token may add a row to the usual number; a range that follows it would change all the time.
        """
        rows = len(self.candidates) + HEADER
        height = self.virtual_size.height
        if rows > height or rows < height - 1 or self.virtual_size.width != self.size.width:
            self.virtual_size = Size(self.size.width, rows)
            self.styles.max_height = max(4, rows)

    def on_resize(self) -> None:
        """Divide the rows anew."""
        self._strips.clear()
        self._fit_height()

    def notify_style_update(self) -> None:
        """Forget rows painted in other colours."""
        self._strips.clear()
        self._parts = {}
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        """The header, which stays in place, or a candidate."""
        width = self.scrollable_content_region.width
        if y < HEADER:
            return self._header(width)
        index = y - HEADER + self.scroll_offset.y
        if index >= len(self.candidates):
            return Strip.blank(width, self.rich_style)
        strip = self._strips.get(index)
        if strip is None or strip.cell_length != width:
            strip = self._strips[index] = self._row(index, width)
        return strip

    def _header(self, width: int) -> Strip:
        if 0 <= self.cursor < len(self._rows) and (told := self._rows.why_cut(self.cursor)):
            return Strip([Segment(fit(told, width), self._styles_of_parts()["bent"])])
        return Strip([Segment(self._rows.header(width), self.get_component_rich_style("candidates--header"))])

    def _row(self, index: int, width: int) -> Strip:
        parts = self._styles_of_parts()
        if index == self.cursor:
            under = Style(bgcolor=self.get_component_rich_style("candidates--cursor").bgcolor)
            parts = {name: style + under for name, style in parts.items()}
        return self._rows.row(index, width, parts, self._bias)

    def _styles_of_parts(self) -> dict[str, Style]:
        if not self._parts:
            self._parts = {name: self.get_component_rich_style(f"candidates--{name}") for name in ROW_PARTS}
        return self._parts

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
