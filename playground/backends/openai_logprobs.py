"""From the pieces of text and the log-probabilities of a server to tokens.

Servers differ in what an entry is: one token, a few, or the last part of a character that took three. What does not
add up is shown as a chunk of text, without a probability that would belong to something else.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple, TypeVar

from playground.backends.openai_wire import Entry, Logprobs
from playground.domain.tokens import Candidate, Token

VERY_UNLIKELY: Final = -9999.0
"""Stands for "less likely than we tell"."""
_T = TypeVar("_T")
_REPLACEMENT: Final = list("\ufffd".encode())
_ESCAPED: Final = re.compile(r"\\x([0-9a-fA-F]{2})")


class Piece(NamedTuple):
    """One token, still without its place and time."""

    piece: bytes
    id: int | None = None
    logprob: float | None = None
    prob: float | None = None
    rank: int | None = None
    top: tuple[Candidate, ...] = ()
    special: str = ""
    chunk: bool = False

    def token(self, index: int, time_ms: float) -> Token:
        """The token of it. Its entropy is known to nobody but the server."""
        return Token(
            index,
            self.id,
            self.piece,
            self.logprob,
            self.prob,
            self.rank,
            None,
            self.top,
            (),
            time_ms,
            self.special,
            self.chunk,
        )


class TokenReader:
    """Tokens of one reply. `after_samplers`: what the server calls log-probability is the chance after its samplers."""

    def __init__(self, *, after_samplers: bool) -> None:
        self._after = after_samplers
        self._half = b""
        """Bytes of a character that were shown before the server sent its text."""
        self.seen = False
        """Log-probabilities came."""

    def read(self, text: str, logprobs: Logprobs | None, *, last: bool, new_tokens: int | None = None) -> list[Piece]:
        """The tokens of one event.

        Args:
            text: The text that came.
            logprobs: What came with it.
            last: The event ends the reply, so that an entry without text is the token that ended it.
            new_tokens: How many tokens the server counts since the event before; None when it does not say.
        """
        entries = _entries(logprobs)
        if not entries:
            self._half = b""
            return [Piece(text.encode("utf-8", "replace"), chunk=True)] if text else []
        self.seen = True
        pieces = [_bytes(entry) for entry in entries]
        raw, shown = text.encode("utf-8", "replace"), self._half + b"".join(pieces)
        if not raw:
            self._half = shown if _is_partial(shown) else b""
            if self._half:
                return [self._piece(entry, piece) for entry, piece in zip(entries, pieces, strict=True)]
            return [self._special(entry) for entry in entries if entry.token] if last else []
        self._half = b""
        merged = new_tokens > len(entries) if new_tokens is not None else any(map(_is_merged, entries))
        if not merged and (raw == shown or text == shown.decode("utf-8", "replace")):
            return [
                self._piece(entry, piece, chunk=_is_cut(entry)) for entry, piece in zip(entries, pieces, strict=True)
            ]
        if len(entries) == 1 and new_tokens == 1:
            return [self._piece(entries[0], raw, chunk=True)]
        return [Piece(raw, chunk=True)]

    def _special(self, entry: Entry) -> Piece:
        return self._piece(entry, b"")._replace(special=entry.token)

    def _piece(self, entry: Entry, piece: bytes, *, chunk: bool = False) -> Piece:
        chosen = self._candidate(entry, piece)
        top = [self._candidate(other, _bytes(other)) for other in entry.top_logprobs or entry.top_probs or ()]
        top = [candidate for candidate in top if candidate.logprob is not None or candidate.prob is not None]
        rank = None
        if chosen.logprob is not None:
            better = sum([(other.logprob or 0.0) > chosen.logprob for other in top])
            # Beyond the list nobody knows how many others are better.
            rank = 1 + better if better < len(top) else None
        if top and not any(_same(chosen, other) for other in top):
            top.append(chosen)
        return Piece(piece, chosen.id, chosen.logprob, chosen.prob, rank, tuple(top), chunk=chunk)

    def _candidate(self, entry: Entry, piece: bytes) -> Candidate:
        logprob = entry.logprob
        if logprob is None or logprob <= VERY_UNLIKELY or not math.isfinite(logprob):
            return Candidate(entry.id, piece, None, entry.prob)
        if self._after:
            return Candidate(entry.id, piece, None, math.exp(min(0.0, logprob)))
        return Candidate(entry.id, piece, logprob, entry.prob)


def _same(one: Candidate, other: Candidate) -> bool:
    return one.id == other.id if one.id is not None and other.id is not None else one.piece == other.piece


def _is_cut(entry: Entry) -> bool:
    """The token was cut where a stop string begins: its candidate has more bytes than the entry."""
    token = _own_bytes(entry)
    return token is not None and len(token) > len(entry.bytes_ or ())


def _is_merged(entry: Entry) -> bool:
    """The entry holds a whole character and its token only the last part of it."""
    token = _own_bytes(entry)
    return token is not None and len(token) < len(_bytes(entry))


def _own_bytes(entry: Entry) -> list[int] | None:
    """The bytes of an entry's token as they stand in the list of candidates; None when it is not among them."""
    if entry.id is not None:
        for other in entry.top_logprobs or entry.top_probs or ():
            if other.id == entry.id:
                return other.bytes_
    return None


def _is_partial(raw: bytes) -> bool:
    """True for the beginning of a character whose end is missing."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return False


def _bytes(entry: Entry) -> bytes:
    """The bytes of an entry; of a token that is no character they stand among the candidates alone."""
    values = entry.bytes_
    if values == _REPLACEMENT:
        values = _own_bytes(entry) or values
    if values is not None:
        try:
            return bytes(values)
        except ValueError:
            pass
    return entry.token.encode("utf-8", "replace")


def _entries(logprobs: Logprobs | None) -> list[Entry]:
    """One shape for both; the parallel lists of raw completions name candidates by their text."""
    if logprobs is None:
        return []
    if logprobs.content or not logprobs.tokens:
        return logprobs.content or []
    entries = []
    for at, name in enumerate(logprobs.tokens):
        entry = _named(name, _at(logprobs.token_logprobs, at))
        entry.top_logprobs = [_named(other, value) for other, value in (_at(logprobs.top_logprobs, at) or {}).items()]
        entry.top_logprobs.sort(key=lambda other: -(VERY_UNLIKELY if other.logprob is None else other.logprob))
        entries.append(entry)
    return entries


def _at(values: list[_T] | None, at: int) -> _T | None:
    return values[at] if values is not None and at < len(values) else None


def _named(name: str, logprob: float | None) -> Entry:
    r"""An entry from a name as raw completions have it: text, "bytes:\xf0\x9f", or "token_id:17"."""
    if name.startswith("bytes:") and "\\x" in name:
        values = [int(digits, 16) for digits in _ESCAPED.findall(name)]
        return Entry(token=bytes(values).decode("utf-8", "replace"), bytes_=values, logprob=logprob)
    if name.startswith("token_id:") and name[9:].isdecimal():
        return Entry(token=name, id=int(name[9:]), logprob=logprob)
    return Entry(token=name, bytes_=list(name.encode("utf-8", "replace")), logprob=logprob)
