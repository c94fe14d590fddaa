"""What two texts have in common, word by word, at a cost that stays bounded for long ones."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

from playground.domain.tokens import TextDecoder, Token, join_text

DiffKind = Literal["same", "only_left", "only_right"]
Verdict = Literal["same", "differs"]
TokenDiff = dict[int, tuple[Verdict, ...]]
"""By index of a token in its reply: a verdict, or of a chunk one for each of its `words_of`.

What is not in here was not compared.
"""

MOST_WORK: Final = 200_000
"""What one comparison may cost: the square of the pairs of equal words, over the words. Above it, from about 1,000
words on and much earlier for a text that goes in circles, the texts are cut where a word stands once in both, or else
in the middle."""

_CJK: Final = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_SIGNS: Final = "!-/:-@\\[-`{-~\u00a1-\u00bf\u2010-\u2027\u2030-\u205e\u3001-\u3020\uff01-\uff0f\uff1a-\uff20"
# Spaces belong to the word behind them, as they do in tokens. Scripts without spaces are compared sign by sign, and
# combining marks, which are no letters, must not tear a word apart.
_WORD: Final = re.compile(rf"\s*(?:[{_CJK}]|[{_SIGNS}]|[^\s{_CJK}{_SIGNS}]+)")

_SIGN: Final = re.compile(f"[{_SIGNS}]")


class DiffSpan(NamedTuple):
    """A stretch of two texts. The spans of a diff cover both texts without a gap."""

    kind: DiffKind
    left: tuple[int, int]
    """Characters of the left text, from and to; empty for "only_right"."""
    right: tuple[int, int]


class _Words(NamedTuple):
    keys: list[str]
    """The words without the spaces before them."""
    starts: list[int]
    """Where each begins, with its spaces; one more for the end of the text."""


class _Match(NamedTuple):
    left: int
    right: int
    size: int


def word_diff(left: str, right: str) -> list[DiffSpan]:
    """Stretches that two texts share and those that only one has, in the order of the texts.

    Words are the same when their letters are; the spaces before them may differ. A sign of punctuation alone between
    two differences is no agreement worth the name and counts as one.
    """
    a, b = _words(left), _words(right)
    spans: list[DiffSpan] = []
    at_a = at_b = 0
    matches = _meaningful(_merged(_matches(a.keys, b.keys)), a.keys, b.keys)
    for match in [*matches, _Match(len(a.keys), len(b.keys), 0)]:
        spans += _differing(a, b, (at_a, match.left), (at_b, match.right))
        at_a, at_b = match.left + match.size, match.right + match.size
        if match.size:
            ends = ((a.starts[match.left], a.starts[at_a]), (b.starts[match.right], b.starts[at_b]))
            spans.append(DiffSpan("same", *ends))
    return spans


def words_of(text: str) -> list[str]:
    """A text in words, each with the spaces before it, the last one with those behind it, too."""
    words = _words(text)
    return [text[start:end] for start, end in pairwise(words.starts)]


def token_spans(spans: Sequence[DiffSpan], tokens: Sequence[Token], side: int) -> TokenDiff:
    """Say for each token of a reply whether its text is in the other one; of a chunk, for each of its words.

    Args:
        spans: The diff of this reply's text and another one's.
        tokens: The reply's.
        side: Which of the two texts it is: 0 the left, 1 the right.
    """
    decoder, told = TextDecoder(), TokenDiff()
    own = [(span.right if side else span.left, span.kind) for span in spans]
    differing = [place for place, kind in own if kind != "same" and place[0] < place[1]]
    end = max((place[1] for place, _ in own), default=0)
    at = waiting = 0
    halves: list[int] = []
    for token in tokens:
        text = decoder.feed(token.piece)
        if not text:
            if token.piece:  # a part of a character goes with the token that completes it
                halves.append(token.index)
            continue
        verdicts: list[Verdict] = []
        for piece in words_of(text) if token.chunk else (text,):
            while waiting < len(differing) and differing[waiting][1] <= at + _indent(piece):
                waiting += 1
            # A space at the end of a token is the beginning of the next word and says nothing about this one.
            reach = at + (len(piece.rstrip()) or len(piece))
            if at < end:
                verdicts.append("differs" if waiting < len(differing) and differing[waiting][0] < reach else "same")
            at += len(piece)
        if verdicts:
            told |= {index: tuple(verdicts) for index in (*halves, token.index)}
        halves.clear()
    return told


def _indent(text: str) -> int:
    """Spaces before the first letter; 0 when there is none."""
    body = text.lstrip()
    return len(text) - len(body) if body else 0


def diff_replies(left: Sequence[Token], right: Sequence[Token]) -> tuple[TokenDiff, TokenDiff]:
    """Both replies' tokens, told apart by whether the other reply has their words."""
    spans = word_diff(*(join_text([token.piece for token in reply]) for reply in (left, right)))
    return token_spans(spans, left, 0), token_spans(spans, right, 1)


