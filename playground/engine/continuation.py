"""The tokens of a text that somebody puts behind a prompt and the beginning of a reply."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from playground.domain.what_if import Continuation
from playground.engine.model import LoadedModel

_LOOK_BACK: Final = 64
"""Tokens before the seam that are split again to see whether they would be the same."""


def continue_text(model: LoadedModel, before: Sequence[int], text: str) -> Continuation:
    """Tokens of `text` behind the tokens `before`; names of control tokens in it are plain text.

    Where the whole splits at the seam, the text gets the tokens it has in the whole. Where it does not, it is split by
    itself, and the seam is reported. What was written before the seam stays as it is in both cases: a model may have
    written it in another way than the tokenizer would.
    """
    tail, known = _tail(model, before)
    alone = split_alone(model, text)
    split = model.tokenize(known, special=False, begin=False) if known is not None else None
    whole = model.tokenize(known + text, special=False, begin=False) if known is not None else alone
    if split is not None and whole[: len(split)] == split:
        return _continuation(model, whole[len(split) :])
    if not tail:  # right behind a control token, or at the very start, there is no seam
        return _continuation(model, alone)
    natural = () if known is None else tuple(model.pieces[token][0] for token in whole)
    return _continuation(model, alone, seam=True, whole=natural, split_before=len(tail) if natural else 0)


def _continuation(
    model: LoadedModel, ids: Sequence[int], *, seam: bool = False, whole: tuple[bytes, ...] = (), split_before: int = 0
) -> Continuation:
    pieces = tuple(model.pieces[token][0] for token in ids)
    return Continuation(ids=tuple(ids), pieces=pieces, seam=seam, whole=whole, split_before=split_before)


def _tail(model: LoadedModel, before: Sequence[int]) -> tuple[list[int], str | None]:
    """The last ordinary tokens before the seam and their text; None when they end or begin inside a character."""
    tail: list[int] = []
    for token in reversed(before[-_LOOK_BACK:]):
        if model.pieces[token][1]:
            break
        tail.insert(0, token)
    data = b"".join(model.pieces[token][0] for token in tail)
    while tail and data[:1] and 0x80 <= data[0] < 0xC0:  # the window begins inside a character
        data = data[len(model.pieces[tail.pop(0)][0]) :]
    try:
        return tail, data.decode("utf-8")
    except UnicodeDecodeError:
        return tail, None


def split_alone(model: LoadedModel, text: str) -> list[int]:
    """Tokens of a text by itself, without the space that SentencePiece puts in front of what it splits."""
    alone = model.tokenize(text, special=False, begin=False)
    if b"".join(model.pieces[token][0] for token in alone) == text.encode("utf-8", errors="replace"):
        return alone
    line = model.tokenize("\n", special=False, begin=False)
    behind = model.tokenize("\n" + text, special=False, begin=False)
    return behind[len(line) :] if behind[: len(line)] == line else alone
