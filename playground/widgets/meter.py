"""The context window as one line: what takes how much of it, and what is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.messages import PromptParts
from playground.widgets.bars import UNKNOWN, stack
from playground.widgets.explained import fitting

SHARES = ("system", "history", "prompt", "reply", "reserve", "free")
MIN_BAR = 6
LEAST = 6
"""Eighths of a cell that a share takes which is not nothing."""


@dataclass(frozen=True, slots=True)
class _Fill:
    """What is in the window. All figures are tokens."""

    parts: PromptParts = field(default_factory=PromptParts)
    reply: int = 0
    reserve: int = 0
    total: int | None = None
    estimate: bool = False
    max_output: int | None = None

    @property
    def used(self) -> int:
        """Tokens that are there now."""
        return self.parts.total + self.reply

    @property
    def ahead(self) -> int:
        """Tokens of the reply that are still to come, as far as they are set aside."""
        reserve = self.reserve if self.max_output is None else min(self.reserve, self.max_output)
        return max(0, reserve - self.reply)

    @property
    def excess(self) -> int:
        """Tokens that are too many; a prompt must leave room for one more, or nothing can follow it."""
        if self.total is None:
            return 0
        waiting = self.parts.prompt > 0 and not self.reply
        return max(0, self.used + waiting - self.total)

    def amounts(self) -> dict[str, int]:
        """Tokens by share; without a known size nothing is free."""
        parts, room = self.parts, max(0, (self.total or self.used) - self.used)
        ahead = min(room, self.ahead)
        amounts = (parts.system, parts.history, parts.prompt, self.reply, ahead, room - ahead)
        return dict(zip(SHARES, amounts, strict=True))

    def number(self, tokens: int) -> str:
        """A count as it is written, e.g. "≈1,234"."""
        return f"{'≈' if self.estimate else ''}{tokens:,}"


class ContextMeter(Widget):
    """How full the context window is. All figures are tokens."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"meter--{part}" for part in (*SHARES, "text", "full", "over", "unknown")}
    DEFAULT_CSS = """
    ContextMeter {
        height: 1;
        width: 1fr;
        min-width: 12;
        & > .meter--system { color: $meter-system; }
        & > .meter--history { color: $meter-history; }
        & > .meter--prompt { color: $meter-prompt; }
        & > .meter--reply { color: $accent; }
        & > .meter--reserve { color: $meter-reserve; }
        & > .meter--free { color: $meter-free; }
        & > .meter--text { color: $foreground; }
        & > .meter--full { color: $warning; text-style: bold; }
        & > .meter--over { color: $error; text-style: bold; }
        & > .meter--unknown { color: $foreground 35%; }
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._fill = _Fill()
        self._drawn: tuple[tuple[int, ...], list[Segment]] = ((), [])
        """Lengths of the bar drawn last, and the bar."""
        self._explain()

    def show(
        self,
        parts: PromptParts,
        reply: int,
        reserve: int,
        total: int | None,
        estimate: bool = False,
        max_output: int | None = None,
    ) -> None:
        """Show another state.

        Args:
            parts: The prompt, split.
            reply: Tokens generated so far.
            reserve: Tokens set aside for the whole reply, those generated included; 0 for none.
            total: Size of the context window; None when unknown.
            estimate: True when the figures are not counted by the model's own tokenizer.
            max_output: Most tokens that one reply can have; None where only the window limits it.
        """
        fill = _Fill(parts, reply, reserve, total, estimate, max_output)
        if fill != self._fill:
            self._fill = fill
            self._explain()
            self.refresh()

    @property
    def text(self) -> str:
        """The figures, e.g. "1,234/8,192"."""
        fill = self._fill
        return f"{fill.number(fill.used)}/{UNKNOWN if fill.total is None else format(fill.total, ',')}"

    @property
    def need(self) -> int:
        """Cells for the figures at their longest, and for a bar beside them; it does not change as the window fills."""
        total = self._fill.total
        return 0 if total is None else len(f"≈{total:,}/{total:,} ") + MIN_BAR

    def _explain(self) -> None:
        fill = self._fill
        amounts = fill.amounts()
        size = "of unknown size" if fill.total is None else f"of {fill.total:,} tokens"
        lines = [f"Context window {size}{'; the counts are estimates' if fill.estimate else ''}."]
        lines += [f"{share:<8}{fill.number(amounts[share]):>10}" for share in ("system", "history", "prompt")]
        reserved = f" of {fill.reply + fill.ahead:,} reserved" if fill.reserve else ""
        most = "" if fill.max_output is None else f", at most {fill.max_output:,}"
        lines.append(f"{'reply':<8}{fill.number(fill.reply):>10}{reserved}{most}")
        if fill.total is not None:
            lines.append(f"{'free':<8}{fill.number(amounts['free']):>10}")
        if fill.excess:
            lines.append(f"Too long by {fill.number(fill.excess)}: something has to be cut before it can be sent.")
        elif fill.ahead > amounts["reserve"] and fill.total is not None:
            lines.append(f"The reply has room for {fill.number(amounts['reserve'])} more, less than was set aside.")
        lines.append("A call has no memory: everything the model should know must fit in here.")
        self.tooltip = Content("\n".join(lines))

    def render_line(self, y: int) -> Strip:
        """The only row: a bar, as far as there is room for one, and the figures."""
        fill, width, text = self._fill, self.size.width, self.text
        kind = "text"
        if fill.excess:
            kind, excess = "over", fill.number(fill.excess)
            text = fitting((f"{text} · too long by {excess}", f"too long by {excess}", f"{excess} over"), width)
        elif fill.total is not None and fill.used >= fill.total:
            kind = "full"
        segments = [Segment(text, self.get_component_rich_style(f"meter--{kind}"))]
        room = width - cell_len(text) - 1
        if room >= MIN_BAR:
            if fill.total is None:  # a length without an end
                bar = [Segment("╌" * room, self.get_component_rich_style("meter--unknown"))]
            else:
                bar = self._bar(room)
            segments = [*bar, Segment(" ", self.rich_style), *segments]
        return Strip(segments).adjust_cell_length(width, self.rich_style)

    def notify_style_update(self) -> None:
        """The bar was drawn in other colours."""
        self._drawn = ((), [])
        super().notify_style_update()

    def _bar(self, width: int) -> list[Segment]:
        """The bar; the same one as long as a new token moves no eighth of a cell."""
        lengths = self._lengths(width)
        if lengths != self._drawn[0]:
            styles = (self.get_component_rich_style(f"meter--{share}") for share in SHARES)
            self._drawn = (lengths, stack(list(zip(lengths, styles, strict=True)), width))
        return self._drawn[1]

    def _lengths(self, width: int) -> tuple[int, ...]:
        """Eighths of a cell by share."""
        amounts = self._fill.amounts()
        whole = max(1, sum(amounts.values()))
        room = width * 8
        lengths = []
        for share in SHARES[:-1]:
            # Something small is still something, and an eighth of a cell is nothing to the eye.
            length = min(room, max(round(amounts[share] / whole * width * 8), LEAST if amounts[share] else 0))
            room -= length
            lengths.append(length)
        return (*lengths, room)
