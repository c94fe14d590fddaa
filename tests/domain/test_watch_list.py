"""A watch list as it is typed, and the curves of its words."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from playground.domain.errors import BadInput
from playground.domain.tokens import Token
from playground.domain.watch_list import Curves, Peak, figure, parse_words, show_words, word_of
from playground.domain.watching import Watched, WatchedWord

BARE = Token(0, 5, b"x", -1.0, 0.5, 1, 2.0)
YES, NO = (WatchedWord(word=word, id=id, piece=word.encode()) for word, id in ((" Yes", 7), (" No", 8)))


def tokens(*before: float | None, id: int = 7) -> list[Token]:
    return [
        replace(BARE, index=index, watched=() if value is None else (Watched(id, value, value / 2),))
        for index, value in enumerate(before)
    ]


def test_quotes_keep_spaces_and_everything_else_is_a_word_as_it_stands() -> None:
    assert parse_words('" Yes"\nNo\n\n  #504 \n"a b"\n"\\n"\nNo\n') == (" Yes", "No", "#504", "a b", "\n")
    assert parse_words("\n \n") == ()
    for words in ((" Yes", "No", "#504", "\n", "\t", 'say "hi"', '"'), ()):
        assert parse_words(show_words(words)) == words


@pytest.mark.parametrize(("text", "sentence"), [('""', "no word"), ("\n".join("abcdefghi"), "9 words are too many")])
def test_lists_that_cannot_be(text: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        parse_words(text)


@pytest.mark.parametrize(
    ("token", "word"),
    [
        (replace(BARE, piece=b" Yes"), " Yes"),
        (replace(BARE, piece=b"\n\n"), "#5"),
        (replace(BARE, piece=b"\xe6\x97"), "#5"),
        (replace(BARE, piece=b"#12"), "#5"),
        (replace(BARE, piece=b"", special="<|im_end|>"), "#5"),
        (replace(BARE, id=None), None),
        (replace(BARE, chunk=True), None),
    ],
    ids=["text", "newline", "half a character", "looks like an id", "special", "no id", "chunk"],
)
def test_a_token_is_watched_by_its_text_where_that_can_be_typed(token: Token, word: str | None) -> None:
    assert word_of(token) == word


def test_a_curve_has_the_highest_of_each_stretch_and_grows_without_ever_getting_longer() -> None:
    values = [0.001 * (number % 37) for number in range(1000)]
    for count in (1, 16, 17, 999, 1000):
        curves = Curves((YES,), 16)
        assert curves.follow(tokens(*values[:count]))
        (curve,) = curves.curves
        assert len(curve.before) <= 16
        parts = [values[start : min(count, start + curve.length)] for start in range(0, count, curve.length)]
        assert curve.before == pytest.approx([max(part) for part in parts])
        assert curve.after == pytest.approx([max(part) / 2 for part in parts])
    assert curves.length == 64


def test_following_token_by_token_ends_where_taking_all_at_once_does() -> None:
    whole = tokens(*(0.01 * (number % 13) if number % 5 else None for number in range(300)))
    slow, fast = Curves((YES, NO), 10), Curves((YES, NO), 10)
    for count in range(len(whole)):
        assert slow.follow(whole[: count + 1])
    assert fast.follow(whole)
    assert [curve.before for curve in slow.curves] == [curve.before for curve in fast.curves]
    assert set(slow.curves[1].before) == {None}, "a word that was not watched has no figures"


def test_other_tokens_are_told_from_more_tokens() -> None:
    curves, first = Curves((YES,), 10), tokens(0.1, 0.2, 0.3)
    assert curves.follow(first)
    assert curves.follow([*first, replace(BARE, index=3)])
    assert not curves.follow(first)
    assert not curves.follow(tokens(0.1, 0.2, 0.4, 0.5, 0.6))


def test_figures_are_all_in_percent() -> None:
    shown = [figure(value) for value in (None, 0.0, 3.2e-8, 0.00012, 0.0123, 0.9994, 0.9996, 1.0)]
    assert shown == ["–", "0%", "<0.01%", "0.01%", "1.2%", "99.9%", "100%", "100%"]


def test_a_peak_is_where_the_word_was_likeliest() -> None:
    peak = Peak(YES)
    assert peak.text == '" Yes": not seen'
    for token in tokens(0.1, None, 0.5, 0.2):
        peak.add(token)
    assert peak.text == '" Yes": 50.0% at most, at token 3; 25.0% after the samplers'
