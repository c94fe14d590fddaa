"""Where replies to one prompt part: the first token at which a race is no longer one text."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from enum import StrEnum
from itertools import accumulate
from typing import Final, NamedTuple

from playground.domain.events import StopReason
from playground.domain.tokens import TextDecoder, Token
from playground.domain.transcript import Turn


class ReplyState(StrEnum):
    """What can be said about what comes after the tokens a reply has."""

    WRITING = "writing"
    """More may come."""
    ENDED = "ended"
    """The model had nothing more to say: its end counts like a token of its own."""
    CUT = "cut"
    """It was stopped, failed or ran into a limit: nobody knows how it would have gone on."""


class Divergence(NamedTuple):
    """Where the replies part."""

    indexes: tuple[int | None, ...]
    """By reply, the first token that is not the others'. A reply that ended there gives the number of its tokens,
    one that was cut before gives None."""
    text_offset: int
    """Characters that come before it in all of them."""


_CUT_REASONS: Final = (StopReason.LENGTH, StopReason.CONTEXT, StopReason.CANCELLED, StopReason.PAUSE)


def reply_state(turn: Turn) -> ReplyState:
    """The state of a reply: written, ended by itself, or cut."""
    if turn.problem is not None or turn.stop_reason in _CUT_REASONS:
        return ReplyState.CUT
    return ReplyState.WRITING if turn.finished is None else ReplyState.ENDED


def first_divergence(
    replies: Sequence[Sequence[Token]], states: Sequence[ReplyState] | None = None, *, by_text: bool = False
) -> Divergence | None:
    """The first token at which not all replies are the same, or None as long as there is none.

    Args:
        replies: Their tokens.
        states: What comes behind them; left out, every reply has ended.
        by_text: Compare the text and not the tokens; see `RaceAligner`.
    """
    aligner = RaceAligner(len(replies), by_text=by_text)
    return aligner.update(replies, states or [ReplyState.ENDED] * len(replies))


class RaceAligner:
    """Follows replies as they grow; an update costs what is new since the last one.

    Tokens are compared by their ids. Where one has no id, is a chunk of a server's, or has another text under the same
    id (other tokenizers, other ids), the texts are compared instead, from the beginning. Two tokenizers whose ids do
    not happen to contradict each other cannot be told apart, so whoever knows that the models differ sets `by_text`.

    There is no verdict about a place that a reply which is still written has not come to.
    """

    def __init__(self, count: int, *, by_text: bool = False) -> None:
        self.found: Divergence | None = None
        """What was found; it does not change any more."""
        self._by_text = by_text
        self._silent: set[int] = set()
        """Replies that were cut before this place and have nothing more to say."""
        self._agreed = 0
        """Tokens, or bytes when texts are compared, that all have in common."""
        self._taken = [0] * count
        """Tokens of each reply whose bytes are in `_ahead`, or were."""
        self._ahead = [bytearray() for _ in range(count)]
        """Bytes of each reply behind those that all have in common."""

    def update(self, replies: Sequence[Sequence[Token]], states: Sequence[ReplyState]) -> Divergence | None:
        """Look at what is new; the replies are those of the last call, grown.

        Raises:
            ValueError: The number of replies or states is not the one this was made for.
        """
        if not len(replies) == len(states) == len(self._ahead):
            raise ValueError(f"{len(replies)} replies and {len(states)} states for {len(self._ahead)}")
        if self.found is None and not self._by_text:
            self._compare_tokens(replies, states)
        if self.found is None and self._by_text:
            self._compare_bytes(replies, states)
        return self.found

    def _compare_tokens(self, replies: Sequence[Sequence[Token]], states: Sequence[ReplyState]) -> None:
        while True:
            index = self._agreed
            racing = self._racing([len(reply) > index for reply in replies], states)
            if racing is None:
                return
            here = [replies[number][index] for number in racing if len(replies[number]) > index]
            if not _comparable(here):
                self._by_text, self._agreed = True, 0
                self._silent.clear()
                return
            if len(here) < len(racing) or any(token.id != here[0].id for token in here):
                at = [None if number in self._silent else index for number in range(len(replies))]
                self.found = Divergence(tuple(at), _characters([token.piece for token in replies[racing[0]][:index]]))
                return
            self._agreed += 1

    def _compare_bytes(self, replies: Sequence[Sequence[Token]], states: Sequence[ReplyState]) -> None:
        for number, reply in enumerate(replies):
            for token in reply[self._taken[number] :]:
                self._ahead[number] += token.piece
            self._taken[number] = len(reply)
        while True:
            racing = self._racing([bool(ahead) for ahead in self._ahead], states)
            if racing is None:
                return
            same = _common([self._ahead[number] for number in racing])
            if not same:
                self._part(replies, racing[0])
                return
            self._agreed += same
            for number in racing:
                del self._ahead[number][:same]

    def _racing(self, more: Sequence[bool], states: Sequence[ReplyState]) -> list[int] | None:
        """Replies that have a say at this place; None when there can be no verdict here, yet or at all."""
        self._silent |= {n for n, state in enumerate(states) if not more[n] and state is ReplyState.CUT}
        racing = [number for number in range(len(states)) if number not in self._silent]
        waiting = any(not more[number] and states[number] is ReplyState.WRITING for number in racing)
        if len(racing) < 2 or waiting or not any(more[number] for number in racing):
            return None
        return racing

    def _part(self, replies: Sequence[Sequence[Token]], racer: int) -> None:
        at = [None if n in self._silent else _token_of_byte(reply, self._agreed) for n, reply in enumerate(replies)]
        whole = b"".join(token.piece for token in replies[racer])[: self._agreed]
        self.found = Divergence(tuple(at), _characters([whole]))


def _comparable(tokens: Sequence[Token]) -> bool:
    """True when the ids of these tokens can be of one vocabulary."""
    pieces: dict[int, tuple[bytes, str]] = {}
    for token in tokens:
        if token.id is None or token.chunk or pieces.setdefault(token.id, _content(token)) != _content(token):
            return False
    # Two ids for one text are two vocabularies, too; only names of special tokens can be alike.
    return len(set(pieces.values())) == len(pieces)


def _content(token: Token) -> tuple[bytes, str]:
    return token.piece, token.special


def _common(texts: Sequence[bytearray]) -> int:
    """Length of the beginning that all texts share."""
    low, high = min(texts), max(texts)
    shorter = min(len(low), len(high))
    if low[:shorter] == high[:shorter]:
        return shorter
    return next(index for index in range(shorter) if low[index] != high[index])


def _token_of_byte(reply: Sequence[Token], offset: int) -> int:
    """Index of the token that holds a byte; behind the text, of what ends the reply."""
    ends = list(accumulate(len(token.piece) for token in reply))
    index = bisect_right(ends, offset)
    if index < len(reply):
        return index
    while index and reply[index - 1].special:
        index -= 1
    return index


def _characters(pieces: Sequence[bytes]) -> int:
    """Whole characters in these bytes; one that is cut in half at the end does not count."""
    decoder = TextDecoder()
    return sum(len(decoder.feed(piece)) for piece in pieces)
