"""The person's settings: one TOML file, in which a mistake costs the one key it is in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from playground.domain.errors import ConfigError
from playground.domain.models import LoadOptions
from playground.domain.prices import Budget, Price
from playground.services.endpoint_settings import EndpointSettings, endpoint_field, price_field
from playground.services.paths import locked, user_config_dir, write_text_atomic
from playground.services.toml_files import converted, one_line, parse_toml, read_toml, shown, table, unknown_key


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where models are looked for."""

    folders: tuple[str, ...] = ()
    """Folders of your own that hold GGUF files, besides those of other programs; `~` stands for the home folder."""


class HostedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the app is with hosted models."""

    attempts: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    """How often a request is tried before it fails, the first time included."""
    retry_limit_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 60.0
    """The longest wait between two attempts; a server that asks for more is not waited for."""
    stall_s: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0
    """How long a server may send nothing before the reply is given up."""
    fallback: str = ""
    """Model that takes over on overload or outage, such as "openai/gpt-5.4-mini"; empty: none."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set once and for all. Each field has a default that works."""

    theme: str = ""
    """Name of a theme; empty: the app's own."""
    colour: Literal["probability", "entropy", "rank", "off"] = "probability"
    """What the colour of a token stands for."""
    preset: str = ""
    """Sampling preset to begin with; empty: what the model recommends, or else "balanced"."""
    model: str = ""
    """Path or name of the model to begin with; empty: the one used last, or else the starter model."""
    system: str = ""
    """System prompt to begin with."""
    history: bool = True
    """Keep what is said, so that it can be found and opened again; false: private mode, in which nothing is kept."""
    frames_per_second: Annotated[int, msgspec.Meta(ge=10, le=60)] = 30
    """How often the screen is drawn while tokens arrive; fewer frames leave more of the processor to the model."""
    load: LoadOptions = LoadOptions()
    """How models are loaded."""
    models: ModelSettings = ModelSettings()
    """Where models are looked for."""
    keymap: dict[str, str] = {}
    """Id of a key binding to its keys, e.g. `stop = "escape,ctrl+c"`."""
    endpoints: dict[str, EndpointSettings] = {}
    """Servers with models by their name, `[endpoints.NAME]`; a known name changes what is built in."""
    hosted: HostedSettings = HostedSettings()
    """How patient the app is with hosted models."""
    budget: Budget = Budget()
    """What may be spent before the app asks."""
    prices: dict[str, Price] = {}
    """Prices of your own by model, `[prices."ENDPOINT/MODEL"]`; they stand before the table of prices."""


_LOAD_RANGES: Final[dict[str, Any]] = {
    "context": Annotated[int, msgspec.Meta(ge=0, le=1 << 24)],
    "gpu_layers": Annotated[int, msgspec.Meta(ge=-1, le=4096)],
    "threads": Annotated[int, msgspec.Meta(ge=0, le=1024)],
    "threads_batch": Annotated[int, msgspec.Meta(ge=0, le=1024)],
    "batch": Annotated[int, msgspec.Meta(ge=1, le=1 << 16)],
    "streams": Annotated[int, msgspec.Meta(ge=1, le=64)],
}

_DOLLARS: Final = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
_RANGES: Final[dict[str, dict[str, Any]]] = {
    "load": _LOAD_RANGES,
    "budget": dict.fromkeys(Budget.__struct_fields__, _DOLLARS),
}

_GROUPS: Final[dict[str, type[msgspec.Struct]]] = {
    "load": LoadOptions,
    "models": ModelSettings,
    "hosted": HostedSettings,
    "budget": Budget,
}
_NAMED: Final[dict[str, Callable[[str, str, Any, list[ConfigError]], Any]]] = {
    "endpoints": endpoint_field,
    "prices": price_field,
}
"""Groups of tables, each with a name of the person's choice."""
_GROUP_NAMES: Final = (*_GROUPS, *_NAMED, "keymap")


def settings_path() -> Path:
    """The settings file; it may not exist yet."""
    return user_config_dir() / "settings.toml"


def load_settings(path: Path | None = None) -> tuple[Settings, list[ConfigError]]:
    """Read settings; whatever is wrong in the file keeps its default and is reported.

    A file that does not exist is no mistake. One that is not TOML gives the defaults and a single error.
    """
    path = path or settings_path()
    if not path.exists():
        return Settings(), []
    try:
        raw = read_toml(path)
    except ConfigError as error:
        return Settings(), [error]
    errors: list[ConfigError] = []
    name = one_line(str(path))
    good: dict[str, Any] = {}
    for key, value in raw.items():
        with _collected(errors):
            good[key] = _group(name, key, value, errors)
    return Settings(**good), errors


