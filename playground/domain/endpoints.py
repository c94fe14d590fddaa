"""Where hosted models are: addresses, and keys that never show."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal, NamedTuple

import msgspec

ENDING: Final = ".gguf"

REPLAY: Final = "replay"
"""Name of the endpoint whose models are recordings."""


class Secret:
    """An API key. Whatever prints, logs or encodes it by mistake gets dots."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The key itself, to be put into a request header and nowhere else."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(•••)"

    __str__ = __repr__

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a key is not pickled")


class SecretHeaders(Mapping[str, str]):
    """Headers whose values may be keys: they are printed as dots, and msgspec refuses to encode them."""

    __slots__ = ("_headers",)

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = dict(headers)

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return f"SecretHeaders({', '.join(self._headers)})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("headers are not pickled: they may hold keys")


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A server with models. Its key is not part of it: `services.keys` finds one that is bound to its address."""

    name: str
    """What it is called in `NAME/MODEL`."""
    api: Literal["anthropic", "openai"]
    base_url: str
    """Such as "https://api.openai.com/v1" or "http://127.0.0.1:8080/v1", without a slash at the end."""
    headers: Mapping[str, str] = {}
    """Sent with every request; values may hold keys, so settings give `SecretHeaders`."""
    models: tuple[str, ...] = ()
    """Names to offer when the server cannot list its own."""
    price_provider: str = ""
    """Id of the provider in the table of prices; empty: found by the address."""
    key_needed: bool = True
    """False for servers that take anybody, such as one on this machine."""
    api_version: str = ""
    """Sent as the `api-version` query parameter, as Azure wants it; empty: none."""

    def __repr__(self) -> str:
        return f"Endpoint(name={self.name!r}, api={self.api!r}, base_url={self.base_url!r})"


def is_loopback(base_url: str) -> bool:
    """True when an address leads back to this machine, so that nothing sent there leaves it."""
    from ipaddress import ip_address
    from urllib.parse import urlsplit

    try:
        host = (urlsplit(base_url).hostname or "").rstrip(".")
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


class ModelRef(NamedTuple):
    """Which model is meant: one of an endpoint's, or a file."""

    endpoint: str
    """Name of an endpoint; empty for a file on this machine."""
    name: str
    """The server's name for the model; or the path, or a part of the name, of a file."""

    @property
    def text(self) -> str:
        """As one writes it; `parse_model_ref` is the inverse."""
        return f"{self.endpoint}/{self.name}" if self.endpoint else self.name


def parse_model_ref(text: str, endpoints: frozenset[str] | set[str]) -> ModelRef:
    """Read `ENDPOINT/MODEL` with one of these endpoints' names in front, or else a file.

    Without a MODEL behind the slash it is the only one that the server has.
    """
    head, slash, rest = text.partition("/")
    if slash and head in endpoints and not text.endswith(ENDING):
        return ModelRef(head, rest)
    return ModelRef("", text)
