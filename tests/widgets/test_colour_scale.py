"""Levels grow the way they are read, what is unknown stays neutral, and the legend says the same."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from rich.style import Style
from textual.app import App, ComposeResult

from playground.domain.tokens import Token
from playground.widgets.colour_scale import (
    LEVELS,
    PALETTE_SIZE,
    ColourMode,
    TokenStyle,
    level_of_entropy,
    level_of_probability,
    level_of_rank,
    level_of_token,
)
from playground.widgets.legend import MIN_SCALE, Legend

PALETTE = [Style(bgcolor=f"color({16 + level})") for level in range(PALETTE_SIZE)]


def test_the_ends_of_the_scales() -> None:
    assert level_of_probability(1.0) == level_of_entropy(0.0) == level_of_rank(1) == LEVELS - 1
    assert level_of_probability(0.0) == level_of_entropy(20.0) == level_of_rank(200_000) == 0
    assert level_of_probability(1.0000001) == LEVELS - 1


def test_more_surprise_is_never_a_calmer_level() -> None:
    likely = [level_of_probability(share / 1000) for share in range(1001)]
    assert all(less <= more for less, more in pairwise(likely))
    assert len(set(likely)) > LEVELS // 2
    assert all(a >= b for a, b in pairwise([level_of_entropy(bits / 10) for bits in range(100)]))
    assert all(a >= b for a, b in pairwise([level_of_rank(rank) for rank in range(1, 2000)]))


def test_what_nobody_measured_is_neutral() -> None:
    unknown = Token(index=0, id=None, piece=b"x", logprob=None, prob=None, rank=None, entropy=None)
    assert {level_of_token(unknown, mode) for mode in ColourMode} == {TokenStyle.PLAIN}


def test_a_token_is_coloured_by_the_mode() -> None:
    token = Token(index=0, id=1, piece=b"x", logprob=math.log(0.5), prob=0.9, rank=3, entropy=2.0)
    assert level_of_token(token, ColourMode.PROBABILITY) == level_of_probability(0.5)
    assert level_of_token(token, ColourMode.ENTROPY) == level_of_entropy(2.0)
    assert level_of_token(token, ColourMode.RANK) == level_of_rank(3)
    assert level_of_token(token, ColourMode.OFF) == TokenStyle.PLAIN


class Host(App[None]):
    """Nothing but a legend."""

    def compose(self) -> ComposeResult:
        yield Legend()

    @property
    def legend(self) -> Legend:
        return self.query_one(Legend)


async def test_the_legend_names_mode_and_ends() -> None:
    app = Host()
    async with app.run_test(size=(80, 3)) as pilot:
        assert "off" in app.legend.render_line(0).text
        app.legend.set_palette(PALETTE)
        assert app.legend.render_line(0).text.split() == [
            "probability", "unlikely", "≤0.1%", "1%", "10%", "50%", "100%", "certain",
        ]  # fmt: skip
        app.legend.mode = ColourMode.RANK
        await pilot.pause()
        assert app.legend.render_line(0).text.split()[:2] == ["rank", "far"]
        app.legend.mode = ColourMode.OFF
        assert app.legend.render_line(0).text.strip() == "colours off"


async def test_what_the_legend_remarks_stays_in_narrow_panes() -> None:
    app = Host()
    async with app.run_test(size=(80, 3)) as pilot:
        app.legend.set_palette(PALETTE)
        app.legend.explain("underlined: guessed ahead", scale=True)
        for width, shown in (
            (80, "probability unlikely ≤0.1% 10% 100% certain · underlined: guessed ahead"),
            (60, "probability ≤0.1% 10% 100% · underlined: guessed ahead"),
            (41, "≤0.1% 100% · underlined: guessed ahead"),
            (36, "≤0.1% 100% · underlined: guessed…"),
            (30, "probability ≤0.1% 10% 100%"),
        ):
            await pilot.resize_terminal(width, 3)
            await pilot.pause()
            assert " ".join(app.legend.render_line(0).text.split()) == shown


@pytest.mark.parametrize("mode", list(ColourMode))
async def test_the_legend_fits_any_width(mode: ColourMode) -> None:
    app = Host()
    async with app.run_test(size=(80, 3)) as pilot:
        app.legend.set_palette(PALETTE)
        app.legend.mode = mode
        for width in (80, 40, 25, MIN_SCALE, 5, 1):
            await pilot.resize_terminal(width, 3)
            await pilot.pause()
            for remark in ("", "last reply: none given"):
                app.legend.explain(remark, scale=True)
                assert app.legend.render_line(0).cell_length == width
