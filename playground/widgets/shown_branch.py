"""A branch of a conversation as it stands in a token view."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from playground.domain.messages import Role
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.widgets.colour_scale import LEVELS, TokenStyle
from playground.widgets.shown_turn import Drawing, ShownTurn
from playground.widgets.token_store import Item
from playground.widgets.token_view import TokenView

Place = Callable[[Turn], tuple[int, int]]
"""Which of how many versions a turn is."""


class ShownBranch:
    """Keeps a view up with a branch. Only the last turn of a branch grows."""

    def __init__(self, view: TokenView, drawing: Drawing) -> None:
        self.view = view
        self.drawing = drawing
        self.turns: list[ShownTurn] = []
        self._model = ""
        self._changes = 0

    def show(self, turns: Sequence[Turn], raw: bool, model: str, place: Place, changes: int = 0) -> None:
        """Show this branch of one turn at least; costs what is new since the last call, unless it is another branch."""
        if raw != self.drawing.raw:
            self.drawing.raw = raw
            self._drop(0)
        self._model = model or self._model
        same = 0
        while same < min(len(turns), len(self.turns)) and turns[same] is self.turns[same].turn:
            same += 1
        self._drop(same)
        if changes != self._changes:
            self._changes = changes
            self._count_versions(place)
        self._grow()
        if not self.turns:
            self.view.replace_all([])
        for turn in turns[same:]:
            self._open(turn, place(turn))

    def _count_versions(self, place: Place) -> None:
        """Turns came or went somewhere in the tree: those on screen may be another version of more or fewer."""
        places = [place(shown.turn) for shown in self.turns]
        stale = [number for number, shown in enumerate(self.turns) if shown.place != places[number]]
        for number in stale:
            self.turns[number].place = places[number]
        if stale:
            self.redraw(stale[0])

    def clear(self) -> None:
        """Show no turn."""
        self._drop(0)

    def _drop(self, keep: int) -> None:
        if self.turns[keep:]:
            self.view.truncate(self.turns[keep].start)
            del self.turns[keep:]

    def _open(self, turn: Turn, place: tuple[int, int]) -> None:
        # The space between two turns belongs to the second one, and goes with it when the branch is changed.
        gap: list[Item] = []
        if self.drawing.raw:
            gap = [Item("\n", TokenStyle.NOTE, None, "")] if self.turns and self.turns[-1].ended else []
        elif self.turns:
            gap = [Item("\n\n", TokenStyle.NOTE)]
        name = "You" if turn.role is Role.USER else self._model or "Model"
        self.turns.append(ShownTurn(turn, len(self.view.store), gap, name, place))
        self._grow()

    def _grow(self) -> None:
        """Bring the last turn up to date."""
        if self.turns:
            last = self.turns[-1]
            change = last.update(self.drawing)
            if change is not None:
                self._put(last.start + change.keep, change.items, [last])

    def redraw(self, place: int = 0) -> None:
        """Draw every turn anew from this one on."""
        turns = self.turns[place:]
        items: list[Item] = []
        start = turns[0].start if turns else 0
        for turn in turns:
            turn.start = start + len(items)
            items += turn.anew(self.drawing)
        if turns:
            self._put(start, items, turns)

    def redraw_some(self, ids: set[int], index: int) -> None:
        """Draw anew from the first of some turns on of which this token, a later one or the end is drawn."""
        for place, shown in enumerate(self.turns):
            if shown.turn.id in ids and (shown.tokens > index or shown.ended):
                self.redraw(place)
                return

    def _put(self, start: int, items: Sequence[Item], turns: Sequence[ShownTurn]) -> None:
        """Have these items stand from `start` on; the cursor stays on its token."""
        view = self.view
        ref = view.store.refs[view.cursor] if view.cursor is not None and view.cursor >= start else None
        view.replace_from(start, items)
        for number, turn in enumerate(turns):
            if turn.cut:
                self._cut(turn, turns[number + 1].start if number + 1 < len(turns) else len(view.store))
        if ref is not None and ref in view.store.refs[start:]:
            view.move_to(view.store.refs.index(ref, start), reveal=False)

    def _cut(self, shown: ShownTurn, end: int) -> None:
        """Strike the tokens of a stop string out; `end` is the item behind the turn."""
        kept = len(shown.turn.tokens) - shown.cut
        for item in range(end - 1, shown.start - 1, -1):
            ref = self.view.store.refs[item]
            if isinstance(ref, tuple):
                if ref[1] < kept:
                    return
                self.view.set_item_styles(item, [TokenStyle.CUT])

    def restyle(self) -> None:
        """Draw every token in the style it has now."""
        store, by_id = self.view.store, {shown.turn.id: shown for shown in self.turns}
        styles = list(store.styles)
        for shown in self.turns:
            shown.measured = False
        before, piece = None, 0
        for index, ref in enumerate(store.refs):
            if not isinstance(ref, tuple) or styles[index] == TokenStyle.CUT:
                continue
            before, piece = ref, piece + 1 if ref == before else 0
            shown = by_id[ref[0]]
            styles[index] = self.drawing.style_of(shown.turn, shown.turn.tokens[ref[1]], piece)
            shown.measured = shown.measured or styles[index] < LEVELS
        self.view.restyle(styles)

    def token_at(self, ref: object) -> Token | None:
        """The token an item stands for; None for what is no token."""
        if not isinstance(ref, tuple):
            return None
        turn_id, index = ref
        turn = next((shown.turn for shown in self.turns if shown.turn.id == turn_id), None)
        return turn.tokens[index] if turn is not None and index < len(turn.tokens) else None

    @property
    def measured(self) -> tuple[bool, bool]:
        """Whether colours tell something at any reply, and at the last one; true where there is no reply yet."""
        written = [shown.measured for shown in self.turns if shown.turn.role is Role.ASSISTANT and shown.tokens]
        return any(written) or not written, written[-1] if written else True
