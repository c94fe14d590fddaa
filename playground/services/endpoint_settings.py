"""What settings say about single endpoints and models: tables with a name of the person's choice.

No message quotes a value from here: it may be a key, or an address with a password in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec

from playground.domain.endpoints import REPLAY, Secret, SecretHeaders
from playground.domain.errors import ConfigError
from playground.domain.models import LOCAL
from playground.domain.prices import Price
from playground.services.addresses import clean_address
from playground.services.toml_files import converted, one_line, shown, table, unknown_key

RESERVED: Final = (LOCAL, REPLAY)
"""Names that stand for something else before the slash of a model's name."""


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A server with models, `[endpoints.NAME]`."""

    api: Literal["openai", "anthropic"] | None = None
    """Which API it speaks; None: the one that is built in for this name, or else "openai"."""
    base_url: str = ""
    """Its address, such as "https://host/v1"; may be left out where one is built in."""
    api_key: Secret | None = None
    """The key, or better `${VARIABLE}` for the name of an environment variable that holds it."""
    headers: SecretHeaders = SecretHeaders({})
    """Sent with every request; `${VARIABLE}` is replaced in them too."""
    models: tuple[str, ...] = ()
    """Names to offer when the server cannot list its own."""
    price_provider: str = ""
    """Whose prices hold; empty: found by the address."""
    api_version: str = ""
    """Sent as `api-version`, as Azure wants it."""
    fallback: str = ""
    """Model that takes over on overload or outage; empty: `hosted.fallback`."""
    allow_http: bool = False
    """Send the key to a plain http address on another machine, where others on the network can read it."""


_KINDS: Final[dict[str, Any]] = {
    "api": Literal["openai", "anthropic"],
    "base_url": str,
    "api_key": str,
    "headers": dict[str, str],
    "models": tuple[str, ...],
    "price_provider": str,
    "api_version": str,
    "fallback": str,
    "allow_http": bool,
}
_PRICE: Final[Any] = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_PRICES: Final[dict[str, Any]] = dict.fromkeys(Price.__struct_fields__, _PRICE)
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]{0,8000}")


def endpoint_field(file: str, name: str, value: Any, errors: list[ConfigError]) -> EndpointSettings:
    """One `[endpoints.NAME]` table; mistakes inside go to `errors`. Raises ConfigError when it is none at all."""
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise ConfigError(
            f"{file}: an endpoint cannot be called {shown(name)}.",
            f"Take letters, digits, dots, - and _, and none of: {', '.join(RESERVED)}.",
        )
    good = _entries(file, f"endpoints.{name}", value, _KINDS, errors)
    if "api_key" in good:
        good["api_key"] = Secret(good["api_key"])
    if "headers" in good:
        good["headers"] = SecretHeaders(good["headers"])
    return EndpointSettings(**good)


def price_field(file: str, model: str, value: Any, errors: list[ConfigError]) -> Price:
    """One `[prices."ENDPOINT/MODEL"]` table; raises ConfigError when the two prices that must be there are not."""
    group = f'prices."{one_line(model, 60)}"'
    good = _entries(file, group, value, _PRICES, errors)
    missing = [field for field in ("input_per_mtok", "output_per_mtok") if field not in good]
    if missing:
        raise ConfigError(f"{file}: {group} does not say {' and '.join(missing)}.", "Until then it is not used.")
    return Price(**good)


def _entries(file: str, group: str, value: Any, kinds: Mapping[str, Any], errors: list[ConfigError]) -> dict[str, Any]:
    """What is right in a table; everything else becomes an error that names its key and quotes nothing."""
    entries = table(value)
    if entries is None:
        raise ConfigError(f"{file}: {group} must be a table.", f"Write [{group}] on a line.")
    good: dict[str, Any] = {}
    for key, entry in entries.items():
        if key not in kinds:
            errors.append(unknown_key(file, key, kinds, group))
            continue
        try:
            good[key] = _checked(key, converted(entry, kinds[key]))
        except ValueError as error:
            what = f"{file}: {group}.{key} must be {error}."
            if key == "api":  # which language it speaks cannot be guessed, and a key must not go to the wrong one
                raise ConfigError(what, "Until then the endpoint is not used.") from error
            errors.append(ConfigError(what, "Until then it is not used."))
    return good


def _checked(key: str, value: Any) -> Any:
    """The value of a key that has a form of its own; raises ValueError saying which."""
    if key == "base_url":
        return clean_address(value)
    if key == "headers":
        for name, text in value.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(text):
                raise ValueError('a table of header names and values, such as { "X-Title" = "playground" }')
    return value
