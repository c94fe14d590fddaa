"""Sampling presets: named settings of the samplers, each with a sentence on what to watch for.

A preset is explicit: what its file does not set is off, as in `NEUTRAL`, and does not depend on what was set before.
Only what is no matter of style (`KEPT`) stays as it was.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from playground.domain.errors import BadInput, ConfigError
from playground.domain.models import ModelCard
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.services.paths import locked, shipped, user_config_dir, write_text_atomic
from playground.services.toml_files import one_line, read_toml, shown, table, unknown_key

KEPT: Final = ("seed", "stop", "max_tokens", "top", "ignore_eos", "grammar", "json_schema", "speculate")
"""Fields that applying a preset leaves alone unless it sets them."""

RECOMMENDED: Final = "recommended"
"""Name of the preset that is made from what the model's own file recommends."""

_TEXTS: Final = ("name", "summary", "watch")
_MAX_NAME: Final = 40
_MAX_FILES: Final = 500


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """One named way of sampling."""

    name: str
    summary: str
    """What it is for, one sentence."""
    watch: str = ""
    """What to watch for on the screen, a few sentences at most; may be empty."""
    sampling: dict[str, Any] = {}
    """Fields of SamplingParams it sets, checked."""
    path: str = ""
    """The file it comes from; empty when it comes from none."""

    @property
    def params(self) -> SamplingParams:
        """The preset by itself: its own fields over NEUTRAL."""
        return replace(NEUTRAL, **self.sampling)

    def apply(self, current: SamplingParams) -> SamplingParams:
        """The preset in place of `current`, of which the fields in `KEPT` remain unless the preset sets them."""
        kept = {name: getattr(current, name) for name in KEPT}
        if self.sampling.get("grammar") or self.sampling.get("json_schema"):
            kept |= {"grammar": "", "json_schema": ""}  # only one of the two may be set
        return replace(NEUTRAL, **(kept | self.sampling))


def own_preset_folder() -> Path:
    """Where a person's own presets lie; it may not exist yet."""
    return user_config_dir() / "presets"


def preset_folders() -> tuple[Path, ...]:
    """Where presets lie, shipped ones first; a later folder overrides an earlier one by name."""
    return shipped("presets"), own_preset_folder()


def is_own(preset: Preset) -> bool:
    """True for one that the person saved or imported."""
    return bool(preset.path) and Path(preset.path).parent == own_preset_folder()


def load_presets(folders: Iterable[Path] | None = None) -> tuple[dict[str, Preset], list[ConfigError]]:
    """Read every preset by name. A broken file is left out and reported; a folder that does not exist is empty."""
    presets: dict[str, Preset] = {}
    errors: list[ConfigError] = []
    for folder in preset_folders() if folders is None else folders:
        here: dict[str, Preset] = {}
        for path in _preset_files(folder, errors):
            try:
                preset = read_preset(path)
            except ConfigError as error:
                errors.append(error)
                continue
            if preset.name in here:
                other = one_line(Path(here[preset.name].path).name)
                errors.append(
                    ConfigError(f"{one_line(str(path))}: {other} has the same name.", "Give one of them another.")
                )
                continue
            here[preset.name] = preset
        presets |= here
    return presets, errors


def read_preset(path: Path) -> Preset:
    """Read one preset file; raises ConfigError naming file and key."""
    raw = read_toml(path)
    file = one_line(str(path))
    for key in raw:
        if key not in (*_TEXTS, "sampling"):
            raise unknown_key(file, key, (*_TEXTS, "sampling"))
    texts = {key: raw.get(key, "") for key in _TEXTS}
    for key, text in texts.items():
        if not isinstance(text, str) or (not text.strip() and key != "watch"):
            raise ConfigError(f"{file}: {key} must be a text in quotes.", f'Write {key} = "…" above [sampling].')
    sampling = table(raw.get("sampling", {}))
    if sampling is None:
        raise ConfigError(f"{file}: sampling is {shown(raw['sampling'])}; it must be a table.", "Write [sampling].")
    try:
        name = _checked_name(texts["name"])
    except BadInput as error:
        raise ConfigError(f"{file}: name: {error.message}", error.hint) from error
    return Preset(
        name=name,
        summary=one_line(texts["summary"]),
        watch=one_line(texts["watch"], 600),
        sampling={key: _checked_value(file, key, value) for key, value in sampling.items()},
        path=str(path),
    )


