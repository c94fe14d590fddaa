"""Which replies of the history are wanted: what can be chosen for each filter, and what was chosen in words."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import structs

from playground.domain.display import display_line
from playground.domain.history import APP, Query
from playground.screens.choice_dialog import Answer, Question

_DATES: Final = (("any day", None), ("today", 0), ("the last 7 days", 6), ("the last 30 days", 29), ("this year", 365))
"""In words, and how many days before today it begins."""
_ORIGINS: Final = (
    ("from anywhere, a sweep in one line", ()),
    ("from the app", (APP,)),
    ("by the command run", ("run",)),
    ("by the command compare", ("compare",)),
    ("every reply of sweeps", ("sweep",)),
)
"""In words, and where they were asked for."""
_COSTS: Final = (("any cost", None), ("not free", 1e-9), ("from $0.01", 0.01), ("from $0.10", 0.1), ("from $1", 1.0))


_ALL: Final = Query(grouped=True)
"""Nothing is left out: of a sweep there is one line, whose replies would bury all others."""
FILTERS: Final = ("model", "preset", "date", "cost", "origin")


class Filter(NamedTuple):
    """What one key narrows the list down by."""

    key: str
    """Name of its binding, without "history."."""
    words: str
    """What is in force."""
    short: str
    """What stands there where there is little room and nothing is left out."""
    action: str
    """Of the history screen, which a click runs."""
    narrow: bool
    """True when it leaves anything out."""


class Filters:
    """The filters in force."""

    def __init__(self) -> None:
        self.query = _ALL
        self._date = self._cost = self._origin = 0

    @property
    def narrow(self) -> bool:
        """True when something is left out."""
        return structs.replace(self.query, deleted=False) != _ALL

    def words(self) -> list[Filter]:
        """Each filter with what is in force."""
        query = self.query
        model, preset = display_line(query.model), display_line(query.preset)
        origin = _ORIGINS[self._origin][0] if self._origin else "from anywhere"
        return [
            Filter("model", model or "any model", "model", "filter('model')", bool(model)),
            Filter("preset", preset or "any preset", "preset", "filter('preset')", bool(preset)),
            Filter("date", _DATES[self._date][0], "time", "filter('date')", self._date > 0),
            Filter("cost", _COSTS[self._cost][0], "cost", "filter('cost')", self._cost > 0),
            Filter("origin", origin, "from", "filter('origin')", self._origin > 0),
            Filter("starred", "★ only" if query.starred else "starred or not", "starred", "starred", query.starred),
            Filter("deleted", "deleted ones" if query.deleted else "deleted", "deleted", "deleted", query.deleted),
            Filter("clear", "all", "all", "clear", False),
        ]

    def search(self, text: str) -> None:
        """Look for other words."""
        self.query = structs.replace(self.query, text=text)

    def toggle_starred(self) -> None:
        """Only those with a star, or all."""
        self.query = structs.replace(self.query, starred=not self.query.starred)

    def toggle_deleted(self) -> None:
        """Those that were deleted, or those that were not."""
        self.query = structs.replace(self.query, deleted=not self.query.deleted)

    def clear(self) -> None:
        """Leave nothing out; those that were deleted stay where they are."""
        self.query = structs.replace(_ALL, deleted=self.query.deleted)
        self._date = self._cost = self._origin = 0

    def question(self, which: str, names: Sequence[str]) -> Question:
        """What to ask for a filter: one of `FILTERS`; `names`: models or presets there are."""
        if which in ("model", "preset"):
            labels = [f"any {which}", *(display_line(name) for name in names)]
        else:
            labels = [label for label, _ in {"date": _DATES, "cost": _COSTS, "origin": _ORIGINS}[which]]
        title = "Where from?" if which == "origin" else f"Which {which}?"
        return Question(title, "Only those are listed.", [Answer(label) for label in labels])

    def choose(self, which: str, names: Sequence[str], answer: int) -> None:
        """Put an answer to that question in force."""
        match which:
            case "model" | "preset":
                self.query = structs.replace(self.query, **{which: names[answer - 1] if answer else ""})
            case "date":
                self._date, days = answer, _DATES[answer][1]
                since = None if days is None else _midnight(days)
                self.query = structs.replace(self.query, since=since)
            case "origin":
                self._origin, origins = answer, _ORIGINS[answer][1]
                self.query = structs.replace(self.query, origins=origins, grouped=not origins)
            case _:
                self._cost = answer
                self.query = structs.replace(self.query, least_cost=_COSTS[answer][1])


def _midnight(days_before: int) -> float:
    """The beginning of a day in local time, in seconds since 1970; of the year for 365 days before."""
    now = time.localtime()
    if days_before == 365:
        return time.mktime((now.tm_year, 1, 1, 0, 0, 0, 0, 0, -1))
    return time.mktime((now.tm_year, now.tm_mon, now.tm_mday - days_before, 0, 0, 0, 0, 0, -1))
