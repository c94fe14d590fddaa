"""What a request costs: prices of the person's own, else the table that the package genai-prices brings along.

Nothing is fetched. A price that nobody knows is None, never zero.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Final

import msgspec

from playground.domain.endpoints import Endpoint, ModelRef, is_loopback
from playground.domain.prices import Price
from playground.domain.usage import Usage

if TYPE_CHECKING:
    from datetime import date

    from genai_prices.types import ModelInfo, ModelPrice, Provider

_PACKAGE: Final = "genai-prices"
_WRITE_5M_FACTOR: Final = 1.25
"""https://platform.claude.com/docs/en/build-with-claude/prompt-caching#pricing, as is the next one."""
_WRITE_1H_FACTOR: Final = 2.0
_NO_TEXT: Final = re.compile(
    r"embed|rerank|moderation|prompt-guard|whisper|transcribe|realtime|dall-e|(?<![a-z])(tts|image|sora|veo)(?![a-z])",
    re.IGNORECASE,
)
"""In the names of models that write no text, or whose text is not what one pays for. The table does not tell."""
_FREE: Final = Price(input_per_mtok=0.0, output_per_mtok=0.0)


class PriceTable:
    """Prices by endpoint and model. The first question takes half a second, unless `load` was awaited before."""

    def __init__(self, overrides: Mapping[str, Price] | None = None) -> None:
        self._overrides = dict(overrides or {})
        """By "endpoint/model"."""
        self._entries: dict[tuple[str, str, str], ModelPrice | None] = {}
        """What the table has, by provider, address and model; None where it has no price."""

    async def load(self) -> None:
        """Read the table in a thread, so that the questions after it take no time."""
        await asyncio.to_thread(lambda: self.date)

    @cached_property
    def date(self) -> str:
        """Where the prices are from and how new they are, to be shown beside them."""
        from importlib.metadata import version

        latest = _latest_change()
        return f"{_PACKAGE} {version(_PACKAGE)}" + (f", latest change {latest:%Y-%m-%d}" if latest else "")

    def cost(self, endpoint: Endpoint | None, model: str, usage: Usage) -> float | None:
        """US dollars of one finished request, as exact as its counts; None when the price is unknown.

        `endpoint` is None for a model of this program's own, which costs nothing, as does a server on this machine that
        wants no key. A price of the person's own wins over what
        the server itself said it charged, and that over the table. Prices depend on the size of the prompt: give each
        request by itself, never a sum of them.
        """
        if endpoint is None:
            return 0.0
        own = self._overrides.get(ModelRef(endpoint.name, model).text)
        if own is not None:
            if endpoint.api == "anthropic":
                return own.cost(usage, write_5m_factor=_WRITE_5M_FACTOR, write_1h_factor=_WRITE_1H_FACTOR)
            return own.cost(usage)
        if usage.cost is not None:
            return usage.cost
        if _is_own_program(endpoint):
            return 0.0
        return _from_table(endpoint, model, usage)

    def estimate(
        self,
        endpoint: Endpoint | None,
        model: str,
        prompt_tokens: int | None,
        completion_tokens: int,
        *,
        cached_tokens: int = 0,
        cache_write_5m_tokens: int = 0,
        cache_write_1h_tokens: int = 0,
    ) -> float | None:
        """US dollars of a request that is not made yet; None when the price, or the prompt's length, is unknown.

        `prompt_tokens` is the whole prompt, what is read from a cache and written to one included.
        """
        usage = Usage(
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            cache_write_5m_tokens=cache_write_5m_tokens,
            cache_write_1h_tokens=cache_write_1h_tokens,
            completion_tokens=completion_tokens,
            estimate=True,
        )
        return self.cost(endpoint, model, usage)

    def rates(self, endpoint: Endpoint | None, model: str, prompt_tokens: int) -> Price | None:
        """What a million tokens cost in a prompt of this length; None when the price is unknown.

        For many loads on many models: `estimate` asks the table's own arithmetic each time, which takes a hundred times
        as long. Both come to the same.
        """
        if endpoint is None:
            return _FREE
        own = self._overrides.get(ModelRef(endpoint.name, model).text)
        if own is not None:
            return _with_writes(own) if endpoint.api == "anthropic" else own
        if _is_own_program(endpoint):
            return _FREE
        key = (endpoint.price_provider, endpoint.base_url, model)
        if key not in self._entries:
            found = _find(endpoint, model)
            self._entries[key] = None if found is None else _entry(found[1])
        entry = self._entries[key]
        return None if entry is None else _at_length(entry, prompt_tokens)

    def models(self, endpoint: Endpoint) -> list[str]:
        """Models of an endpoint whose price is known: those of the person's own prices, then those of the table.

        What writes no text, such as an embedding, is left out of the table, also where it is priced by the token.
        """
        own = [name.partition("/")[2] for name in self._overrides if name.partition("/")[0] == endpoint.name]
        provider = _provider(endpoint)
        for info in provider.models if provider is not None else ():
            if _NO_TEXT.search(info.id):
                continue
            key = (endpoint.price_provider, endpoint.base_url, info.id)
            if key not in self._entries and info.is_match(info.id):
                self._entries[key] = _entry(info)
            if self._entries.get(key) is not None:
                own.append(info.id)
        return list(dict.fromkeys(own))

    def sellers(self, model: str, endpoints: Iterable[Endpoint]) -> list[str]:
        """Who sells a model of this name for money, as ENDPOINT/MODEL; else models with a word that begins so."""
        paid = [endpoint for endpoint in endpoints if not _is_own_program(endpoint)]
        exact = [endpoint for endpoint in paid if self.rates(endpoint, model, 0) is not None]
        if exact:
            return [ModelRef(endpoint.name, model).text for endpoint in exact]
        part = re.compile(rf"(?<![a-z0-9]){re.escape(model)}", re.IGNORECASE)
        return [
            ModelRef(endpoint.name, name).text
            for endpoint in paid
            for name in self.models(endpoint)
            if part.search(name)
        ]

    def context_window(self, endpoint: Endpoint, model: str) -> int | None:
        """Context window in tokens as the table has it, for servers that do not tell; None when it is not there."""
        found = _find(endpoint, model)
        return None if found is None else found[1].context_window