def save_setting(path: Path, key: str, value: str | int | bool | list[str] | None) -> None:
    """Change one key of a settings file and leave the rest of it, comments included, as it is.

    `key` is a name such as "theme", or a group and a name such as "load.context" and "keymap.stop"; None as value
    takes the key out, so that its default holds. Raises ConfigError for an unknown key or a value it cannot take, and
    when the file is broken or cannot be written; then nothing has changed.
    """
    head, dot, rest = key.partition(".")
    group, short = (head, rest) if dot and head in _GROUP_NAMES else ("", key)
    name = one_line(str(path))
    if not group and key in _GROUP_NAMES:
        raise ConfigError(f"{key} is a group of settings.", f"Name one of them: {key}.NAME.")
    if group in _NAMED:
        raise ConfigError(f"{one_line(group)} cannot be changed from here.", f"Write them into {name} by hand.")
    if value is not None:
        _field(name, group, short, value, "Nothing was saved.")
    try:
        with locked(os.path.realpath(path)):
            text = path.read_bytes() if path.exists() else b""
            write_text_atomic(path, _edited(text, name, group, short, value))
    except OSError as error:
        why = one_line(error.strerror or str(error))
        raise ConfigError(f"{name} cannot be written: {why}.", "The setting holds until you leave.") from error
    except UnicodeEncodeError as error:
        raise ConfigError(f"{key} holds something that is not text: {shown(value)}.", "Nothing was saved.") from error


def _group(name: str, key: str, value: Any, errors: list[ConfigError]) -> Any:
    """One top-level key as Settings has it; mistakes inside a group go to `errors`."""
    if key not in _GROUP_NAMES:
        return _field(name, "", key, value)
    entries = table(value)
    if entries is None and key in _NAMED:
        raise ConfigError(f"{name}: {key} must be a group of tables.", f"Write [{key}.NAME] on a line.")
    if entries is None:
        raise ConfigError(f"{name}: {key} is {shown(value)}; it must be a table.", f"Write [{key}] on a line.")
    good: dict[str, Any] = {}
    for short, entry in entries.items():
        with _collected(errors):
            good[short] = _NAMED[key](name, short, entry, errors) if key in _NAMED else _field(name, key, short, entry)
    return _GROUPS[key](**good) if key in _GROUPS else good


def _field(name: str, group: str, key: str, value: Any, hint: str = "Until then its default is used.") -> Any:
    """One value, checked; raises ConfigError naming file and key."""
    kinds = _kinds(group)
    if group == "keymap":
        kinds = {key: str}
    if key not in kinds:
        raise unknown_key(name, key, kinds, group)
    dotted = f"{group}.{key}" if group else key
    try:
        return converted(value, kinds[key])
    except ValueError as error:
        what = f"{one_line(dotted, 60)} is {shown(value)}"
        raise ConfigError(f"{name}: {what}; it must be {error}.", hint) from error


def _kinds(group: str) -> dict[str, Any]:
    struct = _GROUPS.get(group, Settings)
    kinds = {field.name: field.type for field in msgspec.structs.fields(struct)}
    return kinds | _RANGES.get(group, {})


def _edited(raw: bytes, name: str, group: str, key: str, value: Any) -> str:
    """The file's text with one key changed; raises ConfigError where that cannot be done without a doubt."""
    wanted = parse_toml(raw, name)
    if group and not isinstance(wanted.setdefault(group, {}), dict):
        raise ConfigError(f"{name}: {group} must be a table.", f"Write [{group}] on a line of its own.")
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    by_hand = ConfigError(f"{name} is written in a way that cannot be changed safely.", f"Set {key} there by hand.")
    try:
        document = tomlkit.parse(raw.decode("utf-8-sig"))
        if group and group not in document:
            document[group] = tomlkit.table()
        place: Any = document[group] if group else document
        for target in (place, wanted[group] if group else wanted):
            if value is None:
                target.pop(key, None)
            else:
                target[key] = value
        text = tomlkit.dumps(document)
    except TOMLKitError as error:
        raise by_hand from error
    if parse_toml(text.encode(), name) != wanted:
        raise by_hand
    return text


@contextlib.contextmanager
def _collected(errors: list[ConfigError]) -> Iterator[None]:
    """Put a ConfigError on the list instead of letting it out."""
    try:
        yield
    except ConfigError as error:
        errors.append(error)
