"""How fast a model was, from replies that ran beside one another."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from playground.domain.history import Setting
from playground.domain.session import Session
from playground.services.experiment_speeds import known_speeds, speed_of
from playground.services.history import history_path
from playground.services.history_reader import Pace
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from tests.services.history_support import ask


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


def keep(model: str, began_at: float, tokens_per_second: float) -> None:
    """A reply of two tokens in the history that took one of them at that speed, and nothing before."""
    session, recorder = Session(), Recorder()
    ask(session, "Hello", "Hi", " there")
    change = recorder.take(session, Setting(model_ref=model))
    assert change is not None
    store = HistoryStore(history_path(), "test", lambda: began_at)
    store.apply(change)
    store.close()
    with contextlib.closing(sqlite3.connect(history_path())) as connection, connection:
        sql = "UPDATE runs SET ttft_ms = 0, tokens_per_second = ? WHERE began = ?"
        assert connection.execute(sql, (tokens_per_second, began_at)).rowcount == 1


@pytest.mark.parametrize("wrong", [1e12, float("inf")])
async def test_a_reply_that_took_no_time_says_nothing_of_speed(wrong: float) -> None:
    keep("instant", 1.76e9, wrong)
    keep("both", 1.77e9, 10.0)
    keep("both", 1.78e9, wrong)
    assert await known_speeds(["instant", "both", "new"], 1) == {"both": pytest.approx(20.0)}
