"""Figures, places and colours of a scored text."""

from __future__ import annotations

import math

import pytest
from msgspec import structs

from playground.domain.scoring import ScoreDifference, compare_scores, sum_up
from playground.domain.tokens import Candidate, Token
from playground.widgets.colour_scale import PALETTE_SIZE, TokenStyle
from playground.widgets.score_colours import DIFFERENCES, SIDE, signed, style_of_difference
from playground.widgets.score_figures import ScoreFigures
from playground.widgets.score_list import place_of_difference, place_of_surprise
from playground.widgets.score_token import ScoreToken
from tests.widgets.support import Stand, screen_text


def scored(index: int, probability: float, other: float = 0.0, rank: int = 1) -> Token:
    """A token, and one that could have stood there."""
    found = [Candidate(1, b" here", math.log(probability), None)]
    if other:
        found.append(Candidate(2, b" there", math.log(other), None))
    top = tuple(sorted(found, key=lambda one: -(one.logprob or 0.0)))
    return Token(index, 1, b" here", math.log(probability), None, rank, 1.5, top)


FIRST = Token(0, 1, b"The", None, None, None, None)
ONE = sum_up([FIRST, scored(1, 0.5, 0.25), scored(2, 0.25, 0.5, rank=2)])
OTHER = sum_up([FIRST, scored(1, 0.25, 0.5, rank=2), scored(2, 0.25, 0.5, rank=2)])


def difference(bits: float | None) -> ScoreDifference:
    """A difference of so many bits."""
    return ScoreDifference(0, 1, b"x", None if bits is None else bits * math.log(2), 0, 0.0, 1.0)


def test_colours_of_differences_lie_on_both_sides_of_none() -> None:
    middle = PALETTE_SIZE + SIDE
    assert style_of_difference(difference(0.0)) == middle
    steps = [style_of_difference(difference(bits)) for bits in (-9.0, -4.0, -1.0, -0.1, 0.1, 1.0, 4.0, 9.0)]
    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (PALETTE_SIZE, PALETTE_SIZE + DIFFERENCES - 1)
    assert [middle - step for step in steps[:4]] == [step - middle for step in reversed(steps[4:])]
    assert len(set(steps)) == 6
    assert style_of_difference(difference(None)) == TokenStyle.PLAIN


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (0.0, "0.00"), (-0.001, "0.00"), (1.5, "+1.50"), (-2.25, "−2.25")]
)
def test_a_difference_has_a_sign_unless_it_rounds_to_none(value: float | None, text: str) -> None:
    assert signed(value) == text


def test_places_say_what_was_expected_and_what_changed() -> None:
    place = place_of_surprise(ONE.tokens[2])
    assert (place.at, place.figure, place.text) == (2, "2.00", "·here")
    assert place.more == "50.0% ·there"
    assert place_of_surprise(ONE.tokens[1]).more == "", "the model expected it"
    changed = place_of_difference(compare_scores(ONE, OTHER).tokens[1], ONE.tokens[1], OTHER.tokens[1])
    assert changed.figure == "−1.00"
    assert (changed.more, changed.extra, changed.divergence) == ("50.0% → 25.0%", "  rank 1 → 2", "")
    exact = compare_scores(ONE, structs.replace(OTHER, divergences=(None, 0.25, 0.5)))
    changed = place_of_difference(exact.tokens[1], ONE.tokens[1], OTHER.tokens[1])
    assert changed.divergence == " KL 0.250"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_figures_of_two_models_stand_side_by_side_with_the_bound_called_one(size: tuple[int, int]) -> None:
    app = Stand(ScoreFigures)
    async with app.run_test(size=size) as pilot:
        figures = app.query_one(ScoreFigures)
        figures.show(ONE)
        await pilot.pause()
        assert "2.83" in screen_text(app)
        figures.show_both(ONE, OTHER, ("KV f16", "KV q8_0"), compare_scores(ONE, OTHER))
        await pilot.pause()
        text = screen_text(app)
        assert "KV f16" in text
        assert "KV q8_0" in text
        assert "≥ 0.1" in text
        assert "50.0%" in text, "half of the favourites are the same"
        assert "at least" in str(figures.tooltip)
        exact = compare_scores(ONE, structs.replace(OTHER, divergences=(None, 0.25, 0.5)))
        figures.show_both(ONE, OTHER, ("KV f16", "KV q8_0"), exact)
        await pilot.pause()
        assert "0.3750" in screen_text(app)
        assert "≥" not in screen_text(app)
        assert "whole vocabulary" in str(figures.tooltip)
        figures.show_both(ONE, OTHER, ("small", "large"), None)
        await pilot.pause()
        assert "≥" not in screen_text(app)


async def test_the_first_token_says_why_it_has_no_probability() -> None:
    app = Stand(ScoreToken)
    async with app.run_test(size=(60, 30)) as pilot:
        panel = app.query_one(ScoreToken)
        panel.show(FIRST)
        await pilot.pause()
        assert "Nothing stands before this token" in screen_text(app)
        assert "probability  " not in screen_text(app)
        panel.show(ONE.tokens[1], OTHER.tokens[1], compare_scores(ONE, OTHER).tokens[1])
        await pilot.pause()
        text = screen_text(app)
        assert "Nothing stands" not in text
        row = next(line for line in text.splitlines() if "·there" in line)
        assert row.split()[-2:] == ["25.0%", "50.0%"]
        assert "−1.00 bits" in text
        panel.show(scored(1, 1e-9), scored(1, 0.5))
        await pilot.pause()
        assert "·there" not in screen_text(app)


def test_two_probabilities_too_small_for_a_percentage_are_told_as_log_probabilities() -> None:
    first, second = (Token(0, 1, b" x", logprob, None, 900, 2.0) for logprob in (-10.5, -14.25))
    place = place_of_difference(ScoreDifference(0, 1, b" x", -3.75, 0, None, None), first, second)
    assert place.more == "log-prob -10.50 → -14.25"
