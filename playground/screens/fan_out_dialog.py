"""Which candidates of a token go on side by side."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static
from textual.widgets.selection_list import Selection

from playground.domain.display import display_text, visible_piece
from playground.domain.tokens import Token
from playground.screens.race_dialog import Choices
from playground.widgets.bars import bar, fit, percent, probability
from playground.widgets.pane_layout import MOST_PANES

_PIECE: Final = 16
_BAR: Final = 8
_BEST: Final = 4
"""How many are chosen at first."""


class Candidates(Choices):
    """The candidates; Space chooses, Enter begins."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "screen.accept", "Begin", id="fan_out.begin", tooltip="Let the chosen candidates go on")
    ]


class FanOutDialog(ModalScreen[tuple[int, ...] | None]):
    """Two to six candidates of a token; gives their indexes into its `top`, None for leaving it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(str(count), f"best({count})", f"Best {count}", id=f"fan_out.best_{count}", tooltip="The likeliest")
            for count in range(2, MOST_PANES + 1)
        ),
        Binding("ctrl+s,f10", "accept", "Begin", id="fan_out.accept", tooltip="Let the chosen candidates go on"),
        Binding("escape", "leave", "Leave", id="fan_out.leave", tooltip="Leave everything as it is"),
    ]
    DEFAULT_CSS = """
    FanOutDialog {
        align: center middle;
        & > Vertical {
            width: 80%; max-width: 84; height: auto; max-height: 90%;
            border: round $border; background: $surface; padding: 0 1;
        }
        & .dialog--help { color: $text-muted; }
        & .dialog--reason { color: $error; }
    }
    """

    def __init__(self, token: Token, before: str, able: Collection[int]) -> None:
        """Ask.

        Args:
            token: Whose candidates it is about.
            before: The text right before it.
            able: Indexes of the candidates that can go on; the others are shown all the same.
        """
        super().__init__()
        self._token = token
        self._before = before
        self._able = sorted(able)

    def compose(self) -> ComposeResult:
        """The candidates under the place they stand at."""
        with Vertical() as box:
            box.border_title = Content(f"Fan out at token {self._token.index + 1:,}")
            box.border_subtitle = Content("enter begins · esc leaves everything as it was")
            yield Static(Content(display_text(f"… {self._before}▯")), classes="dialog--help", markup=False)
            help_text = "Each goes on in a pane of its own. 2-6 choose the likeliest, Space any."
            yield Static(Content(help_text), classes="dialog--help", markup=False)
            best = self._able[:_BEST]
            yield Candidates(
                *(
                    Selection(self._line(index), index, index in best, disabled=index not in self._able)
                    for index in range(len(self._token.top))
                )
            )
            yield Static("", classes="dialog--reason", markup=False)

    def _line(self, index: int) -> Content:
        candidate = self._token.top[index]
        share = probability(candidate.logprob)
        there = candidate.id == self._token.id and (candidate.piece == self._token.piece or candidate.special)
        if index not in self._able:
            remark = "would end the reply"
        elif there:
            remark = "stands there now"
        else:
            remark = "cut by the samplers" if candidate.prob == 0.0 else ""
        return Content.assemble(
            Content.styled(fit(visible_piece(candidate.piece), _PIECE), "bold"),
            (bar(share or 0.0, _BAR), "$primary"),
            percent(share, 8),
            (f"  {remark}", "$text-muted"),
        )

    def on_mount(self) -> None:
        """Begin in the list."""
        self.query_one(Candidates).focus()

    def action_best(self, count: int) -> None:
        """Choose the likeliest."""
        choices = self.query_one(Candidates)
        choices.deselect_all()
        for index in self._able[:count]:
            choices.select(index)

    def action_accept(self) -> None:
        """Begin, unless there are too few or too many."""
        chosen = tuple(sorted(self.query_one(Candidates).selected))
        if 2 <= len(chosen) <= MOST_PANES:
            self.dismiss(chosen)
            return
        reason = f"Choose 2 to {MOST_PANES} candidates; {'this is' if len(chosen) == 1 else 'these are'} {len(chosen)}."
        self.query_one(".dialog--reason", Static).update(Content(reason))

    def action_leave(self) -> None:
        """Leave everything as it was."""
        self.dismiss(None)
