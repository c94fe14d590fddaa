"""Other ways on from a token: what a branch takes over, and what a person put there."""

from __future__ import annotations

import math

import pytest

from playground.domain.errors import BadInput
from playground.domain.forking import begun, branch_at, forced, put_figures, take, text_of, typed
from playground.domain.messages import GenerationRequest, RawPrompt, Role
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Mark, Transcript, Turn

HOT = SamplingParams(temperature=1.5)


def written(index: int, piece: bytes, *others: bytes) -> Token:
    """A token, and candidates of which it was the first."""
    top = tuple(
        Candidate(100 * index + place, text, -1.0 - place, 0.5 / (place + 1))
        for place, text in enumerate((piece, *others))
    )
    return Token(index, 100 * index, piece, -1.0, 0.5, 1, 2.0, top, time_ms=10.0 * index, drafted=True)


def reply_of(tree: Transcript, *tokens: Token) -> Turn:
    user = tree.add(Role.USER, None, text="Hi")
    return tree.add(Role.ASSISTANT, user.id, tokens=list(tokens))


def test_a_candidate_has_the_figures_that_it_had_beside_the_one_that_was_chosen() -> None:
    taken = take(written(3, b" blue", b" red", b" green"), 2)
    assert (taken.index, taken.id, taken.piece) == (3, 302, b" green")
    assert (taken.logprob, taken.prob, taken.rank, taken.entropy) == (-3.0, 0.5 / 3, 3, 2.0)
    assert not taken.drafted


@pytest.mark.parametrize(
    ("choice", "said"), [(0, "stands there already"), (3, "only 3 candidates"), (2, "would end the reply")]
)
def test_what_cannot_be_taken_gets_a_sentence(choice: int, said: str) -> None:
    token = written(0, b"one", b" two")
    end = Candidate(2, b"<|end|>", -4.0, 0.0, special=True)
    token = Token(0, token.id, token.piece, -1.0, 0.5, 1, 2.0, (*token.top, end))
    with pytest.raises(BadInput, match=said):
        take(token, choice)


def test_where_nobody_told_candidates_a_text_can_be_forced() -> None:
    with pytest.raises(BadInput, match="No candidates") as refused:
        take(typed("Hello", 0), 1)
    assert "f forces" in refused.value.hint


def test_a_branch_keeps_what_came_before_and_marks_what_a_person_put_there() -> None:
    tree = Transcript()
    old = reply_of(tree, *(written(index, b"%d" % index) for index in range(6)))
    old.marks, old.params = [Mark(2, "hotter", HOT), Mark(5, "colder", SamplingParams())], SamplingParams()
    old.by_hand = {1, 5}
    new = branch_at(tree, old, 4, forced([7, 8], [b"a", b"b"], 4))
    assert [token.piece for token in new.tokens] == [b"0", b"1", b"2", b"3", b"a", b"b"]
    assert [token.index for token in new.tokens] == list(range(6))
    assert (new.forked_at, new.forked_from, new.parent) == (4, old.id, old.parent)
    assert new.by_hand == {1, 4, 5}
    assert [mark.at for mark in new.marks] == [2]
    assert new.params == HOT, "in force where it forked"
    assert tree.head == new.id
    assert len(old.tokens) == 6


def test_the_text_of_another_models_tokens_stands_in_their_place() -> None:
    tree = Transcript()
    old = reply_of(tree, written(0, b"one"), written(1, b" two"))
    old.marks, old.by_hand = [Mark(0, "hotter", HOT)], {0}
    own = forced([1, 2, 3], [b"o", b"n", b"e"], 0)
    new = branch_at(tree, old, 1, forced([4], [b"!"], 3), own)
    assert [token.piece for token in new.tokens] == [b"o", b"n", b"e", b"!"]
    assert (new.forked_at, new.by_hand, new.marks) == (3, {3}, [])


def test_half_a_character_is_no_text() -> None:
    parts = [written(0, b"\xf0\x9f"), written(1, b"\x98\x80")]
    assert text_of(parts) == "😀"
    with pytest.raises(BadInput, match="inside a character"):
        text_of(parts[:1])


def test_a_reply_that_was_begun_by_hand_is_sent_with_its_beginning() -> None:
    tree = Transcript()
    reply = reply_of(tree)
    request = GenerationRequest(stream=1, prompt=RawPrompt("Hi"), params=SamplingParams())
    sent = begun(request, reply, forced([5, 6], [b"Dear", b" friend"], 0))
    assert (sent.reply_ids, sent.reply_text) == ((5, 6), "Dear friend")
    assert (reply.content, reply.by_hand, reply.continued_at) == ("Dear friend", {0, 1}, 2)
    assert begun(request, reply, [typed("Dear", 0)]).reply_ids == ()


def test_figures_that_come_later_go_to_their_own_tokens_alone() -> None:
    tree = Transcript()
    reply = reply_of(tree, written(0, b"one"), *forced([7, 8], [b"a", b"b"], 1))
    found = [Token(0, 7, b"a", -0.5, None, 1, 1.5), Token(1, 8, b"b", -2.5, None, 4, 3.0)]
    assert put_figures(reply, 1, found)
    assert [token.logprob for token in reply.tokens] == [-1.0, -0.5, -2.5]
    assert [token.index for token in reply.tokens] == [0, 1, 2]
    assert not put_figures(reply, 0, found)
    assert reply.tokens[0].logprob == -1.0
    assert math.isclose(reply.tokens[2].surprisal or 0.0, 2.5 / math.log(2))
