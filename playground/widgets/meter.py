"""The context window as one line: what takes how much of it, and what is left."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from playground.domain.messages import PromptParts
from playground.widgets.bars import UNKNOWN, stack

SHARES = ("system", "history", "prompt", "reply", "reserve", "free")
MIN_BAR = 6
LEAST = 6
"""Eighths of a cell that a share takes which is not nothing."""


class ContextMeter(Widget):
    """How full the context window is. All figures are tokens."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"meter--{share}" for share in SHARES} | {"meter--text", "meter--full"}
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
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._shown: tuple[PromptParts, int, int, int | None, bool] = (PromptParts(), 0, 0, None, False)
        self._drawn: tuple[tuple[int, ...], list[Segment]] = ((), [])
        """Lengths of the bar drawn last, and the bar."""
        self._explain()

    def show(self, parts: PromptParts, reply: int, reserve: int, total: int | None, estimate: bool = False) -> None:
        """Show another state.

        Args:
            parts: The prompt, split.
            reply: Tokens generated so far.
            reserve: Tokens set aside for the whole reply, those generated included; 0 for none.
            total: Size of the context window; None when unknown.
            estimate: True when the figures are not counted by the model's own tokenizer.
        """
        shown = (parts, reply, reserve, total, estimate)
        if shown != self._shown:
            self._shown = shown
            self._explain()
            self.refresh()

    @property
    def text(self) -> str:
        """The figures, e.g. "1,234/8,192"."""
        parts, reply, _, total, estimate = self._shown
        size = UNKNOWN if total is None else f"{total:,}"
        return f"{'≈' if estimate else ''}{parts.total + reply:,}/{size}"

    def _amounts(self) -> dict[str, int]:
        """Tokens by share; without a known size nothing is free."""
        parts, reply, reserve, total, _ = self._shown
        used = parts.total + reply
        room = max(0, (total or used) - used)
        ahead = min(room, max(0, reserve - reply))
        amounts = (parts.system, parts.history, parts.prompt, reply, ahead, room - ahead)
        return dict(zip(SHARES, amounts, strict=True))

    def _explain(self) -> None:
        amounts = self._amounts()
        _, reply, reserve, total, estimate = self._shown
        size = "of unknown size" if total is None else f"of {total:,} tokens"
        lines = [f"Context window {size}{', estimated' if estimate else ''}."]
        lines += [f"{share:<8}{amounts[share]:>9,}" for share in ("system", "history", "prompt")]
        lines.append(f"{'reply':<8}{reply:>9,}" + (f" of {reserve:,} reserved" if reserve else ""))
        if total is not None:
            lines.append(f"{'free':<8}{amounts['free']:>9,}")
        lines.append("A call has no memory: everything the model should know must fit in here.")
        self.tooltip = Content("\n".join(lines))

    def render_line(self, y: int) -> Strip:
        """The only row: a bar, as far as there is room for one, and the figures."""
        base = self.rich_style
        text = self.text
        total = self._shown[3]
        width = self.size.width - cell_len(text) - 1
        full = total is not None and self._shown[0].total + self._shown[1] >= total
        style = self.get_component_rich_style("meter--full" if full else "meter--text")
        if total is None or width < MIN_BAR:
            return Strip([Segment(text, style)]).adjust_cell_length(self.size.width, base)
        return Strip([*self._bar(width), Segment(" ", base), Segment(text, style)]).adjust_cell_length(
            self.size.width, base
        )

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
        amounts = self._amounts()
        whole = max(1, sum(amounts.values()))
        room = width * 8
        lengths = []
        for share in SHARES[:-1]:
            # Something small is still something, and an eighth of a cell is nothing to the eye.
            length = min(room, max(round(amounts[share] / whole * width * 8), LEAST if amounts[share] else 0))
            room -= length
            lengths.append(length)
        return (*lengths, room)
