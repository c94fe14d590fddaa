"""API keys: found in the environment, in settings or in a file of their own, and sent to nobody but their owner.

A key is bound to an address. One from a provider's usual variable goes to that provider's own host, or to the address
that the person gave for that very provider; a stored one to the address it was stored with. No message quotes a key.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from playground.domain.endpoints import Endpoint, Secret, is_loopback
from playground.domain.errors import ConfigError
from playground.domain.sizes import size_text
from playground.services.addresses import clean_address, is_readable_by_others
from playground.services.endpoints import PROVIDERS, Provider, load_endpoints, provider_of, unencrypted
from playground.services.paths import locked, user_config_dir, write_text_atomic
from playground.services.settings import Settings, settings_path
from playground.services.toml_files import MAX_BYTES, one_line, parse_toml, table
from playground.services.variables import expand, unset_variables, variables_in

DOTS: Final = "•••"
_KEY: Final = re.compile(r"[\x21-\x7e]{1,4000}")
_SHORTEST: Final = 6
"""Shorter ones, such as the "none" that some servers want, may be part of any word."""
_HINT: Final = "Keys are one line of letters, digits and signs."


class FoundKey(NamedTuple):
    """A key and where it came from."""

    key: Secret
    source: str
    """Such as "OPENAI_API_KEY" or the path of a file."""


def keys_path() -> Path:
    """The file of stored keys; it may not exist."""
    return user_config_dir() / "keys.toml"


def find_key(endpoint: Endpoint, settings: Settings) -> Secret | None:
    """The key for an endpoint, and for its present address alone; None when there is none.

    A variable that settings name for the endpoint comes first, then the provider's usual variables, then a key written
    into settings, then the file of keys.

    Raises ConfigError when a key cannot be used as it is, would travel unencrypted, or when others can read the file.
    """
    found = locate_key(endpoint, settings)
    return found.key if found else None


def locate_key(endpoint: Endpoint, settings: Settings) -> FoundKey | None:
    """`find_key`, with the place where the key was found. Raises as it does."""
    found = _from_settings_and_environment(endpoint, settings)
    if found is None:
        # A mistake in the file of keys must not keep anybody from a server that wants none.
        with contextlib.suppress(*([ConfigError] if is_loopback(endpoint.base_url) else [])):
            found = _stored(endpoint)
    own = settings.endpoints.get(endpoint.name)
    secrets = found is not None or bool(endpoint.headers)
    if secrets and is_readable_by_others(endpoint.base_url) and not (own is not None and own.allow_http):
        raise unencrypted(endpoint.name, endpoint.base_url)
    return found


def where_to_put_key(endpoint: Endpoint, settings: Settings) -> str:
    """One sentence for somebody who has a key and needs to know where it goes."""
    own = settings.endpoints.get(endpoint.name)
    missing = unset_variables(own.api_key.reveal()) if own is not None and own.api_key is not None else ()
    if missing:
        return f"Set the environment variable {missing[0]}, which {settings_path()} names for {endpoint.name}."
    provider = _bound_provider(endpoint, settings)
    if provider is not None:
        return (
            f"Set the environment variable {provider.variables[0]} and start again, or write two lines into "
            f'{keys_path()}, readable by you alone: [{endpoint.name}] and key = "…".'
        )
    return (
        f'Write api_key = "${{VARIABLE}}" under [endpoints.{endpoint.name}] in {settings_path()}, with the name of '
        "the environment variable that holds the key."
    )


def save_key(name: str, base_url: str, key: Secret) -> None:
    """Store a key for an endpoint, bound to the address; only the owner can read the file.

    Raises ConfigError when the key or the address cannot be used, or the file is broken, open to others, or cannot be
    written; then nothing has changed.
    """
    text = _usable(key.reveal(), "The key").reveal()
    try:
        address = clean_address(base_url)
    except ValueError as error:
        raise ConfigError(f"The address of {one_line(name, 60)} must be {error}.", "The key was not stored.") from None
    _edit(name, {"base_url": address, "key": text})


def forget_key(name: str) -> None:
    """Take an endpoint's stored key away. Raises ConfigError as `save_key` does."""
    if keys_path().exists():
        _edit(name, None)


def known_secrets(settings: Settings) -> tuple[Secret, ...]:
    """Every key and header value within reach, whomever it belongs to: what must appear in nothing that is written."""
    texts = [os.environ.get(variable, "") for one in PROVIDERS.values() for variable in one.variables]
    for own in settings.endpoints.values():
        for text in (own.api_key.reveal() if own.api_key else "", *own.headers.values()):
            texts += [expand(text), *(os.environ.get(variable, "") for variable in variables_in(text))]
    with contextlib.suppress(ConfigError):  # what cannot be read cannot be sent either
        texts += [entry["key"] for entry in _read().values()]
    # "Bearer KEY" is a secret, and so is KEY.
    parts = {part for text in texts for part in (text.strip(), *text.split())}
    return tuple(Secret(part) for part in sorted(parts, key=lambda part: (-len(part), part)) if len(part) >= _SHORTEST)


