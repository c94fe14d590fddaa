"""Which hub is asked, and with which token. A token goes to its own hub and to nobody whom a redirect names."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from playground.domain.endpoints import Secret
from playground.domain.errors import BadInput, ConfigError
from playground.services.addresses import WANTED, clean_address, is_readable_by_others, origin
from playground.services.toml_files import one_line

USUAL: Final = "https://huggingface.co"
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,4000}")
_MAX_BYTES: Final = 8 << 10


class Hub(NamedTuple):
    """A hub and what opens its gated repositories."""

    address: str
    """Without a slash at the end."""
    token: Secret | None = None
    source: str = ""
    """Where the token was found: "HF_TOKEN" or the path of a file; empty without one."""
    note: str = ""
    """Why a token that there is stays here; empty when nothing is to be said."""


def find_hub(endpoint: str = "") -> Hub:
    """The hub to ask: the one given, that of HF_ENDPOINT, or huggingface.co.

    The token, of HF_TOKEN or the file that other programs keep it in, goes to huggingface.co or to the mirror that
    HF_ENDPOINT names beside it. A mirror that is given otherwise gets none: whoever runs it could use the token.

    Raises BadInput for an address that is none, and ConfigError for a token that cannot be sent.
    """
    named = os.environ.get("HF_ENDPOINT", "").strip()
    try:
        mirror = clean_address(named) if named else ""
    except ValueError:
        raise BadInput(f"HF_ENDPOINT is no address; a hub's is {WANTED}.", "Correct or unset it.") from None
    try:
        address = clean_address(endpoint) if endpoint.strip() else mirror or USUAL
    except ValueError:
        raise BadInput(f"The address of a hub is {WANTED}.", "Such as https://huggingface.co.") from None
    token, source = _find_token()
    if token is None:
        return Hub(address)
    if origin(address) not in {USUAL, origin(mirror) if mirror else USUAL}:
        return Hub(address, note=f"The token of {source} is not sent to {address}; set HF_ENDPOINT to it if it should.")
    if is_readable_by_others(address):
        return Hub(address, note=f"The token of {source} is not sent to {address}, which is not encrypted.")
    return Hub(address, token, source)


def _find_token() -> tuple[Secret | None, str]:
    env = os.environ
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if text := env.get(variable, "").strip():
            return _checked(text, variable), variable
    cache = Path(env.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    path = Path(os.path.expanduser(env.get("HF_TOKEN_PATH") or Path(env.get("HF_HOME") or cache) / "token"))
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_MAX_BYTES).strip()
    except OSError:
        return None, ""
    return (_checked(text, str(path)), str(path)) if text else (None, "")


def _checked(text: str, source: str) -> Secret:
    if not _TOKEN.fullmatch(text):
        raise ConfigError(
            f"The token in {one_line(source)} has a space or a character that cannot be sent.", "Copy it again."
        )
    return Secret(text)
