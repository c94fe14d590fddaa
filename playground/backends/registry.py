"""Opens a backend for a model that is not a file: each kind in its own module, imported when it is first used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from playground.domain.endpoints import Endpoint, Secret
from playground.domain.models import ModelCard

if TYPE_CHECKING:
    from playground.backends.base import Backend


def open_hosted(endpoint: Endpoint, model: str, key: Secret | None, *, stall_s: float = 60.0) -> Backend:
    """A backend for one model of an endpoint. Nothing is sent before `prepare` or the first request.

    `stall_s` is how long the server may send nothing before a reply is given up.
    """
    match endpoint.api:
        case "anthropic":
            from playground.backends.anthropic import AnthropicBackend

            return AnthropicBackend(endpoint, model, key, stall_s=stall_s)
        case "openai":
            from playground.backends.openai import OpenAIBackend

            return OpenAIBackend(endpoint, model, key, stall_s=stall_s)
        case _:
            assert_never(endpoint.api)


def import_api(endpoint: Endpoint) -> None:
    """Import what `open_hosted` needs for an endpoint. It may take a while, and can be done in a thread."""
    match endpoint.api:
        case "anthropic":
            import playground.backends.anthropic
        case "openai":
            import playground.backends.openai  # noqa: F401
        case _:
            assert_never(endpoint.api)


def open_replay(path: Path, *, speed: float = 1.0) -> Backend:
    """A backend that plays a recording; reading it blocks.

    Raises ConfigError for a file that is no recording, BadInput for a speed that is not above zero.
    """
    from playground.backends.replay import ReplayBackend

    return ReplayBackend(path, speed=speed)


async def list_models(endpoint: Endpoint, key: Secret | None) -> list[ModelCard]:
    """The models an endpoint has: those it lists, or else those that settings name.

    Raises KeyMissing, KeyRefused, ConfigError and HostedError.
    """
    match endpoint.api:
        case "anthropic":
            from playground.backends.anthropic_listing import list_anthropic_models

            return await list_anthropic_models(endpoint, key)
        case "openai":
            from playground.backends.openai import list_openai_models

            return await list_openai_models(endpoint, key)
        case _:
            assert_never(endpoint.api)
