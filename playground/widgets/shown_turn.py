"""One turn as it stands in a token view: what of it is drawn, and what has to follow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from playground.domain.messages import Role
from playground.domain.text_diff import Verdict
from playground.domain.tokens import TextDecoder, Token
from playground.domain.transcript import Turn
from playground.widgets import transcript_items as items_of
from playground.widgets.colour_scale import LEVELS, ColourMode, TokenStyle
from playground.widgets.token_store import Item

TokenDiffs = Mapping[int, Mapping[int, tuple[Verdict, ...]]]
"""By turn id and index of the token: whether another reply has it as well; of a chunk, each of its words."""


@dataclass(slots=True)
class Drawing:
    """How turns are drawn."""

    mode: ColourMode = ColourMode.PROBABILITY
    raw: bool = False
    """Without headings, as one text."""
    stepping: bool = False
    """Say at the end of a reply that waits for a token how it gets one."""
    buffered: bool = False
    """Hold a reply back until it is complete."""
    unfolded: bool = False
    """Show what models thought."""
    flipped: set[int] = field(default_factory=set)
    """Ids of turns whose thinking is folded when that of the others is not, and the other way round."""
    parted_from: dict[int, str] = field(default_factory=dict)
    """By turn id, the panes that go on differently there, where these are not all others."""
    divergences: dict[int, int] = field(default_factory=dict)
    """By turn id, the token at which the reply parts from those of other panes."""
    diffs: TokenDiffs | None = None
    """Show these instead of probabilities."""
    replay: Mapping[int, Sequence[int]] | None = None
    """By turn id, the style of each token of a reply that is seen under other parameters; the rest is plain then."""
    guessed: bool = False
    """True once a token was drawn that was guessed ahead."""
    clock: Callable[[], float] = time.monotonic

    def unfolds(self, turn: Turn) -> bool:
        """True when what the model thought is to be seen."""
        return self.unfolded != (turn.id in self.flipped)

    def hides(self, turn: Turn) -> bool:
        """True when a reply is held back."""
        return self.buffered and turn.role is Role.ASSISTANT and not items_of.has_ended(turn)

    def style_of(self, turn: Turn, token: Token, piece: int = 0) -> int:
        """Index of the style of a token, or of one of the pieces that a chunk is drawn in."""
        if self.replay is not None:
            styles = self.replay.get(turn.id, ())
            return styles[token.index] if token.index < len(styles) else TokenStyle.PLAIN
        self.guessed = self.guessed or token.drafted
        if self.diffs is None or turn.id not in self.diffs or token.special:
            return items_of.token_style(token, self.mode)
        verdicts = self.diffs[turn.id].get(token.index)
        if not verdicts:
            return TokenStyle.PLAIN
        return TokenStyle.AGREES if verdicts[min(piece, len(verdicts) - 1)] == "same" else TokenStyle.DIFFERS


class Change(NamedTuple):
    """What to do to the view to bring a turn up to date."""

    keep: int
    """Items of the turn that stay as they are."""
    items: list[Item]
    """What stands behind them."""


class ShownTurn:
    """A turn and what of it is drawn."""

    def __init__(self, turn: Turn, start: int, gap: list[Item], name: str, place: tuple[int, int]) -> None:
        """Nothing is drawn yet.

        Args:
            turn: The turn.
            start: Item of the view it begins with.
            gap: What keeps it apart from the turn before.
            name: Who speaks, when the turn itself does not say.
            place: Which of how many versions it is.
        """
        self.turn = turn
        self.start = start
        self.place = place
        self._gap, self._name = gap, name
        self._since: float | None = None
        self.measured = False
        """True when the colour of a token tells something."""
        self._clear()

    def _clear(self) -> None:
        self._head: object = None
        self._count = self._thought = self._marks = 0
        self._waiting: list[Item] = []
        self._decoder = TextDecoder()
        self.tokens = 0
        """Tokens that are drawn."""
        self.ended = False
        """True when the note at its end is drawn."""
        self.fold: int | None = None
        """Which of the items folds and unfolds the thinking; None without any."""
        self.cut = 0
        """How many tokens at the end belong to a stop string."""

    def update(self, drawing: Drawing) -> Change | None:
        """What came since the last call; None when nothing did. Costs what is new, unless the head has changed."""
        rewritten = self._rewritten()
        if self._since is None or rewritten:
            self._since = drawing.clock()
        if rewritten or self._head != self._head_now(drawing):
            return Change(0, self.anew(drawing))
        keep, items = self._count, self._grown(drawing)
        waiting = self._waiting_items(drawing)
        if not items and waiting == self._waiting:
            return None
        self._waiting = waiting
        return Change(keep, items + waiting)

    def anew(self, drawing: Drawing) -> list[Item]:
        """Every item of the turn."""
        turn, hidden = self.turn, drawing.hides(self.turn)
        self._clear()
        self._head = self._head_now(drawing)
        items = list(self._gap)
        if not drawing.raw:
            items += items_of.heading(turn, turn.model or self._name, self.place)
        elif turn.notes or turn.thinking:
            items.append(Item("\n", TokenStyle.NOTE, None, ""))
        items += items_of.user_items(turn) if turn.role is Role.USER else items_of.note_items(turn)
        if turn.thinking and not hidden:
            self.fold, self._thought = len(items), len(turn.thinking)
            items += items_of.thinking_items(turn, drawing.unfolds(turn))
        self._count = len(items)
        items += self._grown(drawing)
        self._waiting = self._waiting_items(drawing)
        return items + self._waiting

    def _head_now(self, drawing: Drawing) -> object:
        """Everything that what stands before the reply's own text depends on."""
        turn, hidden = self.turn, drawing.hides(self.turn)
        thinking: object = None
        if turn.thinking and not hidden:
            unfolded, live = drawing.unfolds(turn), items_of.is_thinking(turn)
            thinking = (unfolded, live, 0 if unfolded and live else len(turn.thinking))
        return turn.model, len(turn.notes), hidden, thinking

    def _rewritten(self) -> bool:
        """True when the turn lost tokens or its end, as a reply that goes on does."""
        return len(self.turn.tokens) < self.tokens or (self.ended and not items_of.has_ended(self.turn))

    def _waiting_items(self, drawing: Drawing) -> list[Item]:
        if drawing.stepping and self.turn.role is Role.ASSISTANT and not items_of.has_ended(self.turn):
            return items_of.step_items()
        if not drawing.hides(self.turn) or self._since is None:
            return []
        return [items_of.waiting_item(self.turn, drawing.clock() - self._since)]

    def _grown(self, drawing: Drawing) -> list[Item]:
        """What is new at the end of what is drawn."""
        turn, hidden = self.turn, drawing.hides(self.turn)
        items: list[Item] = []
        if len(turn.thinking) > self._thought and not hidden:
            items.append(Item(turn.thinking[self._thought :], TokenStyle.THINKING))
            self._thought = len(turn.thinking)
        shown = turn.continued_at if hidden else len(turn.tokens)
        if shown > self.tokens:
            items += self._token_items(shown, drawing)
        if turn.role is Role.ASSISTANT and items_of.has_ended(turn) and not self.ended:
            items += self._end_items(drawing)
        self._count += len(items)
        return items

    def _token_items(self, shown: int, drawing: Drawing) -> list[Item]:
        turn = self.turn
        new, marks = turn.tokens[self.tokens : shown], [mark for mark in turn.marks[self._marks :] if mark.at < shown]
        before: dict[int, list[Item]] = {}
        for index in range(self.tokens, shown) if turn.by_hand else ():
            if edge := items_of.hand_edge(turn, index):
                before[index] = [edge]
        self.tokens, self._marks = shown, self._marks + len(marks)
        for mark in marks:
            before.setdefault(mark.at, []).append(items_of.mark_item(mark))
        if turn.id in drawing.divergences:
            before.setdefault(drawing.divergences[turn.id], []).append(items_of.divergence_item())
        items: list[Item] = []
        for token in new:
            if before and token.index in before:
                items += before[token.index]
            for number, text in enumerate(items_of.pieces(token, self._decoder)):
                style = drawing.style_of(turn, token, number)
                self.measured = self.measured or style < LEVELS
                items.append(items_of.token_item(turn.id, token, text, style))
        return items

    def _end_items(self, drawing: Drawing) -> list[Item]:
        """What stands behind the last token."""
        turn = self.turn
        self.ended = True
        self.cut = items_of.cut_tokens(turn)
        rest = self._decoder.finish()
        items = [Item(rest, TokenStyle.PLAIN)] if rest else []
        note = items_of.end_note(turn, buffered=drawing.buffered)
        if turn.id in drawing.divergences:
            at = drawing.divergences[turn.id]
            items += [items_of.divergence_item()] if at >= len(turn.tokens) else []
            others = drawing.parted_from.get(turn.id, items_of.OTHERS)
            note = f"{items_of.divergence_note(at, others)}\n{note}"
        return [*items, Item(f"\n{note}", TokenStyle.NOTE, None, "")]
