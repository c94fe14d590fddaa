"""One reply of the history with what it answers, in the colours of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.style import Style
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from playground.domain.counts import count_of
from playground.domain.display import display_line
from playground.domain.history import Entry
from playground.domain.messages import Role
from playground.domain.transcript import Turn
from playground.widgets.bars import UNKNOWN
from playground.widgets.colour_scale import ColourMode
from playground.widgets.history_columns import ending, when
from playground.widgets.shown_branch import ShownBranch
from playground.widgets.shown_turn import Drawing
from playground.widgets.status_bar import dollars
from playground.widgets.token_view import TokenView

_LOW: Final = 12
"""Rows that a prompt and the beginning of its reply need."""


class PreviewText(TokenView):
    """Tells when somebody goes to its end, which scrolling alone does not."""

    class Ended(Message):
        """Somebody wants to see the end."""

    def follow_end(self) -> None:
        """See TokenScroll."""
        super().follow_end()
        self.post_message(self.Ended())


class HistoryPreview(Vertical):
    """Figures in words over the text."""

    DEFAULT_CSS = """
    HistoryPreview {
        & > #history-facts { height: auto; max-height: 3; color: $text-muted; }
        & > TokenView { height: 1fr; padding: 0; }
    }
    """

    class MoreWanted(Message):
        """The end of what is known of the reply comes into sight."""

    def __init__(self, mode: ColourMode, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.view = PreviewText(id="history-text")
        """The text; its cursor can walk over the tokens."""
        self.view.follow = False
        self._branch = ShownBranch(self.view, Drawing(mode=mode))
        self._turns: Sequence[Turn] = ()
        self._more = False

    def compose(self) -> ComposeResult:
        """Figures over the text."""
        yield Static("", id="history-facts", markup=False)
        yield self.view

    def set_palette(self, styles: Sequence[Style]) -> None:
        """Draw in the colours of a theme."""
        self.view.set_palette(styles)

    def on_mount(self) -> None:
        """Ask for more of a long reply as one reads on."""
        self.watch(self.view, "scroll_y", self._look_ahead, init=False)

    @property
    def tokens(self) -> int:
        """How many tokens of the reply are shown."""
        return len(self._turns[-1].tokens) if self._turns else 0

    def show(self, entry: Entry | None, turns: Sequence[Turn], *, more: bool = False) -> None:
        """Show a reply, the last of `turns`, behind what it answers; or nothing. `more`: of the reply there is more."""
        self.query_one("#history-facts", Static).update(_facts(entry) if entry is not None else "")
        self._turns, self._more = turns, more
        self._branch.clear()
        self._draw()
        self.view.follow = False
        reply = self._branch.turns[-1].start if self._branch.turns else 0
        if reply and self.view.size.height < _LOW:
            self.view.scroll_to_item(reply)  # what was asked stands in the list
        else:
            self.view.scroll_home(animate=False)
        self.call_after_refresh(self._look_ahead)

    def grow(self, reply: Turn, *, more: bool) -> None:
        """More of the reply that is shown."""
        shown = self._turns[-1]
        shown.tokens += reply.tokens[len(shown.tokens) :]
        shown.finished, shown.problem, self._more = reply.finished, reply.problem, more
        self._draw()
        self.call_after_refresh(self._look_ahead)  # at the end that it follows, nothing else would ask

    def _draw(self) -> None:
        if self._turns:
            raw = any(turn.raw for turn in self._turns)
            model = next((turn.model for turn in self._turns if turn.role is Role.ASSISTANT), "")
            self._branch.show(self._turns, raw, display_line(model), lambda _turn: (1, 1))

    @on(PreviewText.Ended)
    def _look_ahead(self) -> None:
        view = self.view
        if self._more and view.scroll_offset.y + 2 * view.size.height >= view.max_scroll_y:
            self._more = False  # until the answer is there
            self.post_message(self.MoreWanted())


def _facts(entry: Entry) -> Content:
    facts = [
        f"#{entry.id}",
        when(entry),
        display_line(entry.model) or UNKNOWN,
        display_line(entry.preset) or UNKNOWN,
        count_of(entry.tokens, "token"),
        f"TTFT {UNKNOWN if entry.ttft_ms is None else f'{entry.ttft_ms:,.0f} ms'}",
        f"{UNKNOWN if entry.tokens_per_second is None else f'{entry.tokens_per_second:,.0f}'} tok/s",
        dollars(entry.cost),
        ending(entry),
        display_line(entry.origin),
    ]
    if entry.more:  # tokens and cost are those of all of them; each reply tells its own below its text
        cut = f" and {entry.cut_short:,} cut short" if entry.cut_short else ""
        many = count_of(entry.whole, "reply", "replies")
        facts = [f"the newest of {many}{cut}", *facts[:5], facts[7], facts[9]]
    title = " · ".join(display_line(part) for part in (entry.title, entry.label) if part)
    parts = [("★ ", "$warning")] if entry.starred else []
    parts += [(f"{title} · ", "bold $accent")] if title else []
    return Content.assemble(*parts, " · ".join(facts))
