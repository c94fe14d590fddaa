"""Running totals and budgets, over the real file."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import pytest

from playground.domain.errors import BudgetReached
from playground.domain.prices import Budget
from playground.services.paths import user_state_dir
from playground.services.spending import Spending, Spent

NOVEMBER = datetime.date(2026, 11, 22)


class Calendar:
    """A day that a test can turn over."""

    def __init__(self) -> None:
        self.today = NOVEMBER

    def __call__(self) -> datetime.date:
        return self.today


def record() -> Path:
    return user_state_dir() / "spending.json"


async def test_the_day_outlives_the_session_and_ends_at_midnight() -> None:
    calendar = Calendar()
    first = Spending(today=calendar)
    for usd in (0.25, 0.0, None, 0.5):
        await first.add(usd)
    assert first.session == first.day == Spent(0.75, 1)
    assert str(first.day) == "$0.7500 and 1 request of unknown price"
    second = Spending(today=calendar)
    assert (second.session, second.day) == (Spent(), Spent(0.75, 1))
    calendar.today += datetime.timedelta(days=1)
    assert second.day == Spent()
    await second.add(1.0)
    assert second.day == Spending(today=calendar).day == Spent(1.0)
    assert first.session == Spent(0.75, 1)


async def test_two_instances_share_the_day_and_lose_nothing() -> None:
    one, other = Spending(), Spending()
    await asyncio.gather(*(spending.add(0.5) for spending in (one, other) for _ in range(20)))
    one.refresh()
    assert one.day == Spent(20.0)
    assert other.session == Spent(10.0)


async def test_a_free_reply_touches_no_file() -> None:
    spending = Spending()
    await spending.add(0.0)
    assert not record().exists()


@pytest.mark.parametrize(
    "content", [b"", b"\xff{", b"[]", b'{"day": "2026-11-22", "usd": -1, "unknown": 0}', b"[" * 9999]
)
async def test_a_damaged_record_starts_anew_and_says_so_once(content: bytes) -> None:
    record().parent.mkdir(parents=True)
    record().write_bytes(content)
    spending = Spending(today=Calendar())
    assert spending.day == Spent()
    spending.refresh()
    assert "starts anew" in spending.take_trouble()
    spending.refresh()
    assert not spending.take_trouble()
    await spending.add(0.5)
    assert Spending(today=Calendar()).day == Spent(0.5)


async def test_without_a_place_to_write_the_sum_is_kept_in_memory() -> None:
    user_state_dir().parent.mkdir(parents=True)
    user_state_dir().write_text("a file where the folder should be")
    spending = Spending()
    await spending.add(0.5)
    await spending.add(0.25)
    assert spending.day == spending.session == Spent(0.75)
    assert "cannot be written" in spending.take_trouble()


def test_the_budget_of_a_request() -> None:
    spending = Spending(Budget(per_request_usd=0.25))
    spending.check_budget(0.25)
    with pytest.raises(BudgetReached, match=r"about \$0\.2600.*is \$0\.2500") as caught:
        spending.check_budget(0.01, 0.26)
    assert "budget.per_request_usd" in caught.value.hint
    spending.check_budget(0.26, anyway=True)


async def test_the_budget_of_a_day_counts_what_others_spent_and_what_goes_out_together() -> None:
    mine, other = Spending(Budget(per_day_usd=5.0)), Spending()
    await other.add(4.8)
    await other.add(None)
    mine.check_budget(0.1)
    with pytest.raises(
        BudgetReached, match=r"^\$4\.80 of today's budget of \$5\.00 is spent, besides 1 request of"
    ) as one:
        mine.check_budget(0.21)
    assert "this request would cost about $0.2100" in one.value.message
    with pytest.raises(BudgetReached, match=r"these requests together would cost about \$0\.3000"):
        mine.check_budget(0.1, 0.1, 0.1)
    await other.add(1.0)
    mine.check_budget(0.0)
    with pytest.raises(BudgetReached):
        mine.check_budget(0.0001)


def test_an_unknown_price_asks_only_when_there_is_a_budget() -> None:
    Spending().check_budget(None)
    spending = Spending(Budget(per_request_usd=1.0, per_day_usd=5.0))
    with pytest.raises(
        BudgetReached, match=r"price of this model is unknown.*\$1\.00 a request and \$5\.00 a day"
    ) as caught:
        spending.check_budget(0.1, None)
    assert "[prices]" in caught.value.hint
    spending.check_budget(None, anyway=True)
