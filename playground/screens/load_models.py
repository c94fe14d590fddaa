"""The models that a load is reckoned on: which of them are listed, and in which order."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING

from playground.domain.display import display_text
from playground.domain.endpoints import parse_model_ref
from playground.domain.load_table import SORTINGS, in_order
from playground.domain.loads import Estimate, Load
from playground.screens.load_start import measured_models
from playground.services.estimates import estimate
from playground.services.priced_models import PricedModel, is_resold, priced_models

if TYPE_CHECKING:
    from playground.screens.token_screen import TokenScreen


class LoadModels:
    """Those of the session stand first, then those a person could ask now, then all whose price is known."""

    def __init__(self, main: TokenScreen, own: str) -> None:
        """`own` is the active pane's model, which the sliders are about; empty without one."""
        self._main = main
        self._own = own
        self.measured = measured_models(main.accounts)
        """How fast models were that replied in this session."""
        self._priced: dict[str, PricedModel] = {}
        """By name; empty until the table of prices is read."""
        self._cramped = 0
        """Models left out of the last rows because their context windows are too small."""

    async def read(self) -> None:
        """Learn which models have prices."""
        main = self._main
        await main.accounts.load()
        found = await asyncio.to_thread(priced_models, dict(main.pool.endpoints), main.accounts.prices, main.settings)
        self._priced = {model.name: model for model in found}

    def is_hosted(self, model: str) -> bool:
        """False for one that runs on this machine."""
        return bool(parse_model_ref(model, set(self._main.pool.endpoints)).endpoint)

    def small_window(self, model: str, load: Load) -> int | None:
        """The context window of a model into which one request of the load does not go, in tokens; else None."""
        found = self._priced.get(model)
        return found.window if found is not None and not found.has_room(load.tokens) else None

    @property
    def elsewhere(self) -> Collection[str]:
        """Models that nobody can ask without a key."""
        return {model.name for model in self._priced.values() if self._place(model.name) == 2}

    def rows(self, load: Load, wanted: str, sorting: int) -> list[Estimate]:
        """The load on each model whose name has all parts of what is wanted, in an order of SORTINGS.

        Resold models and those that are too small for a request come only when a name is wanted.
        """
        parts = wanted.casefold().split()
        mine = dict.fromkeys(filter(None, [self._own, *self.measured]))
        known = [model for model in mine if self._priced or not self.is_hosted(model)]
        others = [model for model in self._priced.values() if model.name not in mine]
        if not parts:
            others = [model for model in others if not is_resold(model.name)]
            roomy = [model for model in others if model.has_room(load.tokens)]
            self._cramped, others = len(others) - len(roomy), roomy
        names = [*known, *(model.name for model in others)]
        names = [name for name in names if all(part in name.casefold() for part in parts)]
        # The sliders are about the active pane's model; it begins with its measured times, and follows them.
        measured = {model: times for model, times in self.measured.items() if model != self._own}
        rows = estimate(load, names, self._main.pool.endpoints, self._main.accounts.prices, measured)
        return sorted(in_order(rows, SORTINGS[sorting]), key=lambda row: self._place(row.model))

    def _place(self, model: str) -> int:
        if model == self._own or model in self.measured:
            return 0
        found = self._priced.get(model)
        return 1 if found is None or found.at_hand else 2

    def nothing(self) -> str:
        """What stands in place of the rows when there is none."""
        return "No model is called that." if self._priced else "Reading the table of prices …"

    def about(self, rows: list[Estimate], wanted: str, sorting: int) -> str:
        """A line about the rows: how many, in which order, what is not among them, and where the prices are from."""
        places = {self._place(row.model) for row in rows}
        order = f"by {SORTINGS[sorting].name}" + (", yours first" if 2 in places and len(places) > 1 else "")
        said = [f"{len(rows):,} model{'s' * (len(rows) != 1)} {order}"]
        if not self._priced:
            return f"{said[0]} · reading the table of prices …"
        if not wanted.strip():
            left_out = sum(map(is_resold, self._priced)) + self._cramped
            said += [f"type for {left_out:,} more"] if left_out else []
        said.append(f"prices: {self._main.accounts.prices.date}")
        return display_text(" · ".join(said))
