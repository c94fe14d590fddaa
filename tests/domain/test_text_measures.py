"""Measures of texts, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.domain.text_measures import consistency, distinct, jaccard, mean, perplexity, words


def test_two_texts_share_what_both_have_of_what_either_has() -> None:
    assert jaccard("abc", "bcd") == 2 / 4  # b, c of a, b, c, d
    assert jaccard([1, 1, 1, 2], [2, 1]) == 1.0  # how often does not count
    assert jaccard("ab", "cd") == 0.0
    assert jaccard("", "a") == 0.0
    assert jaccard("", "") == 1.0


def test_consistency_is_the_mean_over_all_pairs() -> None:
    # {1,2} and {1,2}: 1; {1,2} and {2,3}: 1/3, twice. (1 + 1/3 + 1/3) / 3 = 5/9
    assert consistency([[1, 2], [2, 1], [2, 3]]) == pytest.approx(5 / 9)
    assert consistency(["ab", "cd"]) == 0.0
    assert consistency([[7]]) is None
    assert consistency([]) is None


@given(st.lists(st.lists(st.integers(0, 5)), min_size=2, max_size=6))
def test_consistency_agrees_with_the_pairs_one_by_one(texts: list[list[int]]) -> None:
    pairs = [jaccard(a, b) for at, a in enumerate(texts) for b in texts[at + 1 :]]
    assert consistency(texts) == pytest.approx(sum(pairs) / len(pairs))


def test_distinct_counts_different_runs_of_all_texts_together() -> None:
    texts = [["the", "cat", "the", "cat"], ["the", "dog"]]
    assert distinct(texts, 1) == 3 / 6  # the, cat, dog of 6 words
    assert distinct(texts, 2) == 3 / 4  # the cat, cat the, the dog of 3 + 1 pairs
    assert distinct(texts, 3) == 1.0  # the cat the, cat the cat
    assert distinct(texts, 5) is None
    assert distinct([], 1) is None


def test_perplexity_is_the_inverse_of_the_geometric_mean() -> None:
    # Probabilities 1/2, 1/4, 1/8: geometric mean 1/4.
    assert perplexity(math.log(1 / 2) + math.log(1 / 4) + math.log(1 / 8), 3) == pytest.approx(4.0)
    assert perplexity(0.0, 5) == 1.0
    assert perplexity(0.0, 0) is None
    assert math.isfinite(perplexity(-1e9, 1) or math.inf)


def test_unknown_values_take_no_part_in_a_mean() -> None:
    assert mean([1.0, None, 3.0]) == 2.0
    assert mean([None]) is None


def test_words_are_small_and_without_spaces() -> None:
    assert words("Hello, WORLD!  It's 你好\n") == ["hello", ",", "world", "!", "it", "'", "s", "你好"]
    assert words(" \n") == []
