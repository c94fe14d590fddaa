"""Asking a server which models it has, and what it tells about one."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from playground.backends.anthropic_client import AnthropicClient
from playground.backends.anthropic_models import ModelFacts, card_of, read_list, read_one
from playground.backends.hosted_errors import bad_reply
from playground.domain.endpoints import Endpoint, Secret
from playground.domain.errors import BadReply, HostedError, RequestRefused, ServerUnreachable
from playground.domain.models import ModelCard

_MOST: Final = 1000
"""Models on one page of the list, the most there can be."""


async def list_anthropic_models(endpoint: Endpoint, key: Secret | None) -> list[ModelCard]:
    """The models of an endpoint: those the server lists, or else those the settings name.

    Raises KeyMissing, KeyRefused, ConfigError and HostedError; the latter not when the settings name some.
    """
    client = AnthropicClient(endpoint, key)
    try:
        listed = await _listed(client, endpoint)
    except HostedError:
        if not endpoint.models:
            raise
        listed = []
    finally:
        await client.close()
    if listed:
        return [card_of(endpoint, facts.id, facts) for facts in listed]
    return [card_of(endpoint, name, None) for name in endpoint.models]


async def ask_facts(client: AnthropicClient, endpoint: Endpoint, model: str) -> ModelFacts | None:
    """What the server tells about a model; None when it tells nothing, be it because it is busy.

    Raises KeyMissing, KeyRefused, ServerUnreachable, RequestRefused (no such model, address moved) and ConfigError.
    """
    try:
        one = await client.ask(f"/v1/models/{quote(model, safe='')}", model)
        if one.error is None:
            return _readable(one.body)
        if one.status not in (400, 404, 405, 501):
            raise one.error
        listed = await _listed(client, endpoint)
    except ServerUnreachable:
        raise
    except HostedError:
        return None
    found = next((facts for facts in listed if facts.id == model), None)
    if found is None and one.status == 404 and not one.lacks_route and any(facts.type == "model" for facts in listed):
        names = ", ".join(facts.id for facts in listed[:5])
        raise RequestRefused(one.error.message, f"It has, for example: {names}.", one.error.detail)
    if found is None and len(listed) == 1 and listed[0].owned_by == "llamacpp":
        return listed[0]  # it answers with its one model, whatever name is asked for
    return found


async def _listed(client: AnthropicClient, endpoint: Endpoint) -> list[ModelFacts]:
    """The server's list; empty when it has none to give."""
    answer = await client.ask("/v1/models", "", limit=_MOST)
    if answer.lacks_route:
        return []
    if answer.error is not None:
        raise answer.error
    try:
        return read_list(answer.body)
    except ValueError as error:
        failure: BadReply = bad_reply(endpoint, str(error), began=False)
    raise failure


def _readable(body: bytes) -> ModelFacts | None:
    try:
        return read_one(body)
    except ValueError:
        return None
