"""Which tokens are worth a look, and the way from one to the next."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from playground.domain.messages import Role
from playground.domain.places import ANY, Kind, Place, PlaceIndex, find, places_of, tie, undecided_from, why_none
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Mark, Turn

CALM = Token(0, 1, b"a", math.log(0.9), 0.95, 1, 0.5)


def reply(*changes: Mapping[str, object]) -> list[Token]:
    return [replace(CALM, index=index, **change) for index, change in enumerate(changes)]


def kinds(tokens: list[Token], *marks: Mark) -> dict[int, set[Kind]]:
    return {place.at: {kind for kind, _ in place.reasons} for place in places_of(tokens, marks)}


def chosen(own: float, *others: float, after: tuple[float, ...] = ()) -> Token:
    """A token with these probabilities, its own first, before and (if told) after the samplers."""
    probs: tuple[float | None, ...] = after or (None,) * (1 + len(others))
    top = tuple(
        Candidate(place, b"c%d" % place, math.log(share), prob)
        for place, (share, prob) in enumerate(zip((own, *others), probs, strict=True))
    )
    ranked = tuple(sorted(top, key=lambda candidate: -(candidate.logprob or 0.0)))
    return replace(CALM, id=0, piece=b"c0", logprob=math.log(own), prob=probs[0], top=ranked)


def test_only_the_most_undecided_tenth_of_a_reply_counts_and_two_bits_at_least() -> None:
    bits = [0.1 * number for number in range(100)]
    random.Random(3).shuffle(bits)
    found = kinds(reply(*({"entropy": value} for value in bits)))
    assert sorted(round(bits[at], 1) for at in found) == [9.0, 9.1, 9.2, 9.3, 9.4, 9.5, 9.6, 9.7, 9.8, 9.9]
    assert kinds(reply(*({"entropy": 0.01 * number} for number in range(100)))) == {}, "a reply that was sure all along"
    assert kinds(reply({"entropy": 2.0}, {"entropy": 0.3})) == {0: {Kind.ENTROPY}}
    assert undecided_from([]) == 2.0


def test_the_first_three_ranks_are_what_one_expects() -> None:
    assert kinds(reply({"rank": 1}, {"rank": 3}, {"rank": 4}, {"rank": 4012})) == {2: {Kind.RANK}, 3: {Kind.RANK}}
    words = {place.at: place.why() for place in places_of(reply({"rank": 12}, {"rank": 23}, {"rank": 1001}))}
    assert words == {0: "low choice: 12th", 1: "low choice: 23rd", 2: "low choice: 1,001st"}


def test_a_rank_that_a_server_did_not_tell_is_at_best_behind_the_candidates_that_came() -> None:
    below = replace(chosen(0.02, 0.4, 0.3, 0.1), rank=None)
    (place,) = places_of([below])
    assert place.why() == "low choice: at best 4th"
    assert not places_of([replace(chosen(0.2, 0.4, 0.3), rank=None)])


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        (chosen(0.4, 0.38, 0.1), True),
        (chosen(0.4, 0.5, 0.1), True),
        (chosen(0.4, 0.31), False),
        (chosen(0.05, 0.05, 0.05), False),
        (chosen(0.4, 0.38, after=(0.9, 0.1)), False),
        (chosen(0.6, 0.2, after=(0.45, 0.4)), True),
        (chosen(0.4, 0.38, after=(1.0, 0.0)), True),
        (chosen(0.4), False),
    ],
    ids=["ahead", "behind", "clearly ahead", "all unlikely", "drawn apart", "drawn together", "greedy", "alone"],
)
def test_a_near_tie_is_one_between_two_likely_tokens_as_they_were_drawn(token: Token, expected: bool) -> None:
    assert (tie(token) is not None) is expected


def test_a_tie_names_the_other_one_in_letters_that_can_be_seen() -> None:
    token = chosen(0.4, 0.39)
    other = replace(token.top[1], piece=b" \x1b[31m\n")
    (place,) = places_of([replace(token, top=(token.top[0], other))])
    assert place.why() == "near tie with ‘·␛[31m↵’"


def test_a_change_is_at_the_first_token_drawn_with_it() -> None:
    tokens = reply({}, {}, {"rank": 9})
    marks = [Mark(1, "temperature 0.8 → 1.2"), Mark(2, "top_k 40 → 0"), Mark(3, "nothing was drawn with this")]
    assert kinds(tokens, *marks) == {1: {Kind.CHANGE}, 2: {Kind.RANK, Kind.CHANGE}}
    both = places_of(tokens, marks)[1]
    assert both.why(Kind.RANK) == "low choice: 9th · changed here: top_k 40 → 0"
    assert both.why(Kind.CHANGE) == "changed here: top_k 40 → 0 · low choice: 9th"


def test_a_chunk_is_no_token_but_parameters_can_change_at_it() -> None:
    piece = replace(chosen(0.4, 0.39), chunk=True, rank=99, entropy=9.0)
    assert kinds([piece, piece], Mark(1, "x")) == {1: {Kind.CHANGE}}


def place(at: int, *of: Kind) -> Place:
    return Place(at, tuple((kind, f"{kind} {at}") for kind in of))


CONVERSATION = {
    2: [place(3, Kind.TIE), place(7, Kind.ENTROPY)],
    4: [],
    6: [place(0, Kind.ENTROPY, Kind.RANK), place(5, Kind.TIE)],
}


def visited(kind: str, step: int, start: tuple[int, int] | None, count: int) -> list[tuple[int, int, bool]]:
    path: list[tuple[int, int, bool]] = []
    for _ in range(count):
        found = find(CONVERSATION, kind, step, start)
        assert found is not None
        start = (found.turn, found.place.at)
        path.append((*start, found.wrapped))
    return path


def test_the_way_goes_through_all_turns_and_begins_again_at_the_other_end() -> None:
    assert visited(ANY, 1, (2, 3), 4) == [(2, 7, False), (6, 0, False), (6, 5, False), (2, 3, True)]
    assert visited(ANY, -1, (6, 0), 4) == [(2, 7, False), (2, 3, False), (6, 5, True), (6, 0, False)]
    assert visited(Kind.ENTROPY, 1, (4, 99), 2) == [(6, 0, False), (2, 7, True)]
    assert visited(Kind.RANK, 1, (6, 0), 1) == [(6, 0, True)]
    assert find(CONVERSATION, Kind.CHANGE, 1, None) is None


def test_without_a_cursor_the_token_one_starts_from_counts_itself() -> None:
    first = find(CONVERSATION, ANY, 1, (2, 7), at=True)
    assert first is not None
    assert (first.turn, first.place.at, first.number, first.total) == (2, 7, 2, 4)
    last = find(CONVERSATION, ANY, -1, None)
    assert last is not None
    assert (last.turn, last.place.at, last.wrapped) == (6, 5, False)


def test_a_reply_is_looked_through_again_only_after_it_changed() -> None:
    index, turn = PlaceIndex(), Turn(id=1, parent=None, role=Role.ASSISTANT, tokens=reply({}, {"rank": 9}))
    first = index.of(turn)
    assert index.of(turn) is first
    turn.tokens.append(replace(CALM, index=2, rank=20))
    assert [one.at for one in index.of(turn)] == [1, 2]
    assert [one.at for one in index.of(turn, shown=2)] == [1], "what is held back is not on the way"
    turn.tokens[2:] = [replace(CALM, index=2)]
    assert [one.at for one in index.of(turn)] == [1], "another token in the same place"


def test_what_is_not_there_is_told_apart_from_what_nobody_measured() -> None:
    bare = Token(0, None, b"hi", None, None, None, None)
    assert why_none([], ANY) == "There is no reply yet."
    assert "gave no entropy" in why_none([bare], Kind.ENTROPY)
    assert "gave no figures" in why_none([bare], ANY)
    assert "No token here is undecided" in why_none([CALM], Kind.ENTROPY)
    assert "3 likeliest" in why_none([CALM], Kind.RANK)
    assert "gave no candidates" in why_none([CALM], Kind.TIE)
    assert "No parameter changed" in why_none([bare], Kind.CHANGE)
