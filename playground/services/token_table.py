"""One text under several tokenizers: ids and pieces, and the places at which all of them split it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from playground.domain.errors import PlaygroundError
from playground.domain.pieces import is_whole
from playground.engine.probe import TokensFound, TokensWanted
from playground.services.probing import ask_tokens

if TYPE_CHECKING:
    from tiktoken import Encoding

    from playground.services.tokenizers import Vocabularies

TIKTOKEN: Final = ("o200k_base", "cl100k_base")
"""Vocabularies of tiktoken: those of GPT-4o and later, and of GPT-4."""

_SEAM: Final = re.compile(r"\n(?=[A-Za-z])")
"""No token of tiktoken's vocabularies goes across a place like this."""
_STRETCH: Final = 10_000
"""Characters encoded at once: a long run of one character takes time that grows faster than its length."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """A text as one tokenizer has it."""

    tokenizer: str
    text_bytes: int
    ids: tuple[int, ...] = ()
    pieces: tuple[bytes, ...] = ()
    special: frozenset[int] = frozenset()
    """Those of the ids that are control tokens."""
    problem: str = ""
    """Why there are no tokens; empty when all is well."""

    @property
    def bytes_per_token(self) -> float | None:
        """Bytes of the text for each token; None without tokens."""
        return self.text_bytes / len(self.ids) if self.ids else None

    @property
    def broken(self) -> int:
        """Tokens that are no whole characters."""
        broken = {piece for piece in set(self.pieces) if not is_whole(piece)}
        return sum(map(broken.__contains__, self.pieces)) if broken else 0


class Stretch(NamedTuple):
    """A part of the text at both ends of which all tokenizers split."""

    cells: tuple[tuple[tuple[int, bytes], ...], ...]
    """For each tokenizer its tokens in this part: id and piece."""

    @property
    def same(self) -> bool:
        """True when all split it alike."""
        return len({tuple(piece for _, piece in cell) for cell in self.cells}) <= 1


async def split_by_model(
    path: Path,
    text: str,
    *,
    special: bool = False,
    ask: Callable[[TokensWanted], Awaitable[TokensFound]] = ask_tokens,
) -> Split:
    """A text under the tokenizer of a model file, of which only the vocabulary is read."""
    size = len(text.encode())
    name = path.name.removesuffix(".gguf")
    try:
        found = await ask(TokensWanted(str(path), text, special))
    except PlaygroundError as error:
        return Split(tokenizer=name, text_bytes=size, problem=str(error))
    if name.startswith("sha256-") and found.name:  # as Ollama calls its files
        name = found.name
    control = frozenset(found.special)
    return Split(tokenizer=name, text_bytes=size, ids=found.ids, pieces=found.pieces, special=control)


async def split_by_tiktoken(
    name: str, text: str, vocabularies: Vocabularies, *, special: bool = False, fetch: bool = True
) -> Split:
    """A text under one of `TIKTOKEN`; with `fetch`, a vocabulary that is not on disk is fetched once."""
    size = len(text.encode())
    encoding = await vocabularies.encoding(name, fetch=fetch)
    if encoding is None and fetch:
        await vocabularies.settle()
        encoding = await vocabularies.encoding(name, fetch=False)
    if encoding is None:
        why = "and could not be fetched; it comes from the network, once" if fetch else "and nothing is to be fetched"
        return Split(tokenizer=name, text_bytes=size, problem=f"This vocabulary is not on this machine, {why}.")
    ids, pieces = await asyncio.to_thread(_encoded, encoding, text, special)
    control = frozenset(map(encoding.encode_single_token, encoding.special_tokens_set)) if special else frozenset()
    return Split(tokenizer=name, text_bytes=size, ids=ids, pieces=pieces, special=control)


def can_align(split: Split, text: str) -> bool:
    """True when a tokenizer's pieces are the text's own bytes, perhaps with a space in front."""
    return bool(partition([split], text)[0])


def partition(splits: Sequence[Split], text: str) -> tuple[list[Split], list[Split]]:
    """Those that can be put side by side, see `can_align`, and the others; without those that have no tokens."""
    data = text.encode()
    beside: list[Split] = []
    others: list[Split] = []
    for split in splits:
        if split.ids:
            own = b"".join(split.pieces)
            fits = own == data or (len(own) == len(data) + 1 and own[:1] == b" " and own.endswith(data))
            (beside if fits else others).append(split)
    return beside, others


def aligned(splits: Sequence[Split]) -> Iterator[Stretch]:
    """The text in the shortest stretches at whose ends all tokenizers split; of those that `can_align` alone."""
    places = [0] * len(splits)
    ends = [split.text_bytes - sum(map(len, split.pieces)) for split in splits]  # -1 for a space in front
    size = max((split.text_bytes for split in splits), default=0)
    while any(end < size for end in ends):
        began = list(places)
        while True:
            last = max(ends)
            behind = [at for at, end in enumerate(ends) if end < last or places[at] == began[at]]
            if not behind:
                break
            for at in behind:
                ends[at] += len(splits[at].pieces[places[at]])
                places[at] += 1
        yield Stretch(
            tuple(
                tuple(zip(split.ids[start:end], split.pieces[start:end], strict=True))
                for split, start, end in zip(splits, began, places, strict=True)
            )
        )


def _encoded(encoding: Encoding, text: str, special: bool) -> tuple[tuple[int, ...], tuple[bytes, ...]]:
    allowed = encoding.special_tokens_set if special else set()
    ids = [
        token
        for part in _parts(text)
        for token in encoding.encode(part, allowed_special=allowed, disallowed_special=())
    ]
    known: dict[int, bytes] = {token: encoding.decode_single_token_bytes(token) for token in set(ids)}
    return tuple(ids), tuple(known[token] for token in ids)


def _parts(text: str) -> Iterator[str]:
    """The text in parts of bounded length, cut where no token is cut if there is such a place."""
    start = 0
    while len(text) - start > _STRETCH:
        seams = [match.end() for match in _SEAM.finditer(text, start + _STRETCH // 2, start + _STRETCH)]
        end = seams[-1] if seams else start + _STRETCH
        yield text[start:end]
        start = end
    yield text[start:]
