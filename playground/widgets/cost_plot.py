"""What replies cost, by model and by day, as bars. Where nothing cost money, the bars are tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from playground.domain.counts import count_of
from playground.domain.display import display_line
from playground.widgets.bars import bar, fit
from playground.widgets.status_bar import total

_MOST_NAME: Final = 28
_LEAST_BAR, _MOST_BAR = 12, 60


class Cost(NamedTuple):
    """What one day, or one model, cost."""

    name: str
    cost: float
    """US dollars, as far as prices are known."""
    replies: int
    tokens: int
    unknown: int
    """Replies whose cost nobody knows."""


class CostPlot(VerticalScroll, can_focus=True):
    """Two groups of bars, models over days: days become hundreds."""

    DEFAULT_CSS = """
    CostPlot { scrollbar-size-vertical: 1; & > Static { height: auto; } }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._days: Sequence[Cost] = ()
        self._models: Sequence[Cost] = ()

    def compose(self) -> ComposeResult:
        """All bars are one text."""
        yield Static("", id="cost-bars", markup=False)

    def show(self, days: Sequence[Cost], models: Sequence[Cost]) -> None:
        """Show these: days the newest first, models the dearest first."""
        self._days, self._models = days, models
        self._draw()

    def on_resize(self) -> None:
        """Bars as long as there is room."""
        self._draw()

    def _draw(self) -> None:
        width = max(20, self.scrollable_content_region.width)
        money = any(one.cost for one in self._days)
        groups = [*_group("by model", self._models, width, money), ("\n", "")]
        groups += _group("by day", self._days, width, money)
        nothing = Content("Nothing was said yet.")
        self.query_one("#cost-bars", Static).update(Content.assemble(*groups) if self._days else nothing)


def _group(title: str, costs: Sequence[Cost], width: int, money: bool) -> list[tuple[str, str]]:
    whole = sum(one.cost for one in costs)
    tokens, unknown = sum(one.tokens for one in costs), sum(one.unknown for one in costs)
    all_of_it = f"{total(whole)} in all" if money else f"{count_of(tokens, 'token')} in all, at no cost"
    parts = [(f"{title} · {all_of_it}{_not_known(unknown)}\n", "bold $foreground 70%")]
    most = max((one.cost if money else float(one.tokens) for one in costs), default=0.0)
    names = [display_line(one.name) for one in costs]
    name_cells = min(_MOST_NAME, max(map(cell_len, names), default=0), width // 3)
    figures = next(
        (shown for shown in _forms(costs, money) if _widest(shown) + name_cells + _LEAST_BAR + 2 <= width),
        [_main(one, money) for one in costs],
    )
    bar_cells = max(4, min(_MOST_BAR, width - name_cells - _widest(figures) - 3))
    for one, name, figure in zip(costs, names, figures, strict=True):
        share = (one.cost if money else one.tokens) / most if most else 0.0
        parts += [(f"{fit(name, name_cells)} ", "$foreground"), (bar(share, bar_cells), "$accent")]
        parts.append((f" {figure}\n", "$foreground 75%"))
    return parts


def _forms(costs: Sequence[Cost], money: bool) -> Iterator[list[str]]:
    """The figures behind the bars, from all there is to say to a little."""
    replies = [f" · {one.replies:,} {'reply' if one.replies == 1 else 'replies'}" for one in costs]
    tokens = [f" · {count_of(one.tokens, 'token')}" if money else "" for one in costs]
    unknown = [_not_known(one.unknown) for one in costs]
    shown = [_main(one, money) for one in costs]
    yield [f"{one}{a}{b}{c}" for one, a, b, c in zip(shown, replies, tokens, unknown, strict=True)]
    marks = [" + ?" if one.unknown else "" for one in costs]
    yield [f"{one}{mark}{a}" for one, mark, a in zip(shown, marks, replies, strict=True)]
    yield [f"{one}{mark}" for one, mark in zip(shown, marks, strict=True)]


def _main(one: Cost, money: bool) -> str:
    return total(one.cost) if money else count_of(one.tokens, "token")


def _widest(figures: Sequence[str]) -> int:
    return max(map(cell_len, figures), default=0)


def _not_known(count: int) -> str:
    return f" + {count:,} of unknown price" if count else ""
