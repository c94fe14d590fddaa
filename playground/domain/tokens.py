"""A generated token and everything seen when it was chosen.

Two probabilities stand side by side and are never mixed up: `logprob`, the model's own (natural log of the softmax of
the raw logits over the whole vocabulary), and `prob`, the chance after every sampler had its say.
"""

from __future__ import annotations

import codecs
import math
from typing import Any, Final

import msgspec

from playground.domain.packed import Packer
from playground.domain.watching import Watched


class Candidate(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One token the model could have chosen at a position."""

    id: int | None
    """Vocabulary id; None where a server does not tell."""
    piece: bytes
    """The bytes the token stands for. A special token gives its name, e.g. b"<|im_end|>"."""
    logprob: float | None
    """Natural log of the model's own probability."""
    prob: float | None
    """Probability after all samplers; 0.0 when a sampler removed it, None when unknown."""
    special: bool = False
    """True for control tokens, whose name is not part of the text."""
    cut_by: int = -1
    """Index in the token's `stages` of the stage that removed this candidate; -1 when it survived."""


class Stage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one sampler stage left of the distribution."""

    name: str
    candidates: int
    """How many tokens are still possible after this stage."""
    mass: float
    """Their share of the model's own probability, 0 to 1."""
    at_least: bool = False
    """True when only tokens near the top were looked at: more may be left, but hardly any mass (at most 0.001)."""


class Token(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One generated token. What nobody measured is None, never zero.

    In a transcript `top`, `stages` and `watched` are packed: see `packed`.
    """

    index: int
    """Position in the reply, from 0."""
    id: int | None
    piece: bytes
    """Bytes this token adds to the text; empty for a special token."""
    logprob: float | None
    prob: float | None
    rank: int | None
    """1 for the model's most likely token, by raw logit over the whole vocabulary."""
    entropy: float | None
    """Shannon entropy in bits of the model's own distribution at this position."""
    top: tuple[Candidate, ...] = ()
    """The most likely candidates by raw logit, best first; the chosen one is always among them."""
    stages: tuple[Stage, ...] = ()
    time_ms: float = 0.0
    """Milliseconds from submit to this token."""
    special: str = ""
    """Name of a special token, e.g. "<|im_end|>"; empty for ordinary text."""
    chunk: bool = False
    """True for a piece of text as a server sent it: it may be several tokens, or a part of one."""
    drafted: bool = False
    """True when it was guessed ahead and the model then chose the same: it cost no step of its own."""
    watched: tuple[Watched, ...] = ()
    """The words of the request's watch list at this position, in its order."""

    @property
    def surprisal(self) -> float | None:
        """Surprisal in bits: -log2 of the model's own probability."""
        return None if self.logprob is None else -self.logprob / math.log(2)


_pack_top: Final = Packer(tuple[Candidate, ...])
_pack_stages: Final = Packer(tuple[Stage, ...])
_pack_watched: Final = Packer(tuple[Watched, ...])


def packed(token: Token) -> Token:
    """The same token as a transcript keeps it: what is inside takes a fraction of the memory until it is looked at.

    `top`, `stages` and `watched` are rows then that read like tuples, equal them, and are unpacked each time.
    """
    rows: Any = token  # what is put in is no tuple, but nobody who reads it can tell
    return msgspec.structs.replace(
        token, top=_pack_top(rows.top), stages=_pack_stages(rows.stages), watched=_pack_watched(rows.watched)
    )


class TextDecoder:
    """Bytes to text as they come: half a character waits for its other half, bad bytes become U+FFFD."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, piece: bytes) -> str:
        """Text that became complete with these bytes."""
        return self._decoder.decode(piece)

    def finish(self) -> str:
        """What is left at the end, incomplete bytes as U+FFFD."""
        return self._decoder.decode(b"", final=True)


def piece_text(piece: bytes) -> str:
    """One token's bytes as text by themselves, e.g. for a list of candidates."""
    return piece.decode("utf-8", errors="replace")


def join_text(pieces: list[bytes]) -> str:
    """The text of a run of tokens; characters that span tokens are put together."""
    return b"".join(pieces).decode("utf-8", errors="replace")
