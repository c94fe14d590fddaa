"""The word diff: what is told as same is same, nothing is lost, and long or circling texts do not stall it."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.domain.text_diff import DiffSpan, diff_replies, token_spans, word_diff, words_of
from playground.domain.tokens import Token


def told(left: str, right: str) -> list[tuple[str, str]]:
    """Spans by kind, with the text they stand for."""
    return [
        (span.kind, right[slice(*span.right)] if span.kind == "only_right" else left[slice(*span.left)])
        for span in word_diff(left, right)
    ]


def tokens(*pieces: str | bytes) -> list[Token]:
    encoded = [piece.encode() if isinstance(piece, str) else piece for piece in pieces]
    return [Token(index, index, piece, None, None, None, None) for index, piece in enumerate(encoded)]


def test_words_are_compared_and_punctuation_does_not_drag_its_word_along() -> None:
    assert told("The capital of France is Paris, a city.", "The capital of Spain is Madrid.") == [
        ("same", "The capital of"),
        ("only_left", " France"),
        ("only_right", " Spain"),
        ("same", " is"),
        ("only_left", " Paris, a city"),
        ("only_right", " Madrid"),
        ("same", "."),
    ]


def test_spans_say_where_they_are_in_both_texts() -> None:
    assert word_diff("one two", "one 2") == [
        DiffSpan("same", (0, 3), (0, 3)),
        DiffSpan("only_left", (3, 7), (3, 3)),
        DiffSpan("only_right", (7, 7), (3, 5)),
    ]


@pytest.mark.parametrize(
    ("left", "right", "kinds"),
    [
        ("", "", []),
        ("", "new", ["only_right"]),
        ("old", "", ["only_left"]),
        ("one\n\ntwo", "one two", ["same"]),
        ("  ", "\n", ["same"]),
        ("a", "b", ["only_left", "only_right"]),
    ],
)
def test_edges(left: str, right: str, kinds: list[str]) -> None:
    assert [span.kind for span in word_diff(left, right)] == kinds


def test_scripts_without_spaces_and_with_combining_marks() -> None:
    assert told("日本語です", "日本人です") == [
        ("same", "日本"), ("only_left", "語"), ("only_right", "人"), ("same", "です"),
    ]  # fmt: skip
    assert told("नमस्ते दुनिया", "नमस्ते जगत")[0] == ("same", "नमस्ते")
    assert told("café bar", "cafe bar")[0] == ("only_left", "café")


def test_a_comma_between_two_differences_is_no_agreement() -> None:
    assert told("red, blue", "one, two") == [("only_left", "red, blue"), ("only_right", "one, two")]


def letters(text: str) -> str:
    return "".join(text.split())


@settings(max_examples=200, deadline=None)
@given(st.text("ab ,.\n漢é", max_size=40), st.text("ab ,.\n漢é", max_size=40))
def test_the_spans_cover_both_texts_and_what_is_same_is_same(left: str, right: str) -> None:
    at_left = at_right = 0
    for kind, (left_from, left_to), (right_from, right_to) in word_diff(left, right):
        assert (left_from, right_from) == (at_left, at_right)
        at_left, at_right = left_to, right_to
        if kind == "same":
            assert letters(left[left_from:left_to]) == letters(right[right_from:right_to])
        else:
            assert (left_from == left_to) == (kind == "only_right")
            assert (right_from == right_to) == (kind == "only_left")
    assert (at_left, at_right) == (len(left), len(right))


def test_a_change_in_a_very_long_text_is_found_as_such() -> None:
    chance = random.Random(1)
    words = [f"w{int(chance.paretovariate(0.8)) % 4000}" for _ in range(30_000)]
    edited = [*words[:9_000], "entirely", "new", *words[9_001:21_000], *words[21_500:]]
    spans = word_diff(" ".join(words), " ".join(edited))
    same = sum(span.left[1] - span.left[0] for span in spans if span.kind == "same")
    assert same > 0.95 * len(" ".join(edited))
    assert len(spans) < 40


@pytest.mark.parametrize(("left", "right"), [("a a ", "b a "), ("a b c ", "a c b ")])
def test_texts_that_go_in_circles_do_not_stall_the_diff(left: str, right: str) -> None:
    left, right = left * 1_500, right * 1_500
    began = time.process_time()
    assert word_diff(left, right)
    # Comparing them whole takes minutes; this is far above what it takes and far below that.
    assert time.process_time() - began < 20


def test_tokens_are_told_by_the_words_they_touch() -> None:
    left, right = (
        tokens("The", " cap", "ital", " is", " Paris", "."),
        tokens("The", " capital", " is", " Ro", "me", "."),
    )
    told_of = diff_replies(left, right)
    assert [verdicts for (verdicts,) in told_of[0].values()] == ["same", "same", "same", "same", "differs", "same"]
    assert [verdicts for (verdicts,) in told_of[1].values()] == ["same", "same", "same", "differs", "differs", "same"]


def test_chunks_are_told_word_by_word() -> None:
    chunks = [Token(0, None, b"The capital is", None, None, None, None, chunk=True)]
    chunks.append(Token(1, None, b" Rome. ", None, None, None, None, chunk=True))
    told_of = diff_replies(tokens("The capital", " is", " Paris", "."), chunks)[1]
    assert told_of == {0: ("same", "same", "same"), 1: ("differs", "same")}
    assert [len(words_of(token.piece.decode())) for token in chunks] == [3, 2]


def test_halves_of_a_character_go_with_the_token_that_completes_it() -> None:
    smile = "😀".encode()
    told_of = diff_replies(tokens("so ", smile[:2], smile[2:], " good"), tokens("so good"))[0]
    assert told_of == {0: ("same",), 1: ("differs",), 2: ("differs",), 3: ("same",)}


def test_tokens_behind_the_text_that_was_compared_are_not_told_of() -> None:
    spans = word_diff("one two", "one three")
    assert token_spans(spans, tokens("one", " two", " STOP"), 0) == {0: ("same",), 1: ("differs",)}


@given(st.text("ab ,.\n漢é", max_size=40))
def test_the_words_of_a_text_are_the_text(text: str) -> None:
    assert "".join(words_of(text)) == text
