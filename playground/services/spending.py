"""What was spent: a running total of the session, and of the day over all instances of the app on this machine."""

from __future__ import annotations

import asyncio
import datetime
import math
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from playground.domain.errors import BudgetReached
from playground.domain.prices import Budget, usd_text
from playground.services.paths import locked, user_state_dir, write_text_atomic

NO_BUDGET: Final = Budget()
_MAX_BYTES: Final = 1 << 16


class Spent(msgspec.Struct, frozen=True):
    """A sum of money, and beside it the requests whose price nobody knows."""

    usd: float = 0.0
    unknown: int = 0
    """Requests of unknown price; their cost is not in the sum."""

    def plus(self, usd: float | None) -> Spent:
        """With one more request, whose cost may be unknown."""
        return Spent(self.usd, self.unknown + 1) if usd is None else Spent(self.usd + usd, self.unknown)

    def __str__(self) -> str:
        if not self.unknown:
            return usd_text(self.usd)
        return f"{usd_text(self.usd)} and {_unpriced(self.unknown)}"


class _Day(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file."""

    day: str
    usd: float
    unknown: int


class Spending:
    """Counts what requests cost, and stops those that would overdraw a budget."""

    def __init__(self, budget: Budget = NO_BUDGET, today: Callable[[], datetime.date] = datetime.date.today) -> None:
        self.budget = budget
        self.session = Spent()
        self._today = today
        self._day = (today(), Spent())
        self._trouble = ""
        self._told: set[str] = set()
        self.refresh()

    @property
    def day(self) -> Spent:
        """Spent today, as far as this instance has heard of it."""
        date, spent = self._day
        return spent if date == self._today() else Spent()

    def refresh(self) -> None:
        """Take in what other instances have spent meanwhile; a small file is read."""
        try:
            self._day = self._today(), self._read()
        except OSError:
            return  # what this instance knows by itself goes on to hold

    async def add(self, usd: float | None) -> None:
        """Count a finished request; None: its price is unknown."""
        self.session = self.session.plus(usd)
        if usd != 0.0:  # what is free needs no disk
            await asyncio.to_thread(self._add_to_day, usd)

    def check_budget(self, *estimates_usd: float | None, anyway: bool = False) -> None:
        """Ask before requests are sent: one estimate for each of them, None where the price is unknown.

        Raises BudgetReached, with the figures and what to do, when they would overdraw the budget of a request or of
        the day, or when a budget cannot be kept because a price is unknown. `anyway` is for a person who was asked.
        """
        per_request, per_day = self.budget.per_request_usd, self.budget.per_day_usd
        if anyway or (per_request is None and per_day is None):
            return
        if any(usd is None for usd in estimates_usd):
            raise _price_unknown(self.budget)
        known = [usd for usd in estimates_usd if usd is not None]
        dearest, total = max(known, default=0.0), sum(known)
        if per_request is not None and dearest > per_request:
            raise BudgetReached(
                f"This request would cost about {usd_text(dearest)}, and the budget of one request is "
                f"{usd_text(per_request)}.",
                "Send it all the same, or make it shorter, choose a cheaper model, or raise budget.per_request_usd in "
                "the settings.",
            )
        self.refresh()
        if per_day is not None and total > 0 and self.day.usd + total > per_day:
            besides = f", besides {_unpriced(self.day.unknown)}" if self.day.unknown else ""
            what = "this request" if len(known) == 1 else "these requests together"
            raise BudgetReached(
                f"{usd_text(self.day.usd)} of today's budget of {usd_text(per_day)} is spent{besides}, and {what} "
                f"would cost about {usd_text(total)}.",
                "Send it all the same, or wait for tomorrow, choose a cheaper model, or raise budget.per_day_usd in "
                "the settings.",
            )

    def take_trouble(self) -> str:
        """A sentence about the record of the day when something is wrong with it, each once; usually empty."""
        trouble, self._trouble = self._trouble, ""
        return trouble

    def _add_to_day(self, usd: float | None) -> None:
        try:
            with locked("spending"):
                today, spent = self._today(), self._read().plus(usd)
                self._day = today, spent
                record = _Day(today.isoformat(), spent.usd, spent.unknown)
                write_text_atomic(_file(), msgspec.json.encode(record).decode() + "\n")
        except OSError:
            self._day = self._today(), self.day.plus(usd)
            self._say("What was spent today cannot be written to a file: the sum holds until you leave.")

    def _read(self) -> Spent:
        """Today's sum from the file; raises OSError when it is there and cannot be read."""
        try:
            with _file().open("rb") as file:
                record = msgspec.json.decode(file.read(_MAX_BYTES), type=_Day)
        except FileNotFoundError:
            return Spent()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._start_anew()
        if not (math.isfinite(record.usd) and record.usd >= 0 and record.unknown >= 0):
            return self._start_anew()
        return Spent(record.usd, record.unknown) if record.day == self._today().isoformat() else Spent()

    def _start_anew(self) -> Spent:
        self._say("The record of what was spent today is damaged: the sum of the day starts anew.")
        return self.day

    def _say(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self._trouble = sentence


def _file() -> Path:
    return user_state_dir() / "spending.json"


def _unpriced(requests: int) -> str:
    return f"{requests:,} request{'s' if requests != 1 else ''} of unknown price"


def _price_unknown(budget: Budget) -> BudgetReached:
    budgets = [
        f"{usd_text(limit)} a {per}"
        for limit, per in ((budget.per_request_usd, "request"), (budget.per_day_usd, "day"))
        if limit is not None
    ]
    return BudgetReached(
        f"The price of this model is unknown, so nobody can say whether the budget of {' and '.join(budgets)} holds.",
        "Send it all the same, or give the model a price in the settings, under [prices].",
    )
