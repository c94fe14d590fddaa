"""What a product that calls a model would cost and how long its users would wait, reckoned before it is built."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from playground.domain.endpoints import Endpoint
from playground.domain.errors import BadInput
from playground.services.prices import PriceTable

DAYS_A_MONTH: Final = 30
_KEEP_S: Final = {"5m": 300, "1h": 3600}


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """How a model would be used."""

    requests_per_day: float
    prompt_tokens: int
    """Of one request, the cached part included."""
    completion_tokens: int
    cached_share: float = 0.0
    """Part of the prompt that is read from the provider's cache, 0 to 1."""
    ttft_ms: float | None = None
    tokens_per_second: float | None = None


class Caching(msgspec.Struct, frozen=True, kw_only=True):
    """What keeping a prompt in the provider's cache costs, and from when on it pays."""

    kept: str
    """"5m" or "1h"."""
    write: float
    """US dollars to write the cached part once."""
    read: float
    """US dollars to read it once."""
    plain: float
    """US dollars to send it without a cache once."""
    pays_from_reads: int | None
    """Reads of one writing from which on it is cheaper; None: never."""
    pays_from_requests_per_day: float | None
    """Requests a day, evenly spread, from which on each finds what the one before has left; None: never."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A load on one model. None is "nobody knows"."""

    model: str
    request: float | None
    """US dollars of one request."""
    day: float | None
    month: float | None
    """Of 30 days."""
    response_s: float | None
    """TTFT and the time to write the reply: what a person waits for the whole of it."""
    caching: tuple[Caching, ...] = ()


def estimate(load: Load, models: Sequence[str], endpoints: dict[str, Endpoint], prices: PriceTable) -> list[Estimate]:
    """Reckon a load on each model, written ENDPOINT/MODEL; one without an endpoint runs here and is free.

    Raises BadInput for an endpoint that does not exist and for figures that cannot be.
    """
    _check(load)
    return [_estimate(load, model, endpoints, prices) for model in models]


def _estimate(load: Load, reference: str, endpoints: dict[str, Endpoint], prices: PriceTable) -> Estimate:
    name, slash, model = reference.partition("/")
    if slash and name not in endpoints:
        raise BadInput(f"There is no endpoint {name!r}.", f"Known ones: {', '.join(endpoints)}.")
    endpoint = endpoints[name] if slash else None
    cached = round(load.prompt_tokens * load.cached_share)
    request = prices.estimate(endpoint, model, load.prompt_tokens, load.completion_tokens, cached_tokens=cached)
    day = None if request is None else request * load.requests_per_day
    return Estimate(
        model=reference,
        request=request,
        day=day,
        month=None if day is None else day * DAYS_A_MONTH,
        response_s=_response_s(load),
        caching=_caching(load, endpoint, model, prices) if endpoint is not None else (),
    )


def _response_s(load: Load) -> float | None:
    if load.ttft_ms is None or not load.tokens_per_second:
        return None
    # The first token comes with the TTFT; the others one after another.
    return load.ttft_ms / 1000 + max(0, load.completion_tokens - 1) / load.tokens_per_second


def _caching(load: Load, endpoint: Endpoint, model: str, prices: PriceTable) -> tuple[Caching, ...]:
    """Only where the provider charges for writing: elsewhere caching costs nothing and always pays."""
    size = round(load.prompt_tokens * (load.cached_share or 1.0))
    plain = prices.estimate(endpoint, model, size, 0)
    read = prices.estimate(endpoint, model, size, 0, cached_tokens=size)
    writes = {
        "5m": prices.estimate(endpoint, model, size, 0, cache_write_5m_tokens=size),
        "1h": prices.estimate(endpoint, model, size, 0, cache_write_1h_tokens=size),
    }
    if endpoint.api != "anthropic" or plain is None or read is None:
        return ()
    return tuple(
        Caching(
            kept=kept,
            write=write,
            read=read,
            plain=plain,
            pays_from_reads=reads_to_break_even(plain, write, read),
            pays_from_requests_per_day=None if read >= plain else 86_400 / _KEEP_S[kept],
        )
        for kept, write in writes.items()
        if write is not None
    )


def reads_to_break_even(plain: float, write: float, read: float) -> int | None:
    """Reads n from which on writing once and reading n times is cheaper than sending n + 1 times; None: never.

    write + n * read < (n + 1) * plain holds from n > (write - plain) / (plain - read) on.
    """
    if read >= plain:
        return None
    return max(0, math.floor((write - plain) / (plain - read) + 1e-9) + 1)


def _check(load: Load) -> None:
    if load.requests_per_day < 0 or load.prompt_tokens < 0 or load.completion_tokens < 0:
        raise BadInput("Requests and tokens cannot be less than nothing.")
    if not 0.0 <= load.cached_share <= 1.0:
        raise BadInput(f"A cached share of {load.cached_share:g} cannot be.", "Give 0 to 1, such as 0.8.")
