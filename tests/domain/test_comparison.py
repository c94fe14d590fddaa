"""Where replies part: by token, by text, while they stream, and when some of them end before."""

from __future__ import annotations

import random

import pytest

from playground.domain.comparison import Divergence, RaceAligner, ReplyState, first_divergence, reply_state
from playground.domain.errors import Problem
from playground.domain.events import Finished, StopReason
from playground.domain.messages import Role
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.domain.usage import Timings, Usage

WRITING, ENDED, CUT = ReplyState.WRITING, ReplyState.ENDED, ReplyState.CUT
IDS: dict[str, int] = {}


def reply(*texts: str | bytes, ids: bool = True, chunk: bool = False) -> list[Token]:
    """Tokens of these texts; a text in angle brackets is a special token."""
    tokens = []
    for index, text in enumerate(texts):
        special = text if isinstance(text, str) and text.startswith("<") else ""
        piece = b"" if special else text.encode() if isinstance(text, str) else text
        number = IDS.setdefault(str(text), len(IDS)) if ids else None
        tokens.append(Token(index, number, piece, -0.5, None, 1, None, special=special, chunk=chunk))
    return tokens


def test_the_first_token_that_differs_is_found_in_every_reply() -> None:
    replies = [reply("The", " sea", " is", " blue"), reply("The", " sea", " is", " deep"), reply("The", " sea", "!")]
    assert first_divergence(replies) == Divergence((2, 2, 2), len("The sea"))


@pytest.mark.parametrize("replies", [[], [reply("a")], [reply(), reply()], [reply("a", "<end>"), reply("a", "<end>")]])
def test_nothing_to_compare_and_nothing_that_differs_are_no_divergence(replies: list[list[Token]]) -> None:
    assert first_divergence(replies) is None


def test_a_reply_that_ends_before_the_others_parts_there() -> None:
    assert first_divergence([reply("a", "b"), reply("a", "b", "c")]) == Divergence((2, 2), 2)
    assert first_divergence([reply("a", "<end>"), reply("a", "b")]) == Divergence((1, 1), 1)
    assert first_divergence([reply(), reply("a")]) == Divergence((0, 0), 0)


def test_there_is_no_verdict_about_what_a_reply_has_not_come_to() -> None:
    fast, slow = reply("a", "b", "c"), reply("a", "b")
    assert first_divergence([fast, slow], [WRITING, WRITING]) is None
    assert first_divergence([fast, slow], [ENDED, WRITING]) is None
    assert first_divergence([reply("x"), reply("y"), reply()], [WRITING] * 3) is None
    assert first_divergence([fast, slow], [WRITING, ENDED]) == Divergence((2, 2), 2)


def test_a_reply_that_was_cut_says_nothing_about_what_would_have_come() -> None:
    assert first_divergence([reply("a", "b", "c"), reply("a", "b")], [ENDED, CUT]) is None
    replies = [reply("a", "b", "c"), reply("a"), reply("a", "b", "d"), reply()]
    assert first_divergence(replies, [WRITING, CUT, ENDED, CUT]) == Divergence((2, None, 2, None), 2)


@pytest.mark.parametrize("by_text", [False, True])
def test_replies_of_other_tokenizers_are_compared_by_their_text(by_text: bool) -> None:
    one = reply("The", " capital", " is", " Paris", ".")
    other = reply("The ", "cap", "ital is P", "isa", ids=by_text)
    assert first_divergence([one, other], by_text=by_text) == Divergence((3, 3), len("The capital is P"))
    same = reply("The capital", " is Paris.", ids=by_text)
    assert first_divergence([one, same], by_text=by_text) is None


def test_chunks_of_a_server_are_compared_by_their_text_even_when_they_carry_ids() -> None:
    chunks = reply("The capital", " is Rome", chunk=True)
    assert first_divergence([reply("The", " capital", " is", " Paris"), chunks]) == Divergence((3, 1), 15)


