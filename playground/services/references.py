"""From `ENDPOINT/MODEL` to a backend that is ready to be asked: address, key, patience and fallback put together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from playground.backends.base import Backend
from playground.domain.endpoints import REPLAY, Endpoint, ModelRef, parse_model_ref
from playground.domain.errors import BadInput, KeyMissing
from playground.domain.models import ModelCard
from playground.services.endpoints import fallback_for, load_endpoints
from playground.services.keys import find_key, where_to_put_key
from playground.services.recordings import find_recording
from playground.services.settings import Settings
from playground.services.toml_files import one_line

_HINT: Final = "Models on servers are written ENDPOINT/MODEL, such as anthropic/claude-sonnet-5."


def read_reference(text: str, settings: Settings) -> ModelRef:
    """Read what a person wrote to choose a model; without a known endpoint in front it is a file on this machine."""
    return parse_model_ref(text, {*load_endpoints(settings), REPLAY}) if text != REPLAY else ModelRef("", text)


class Files(Protocol):
    """Opens and closes models on this machine, which several may share."""

    async def open_file(self, name: str) -> Backend:
        """A model by its path or a part of its name."""
        ...

    async def close(self, backend: Backend) -> None:
        """Give one back."""
        ...


async def open_reference(
    ref: ModelRef, settings: Settings, *, speed: float = 1.0, fallback: str = "", files: Files | None = None
) -> Backend:
    """A backend for a recording or a hosted model, the latter with retries and perhaps a second model behind it.

    Nothing is sent. `speed` is that of a recording. `fallback` names the second model; empty: the one that settings
    name, if any. What it needs is looked at when it is needed. `files` opens one that is on this machine.

    Raises:
        KeyMissing: an endpoint wants a key and there is none; the hint says where to put it.
        ConfigError: a key, an address or a recording cannot be used.
        BadInput: there is no such endpoint, or the reference names a file.
    """
    if ref.endpoint == REPLAY:
        from playground.backends.registry import open_replay

        path = await asyncio.to_thread(find_recording, ref.name)
        return await asyncio.to_thread(open_replay, path, speed=speed)
    from playground.backends.resilient import ResilientBackend

    endpoint, hosted = await _open_plain(ref, settings)
    second = read_reference(fallback or fallback_for(endpoint, settings), settings)
    return ResilientBackend(
        hosted,
        attempts=settings.hosted.attempts,
        retry_limit_s=settings.hosted.retry_limit_s,
        fallback=_opener(second, settings, files) if second.name and second != ref else None,
        close_fallback=files.close if files is not None else None,
    )


async def models_of(endpoint: Endpoint, settings: Settings) -> list[ModelCard]:
    """The models of an endpoint. Raises KeyMissing, KeyRefused, ConfigError and HostedError."""
    from playground.backends.registry import list_models

    key = find_key(endpoint, settings)
    if key is None and endpoint.key_needed and not endpoint.headers:
        raise key_missing(endpoint, settings)
    return await list_models(endpoint, key)


def key_missing(endpoint: Endpoint, settings: Settings) -> KeyMissing:
    """The error for an endpoint without a key, with the place where one can be put."""
    return KeyMissing(f"There is no key for {endpoint.name}.", where_to_put_key(endpoint, settings))


async def _open_plain(ref: ModelRef, settings: Settings) -> tuple[Endpoint, Backend]:
    """A hosted model by itself."""
    from playground.backends.registry import import_api, open_hosted

    endpoint = load_endpoints(settings).get(ref.endpoint)
    if endpoint is None:
        raise BadInput(f"{one_line(ref.text, 80)} is no model on a server.", _HINT)
    if not ref.name and endpoint.api == "anthropic":
        raise BadInput(f"Which model of {endpoint.name} is meant?", _HINT)
    key = find_key(endpoint, settings)
    if key is None and endpoint.key_needed and not endpoint.headers:
        raise key_missing(endpoint, settings)
    await asyncio.to_thread(import_api, endpoint)
    return endpoint, open_hosted(endpoint, ref.name, key, stall_s=settings.hosted.stall_s)


def _opener(ref: ModelRef, settings: Settings, files: Files | None) -> Callable[[], Awaitable[Backend]]:
    """Opens a fallback, which has none of its own: it is patient in the wrapper that called for it."""

    async def open_it() -> Backend:
        if ref.endpoint == REPLAY:
            return await open_reference(ref, settings)
        if not ref.endpoint and files is not None:
            return await files.open_file(ref.name)
        _, backend = await _open_plain(ref, settings)
        try:
            await backend.prepare()
        except BaseException:
            await backend.close()
            raise
        return backend

    return open_it
