"""A watch list as it is typed, and the curves of its words in the course of a reply."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple

from msgspec import structs

from playground.domain.display import visible_piece
from playground.domain.errors import BadInput
from playground.domain.tokens import Candidate, Token
from playground.domain.watching import Watched, WatchedWord

MOST_WORDS: Final = 8
"""As many curves as can still be told apart by colour and sign."""
_EXAMPLE: Final = 'Write for example " Yes" in quotes, or #504.'


def parse_words(text: str) -> tuple[str, ...]:
    r"""Words to watch from lines of text: in quotes where spaces matter, or "#id"; \n stands for a new line.

    Empty lines and words that were there before are left out. Raises BadInput for too many words, or one of nothing.
    """
    words: dict[str, None] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        word = line[1:-1] if len(line) > 1 and line[0] == line[-1] == '"' else line
        if not word:
            raise BadInput(f"{line} is no word.", _EXAMPLE)
        words[word.replace("\\n", "\n").replace("\\t", "\t")] = None
    check_words(tuple(words))
    return tuple(words)


def check_words(words: Sequence[str]) -> None:
    """Raise BadInput for words that cannot be watched by any model: one of nothing, or too many."""
    if "" in words:
        raise BadInput("A watched word is empty.", _EXAMPLE)
    if len(words) > MOST_WORDS:
        raise BadInput(f"{len(words)} words are too many.", f"{MOST_WORDS} can be watched at once.")


def show_words(words: Iterable[str]) -> str:
    """The inverse of `parse_words`, a word a line."""
    return "\n".join(show_word(word) for word in words)


def show_word(word: str) -> str:
    """A word as it is typed: an id as it is, a text in quotes."""
    if word[:1] == "#" and word[1:].isdecimal():
        return word
    escaped = word.replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def word_of(token: Token | Candidate) -> str | None:
    """How to watch a token that was written, or could have been; None without an id.

    By its text where that can be typed, else as "#id".
    """
    if token.id is None or (isinstance(token, Token) and token.chunk):
        return None
    text = token.piece.decode("utf-8", errors="replace")
    plain = not token.special and "\ufffd" not in text and "\\" not in text and text[:1] not in ("", "#", '"')
    return text if plain and text.replace(" ", "a").isprintable() else f"#{token.id}"


class Curve:
    """A word's probability in the course of a reply, in at most `most` stretches of equal length.

    The highest of a stretch stands for it. As the reply grows, two stretches become one: a token costs the same however
    long the reply is.
    """

    def __init__(self, token_id: int, most: int) -> None:
        self.id = token_id
        self.before: list[float | None] = []
        """Highest probability before the samplers of each stretch, 0 to 1; None where it was not watched."""
        self.after: list[float | None] = []
        """The same after the samplers."""
        self.length = 1
        """Tokens in a stretch."""
        self._most = max(2, most)
        self._count = 0

    def add(self, token: Token) -> None:
        """Take in the next token of the reply."""
        found = next((one for one in token.watched if one.id == self.id), None)
        if self._count == self._most * self.length:
            self.before, self.after = _halved(self.before), _halved(self.after)
            self.length *= 2
        if self._count % self.length == 0:
            self.before.append(None)
            self.after.append(None)
        self._count += 1
        if found is not None:
            self.before[-1] = max(self.before[-1] or 0.0, found.before)
            if found.after is not None:
                self.after[-1] = max(self.after[-1] or 0.0, found.after)


def _halved(values: Sequence[float | None]) -> list[float | None]:
    pairs = zip_longest(values[::2], values[1::2])
    return [max(known) if (known := [one for one in pair if one is not None]) else None for pair in pairs]


class Curves:
    """The curves of all words of a reply, kept up with it."""

    def __init__(self, words: Sequence[WatchedWord], most: int) -> None:
        self.words = tuple(words)
        self.curves = [Curve(word.id, most) for word in words]
        self.count = 0
        """Tokens taken in."""
        self._last: Token | None = None

    def follow(self, tokens: Sequence[Token]) -> bool:
        """Take in what is new; False when these are other tokens than before, and the curves must be begun anew."""
        if self.count > len(tokens) or (self.count and tokens[self.count - 1] is not self._last):
            return False
        for token in tokens[self.count :]:
            for curve in self.curves:
                curve.add(token)
        self.count = len(tokens)
        self._last = tokens[-1] if tokens else None
        return True

    @property
    def length(self) -> int:
        """Tokens in a stretch."""
        return self.curves[0].length if self.curves else 1


def value_at(token: Token | None, token_id: int) -> Watched | None:
    """A watched word at one token; None where it was not watched."""
    if token is None:
        return None
    return next((one for one in token.watched if one.id == token_id), None)


class Shown(NamedTuple):
    """What is to be seen of a watch list."""

    words: tuple[str, ...]
    """The words as they were typed, for as long as no reply has told their tokens."""
    watching: tuple[WatchedWord, ...] = ()
    """The words of the reply on display; empty when it was written without any."""
    tokens: Sequence[Token] = ()
    at: int | None = None
    """Index of the token under the cursor; None: the newest."""
    note: str = ""
    """What there is to say: why there are no figures, how far they are, or how they were found."""
    writing: bool = False
    """True while the reply grows: the curves leave room for what comes."""


def names_of(shown: Shown) -> list[str]:
    """The words on one line each, by the text that stands for each in the reply."""
    if not shown.watching:
        return [visible_piece(word.encode("utf-8", "replace")) for word in shown.words]
    return [visible_piece(word.piece) + ("…" if word.tokens > 1 else "") for word in shown.watching]


class Peak:
    """The place in a reply at which a watched word was the likeliest."""

    def __init__(self, word: WatchedWord) -> None:
        self._word = word
        self._best: tuple[int, Watched] | None = None

    def add(self, token: Token) -> None:
        """Take in the next token of the reply."""
        found = value_at(token, self._word.id)
        if found is not None and (self._best is None or found.before > self._best[1].before):
            self._best = token.index, found

    @property
    def text(self) -> str:
        """Such as: " Yes": 12.3% at most, at token 5; 20.1% after the samplers. Tokens count from 1."""
        word = show_word(self._word.word)
        if self._best is None:
            return f"{word}: not seen"
        index, found = self._best
        at = f"{figure(found.before)} at most, at token {index + 1:,}"
        return f"{word}: {at}; {figure(found.after)} after the samplers"


def figure(probability: float | None) -> str:
    """A probability (0 to 1) as a percentage, with two decimals below one percent; – when unknown."""
    if probability is None:
        return "–"
    if 0.0 < probability < 1e-4:
        return "<0.01%"
    if probability >= 0.9995:
        return "100%"
    return f"{probability:.1%}" if probability >= 0.00995 else f"{probability:.2%}" if probability else "0%"


def with_figures(tokens: Sequence[Token], figures: Sequence[tuple[Watched, ...]]) -> list[Token]:
    """Tokens with words that were found afterwards; what was watched while they were drawn keeps its figures."""
    return [_with(token, found) for token, found in zip(tokens, figures, strict=True)]


def _with(token: Token, found: tuple[Watched, ...]) -> Token:
    recorded = {one.id: one for one in token.watched}
    return structs.replace(token, watched=tuple(recorded.get(one.id, one) for one in found))