def _latest_change() -> date | None:
    """Day of the youngest change of a price that the table dates, up to today."""
    import datetime

    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import StartDateConstraint

    today = datetime.datetime.now(tz=datetime.UTC).date()
    conditions = (
        price.constraint
        for provider in get_snapshot().providers
        for model in provider.models
        for price in (*(model.prices if isinstance(model.prices, list) else ()), *(model.price_variants or ()))
    )
    days = (condition.start_date for condition in conditions if isinstance(condition, StartDateConstraint))
    return max((day for day in days if day <= today), default=None)


def _find(endpoint: Endpoint, model: str) -> tuple[Provider, ModelInfo] | None:
    """Whose prices hold at an endpoint. A name alone does not tell: somebody else may sell the same model."""
    from genai_prices.data_snapshot import get_snapshot

    provider = endpoint.price_provider or None
    try:
        return get_snapshot().find_provider_model(model, None, provider, None if provider else endpoint.base_url)
    except LookupError:
        return None


def _provider(endpoint: Endpoint) -> Provider | None:
    from genai_prices.data_snapshot import get_snapshot

    provider = endpoint.price_provider or None
    try:
        return get_snapshot().find_provider(None, provider, None if provider else endpoint.base_url)
    except LookupError:
        return None


def _entry(info: ModelInfo) -> ModelPrice | None:
    """What holds today; hundreds of models stand in the table without a price, and it takes them for free."""
    import datetime

    price = info.get_prices(datetime.datetime.now(tz=datetime.UTC))
    return None if price.input_mtok is None or price.output_mtok is None else price


def _at_length(entry: ModelPrice, prompt_tokens: int) -> Price | None:
    """The prices of one entry for a prompt of some length: some are charged more per token when they are long."""
    from genai_prices.types import TieredPrices

    def usd(value: object) -> float | None:
        if isinstance(value, TieredPrices):
            tiers = (tier.price for tier in reversed(value.tiers) if prompt_tokens > tier.start)
            return float(next(tiers, value.base))
        return None if value is None else float(str(value))

    prompt, reply, write = usd(entry.input_mtok), usd(entry.output_mtok), usd(entry.cache_write_mtok)
    hour = usd(entry.cache_write_1h_mtok)
    if prompt is None or reply is None:
        return None
    return Price(
        input_per_mtok=prompt,
        output_per_mtok=reply,
        cache_read_per_mtok=usd(entry.cache_read_mtok),
        cache_write_5m_per_mtok=write,
        cache_write_1h_per_mtok=write if hour is None else hour,
    )


def _with_writes(own: Price) -> Price:
    """A person's own price at Anthropic's API, where what they left out follows from what a prompt costs."""
    five, hour = own.cache_write_5m_per_mtok, own.cache_write_1h_per_mtok
    return msgspec.structs.replace(
        own,
        cache_write_5m_per_mtok=own.input_per_mtok * _WRITE_5M_FACTOR if five is None else five,
        cache_write_1h_per_mtok=own.input_per_mtok * _WRITE_1H_FACTOR if hour is None else hour,
    )


def _is_own_program(endpoint: Endpoint) -> bool:
    """True for a program on this machine; one that hands on to somebody else gets a price in the settings."""
    return is_loopback(endpoint.base_url) and not endpoint.key_needed and not endpoint.headers


def _from_table(endpoint: Endpoint, model: str, usage: Usage) -> float | None:
    found = _find(endpoint, model)
    if found is None or usage.prompt_tokens is None:
        return None
    from genai_prices import Usage as TableUsage

    provider, info = found
    write_5m, write_1h = usage.cache_write_5m_tokens, usage.cache_write_1h_tokens
    try:
        price = info.calc_price(
            TableUsage(
                input_tokens=usage.prompt_tokens,
                cache_read_tokens=usage.cached_tokens or 0,
                cache_write_tokens=write_5m + write_1h,
                cache_write_5m_tokens=write_5m,
                cache_write_1h_tokens=write_1h,
                output_tokens=usage.completion_tokens,
            ),
            provider,
        )
    except ValueError:  # counts that contradict each other
        return None
    known = price.model_price
    # Hundreds of models stand in the table without a price; it takes them for free.
    return None if known.input_mtok is None or known.output_mtok is None else float(price.total_price)