def test_one_id_with_two_texts_is_two_vocabularies() -> None:
    one = [Token(0, 7, b"a", None, None, None, None), Token(1, 8, b"b", None, None, None, None)]
    other = [Token(0, 7, b"ab", None, None, None, None), Token(1, 8, b"c", None, None, None, None)]
    assert first_divergence([one, other]) == Divergence((2, 1), 2)


def test_one_text_cut_into_other_tokens_of_one_vocabulary_parts_at_the_token() -> None:
    assert first_divergence([reply("the", "re"), reply("there")]) == Divergence((0, 0), 0)


def test_halves_of_characters_part_at_the_half_and_count_as_no_character() -> None:
    e_acute, e_grave = "é".encode(), "è".encode()
    left, right = reply(b"caf", e_acute[:1], e_acute[1:]), reply(b"caf", e_grave[:1], e_grave[1:])
    assert first_divergence([left, right]) == Divergence((2, 2), 3)
    assert first_divergence([left, right], by_text=True) == Divergence((2, 2), 3)


def test_where_a_text_ended_its_end_token_is_the_first_that_differs() -> None:
    assert first_divergence([reply("a", "b", "<end>"), reply("ab", "c")], by_text=True) == Divergence((2, 1), 2)


@pytest.mark.parametrize("by_text", [False, True])
def test_growing_replies_come_to_the_verdict_of_the_whole_ones(by_text: bool) -> None:
    chance = random.Random(7)
    for _ in range(150):
        common = [chance.choice("ab") for _ in range(chance.randrange(12))]
        replies = [
            reply(*common, *(chance.choice("abc") for _ in range(chance.randrange(5))))
            for _ in range(chance.choice([2, 3]))
        ]
        states = [chance.choice([ENDED, CUT]) for _ in replies]
        aligner, shown = RaceAligner(len(replies), by_text=by_text), [0] * len(replies)
        found = None
        while any(count < len(tokens) for count, tokens in zip(shown, replies, strict=True)):
            shown = [
                min(len(tokens), count + chance.randrange(3)) for count, tokens in zip(shown, replies, strict=True)
            ]
            part = [tokens[:count] for count, tokens in zip(shown, replies, strict=True)]
            found = aligner.update(part, [WRITING] * len(replies))
        whole = first_divergence(replies, states, by_text=by_text)
        assert aligner.update(replies, states) == whole
        assert found in (None, whole)


def test_an_update_looks_at_new_tokens_only() -> None:
    class Counted(list[Token]):
        touched = 0

        def __getitem__(self, at: object) -> object:  # type: ignore[override]
            found = super().__getitem__(at)  # type: ignore[call-overload]
            Counted.touched += len(found) if isinstance(found, list) else 1
            return found

    for by_text in (False, True):
        racers = [Counted(), Counted()]
        aligner = RaceAligner(2, by_text=by_text)
        costs = []
        for _ in range(200):
            Counted.touched = 0
            for racer in racers:
                racer.extend(reply("a", "b"))
            assert aligner.update(racers, [WRITING, WRITING]) is None
            costs.append(Counted.touched)
        assert max(costs) == costs[0] > 0


def test_the_number_of_replies_does_not_change_under_way() -> None:
    with pytest.raises(ValueError, match="2 replies"):
        RaceAligner(3).update([reply("a"), reply("b")], [WRITING, WRITING])


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (None, WRITING),
        (StopReason.STOP, ENDED),
        (StopReason.REFUSAL, ENDED),
        (StopReason.LENGTH, CUT),
        (StopReason.CANCELLED, CUT),
    ],
)
def test_only_the_model_ends_a_reply(reason: StopReason | None, state: ReplyState) -> None:
    turn = Turn(1, None, Role.ASSISTANT)
    if reason is not None:
        turn.finished = Finished(stream=1, reason=reason, text="", usage=Usage(), timings=Timings())
    assert reply_state(turn) is state


def test_a_reply_that_failed_was_cut() -> None:
    assert reply_state(Turn(1, None, Role.ASSISTANT, problem=Problem(kind="Overloaded", message="Full."))) is CUT