def without_secrets(text: str, secrets: Iterable[Secret]) -> str:
    """The text with dots in place of every secret."""
    for secret in secrets:
        text = text.replace(secret.reveal(), DOTS)
    return text


def _from_settings_and_environment(endpoint: Endpoint, settings: Settings) -> FoundKey | None:
    own = settings.endpoints.get(endpoint.name)
    # The endpoint may be older than the settings, and a key is for the address beside which it was written.
    if own is not None and own.base_url not in ("", endpoint.base_url):
        own = None
    written = own.api_key.reveal() if own is not None and own.api_key is not None else ""
    named = variables_in(written)
    if named:
        value = expand(written)
        return FoundKey(_usable(value, f"The key in {named[0]}"), named[0]) if value else None
    provider = _bound_provider(endpoint, settings)
    if written and (provider is None or endpoint.name not in PROVIDERS):
        return FoundKey(_usable(written, f"endpoints.{endpoint.name}.api_key"), str(settings_path()))
    for variable in provider.variables if provider else ():
        value = os.environ.get(variable, "").strip()
        if value:
            return FoundKey(_usable(value, f"The key in {variable}"), variable)
    if written:
        return FoundKey(_usable(written, f"endpoints.{endpoint.name}.api_key"), str(settings_path()))
    return None


def _bound_provider(endpoint: Endpoint, settings: Settings) -> Provider | None:
    """The provider whose usual variables hold a key for this endpoint.

    It is so by the host, or by the provider's own name, if the person gave the address for just this name.
    """
    named = PROVIDERS.get(endpoint.name)
    given = load_endpoints(settings).get(endpoint.name)
    if named is not None and named.variables and given is not None and given.base_url == endpoint.base_url:
        return named
    return provider_of(endpoint.base_url)


def _usable(text: str, what: str) -> Secret:
    """A key that can be put into a header; raises ConfigError, which does not quote it."""
    text = text.strip()
    if not _KEY.fullmatch(text):
        raise ConfigError(f"{what} holds spaces, line breaks or other characters that no key has.", _HINT)
    return Secret(text)


def _stored(endpoint: Endpoint) -> FoundKey | None:
    entry = _read().get(endpoint.name)
    if entry is None or entry["base_url"] != endpoint.base_url:
        return None
    return FoundKey(_usable(entry["key"], f"The key of {endpoint.name} in {keys_path()}"), str(keys_path()))


def _read() -> dict[str, dict[str, str]]:
    """Stored keys by endpoint, each with `base_url` and `key`. Raises ConfigError."""
    return _entries(_raw())


def _raw() -> bytes:
    """The file's bytes, if it is its owner's alone; empty when there is none. Raises ConfigError."""
    path = keys_path()
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {one_line(error.strerror or '')}.", "Check it.") from None
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise ConfigError(f"{path} is not a file.", "Move it away.")
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise ConfigError(
                f"{path} can be read or changed by others, so its keys are not used.",
                f"Make it yours alone: chmod 600 {path}. If others have used this machine, make new keys.",
            )
        with open(handle, "rb", closefd=False) as file:
            raw = file.read(MAX_BYTES + 1)
    finally:
        os.close(handle)
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path} is larger than {size_text(MAX_BYTES)}.", "Is it the right file?")
    return raw


def _entries(raw: bytes) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, value in parse_toml(raw, str(keys_path())).items():
        entry = table(value) or {}
        own = PROVIDERS[name].endpoint.base_url if name in PROVIDERS else None
        base_url, key = entry.get("base_url", own), entry.get("key")
        if not isinstance(base_url, str) or not isinstance(key, str):
            raise ConfigError(
                f"{keys_path()}: {one_line(name, 60)} must have a base_url and a key, both texts in quotes.",
                "Until then no key in it is used.",
            )
        try:
            found[name] = {"base_url": clean_address(base_url), "key": key}
        except ValueError as error:
            raise ConfigError(f"{keys_path()}: {one_line(name, 60)}.base_url must be {error}.", "Correct it.") from None
    return found


def _edit(name: str, entry: dict[str, Any] | None) -> None:
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    path = keys_path()
    try:
        with locked(os.path.realpath(path)):
            raw = _raw()
            _entries(raw)
            document = tomlkit.parse(raw.decode("utf-8-sig"))
            if entry is None:
                document.pop(name, None)
            else:
                document[name] = entry
            write_text_atomic(path, tomlkit.dumps(document), mode=0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {one_line(error.strerror or '')}.", "Nothing changed.") from None
    except TOMLKitError:
        raise ConfigError(f"{path} cannot be changed safely.", f"Write [{one_line(name, 60)}] by hand.") from None
