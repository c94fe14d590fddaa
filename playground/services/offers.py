"""Hosted models and recordings there are to choose from, as the answers of their servers come in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import msgspec

from playground.domain.endpoints import REPLAY, Endpoint
from playground.domain.errors import BadInput, KeyMissing, PlaygroundError
from playground.domain.models import ModelCard
from playground.services.settings import Settings


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What one endpoint has to offer."""

    endpoint: str
    models: tuple[ModelCard, ...] = ()
    problem: str = ""
    """Why there is nothing, in one or two sentences; empty when all is well."""


async def scan_offers(endpoints: Mapping[str, Endpoint], settings: Settings) -> AsyncIterator[Offer]:
    """Recordings, then endpoints with a key and those that run on this machine, each when it has answered.

    An endpoint that nobody has set up is left out.
    """
    from playground.services.endpoints import running

    yield Offer(endpoint=REPLAY, models=await asyncio.to_thread(_recordings))
    up = set(await running(endpoints.values()))
    asked = [_ask(endpoint, settings, endpoint.name in up) for endpoint in endpoints.values()]
    for answer in asyncio.as_completed(asked):
        offer = await answer
        if offer is not None:
            yield offer


def _recordings() -> tuple[ModelCard, ...]:
    from playground.services.recordings import own_recordings, shipped_recordings

    paths = [*shipped_recordings(), *own_recordings()]
    return tuple(ModelCard(id=f"{REPLAY}/{path.stem}", short_name=path.stem, provider=REPLAY) for path in paths)


async def _ask(endpoint: Endpoint, settings: Settings, up: bool) -> Offer | None:
    """One endpoint's models; None for one that nobody has set up."""
    from playground.services.references import models_of

    if not up and not endpoint.key_needed and endpoint.name not in settings.endpoints:
        return None
    try:
        return Offer(endpoint=endpoint.name, models=tuple(await models_of(endpoint, settings)))
    except KeyMissing as error:
        return Offer(endpoint=endpoint.name, problem=str(error)) if endpoint.name in settings.endpoints else None
    except BadInput as error:
        return Offer(endpoint=endpoint.name, problem=str(error))
    except PlaygroundError as error:
        return Offer(endpoint=endpoint.name, problem=error.message)