def _words(text: str) -> _Words:
    found = list(_WORD.finditer(text))
    if not found:  # what is nothing but spaces is one word without letters
        return _Words([""] if text else [], [0, len(text)] if text else [0])
    return _Words([match.group().lstrip() for match in found], [*(match.start() for match in found), len(text)])


def _matches(a: Sequence[str], b: Sequence[str]) -> Iterator[_Match]:
    """Equal stretches in their order, possibly several that touch."""
    from difflib import SequenceMatcher  # the screen needs this file for its first paint, and not yet this

    todo = [(0, len(a), 0, len(b))]
    while todo:
        low_a, high_a, low_b, high_b = todo.pop()
        same = _shared(a[low_a:high_a], b[low_b:high_b])
        if same:
            yield _Match(low_a, low_b, same)
            low_a, low_b = low_a + same, low_b + same
        same = _shared(a[low_a:high_a][::-1], b[low_b:high_b][::-1])
        if same:
            inner = (low_a, high_a - same, low_b, high_b - same)
            todo += [(high_a - same, high_a, high_b - same, high_b), inner]
            continue
        part_a, part_b = a[low_a:high_a], b[low_b:high_b]
        if _work(part_a, part_b) <= MOST_WORK:
            blocks = SequenceMatcher(None, part_a, part_b, autojunk=False).get_matching_blocks()
            yield from (_Match(low_a + i, low_b + j, size) for i, j, size in blocks if size)
        else:
            cuts = _anchors(part_a, part_b) or [(len(part_a) // 2, len(part_b) // 2)]
            places = [(low_a, low_b), *((low_a + i, low_b + j) for i, j in cuts), (high_a, high_b)]
            todo += [(i, end_i, j, end_j) for (i, j), (end_i, end_j) in pairwise(places)][::-1]


def _work(a: Sequence[str], b: Sequence[str]) -> float:
    """The square of the pairs of equal words over the words; each stretch found costs another look at its pairs."""
    counts = Counter(b)
    pairs = sum(count * counts[word] for word, count in Counter(a).items())
    return pairs**2 / max(1, len(a), len(b))


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """How many words two lists have in common from their start."""
    shorter = min(len(a), len(b))
    return next((index for index in range(shorter) if a[index] != b[index]), shorter)


def _anchors(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int]]:
    """Words that stand once in either list, as many of them as have the same order in both."""
    counts_a, counts_b = Counter(a), Counter(b)
    places = {word: index for index, word in enumerate(b) if counts_b[word] == 1}
    pairs = [(index, places[word]) for index, word in enumerate(a) if counts_a[word] == 1 and word in places]
    # The longest rising run: `ends` holds the smallest last place of a run of each length, `before` its way back.
    ends: list[int] = []
    holders: list[int] = []
    before: list[int | None] = []
    for number, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(holders[length - 1] if length else None)
        ends[length : length + 1], holders[length : length + 1] = [place], [number]
    run: list[tuple[int, int]] = []
    at = holders[-1] if holders else None
    while at is not None:
        run.append(pairs[at])
        at = before[at]
    return run[::-1]


def _merged(matches: Iterator[_Match]) -> Iterator[_Match]:
    last = _Match(0, 0, 0)
    for match in matches:
        if (match.left, match.right) == (last.left + last.size, last.right + last.size):
            last = last._replace(size=last.size + match.size)
            continue
        yield last
        last = match
    yield last


def _meaningful(matches: Iterator[_Match], a: Sequence[str], b: Sequence[str]) -> Iterator[_Match]:
    """Without stretches of nothing but signs that have a difference on either side."""
    for match in matches:
        begins = match.left == match.right == 0
        ends = (match.left + match.size, match.right + match.size) == (len(a), len(b))
        if match.size and (begins or ends or not all(map(_SIGN.fullmatch, a[match.left : match.left + match.size]))):
            yield match


def _differing(a: _Words, b: _Words, left: tuple[int, int], right: tuple[int, int]) -> Iterator[DiffSpan]:
    """What stands between two matches, as words from and to; first what the left text has, then the right."""
    (from_a, to_a), (from_b, to_b) = ((words.starts[i], words.starts[j]) for words, (i, j) in ((a, left), (b, right)))
    if from_a < to_a:
        yield DiffSpan("only_left", (from_a, to_a), (from_b, from_b))
    if from_b < to_b:
        yield DiffSpan("only_right", (to_a, to_a), (from_b, to_b))