def save_preset(folder: Path, name: str, params: SamplingParams, summary: str, watch: str = "") -> Path:
    """Write `params`, less the fields in `KEPT`, as a preset of the person's own; returns its file.

    A preset of the same name in `folder` is replaced. Raises BadInput for a name that cannot be used and ConfigError
    when the file cannot be written.
    """
    name = _checked_name(name)
    sampling = {
        field: getattr(params, field)
        for field in SamplingParams.__struct_fields__
        if field not in KEPT and getattr(params, field) != getattr(NEUTRAL, field)
    }
    return write_preset(folder, Preset(name=name, summary=summary, watch=watch, sampling=sampling))


def write_preset(folder: Path, preset: Preset) -> Path:
    """Write a preset as it is; raises as `save_preset` does."""
    name = _checked_name(preset.name)
    summary = preset.summary.strip() or "Saved from the sliders."
    text = preset_toml(name, summary, preset.watch, preset.sampling)
    try:
        with locked("presets"):
            path = _file_for(folder, name)
            write_text_atomic(path, text, mode=0o644)
    except OSError as error:
        why = one_line(error.strerror or str(error))
        where = one_line(str(folder))
        raise ConfigError(f"The preset cannot be saved in {where}: {why}.", "Check that folder.") from error
    return path


def preset_toml(name: str, summary: str, watch: str, sampling: Mapping[str, Any]) -> str:
    """A preset as the text of its file."""
    import tomlkit

    document = tomlkit.document()
    document["name"] = name
    document["summary"] = one_line(summary)
    if watch.strip():
        document["watch"] = one_line(watch.strip(), 600)
    document["sampling"] = msgspec.to_builtins(dict(sampling))
    return tomlkit.dumps(document)


def delete_preset(folder: Path, name: str) -> Path:
    """Remove a preset of the person's own; returns the file that is gone.

    Raises BadInput when `folder` has no preset of this name and ConfigError when its file cannot be removed.
    """
    presets, _ = load_presets([folder])
    if name not in presets:
        own = f"Your own: {', '.join(sorted(presets))}." if presets else "You have none of your own yet."
        raise BadInput(f"There is no preset {shown(name)} of your own.", own)
    path = Path(presets[name].path)
    try:
        path.unlink()
    except OSError as error:
        why = one_line(error.strerror or str(error))
        raise ConfigError(f"{one_line(str(path))} cannot be removed: {why}.", "Check that folder.") from error
    return path


def recommended_preset(card: ModelCard) -> Preset | None:
    """What the model's file recommends, as a preset; None when it recommends nothing."""
    if not card.recommended:
        return None
    return Preset(
        name=RECOMMENDED,
        summary="What the makers of this model recommend, read from its file.",
        watch="Compare it with neutral: the difference is what the makers thought their model needs.",
        sampling=dict(card.recommended),
    )


def _preset_files(folder: Path, errors: list[ConfigError]) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        why = one_line(error.strerror or str(error))
        errors.append(ConfigError(f"{one_line(str(folder))} cannot be read: {why}.", "Check its permissions."))
        return []
    return found[:_MAX_FILES]


def _checked_value(file: str, key: str, value: Any) -> Any:
    if key not in SamplingParams.__struct_fields__:
        raise unknown_key(file, key, SamplingParams.__struct_fields__, "sampling")
    try:
        return getattr(replace(NEUTRAL, **{key: value}), key)
    except BadInput as error:
        said = one_line(error.message)
        also = said.removeprefix(f"{key} ")  # which names it a second time
        raise ConfigError(f"{file}: sampling.{key}{' ' if also != said else ': '}{also}", error.hint) from error


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _MAX_NAME or not name.isprintable():
        raise BadInput(f"{shown(name)} cannot be the name of a preset.", f"Give 1 to {_MAX_NAME} printable characters.")
    return name


def _file_for(folder: Path, name: str) -> Path:
    """A file for the preset: the one that has this name already, or else a free one."""
    presets, _ = load_presets([folder])
    if name in presets:
        return Path(presets[name].path)
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or f"preset-{zlib.crc32(name.encode()):08x}"
    path, number = folder / f"{stem}.toml", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.toml"
    return path
