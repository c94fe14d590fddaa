"""Addresses of servers, as people write them in settings and environment variables."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from playground.domain.endpoints import is_loopback

WANTED: Final = "an address such as https://host/v1, without user name, password, query or fragment"
"""What `clean_address` takes, in words. What was written is not quoted: it may hold a password."""

_HOST: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")
_MAX: Final = 500


def clean_address(text: str) -> str:
    """The address in its one spelling: scheme and host in lower case, no slash at the end.

    Raises ValueError, whose text is `WANTED`, for anything but plain http and https.
    """
    text = text.strip()
    if len(text) > _MAX or not text.isascii() or not text.isprintable() or set(" \\?#@<>\"'`") & set(text):
        raise ValueError(WANTED)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError(WANTED) from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise ValueError(WANTED)
    usual = {"http": 80, "https": 443}[parts.scheme]
    shown = f"[{host}]" if ":" in host else host
    where = shown if port in (None, usual) else f"{shown}:{port}"
    return f"{parts.scheme}://{where}{parts.path.rstrip('/')}"


def origin(address: str) -> str:
    """Scheme, host and port of a clean address: who gets what is sent there."""
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}"


def is_readable_by_others(address: str) -> bool:
    """True when what is sent there crosses a network unencrypted."""
    return address.startswith("http:") and not is_loopback(address)
