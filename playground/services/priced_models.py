"""Models whose price is known, and which of them a person could ask now."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from playground.domain.endpoints import Endpoint
from playground.domain.errors import ConfigError
from playground.services.keys import locate_key
from playground.services.prices import PriceTable
from playground.services.settings import Settings

RESELLERS: Final = ("openrouter",)
"""Endpoints that sell hundreds of models of others."""


class PricedModel(NamedTuple):
    """A model that a load can be reckoned on."""

    name: str
    """As ENDPOINT/MODEL."""
    at_hand: bool
    """There is a key for its endpoint, or settings speak of the endpoint or the model."""
    window: int | None
    """Context window in tokens, as the table of prices has it; None: nobody knows."""

    def has_room(self, tokens: int) -> bool:
        """False when prompt and reply of so many tokens are known not to go into its context window."""
        return self.window is None or tokens <= self.window


def priced_models(endpoints: Mapping[str, Endpoint], prices: PriceTable, settings: Settings) -> list[PricedModel]:
    """Those whose price is known, and those that endpoints offer by name. Reads files: call it in a thread.

    What has no price for both prompt and reply, such as an embedding, is not among them.
    """
    known = set(at_hand(endpoints.values(), settings))
    spoken_of = {settings.model, *settings.prices}
    return [
        PricedModel(
            name=(name := f"{endpoint.name}/{model}"),
            at_hand=endpoint.name in known or name in spoken_of,
            window=prices.context_window(endpoint, model),
        )
        for endpoint in endpoints.values()
        for model in dict.fromkeys([*endpoint.models, *prices.models(endpoint)])
    ]


def at_hand(endpoints: Iterable[Endpoint], settings: Settings) -> Iterator[str]:
    """Names of endpoints for which there is a key or an entry in the settings."""
    for endpoint in endpoints:
        found = endpoint.name in settings.endpoints
        with contextlib.suppress(ConfigError):  # a key that cannot be used is told where it is needed
            found = found or locate_key(endpoint, settings) is not None
        if found:
            yield endpoint.name


def is_resold(name: str) -> bool:
    """True for a model that somebody sells whose it is not."""
    return name.partition("/")[0] in RESELLERS
