"""Counts against a window, and where text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.domain.fitting import (
    Fit,
    cut_beginning,
    cut_middle,
    longest_message,
    marker,
    places_to_begin,
    reply_reserve,
    without_oldest,
)
from playground.domain.messages import Message, PromptParts, Role

S, U, A = Role.SYSTEM, Role.USER, Role.ASSISTANT


def fit(window: int | None, reply: int = 0, *, exact: bool = True) -> Fit:
    return Fit(
        parts=PromptParts(10, 50, 40), reply=reply, window=window, exact=exact, parts_exact=exact, method="tokenizer"
    )


def talk(*roles: Role) -> list[Message]:
    return [Message(role, f"{role} {at}") for at, role in enumerate(roles)]


@pytest.mark.parametrize(
    ("window", "reply", "free", "over_by", "prompt_over_by"),
    [
        (200, 50, 50, 0, 0),
        (150, 50, 0, 0, 0),
        (149, 50, 0, 1, 0),
        (101, 0, 1, 0, 0),
        (100, 0, 0, 1, 1),
        (90, 50, 0, 60, 11),
        (None, 50, None, 0, 0),
    ],
)
def test_what_is_free_and_what_is_too_much(
    window: int | None, reply: int, free: int | None, over_by: int, prompt_over_by: int
) -> None:
    one = fit(window, reply)
    assert (one.free, one.over_by, one.prompt_over_by) == (free, over_by, prompt_over_by)
    assert bool(one.sentence) is bool(over_by)


def test_the_sentence_has_the_counts_and_marks_estimates() -> None:
    assert fit(90, 50).sentence == (
        "The prompt has 100 tokens (system 10, history 50, message 40), and 50 are set aside for the reply: 60 more "
        "than the context window of 90 takes."
    )
    assert fit(100).sentence.endswith("message 40): 1 more than the context window of 100 takes.")
    assert "has ≈100 tokens (system ≈10, history ≈50, message ≈40)" in fit(90, exact=False).sentence


def test_an_unlimited_reply_takes_what_is_left() -> None:
    assert [reply_reserve(-1, 8), reply_reserve(512, None), reply_reserve(512, 128), reply_reserve(0, 8)] == [
        0, 512, 128, 0,
    ]  # fmt: skip


def test_a_conversation_begins_with_a_user_and_keeps_system_messages() -> None:
    messages = talk(S, U, A, U, S, A, U, A)
    assert places_to_begin(messages) == [3, 6]
    assert [message.content for message in without_oldest(messages, 6)] == [
        "system 0",
        "system 4",
        "user 6",
        "assistant 7",
    ]
    assert places_to_begin(talk(S, U)) == places_to_begin(talk(S)) == places_to_begin([]) == []
    assert places_to_begin(talk(A, U)) == [1], "what an assistant began may go"


def test_the_longest_message_is_no_system_message() -> None:
    messages = [Message(S, "x" * 99), Message(U, "x" * 9), Message(A, "漢" * 4)]
    assert longest_message(messages) == 2
    assert longest_message(messages[:1]) is None


def test_cuts_go_between_words() -> None:
    text = "The quick brown fox jumps over the lazy dog and then it sleeps all day."
    head, middle, tail = cut_middle(text, 30)
    assert (head, tail) == ("The quick ", " all day.")
    assert head + middle + tail == text
    assert cut_beginning(text, 12)[1] == " all day."
    assert marker(1812, exact=True) == "[… 1,812 tokens left out …]"
    assert marker(7, exact=False) == "[… ≈7 tokens left out …]"


@given(st.text(alphabet="ab \n漢🦙", min_size=1), st.data())
def test_a_cut_loses_nothing_and_keeps_no_more_than_asked(text: str, data: st.DataObject) -> None:
    kept = data.draw(st.integers(0, len(text) - 1))
    head, middle, tail = cut_middle(text, kept)
    assert head + middle + tail == text
    assert len(head) + len(tail) <= kept
    gone, rest = cut_beginning(text, kept)
    assert gone + rest == text
    assert len(rest) <= kept
