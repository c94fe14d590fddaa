"""The servers that can be asked: those everybody knows, those on this machine, and the person's own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from playground.domain.display import display_text
from playground.domain.endpoints import Endpoint, SecretHeaders, is_loopback
from playground.domain.errors import ConfigError
from playground.services.addresses import WANTED, clean_address, is_readable_by_others, origin
from playground.services.endpoint_settings import EndpointSettings
from playground.services.settings import Settings, settings_path
from playground.services.variables import expand, unset_variables, variables_in

_CONNECT_S: Final = 0.5
"""A server on this machine that takes longer to accept a connection is not there."""


class Provider(NamedTuple):
    """A server that is built in, and the environment variables that belong to it by custom."""

    endpoint: Endpoint
    variables: tuple[str, ...] = ()
    """Where its key is looked for, in this order."""
    address_variable: str = ""
    """Names another address for it; empty: there is no such custom."""


def _openai(name: str, base_url: str, *variables: str, prices: str = "", address_variable: str = "") -> Provider:
    endpoint = Endpoint(
        name=name,
        api="openai",
        base_url=base_url,
        price_provider=prices or (name if variables else ""),
        key_needed=bool(variables),
    )
    return Provider(endpoint, variables, address_variable)


PROVIDERS: Final[dict[str, Provider]] = {
    provider.endpoint.name: provider
    for provider in (
        Provider(
            Endpoint(
                name="anthropic", api="anthropic", base_url="https://api.anthropic.com", price_provider="anthropic"
            ),
            ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
            "ANTHROPIC_BASE_URL",
        ),
        _openai("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", address_variable="OPENAI_BASE_URL"),
        _openai("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        _openai("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        _openai("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
        _openai("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
        _openai("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
        _openai("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
        _openai("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
        _openai("xai", "https://api.x.ai/v1", "XAI_API_KEY", prices="x-ai"),
        _openai("llamacpp", "http://127.0.0.1:8080/v1"),
        _openai("ollama", "http://127.0.0.1:11434/v1"),
        _openai("lmstudio", "http://127.0.0.1:1234/v1"),
        _openai("vllm", "http://127.0.0.1:8000/v1"),
    )
}
"""By name. Those without variables are programs on this machine, at their usual ports."""


def provider_of(base_url: str) -> Provider | None:
    """The provider whose own host an address leads to."""
    where = origin(base_url)
    return next((one for one in PROVIDERS.values() if one.variables and origin(one.endpoint.base_url) == where), None)


def load_endpoints(settings: Settings) -> dict[str, Endpoint]:
    """Every endpoint by its name, built-in ones first; what settings say of a known name changes that one.

    An endpoint without a usable address is left out; `endpoint_problems` says why.
    """
    found = {name: _built_in(provider) for name, provider in PROVIDERS.items()}
    for name, own in settings.endpoints.items():
        changed = _changed(name, found.get(name), own)
        if changed is not None:
            found[name] = changed
    return found


def endpoint_problems(settings: Settings) -> list[ConfigError]:
    """What is wrong with endpoints beyond the form of the settings file, for a notice at start."""
    problems = [
        ConfigError(f"The environment variable {variable} must be {WANTED}.", "Until then it is not used.")
        for variable in sorted({one.address_variable for one in PROVIDERS.values()} - {""})
        if os.environ.get(variable, "").strip() and not _address_in(variable)
    ]
    path = settings_path()
    for name, own in settings.endpoints.items():
        group = f"{path}: endpoints.{name}"
        if not own.base_url and name not in PROVIDERS:
            problems.append(ConfigError(f"{group} has no base_url.", "Until then the endpoint is left out."))
        problems += [
            ConfigError(f"{group}.headers names {variable}, which is not set.", "That header is not sent.")
            for value in own.headers.values()
            for variable in unset_variables(value)
        ]
        secrets = own.api_key is not None or own.headers
        if secrets and not own.allow_http and is_readable_by_others(own.base_url):
            problems.append(unencrypted(name, own.base_url))
        if own.api_key is not None and not variables_in(own.api_key.reveal()) and _others_can_read(path):
            hint = "Name a variable there instead, or make the file yours alone with chmod 600."
            problems.append(ConfigError(f"{group}.api_key can be read by others.", hint))
    return problems


def unencrypted(name: str, base_url: str) -> ConfigError:
    """The error for a key that others on the network could read."""
    return ConfigError(
        f"The key of {name} is not sent: {origin(base_url)} is not encrypted, and others could read it on its way.",
        f"Use an https:// address, or set allow_http = true under [endpoints.{name}] in {settings_path()}.",
    )


def fallback_for(endpoint: Endpoint, settings: Settings) -> str:
    """Model that takes over when this endpoint is overloaded or out of reach; empty: none."""
    own = settings.endpoints.get(endpoint.name)
    return (own.fallback if own else "") or settings.hosted.fallback


def describe(endpoint: Endpoint) -> str:
    """One line for a list: what it is and where."""
    kind = "Anthropic's API" if endpoint.api == "anthropic" else "OpenAI-compatible API"
    where = "on this machine, " if is_loopback(endpoint.base_url) else ""
    return display_text(f"{kind} {where}at {endpoint.base_url}")


async def running(endpoints: Iterable[Endpoint]) -> list[str]:
    """Names of those on this machine that accept a connection now; nothing is sent to them."""
    local = [endpoint for endpoint in endpoints if is_loopback(endpoint.base_url)]
    answers = await asyncio.gather(*(_accepts(endpoint.base_url) for endpoint in local))
    return [endpoint.name for endpoint, answer in zip(local, answers, strict=True) if answer]


async def _accepts(base_url: str) -> bool:
    from urllib.parse import urlsplit

    parts = urlsplit(base_url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection(parts.hostname, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    try:
        await writer.wait_closed()
    except OSError:
        return True
    return True


def _others_can_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _built_in(provider: Provider) -> Endpoint:
    base_url = _address_in(provider.address_variable)
    return provider.endpoint if not base_url else _at(provider.endpoint, base_url)


def _at(endpoint: Endpoint, base_url: str) -> Endpoint:
    """The same endpoint at another address, where other prices hold and perhaps no key is asked for."""
    same = origin(base_url) == origin(endpoint.base_url)
    return msgspec.structs.replace(
        endpoint,
        base_url=base_url,
        price_provider=endpoint.price_provider if same else "",
        key_needed=endpoint.key_needed and not is_loopback(base_url),
    )


def _address_in(variable: str) -> str:
    try:
        return clean_address(os.environ[variable]) if variable in os.environ else ""
    except ValueError:
        return ""


def _changed(name: str, known: Endpoint | None, own: EndpointSettings) -> Endpoint | None:
    """The endpoint as settings have it; None when nobody says where it is."""
    if known is None and not own.base_url:
        return None
    if known is None:
        hosted = provider_of(own.base_url)
        known = Endpoint(
            name=name,
            api="openai",
            base_url=own.base_url,
            price_provider=hosted.endpoint.price_provider if hosted else "",
            key_needed=hosted is not None and not own.headers,
        )
    if own.base_url:
        known = _at(known, own.base_url)
    return msgspec.structs.replace(
        known,
        api=own.api or known.api,
        headers=_headers(own.headers),
        models=own.models or known.models,
        price_provider=own.price_provider or known.price_provider,
        api_version=own.api_version or known.api_version,
        key_needed=known.key_needed or own.api_key is not None,
    )


def _headers(headers: SecretHeaders) -> SecretHeaders:
    """Headers with the values of their variables; one whose variable is not set, or holds no text, is left out."""
    values = {name: expand(text) for name, text in headers.items()}
    return SecretHeaders(
        {name: text for name, text in values.items() if text and text.isascii() and text.isprintable()}
    )
