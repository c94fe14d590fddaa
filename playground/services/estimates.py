"""What a product that calls a model would cost and how long its users would wait, reckoned before it is built."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from msgspec import structs

from playground.domain.endpoints import Endpoint, parse_model_ref
from playground.domain.errors import BadInput
from playground.domain.loads import (
    DAYS_A_MONTH,
    KEEP_S,
    PROVIDERS_OWN,
    SECONDS_A_DAY,
    Caching,
    Estimate,
    Load,
    Times,
    reads_to_break_even,
)
from playground.domain.prices import Price
from playground.domain.usage import Usage
from playground.services.prices import PriceTable

_MOST_REQUESTS: Final = 1e12
_MOST_TOKENS: Final = 1e9
_MOST_MS: Final = 1e9
_MOST_SPEED: Final = 1e6


def estimate(
    load: Load,
    models: Iterable[str],
    endpoints: Mapping[str, Endpoint],
    prices: PriceTable,
    measured: Mapping[str, Times] | None = None,
    *,
    unplaced: Collection[str] = (),
) -> list[Estimate]:
    """Reckon a load on each model, written ENDPOINT/MODEL; one without an endpoint runs here and is free.

    Args:
        load: The load.
        models: The models.
        endpoints: What can stand before a slash.
        prices: What tokens cost.
        measured: How fast some of the models were; the others are as fast as the load says.
        unplaced: Those without an endpoint that are not on this machine either: nobody knows what they cost.

    Raises:
        BadInput: For an endpoint that does not exist and for figures that cannot be.
    """
    _check(load)
    return [
        _estimate(_at_speed(load, (measured or {}).get(model)), model, endpoints, None if model in unplaced else prices)
        for model in models
    ]


def caching(load: Load, reference: str, endpoints: Mapping[str, Endpoint], prices: PriceTable) -> tuple[Caching, ...]:
    """What keeping the prompt costs there; empty where a token from the cache is no cheaper. Raises BadInput."""
    endpoint, model = _place(reference, endpoints)
    rates = prices.rates(endpoint, model, load.prompt_tokens)
    return () if endpoint is None or rates is None else _caching(load, endpoint, rates)


def _estimate(load: Load, reference: str, endpoints: Mapping[str, Endpoint], prices: PriceTable | None) -> Estimate:
    endpoint, model = _place(reference, endpoints)
    rates = None if prices is None else prices.rates(endpoint, model, load.prompt_tokens)
    cached = _cost(rates, load, round(load.prompt_tokens * load.cached_share))
    uncached = _cost(rates, load, 0)
    waiting, writing = _seconds(load)
    return Estimate(
        model=reference,
        request=cached,
        day=_times(cached, load.requests_per_day),
        month=_times(cached, load.requests_per_day * DAYS_A_MONTH),
        uncached_request=uncached,
        uncached_day=_times(uncached, load.requests_per_day),
        uncached_month=_times(uncached, load.requests_per_day * DAYS_A_MONTH),
        response_s=None if waiting is None or writing is None else waiting + writing,
        waiting_s=waiting,
        writing_s=writing,
        caching=() if endpoint is None or rates is None else _caching(load, endpoint, rates),
    )


def _place(reference: str, endpoints: Mapping[str, Endpoint]) -> tuple[Endpoint | None, str]:
    found = parse_model_ref(reference, set(endpoints))
    if found.endpoint:
        return endpoints[found.endpoint], found.name
    name, slash, _ = reference.partition("/")
    if slash and name and not reference.endswith(".gguf"):
        raise BadInput(f"There is no endpoint {name!r}.", f"Known ones: {', '.join(endpoints)}.")
    return None, reference


def _cost(rates: Price | None, load: Load, cached_tokens: int) -> float | None:
    if rates is None:
        return None
    return rates.cost(
        Usage(
            prompt_tokens=load.prompt_tokens,
            cached_tokens=cached_tokens,
            completion_tokens=load.completion_tokens,
            estimate=True,
        )
    )


def _times(usd: float | None, count: float) -> float | None:
    return None if usd is None else usd * count


def _at_speed(load: Load, times: Times | None) -> Load:
    if times is None:
        return load
    return structs.replace(load, ttft_ms=times.ttft_ms, tokens_per_second=times.tokens_per_second)


def _seconds(load: Load) -> tuple[float | None, float | None]:
    """The wait, and the writing: the first token comes with the TTFT, the others one after another."""
    waiting = None if load.ttft_ms is None else load.ttft_ms / 1000
    speed = load.tokens_per_second
    return waiting, max(0, load.completion_tokens - 1) / speed if speed else None


def _caching(load: Load, endpoint: Endpoint, rates: Price) -> tuple[Caching, ...]:
    """By how long it is kept; a provider that charges nothing for writing decides that by itself.

    Nothing where the part costs nothing anyway: a prompt that is free, or a share that is not one token.
    """
    per_token = 1e-6 * load.cacheable_tokens
    plain = rates.input_per_mtok * per_token
    if plain <= 0:
        return ()
    read = plain if rates.cache_read_per_mtok is None else rates.cache_read_per_mtok * per_token
    writes: list[tuple[str, float | None]] = []
    if endpoint.api == "anthropic":
        writes = [("5m", rates.cache_write_5m_per_mtok), ("1h", rates.cache_write_1h_per_mtok)]
    elif read < plain:
        writes = [(PROVIDERS_OWN, rates.cache_write_5m_per_mtok)]
    found = []
    for kept, rate in writes:
        write = plain if rate is None else rate * per_token
        reads = reads_to_break_even(plain, write, read)
        lasts = KEEP_S.get(kept)
        found.append(
            Caching(
                kept=kept,
                write=write,
                read=read,
                plain=plain,
                pays_from_reads=reads,
                pays_from_requests_per_day=None if reads is None or lasts is None else SECONDS_A_DAY / lasts,
            )
        )
    return tuple(found)


def _check(load: Load) -> None:
    figures = (
        ("Requests a day", load.requests_per_day, _MOST_REQUESTS),
        ("Tokens of a prompt", load.prompt_tokens, _MOST_TOKENS),
        ("Tokens of a reply", load.completion_tokens, _MOST_TOKENS),
        ("Milliseconds to the first token", load.ttft_ms, _MOST_MS),
    )
    for name, given, most in figures:
        if given is not None and not 0 <= given <= most:
            raise BadInput(f"{name}: {given:,} cannot be.", f"Give 0 to {most:,.0f}.")
    speed = load.tokens_per_second
    if speed is not None and not 0 < speed <= _MOST_SPEED:
        raise BadInput(f"Tokens per second: {speed:,} cannot be.", f"Give more than 0, up to {_MOST_SPEED:,.0f}.")
    if not 0.0 <= load.cached_share <= 1.0:
        raise BadInput(f"A cached share of {load.cached_share:g} cannot be.", "Give 0 to 1, such as 0.8.")
