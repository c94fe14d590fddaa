"""What several panes have to do with each other: where their replies part, how they differ, one row for each."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from playground.domain.comparison import Divergence, RaceAligner, reply_state
from playground.domain.messages import Role
from playground.domain.transcript import Turn
from playground.screens.pane import Pane
from playground.widgets.transcript_items import OTHERS


class Comparison:
    """Follows the last replies of all panes, as long as they answer the same prompt."""

    def __init__(self) -> None:
        self._aligner: RaceAligner | None = None
        self._racers: list[tuple[Pane, Turn]] = []
        self._marked = False
        self._strangers = False
        """True when not all racers run on the same model."""
        self.pair: tuple[Pane, Pane] | None = None
        """The panes whose agreeing and differing stretches are shown in place of probabilities."""

    @property
    def divergence(self) -> Divergence | None:
        """Where the replies part; None when they do not, or not yet."""
        return self._aligner.found if self._aligner is not None else None

    def follow(self, panes: Sequence[Pane]) -> None:
        """Look at what came since the last frame; costs what is new."""
        racers = _racers(panes)
        if [(pane, id(turn)) for pane, turn in racers] != [(pane, id(turn)) for pane, turn in self._racers]:
            self._begin(racers)
        if self._aligner is None or self._marked:
            return
        turns = [turn for _, turn in self._racers]
        found = self._aligner.update([turn.tokens for turn in turns], [reply_state(turn) for turn in turns])
        if found is not None:
            self._marked = True
            if self._strangers and found.text_offset == 0:
                return  # that two models begin differently is no news
            numbers = [panes.index(pane) + 1 for pane, _ in self._racers]
            others = parted_from(found, turns, numbers, by_text=self._strangers)
            for (pane, turn), index, names in zip(self._racers, found.indexes, others, strict=True):
                if index is not None:
                    pane.transcript.mark_divergence(turn.id, index, names)

    def _begin(self, racers: list[tuple[Pane, Turn]]) -> None:
        for pane, _turn in self._racers:
            if pane.view.is_attached:
                pane.transcript.clear_divergence()
        self._racers, self._marked = racers, False
        self._aligner = None
        if len(racers) > 1:
            models = {(pane.card.id if pane.card is not None else "") for pane, _ in racers}
            self._strangers = len(models) > 1
            self._aligner = RaceAligner(len(racers), by_text=self._strangers)

    def show_parting(self) -> bool:
        """Scroll all panes to where their replies part; False when they do not."""
        if self.divergence is None:
            return False
        for (pane, turn), index in zip(self._racers, self.divergence.indexes, strict=True):
            if index is not None:
                pane.transcript.show_token(turn.id, index)
        return True

    def show_diff(self, left: Pane, right: Pane) -> str:
        """Show what the last replies of two panes share and where they differ; returns what to tell."""
        from playground.domain.text_diff import token_spans, word_diff

        replies = [pane.session.transcript.last(Role.ASSISTANT) for pane in (left, right)]
        if replies[0] is None or replies[1] is None:
            return "There are not two replies to compare yet."
        spans = word_diff(replies[0].content, replies[1].content)
        for pane, turn, side in zip((left, right), replies, (0, 1), strict=True):
            assert turn is not None
            pane.transcript.show_diff({turn.id: token_spans(spans, turn.tokens, side)})
        self.pair = left, right
        return ""

    def hide_diff(self, panes: Sequence[Pane]) -> None:
        """Back to the colours of probabilities."""
        for pane in panes:
            pane.transcript.show_diff(None)
        self.pair = None


def parted_from(
    found: Divergence, turns: Sequence[Turn], numbers: Sequence[int], *, by_text: bool = False
) -> list[str]:
    """For each reply the panes whose replies go on differently where they part: some may still go along with it.

    Args:
        found: Where they part.
        turns: The replies.
        numbers: Of their panes, as they are shown.
        by_text: Their tokens are not of one vocabulary.
    """
    after = found.text_offset
    ways = [_way_on(turn, index, after, by_text) for turn, index in zip(turns, found.indexes, strict=True)]
    named = []
    for own in ways:
        others = [str(number) for number, way in zip(numbers, ways, strict=True) if way is not None and way != own]
        if len(others) == sum(way is not None for way in ways) - 1 or not others:
            named.append(OTHERS)
        else:
            named.append(
                f"pane {others[0]}" if len(others) == 1 else f"panes {', '.join(others[:-1])} and {others[-1]}"
            )
    return named


def _way_on(turn: Turn, index: int | None, text_offset: int, by_text: bool) -> object:
    """What a reply goes on with where replies part; None for one that was cut before."""
    if index is None:
        return None
    token = turn.tokens[index] if index < len(turn.tokens) else None
    if token is None or token.special:
        return "end"
    if by_text or token.id is None or token.chunk:
        return turn.content[text_offset : text_offset + 1]
    return token.id


def _racers(panes: Sequence[Pane]) -> list[tuple[Pane, Turn]]:
    """The panes' last replies, when there are several and all answer the same text."""
    found: list[tuple[Pane, Turn]] = []
    for pane in panes:
        turn = pane.session.transcript.last(Role.ASSISTANT)
        if turn is not None:
            found.append((pane, turn))
    asked = [pane.session.transcript.turns[turn.parent].text for pane, turn in found if turn.parent is not None]
    same = len(found) > 1 and len(asked) == len(found) and all(a == b for a, b in pairwise(asked))
    return found if same else []
