"""What a transcript keeps of a token: less memory, and every figure."""

from __future__ import annotations

import math
import sys

import msgspec
import pytest

from playground.domain.events import TokenGenerated
from playground.domain.packed import Packed
from playground.domain.session import Session
from playground.domain.tokens import Candidate, Stage, Token, packed
from playground.domain.watching import Watched

TOP = (
    Candidate(7, b" a", -0.1, 0.9),
    Candidate(49_151, b"\xf0\x9f", -math.inf, 0.0, special=False, cut_by=0),
    Candidate(None, b"<|im_end|>", None, None, special=True),
)
STAGES = (Stage("top_k", 40, 0.987654321987), Stage("dist", 3, 1.0, at_least=True))
WATCHED = (Watched(5, 0.25, 0.0, 1), Watched(6, 1e-30, 1.0))
TOKEN = Token(3, 7, b" a", -0.1, 0.9, 1, 2.5, TOP, STAGES, 812.25, watched=WATCHED)


def top_of(token: Token) -> tuple[Candidate, ...]:
    return token.top


def test_nothing_is_lost() -> None:
    kept = packed(TOKEN)
    assert isinstance(kept.top, Packed)
    assert tuple(kept.top) == TOP
    assert tuple(kept.stages) == STAGES
    assert tuple(kept.watched) == WATCHED
    assert kept == TOKEN
    assert top_of(TOKEN) == top_of(kept)
    assert hash(kept) == hash(TOKEN)
    assert repr(kept) == repr(TOKEN)


def test_a_row_reads_as_a_tuple() -> None:
    top = packed(TOKEN).top
    assert (len(top), top[0], top[-1], top[1:]) == (3, TOP[0], TOP[2], TOP[1:])
    assert [*top, *top] == [*TOP, *TOP]
    assert TOP[1] in top
    assert top.index(TOP[1]) == 1
    assert top
    assert top == packed(TOKEN).top
    assert top != TOP[:2]
    with pytest.raises(IndexError):
        top[3]


def test_what_is_empty_or_packed_stays_as_it_is() -> None:
    bare = packed(Token(0, None, b"hi", None, None, None, None))
    assert (bare.top, bare.stages, bare.watched) == ((), (), ())
    assert not bare.top
    kept = packed(TOKEN)
    assert packed(kept).top is kept.top


def test_a_packed_token_can_be_changed_and_written_down() -> None:
    taken = msgspec.structs.replace(packed(TOKEN), id=9)
    assert tuple(taken.top) == TOP
    encoded = msgspec.msgpack.encode(taken, enc_hook=tuple)
    assert msgspec.msgpack.decode(encoded, type=Token) == taken
    with pytest.raises(TypeError):
        msgspec.msgpack.encode(taken)


def test_a_session_keeps_tokens_packed() -> None:
    session = Session()
    request = session.send("hello")
    session.apply(TokenGenerated(stream=request.stream, token=msgspec.structs.replace(TOKEN, index=0)))
    (token,) = session.transcript.path()[-1].tokens
    assert isinstance(token.top, Packed)
    assert tuple(token.top) == TOP


def test_ten_candidates_take_a_fraction_of_their_memory() -> None:
    top = tuple(Candidate(1000 + n, b" word%d" % n, -1.5 * n - 0.1, 0.1 / (n + 1)) for n in range(10))
    loose = sys.getsizeof(top) + sum(
        sys.getsizeof(one) + sum(sys.getsizeof(value) for value in msgspec.structs.astuple(one)[:4]) for one in top
    )
    row = packed(msgspec.structs.replace(TOKEN, top=top)).top
    assert isinstance(row, Packed)
    assert sys.getsizeof(row) + row.size < loose / 4
