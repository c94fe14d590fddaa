"""Wrapping: whatever comes in whatever order, nothing is lost and the lines are those of laying out all at once."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from playground.domain.display import display_text
from playground.widgets.token_layout import MIN_WRAP, TokenLayout

# fmt: off
AWKWARD = [
    "a", "word", " the", " of", "ing", ".", ",", " ", "  ", "    ", " x ", "\n", "\n\n", "\t", "a\tb", "\r\n", "",
    "漢", "字漢字", "。", "😀", " 漢字 mixed", "👩\u200d💻", "\u200d", "e\u0301", "\u0301", "1\u20e3", "🇫", "🇷", "ท",
    "ี่", "\x1b[2J", "\x9b", "[bold]", "\u202e", "\ud83d", "→", "x" * 30, " averyverylongwordthatneverends" * 2,
    " def f(x):\n    return x",
]
# fmt: on
texts = st.lists(st.one_of(st.sampled_from(AWKWARD), st.text(max_size=6)), max_size=60)
wraps = st.integers(MIN_WRAP, 24)

Shape = list[tuple[list[tuple[int, str, int]], int, bool]]


def laid_out(wrap: int, items: list[str], marks: bool = True) -> TokenLayout:
    layout = TokenLayout(wrap)
    for index, text in enumerate(items):
        layout.append(index, text, marks=marks)
    return layout


def shape(layout: TokenLayout) -> Shape:
    return [(line.pieces, line.width, line.hard) for line in layout.lines]


@settings(deadline=None)
@given(wraps, texts, st.booleans())
def test_every_character_is_shown_once_in_order_and_within_the_wrap(wrap: int, items: list[str], marks: bool) -> None:
    layout = laid_out(wrap, items, marks)
    seen = dict.fromkeys(range(len(items)), "")
    for line in layout.lines:
        assert line.width == sum(width for _, _, width in line.pieces)
        assert line.width <= wrap + line.hard
        for item, text, width in line.pieces:
            assert cell_len(text) == width
            assert all(ord(char) >= 32 for char in text)
            seen[item] += text
    order = [item for line in layout.lines for item, _, _ in line.pieces]
    assert order == sorted(order)
    assert set(order) == set(seen)
    for item, text in enumerate(items):
        want = display_text(text).replace("\n", "↵" if marks else "").replace("\t", "→" if marks else "")
        # Spaces are where a line may end, so they alone may go missing or, after a tab, come in.
        assert seen[item].replace(" ", "") == want.replace(" ", "")


@settings(deadline=None)
@given(wraps, texts, st.data())
def test_dropping_the_tail_leaves_what_the_rest_alone_would_make(
    wrap: int, items: list[str], data: st.DataObject
) -> None:
    layout = laid_out(wrap, items)
    for _ in range(3):
        count = data.draw(st.integers(0, len(items)))
        layout.truncate(count)
        assert shape(layout) == shape(laid_out(wrap, items[:count]))
        items = items[:count] + data.draw(texts)
        for index in range(count, len(items)):
            layout.append(index, items[index])
        assert shape(layout) == shape(laid_out(wrap, items))


@settings(deadline=None)
@given(wraps, texts)
def test_places_and_items_agree(wrap: int, items: list[str]) -> None:
    layout = laid_out(wrap, items)
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for y, line in enumerate(layout.lines):
        cell = char = 0
        for item, text, width in line.pieces:
            if first.setdefault(item, y) == y and item not in last:
                assert layout.column_of(item) == cell
            last[item] = y
            if width:
                assert layout.item_at(y, cell) == layout.item_at(y, cell + width - 1) == item
            if text:
                assert layout.item_at(y, char, cells=False) == item
            cell += width
            char += len(text)
        assert layout.item_at(y, cell) is None
    for item in range(len(items)):
        assert layout.line_of(item) == first[item]
        assert layout.last_line_of(item) == last[item]


def rows(wrap: int, *items: str, marks: bool = True) -> list[str]:
    return ["".join(text for _, text, _ in line.pieces) for line in laid_out(wrap, list(items), marks).lines]


def test_a_word_goes_to_the_next_line_as_a_whole() -> None:
    assert rows(10, "One", " sur", "pris", "ing", " word") == ["One ", "surprising", "word"]
    assert rows(8, "(well", ") known") == ["(well) ", "known"]
    assert rows(6, "abcdef", "ghi", " j") == ["abcdef", "ghi j"]


def test_newlines_and_tabs_are_drawn_only_for_tokens() -> None:
    assert rows(10, "a\n", "\n", "\tb") == ["a↵", "↵", "→   b"]
    assert rows(10, "a\n", "\n", "\tb", marks=False) == ["a", "", "    b"]
    assert rows(4, "abcd", "\n") == ["abcd↵", ""]


def test_wide_characters_break_anywhere_and_never_in_half() -> None:
    assert rows(5, "漢字漢字") == ["漢字", "漢字"]
    assert rows(5, "ab", "漢字", "cd") == ["ab漢", "字cd"]


@pytest.mark.parametrize("text", ["x" * 10_000, "word " * 2_000, "漢" * 10_000])
def test_a_very_long_line(text: str) -> None:
    layout = laid_out(80, [text])
    assert sum(len(piece[1]) for line in layout.lines for piece in line.pieces) >= len(text.replace(" ", ""))
    layout.truncate(0)
    assert shape(layout) == shape(TokenLayout(80))
