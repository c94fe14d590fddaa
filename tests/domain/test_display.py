"""Nothing a model writes may steer the terminal, and nothing it writes may be invisible."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.domain.display import display_text, visible_piece

UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@settings(deadline=None)
@given(st.text())
def test_nothing_unsafe_comes_out(raw: str) -> None:
    shown = display_text(raw)
    assert not [char for char in shown if char not in "\n\t" and unicodedata.category(char) in UNSAFE]
    assert bool(shown) == bool(raw)


@settings(deadline=None)
@given(st.text())
def test_safe_text_stays_as_it_is(raw: str) -> None:
    shown = display_text(raw)
    assert display_text(shown) == shown


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain [bold]text[/]", "plain [bold]text[/]"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("\x9b2J\x7f", "\ufffd2J␡"),
        ("a\u202eb", "ab"),
        ("\u200b", "·"),
        ("👩\u200d💻", "👩💻"),
        ("👍🏽", "👍"),
        ("🏽", "◌"),
        ("❤\ufe0f", "❤"),
        ("e\u0301", "e\u0301"),
        ("\u0301", "◌\u0301"),
        ("x\u00a0y", "x y"),
        ("\ud83d", "\ufffd"),
        ("a\nb\tc", "a\nb\tc"),
        ("", ""),
    ],
)
def test_samples(raw: str, shown: str) -> None:
    assert display_text(raw) == shown


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        (b" the", "·the"),
        (b"a  b ", "a··b·"),
        (b"\n\n", "↵↵"),
        (b"\tx", "→x"),
        (b"\xf0\x9f", "‹F0 9F›"),
        (b"\x98\x80", "‹98 80›"),
        (b"ok\xf0\x9f", "ok‹F0 9F›"),
        (b"\x80 ok", "‹80›·ok"),
        ("é漢😀".encode(), "é漢😀"),
        (b"\xff\xffa\xc3", "‹FF FF›a‹C3›"),
        (b"\x1b[2J", "␛[2J"),
        (b"", ""),
    ],
)
def test_pieces_show_every_byte(piece: bytes, shown: str) -> None:
    assert visible_piece(piece) == shown


@settings(deadline=None)
@given(st.binary(max_size=12))
def test_a_piece_is_one_visible_line(piece: bytes) -> None:
    shown = visible_piece(piece)
    assert bool(shown) == bool(piece)
    assert not set("\n\t ") & set(re.sub("‹.*?›", "", shown))
    assert not [char for char in shown if unicodedata.category(char) in UNSAFE]
