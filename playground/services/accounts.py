"""What replies cost and how long they took: the books of one session, over all its panes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from playground.domain.endpoints import REPLAY, Endpoint
from playground.domain.events import Finished
from playground.domain.models import ModelCard
from playground.domain.sampling import UNLIMITED
from playground.domain.usage import Usage
from playground.services.latency import LatencyLog
from playground.services.prices import PriceTable
from playground.services.settings import Settings
from playground.services.spending import Spending, Spent

EXPECTED_REPLY: Final = 500
"""Tokens an estimate reckons for a reply without a limit, before the model has written one."""


class Accounts:
    """Prices, what was spent, and waiting times. All methods belong to one event loop."""

    def __init__(self, settings: Settings, endpoints: Callable[[], Mapping[str, Endpoint]]) -> None:
        self.prices = PriceTable(settings.prices)
        self.spending = Spending(settings.budget)
        self.latency = LatencyLog()
        self._endpoints = endpoints
        self.spent_on: dict[str, Spent] = {}
        """What each model cost in this session, by its id."""
        self._last_reply: dict[str, int] = {}

    async def load(self) -> None:
        """Read the table of prices, so that questions after it take no time."""
        await self.prices.load()

    def price(self, card: ModelCard, usage: Usage) -> float | None:
        """US dollars a call to this model cost; None when nobody knows."""
        if _is_free(card):
            return 0.0
        endpoint, model = self._place(card)
        return self.prices.cost(endpoint, model, usage) if endpoint is not None else None

    def costs_nothing(self, card: ModelCard) -> bool:
        """True where every call costs nothing; False also where nobody knows."""
        return self.price(card, Usage(prompt_tokens=1, completion_tokens=1)) == 0.0

    def estimate(self, card: ModelCard, prompt_tokens: int, max_tokens: int) -> float | None:
        """US dollars the next call would cost, its reply reckoned with the limit or the length of the last one."""
        if _is_free(card):
            return 0.0
        endpoint, model = self._place(card)
        if endpoint is None:
            return None
        reply = self._last_reply.get(card.id, EXPECTED_REPLY) if max_tokens == UNLIMITED else max_tokens
        return self.prices.estimate(endpoint, model, prompt_tokens, reply)

    async def settle(self, card: ModelCard, finished: Finished) -> None:
        """Enter a finished reply into the books."""
        self.latency.add(card.id, finished.timings)
        self._last_reply[card.id] = finished.usage.completion_tokens
        if not _is_free(card):
            await self._spend(card, finished.usage.cost)

    async def settle_broken(self, card: ModelCard) -> None:
        """Enter a reply that broke off after its first words: what it cost, nobody told."""
        if not _is_free(card):
            await self._spend(card, 0.0 if self.costs_nothing(card) else None)

    async def _spend(self, card: ModelCard, usd: float | None) -> None:
        self.spent_on[card.id] = self.spent_on.get(card.id, Spent()).plus(usd)
        await self.spending.add(usd)

    def _place(self, card: ModelCard) -> tuple[Endpoint | None, str]:
        return self._endpoints().get(card.provider), card.id.removeprefix(f"{card.provider}/")


def _is_free(card: ModelCard) -> bool:
    """True where nobody is paid: a model of this program's own, or a recording."""
    return card.local or card.provider == REPLAY
