"""How fast a model was, from replies that ran beside one another."""

from __future__ import annotations

import pytest

from playground.services.experiment_speeds import speed_of
from playground.services.history_reader import Pace


def pace(began_at: float, ended_at: float, tokens: int) -> Pace:
    return Pace("model", "sweep", began_at, ended_at, tokens)


FOUR = [pace(1000.0, 1010.0, 100), pace(1000.0, 1010.0, 100), pace(1010.0, 1020.0, 100), pace(1010.0, 1020.0, 100)]
"""Two at a time, twenty tokens a second together."""


def test_replies_side_by_side_add_up() -> None:
    assert speed_of(FOUR[:1], 1) == pytest.approx(10.0)
    assert speed_of(FOUR, 2) == pytest.approx(20.0)
    assert speed_of(FOUR[::-1], 2) == pytest.approx(20.0), "in whatever order they come"


def test_the_time_between_two_runs_is_not_counted() -> None:
    assert speed_of([*FOUR[:2], pace(9000.0, 9010.0, 100), pace(9000.0, 9010.0, 100)], 2) == pytest.approx(20.0)


def test_with_another_number_at_once_it_is_rather_too_slow_than_too_fast() -> None:
    assert speed_of(FOUR, 8) == pytest.approx(20.0), "more of them may not be any faster"
    assert speed_of(FOUR, 1) == pytest.approx(10.0), "one alone is at least as fast as beside another"
