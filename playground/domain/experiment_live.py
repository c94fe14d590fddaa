"""The groups of a sweep while it runs: only those that have changed are reckoned anew."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from playground.domain.experiment_groups import Group, UnitKind, group_of
from playground.domain.experiments import CellResult, Sweep

Place = tuple[str, int, int]
"""Model, index of the prompt, index of the setting."""


class _Stale(NamedTuple):
    """A group to be reckoned, with the results it has now."""

    place: Place
    change: int
    """Number of the latest change to it."""
    results: tuple[CellResult, ...]


class _Reckoned(NamedTuple):
    """A group as it was after a change."""

    place: Place
    change: int
    group: Group


class LiveGroups:
    """Takes results one by one. `groups` of `experiment_groups` gives the same figures, all at once."""

    def __init__(self, sweep: Sweep, results: Iterable[CellResult] = ()) -> None:
        self.sweep = sweep
        self._places: dict[str, list[Place]] = defaultdict(list)
        """Where the result of a cell belongs, by its id; equal settings share their cells."""
        self._results: dict[Place, dict[str, CellResult | None]] = {}
        self._found: dict[Place, Group] = {}
        self._stale: dict[Place, int] = {}
        """The latest change to each group that is not in its figures yet; so that nothing is lost when somebody who
        has begun to reckon gives up."""
        self._changes = 0
        self._kind: UnitKind = "tokens"
        for model in sweep.models:
            for at in range(len(sweep.prompts)):
                for which in range(len(sweep.settings)):
                    cells = sweep.group(model, at, which)
                    self._results[model, at, which] = dict.fromkeys(cell.id for cell in cells)
                    for cell in cells:
                        self._places[cell.id].append((model, at, which))
        for result in results:
            self.add(result)

    @property
    def kind(self) -> UnitKind:
        """What texts are compared by, as `unit_kind` says."""
        return self._kind

    @property
    def changed(self) -> bool:
        """True when there are groups to be reckoned."""
        return bool(self._stale)

    @property
    def places(self) -> list[Place]:
        """Of the groups that were reckoned, in the order of the plan."""
        return [place for place in self._results if place in self._found]

    @property
    def groups(self) -> list[Group]:
        """Those that were reckoned, in the order of the plan."""
        return [self._found[place] for place in self.places]

    def add(self, result: CellResult) -> None:
        """Take a result; one that is not of this sweep is passed over."""
        self._changes += 1
        for place in self._places.get(result.id, ()):
            self._results[place][result.id] = result
            self._stale[place] = self._changes
        if self._kind == "tokens" and result.problem is None and result.tokens is None and result.id in self._places:
            self._kind = "words"
            self._stale |= {place: self._changes for place in self._results if self._have(place)}

    def results(self, place: Place) -> list[CellResult]:
        """What a group has, in the order of the samples."""
        return list(self._have(place))

    def reckon(self) -> None:
        """Bring the groups up to date."""
        self.put(self.reckoned(*self.take()))

    def take(self) -> tuple[list[_Stale], UnitKind]:
        """What is to be reckoned, for `reckoned`; it stays so until `put`."""
        return [_Stale(place, change, self._have(place)) for place, change in self._stale.items()], self._kind

    def reckoned(self, stale: list[_Stale], kind: UnitKind) -> list[_Reckoned]:
        """The groups; touches nothing that changes, so another thread may do it."""
        return [_Reckoned(one.place, one.change, group_of(self.sweep, *one.place, one.results, kind)) for one in stale]

    def put(self, found: list[_Reckoned]) -> None:
        """Take what was reckoned. A group that has changed meanwhile is to be reckoned again."""
        for one in found:
            self._found[one.place] = one.group
            if self._stale.get(one.place) == one.change:
                del self._stale[one.place]

    def _have(self, place: Place) -> tuple[CellResult, ...]:
        return tuple(result for result in self._results[place].values() if result is not None)
