"""Reads TOML files written by people: every mistake becomes a sentence that names the file and the key."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from playground.domain.display import display_text
from playground.domain.errors import ConfigError
from playground.domain.sizes import size_text

MAX_BYTES: Final = 1_000_000
"""A larger file was not written by a person."""

_SHOWN: Final = 60


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file; raises ConfigError naming the file and, for a syntax error, the line."""
    return parse_toml(read_small(path), one_line(str(path)))


def read_text(path: Path) -> str:
    """The text of a small file; bytes that are not UTF-8 become U+FFFD. Raises ConfigError as `read_small` does."""
    return read_small(path).decode("utf-8-sig", errors="replace")


def read_small(path: Path) -> bytes:
    """Read a file that a person may have written; raises ConfigError for one that is none, or too large."""
    name = one_line(str(path))
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{name} is not a file.", "Move it away, or give another path.")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = one_line(getattr(error, "strerror", None) or str(error))
        raise ConfigError(f"{name} cannot be read: {why}.", "Check the path and its permissions.") from error
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{name} is larger than {size_text(MAX_BYTES)}.", "Is it the right file?")
    return raw


def parse_toml(raw: bytes, name: str) -> dict[str, Any]:
    """Parse the text of a TOML file; raises ConfigError naming `name` and the line."""
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name} is not UTF-8 text (line {line}).", "Save it as UTF-8.") from error
    except RecursionError as error:
        raise ConfigError(f"{name} is nested too deeply.", "Write it more simply.") from error
    except ValueError as error:
        why = one_line(str(error)).rstrip(".")
        raise ConfigError(
            f"{name} is not valid TOML: {why}.", "Correct it; until then the file is not used."
        ) from error


def one_line(text: str, limit: int = 300) -> str:
    """Foreign text as it may stand in a sentence: safe for a terminal, on one line, not endless."""
    safe = display_text(text[: limit + 1]).replace("\n", "␊").replace("\t", "␉")
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def shown(value: Any) -> str:
    """A value from a file as it is quoted in a message."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return one_line(repr(value), _SHOWN)


def unknown_key(name: str, key: str, known: Iterable[str], group: str = "") -> ConfigError:
    """The error for a key that does not exist, with the one that was probably meant."""
    near = difflib.get_close_matches(key.lower(), list(known), 1)
    dotted = f"{group}.{key}" if group else key
    hint = f"Did you mean {near[0]!r}?" if near else f"Known ones: {', '.join(known)}."
    return ConfigError(f"{name}: there is no setting {shown(dotted)}.", hint)


def converted(value: Any, kind: Any) -> Any:
    """A TOML value as the type a field has; raises ValueError saying what is expected instead."""
    try:
        return msgspec.convert(value, kind, strict=True)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ValueError(expected(kind)) from error


def expected(kind: Any) -> str:
    """What a field takes, in words."""
    return _expected(msgspec.inspect.type_info(kind))


def _expected(info: msgspec.inspect.Type) -> str:
    if isinstance(info, msgspec.inspect.BoolType):
        return "true or false"
    if isinstance(info, msgspec.inspect.LiteralType):
        *others, last = [repr(value) for value in info.values]
        return f"{', '.join(others)} or {last}" if others else last
    if isinstance(info, msgspec.inspect.IntType | msgspec.inspect.FloatType):
        word = "a whole number" if isinstance(info, msgspec.inspect.IntType) else "a number"
        if info.ge is not None and info.le is not None:
            return f"{word} from {info.ge} to {info.le}"
        return f"{word}, at least {info.ge}" if info.ge is not None else word
    if isinstance(info, msgspec.inspect.VarTupleType):
        return "a list of texts"
    return "a table" if isinstance(info, msgspec.inspect.DictType) else "a text in quotes"


def table(value: Any) -> Mapping[str, Any] | None:
    """The value when it is a TOML table."""
    return value if isinstance(value, dict) else None
