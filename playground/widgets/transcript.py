"""The conversation on screen: the token view, its legend, and what to do when there is nothing yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Vertical

from playground.domain.messages import Role
from playground.domain.tokens import TextDecoder, Token
from playground.domain.transcript import Turn
from playground.widgets.colour_scale import ColourMode, TokenStyle
from playground.widgets.legend import Legend
from playground.widgets.token_store import Item
from playground.widgets.token_view import TokenView
from playground.widgets.transcript_items import (
    cut_tokens,
    end_note,
    heading,
    token_items,
    token_style,
    user_items,
)


class TranscriptPane(Vertical):
    """Shows a branch of a conversation and keeps up with it: `sync` appends what is new and nothing else."""

    DEFAULT_CSS = """
    TranscriptPane {
        width: 1fr;
        height: 1fr;
        & > TokenView { height: 1fr; padding: 0; }
        & > Legend { height: 1; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.mode = ColourMode.PROBABILITY
        self._turns: list[Turn] = []
        self._starts: list[int] = []
        """Item with which each shown turn begins."""
        self._shown_tokens = 0
        self._shown_marks = 0
        self._noted = False
        self._decoder = TextDecoder()
        self._raw = False
        self._model = ""
        self._welcome = ""

    def compose(self) -> ComposeResult:
        """The tokens over their legend."""
        yield TokenView(id="tokens")
        yield Legend(id="legend")

    @property
    def view(self) -> TokenView:
        """The token view inside."""
        return self.query_one(TokenView)

    def set_palette(self, styles: Sequence[Style]) -> None:
        """Draw in the colours of a theme."""
        self.view.set_palette(styles)
        self.query_one(Legend).set_palette(styles)

    def set_welcome(self, text: str) -> None:
        """What stands here as long as nothing was said."""
        if text != self._welcome:
            self._welcome = text
            if not self._turns:
                self.view.replace_all([Item(text, TokenStyle.NOTE, None, "")])

    def sync(
        self,
        turns: Sequence[Turn],
        *,
        raw: bool,
        model: str,
        place: Callable[[Turn], tuple[int, int]] = lambda _turn: (1, 1),
    ) -> None:
        """Show this branch. Costs what is new since the last call, unless the branch is another one.

        Args:
            turns: The branch.
            raw: True for text without a template, which is shown without headings.
            model: Name of the model that answers.
            place: Which of how many versions a turn is.
        """
        if raw != self._raw:
            self._raw = raw
            self._drop(0)
        self._model = model or self._model
        same = 0
        while same < min(len(turns), len(self._turns)) and turns[same] is self._turns[same]:
            same += 1
        if same < len(self._turns) or self._rewritten():
            self._drop(min(same, len(self._turns) - 1))
        if not self._turns and turns:
            self.view.replace_all([])
        for turn in turns[len(self._turns) :]:
            self._grow()
            self._open(turn, place(turn))
        self._grow()
        if not turns:
            self.view.replace_all([Item(self._welcome, TokenStyle.NOTE, None, "")])

    def _rewritten(self) -> bool:
        """True when the last turn shown lost tokens or its end, as a reply that goes on does."""
        if not self._turns:
            return False
        last = self._turns[-1]
        return len(last.tokens) < self._shown_tokens or (self._noted and not end_note(last))

    def _drop(self, keep: int) -> None:
        if self._starts[keep:]:
            self.view.truncate(self._starts[keep])
        del self._turns[keep:], self._starts[keep:]
        self._noted = False
        if self._turns:
            last = self._turns[-1]
            self._shown_tokens, self._shown_marks, self._noted = len(last.tokens), len(last.marks), bool(end_note(last))

    def _open(self, turn: Turn, place: tuple[int, int]) -> None:
        # The space between two turns belongs to the second one, and goes with it when the branch is changed.
        self._starts.append(len(self.view.store))
        gap = [Item("\n\n", TokenStyle.NOTE)] if self._turns and not self._raw else []
        if self._raw and self._noted:
            gap = [Item("\n", TokenStyle.NOTE, None, "")]
        self._turns.append(turn)
        self._shown_tokens = self._shown_marks = 0
        self._noted, self._decoder = False, TextDecoder()
        name = "You" if turn.role is Role.USER else self._model or "Model"
        items = gap if self._raw else [*gap, *heading(turn, name, place)]
        if turn.role is Role.USER:
            items += user_items(turn)
        self.view.extend(items)

    def _grow(self) -> None:
        if not self._turns:
            return
        turn = self._turns[-1]
        new, marks = turn.tokens[self._shown_tokens :], turn.marks[self._shown_marks :]
        if new:
            self._shown_tokens += len(new)
            marks = [mark for mark in marks if mark.at < self._shown_tokens]
            self._shown_marks += len(marks)
            self.view.extend(token_items(turn, new, marks, self._decoder, self.mode))
        note = end_note(turn)
        if note and not self._noted:
            self._end(turn, note)

    def _end(self, turn: Turn, note: str) -> None:
        self._noted = True
        cut = cut_tokens(turn)
        if cut:
            self.view.set_item_styles(len(self.view.store) - cut, [TokenStyle.CUT] * cut)
        rest = self._decoder.finish()
        items = [Item(rest, TokenStyle.PLAIN)] if rest else []
        self.view.extend([*items, Item(f"\n{note}", TokenStyle.NOTE, None, "")])

    def show_turn(self, turn: Turn) -> None:
        """Scroll to where a turn begins."""
        if turn in self._turns:
            start = self._starts[self._turns.index(turn)]
            self.view.scroll_to_item(start)

    def set_mode(self, mode: ColourMode) -> None:
        """Colour by something else."""
        self.mode = mode
        self.query_one(Legend).mode = mode
        store = self.view.store
        styles = list(store.styles)
        for index, ref in enumerate(store.refs):
            token = self.token_at(ref)
            if token is not None and styles[index] != TokenStyle.CUT:
                styles[index] = token_style(token, mode)
        self.view.restyle(styles)

    def token_at(self, ref: object) -> Token | None:
        """The token an item stands for; None for what is no token."""
        if not isinstance(ref, tuple):
            return None
        turn_id, index = ref
        turn = next((turn for turn in self._turns if turn.id == turn_id), None)
        return turn.tokens[index] if turn is not None and index < len(turn.tokens) else None
