from __future__ import annotations

import pytest
from rich.style import Style

from playground.widgets.bars import bar, centred_bar, fit, percent, stack, thin_bar


def test_bars_are_exact_and_never_hide_what_is_there() -> None:
    assert bar(0.5, 3) == "█▌ "
    assert bar(1e-9, 3) == "▏  "
    assert bar(0.0, 3) == "   "
    assert bar(7.0, 3) == "███"
    assert thin_bar(0.5, 3) == "━╸ "
    assert [centred_bar(share, 5) for share in (0.0, 0.1, 0.6, 1.0)] == ["     ", "  █  ", " ███ ", "█████"]
    assert centred_bar(0.5, 4) == " ██ "
    assert centred_bar(0.1, 4) == " ▐▌ "


def test_a_stack_shows_both_parts_of_a_cell() -> None:
    red, blue = Style(color="red"), Style(color="blue")
    segments = stack([(3, red), (13, blue)], 2)
    assert "".join(segment.text for segment in segments) == "▍█"
    assert segments[0].style == Style(color="red", bgcolor="blue")


@pytest.mark.parametrize(
    ("probability", "text"),
    [(None, "–"), (1.0, "100%"), (0.9999, "100%"), (0.213, "21.3%"), (0.0008, "0.08%"), (1e-7, "<.01%"), (0.0, "0%")],
)
def test_percentages(probability: float | None, text: str) -> None:
    assert percent(probability).strip() == text
    assert len(percent(probability)) == 6


def test_fit_counts_cells() -> None:
    assert fit("日本語", 5) == "日本…"
    assert fit("ab", 4) == "ab  "
    assert fit("abc", 0) == ""
