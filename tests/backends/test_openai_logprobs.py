"""Entries of every kind, and what is made of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from playground.backends.openai_logprobs import Piece, TokenReader
from playground.backends.openai_wire import Logprobs, read_chunk

LLAMA = "🦙".encode()


def entry(token: str, logprob: float = -0.5, raw: bytes | None = None, **more: Any) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode() if raw is None else raw), "logprob": logprob, **more}


def read(
    text: str, *entries: dict[str, Any], last: bool = False, new: int | None = None, reader: TokenReader | None = None
) -> list[Piece]:
    logprobs = msgspec.convert({"content": list(entries)}, Logprobs)
    return (reader or TokenReader(after_samplers=False)).read(text, logprobs, last=last, new_tokens=new)


def test_several_tokens_in_one_event_stay_several() -> None:
    pieces = read(" a b", entry(" a", -1.0), entry(" b", -2.0))
    assert [(piece.piece, piece.logprob, piece.chunk) for piece in pieces] == [
        (b" a", -1.0, False),
        (b" b", -2.0, False),
    ]


def test_half_characters_come_as_bytes_and_the_text_behind_them_is_not_doubled() -> None:
    reader = TokenReader(after_samplers=False)
    pieces = [
        *read("", entry("\ufffd", raw=LLAMA[:2]), reader=reader),
        *read("", entry("\ufffd", raw=LLAMA[2:3]), reader=reader),
        *read("🦙", entry("\ufffd", raw=LLAMA[3:]), reader=reader),
        *read(" x", entry(" x"), reader=reader),
    ]
    assert b"".join(piece.piece for piece in pieces) == "🦙 x".encode()
    assert len(pieces) == 4
    assert not any(piece.chunk for piece in pieces)


def test_a_character_of_three_tokens_in_one_entry_has_no_probability_of_its_own() -> None:
    by_count = read("🦙", entry("🦙", id=243), new=3)
    candidates = [entry("\ufffd", raw=LLAMA[3:], id=243), entry("\ufffd", raw=b"\x99", id=7)]
    by_candidate = read("🦙", entry("🦙", id=243, top_logprobs=candidates))
    for pieces in (by_count, by_candidate):
        assert pieces == [Piece(LLAMA, chunk=True)]


def test_a_token_cut_at_a_stop_string_keeps_its_probability() -> None:
    (piece,) = read(" ", entry(" ", -0.1, id=9, top_logprobs=[entry(" capital", -0.1, id=9)]), new=1)
    assert (piece.piece, piece.chunk, piece.logprob, piece.id) == (b" ", True, -0.1, 9)


def test_more_text_than_the_entry_is_a_chunk() -> None:
    assert read("Hello there", entry("Hello")) == [Piece(b"Hello there", chunk=True)]


def test_the_token_that_ends_a_reply_is_shown_by_its_name() -> None:
    (piece,) = read("", entry("<|im_end|>", -0.2), last=True)
    assert (piece.piece, piece.special, piece.logprob) == (b"", "<|im_end|>", -0.2)
    assert read("", entry("<think>"), last=False) == []
    assert read("", entry(""), last=True) == []


def test_very_unlikely_is_no_number() -> None:
    (piece,) = read("x", entry("x", -9999.0, top_logprobs=[entry("y", -0.1), entry("z", -9999.0)]))
    assert piece.logprob is None
    assert piece.rank is None
    assert [candidate.piece for candidate in piece.top] == [b"y", b"x"]


def test_the_chosen_one_is_among_the_candidates_and_its_rank_is_known_only_there() -> None:
    top = [entry("a", -0.1), entry("b", -1.0)]
    (second,) = read("b", entry("b", -1.0, top_logprobs=top))
    assert (second.rank, [candidate.piece for candidate in second.top]) == (2, [b"a", b"b"])
    (outside,) = read("c", entry("c", -5.0, top_logprobs=top))
    assert (outside.rank, [candidate.piece for candidate in outside.top]) == (None, [b"a", b"b", b"c"])
    (alone,) = read("c", entry("c", -5.0))
    assert (alone.rank, alone.top) == (None, ())


def test_chances_after_the_samplers_are_kept_apart() -> None:
    reader = TokenReader(after_samplers=True)
    (sglang,) = read("a", entry("a", -0.693147, top_logprobs=[entry("a", -0.693147)]), reader=reader)
    assert sglang.logprob is None
    assert sglang.prob == pytest.approx(0.5, abs=1e-5)
    given = {"token": "a", "bytes": [97], "prob": 0.75, "top_probs": [{"token": "a", "bytes": [97], "prob": 0.75}]}
    (llama_cpp,) = read("a", given)
    assert (llama_cpp.logprob, llama_cpp.prob, llama_cpp.rank) == (None, 0.75, None)
    assert [(candidate.logprob, candidate.prob) for candidate in llama_cpp.top] == [(None, 0.75)]


def test_raw_completions_name_their_candidates() -> None:
    lists = Logprobs(
        tokens=["bytes:\\xf0\\x9f", " b"],
        token_logprobs=[-1.0, None],
        top_logprobs=[{"bytes:\\xf0\\x9f": -1.0, "x": -0.5}, None],
    )
    first, second = TokenReader(after_samplers=False).read("\ufffd b", lists, last=False)
    assert (first.piece, first.logprob, first.rank) == (LLAMA[:2], -1.0, 2)
    assert [candidate.piece for candidate in first.top] == [b"x", LLAMA[:2]]
    assert (second.piece, second.logprob, second.top) == (b" b", None, ())


def test_no_entries_make_a_chunk_and_no_text_makes_nothing() -> None:
    reader = TokenReader(after_samplers=False)
    assert reader.read("x", None, last=False) == [Piece(b"x", chunk=True)]
    assert reader.read("", None, last=True) == []
    assert not reader.seen


def test_an_extra_of_another_type_does_not_cost_the_words() -> None:
    chunk = read_chunk(b'{"choices": [{"delta": {"content": "a"}}], "timings": {"prompt_n": 1.5}, "usage": "none"}')
    assert chunk is not None
    assert chunk.choices is not None
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == "a"
    with pytest.raises(ValueError, match="content"):
        read_chunk(b'{"choices": [{"delta": {"content": 5}}]}')
    with pytest.raises(ValueError, match="recursion"):
        read_chunk(b"[" * 100_000)
    assert read_chunk(b'{"usage": "none"}') is None
    assert read_chunk(b"7") is None
