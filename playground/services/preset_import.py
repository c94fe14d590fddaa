"""Presets of other programs: told apart by what stands in the file, never by its name."""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from playground.domain.errors import ConfigError
from playground.services.preset_keys import Taken, take_over
from playground.services.presets import Preset
from playground.services.toml_files import one_line, read_text

FORMATS: Final = (
    *("text-generation-webui", "SillyTavern", "LM Studio", "KoboldAI", "Ollama", "Hugging Face", "llama.cpp"),
)
"""Programs whose presets can be read."""

_NAME: Final = 40
_MOST_EVENTS: Final = 20_000
"""Pieces of a YAML file, about two for each value."""
_DEEPEST: Final = 50
_MOST_LISTED: Final = 200
"""Keys left out that are told by name."""
_MOST_REASONS: Final = 600
"""Characters of them in one sentence."""
# Blanks, and no line ends: a run of empty lines would be gone through anew from each of them.
_MODELFILE: Final = re.compile(r"^[ \t]*(FROM|PARAMETER)[ \t]+\S", re.IGNORECASE | re.MULTILINE)
_PARAMETER: Final = re.compile(r"^[ \t]*PARAMETER[ \t]+(\S+)[ \t]+(\S.*)$", re.IGNORECASE | re.MULTILINE)
_BLOCK: Final = re.compile(
    r'^[ \t]*(?:SYSTEM|TEMPLATE|LICENSE|MESSAGE[ \t]+\S+)[ \t]+"""(.*?)"""', re.IGNORECASE | re.MULTILINE | re.DOTALL
)
_OTHER: Final = re.compile(
    r"^[ \t]*(SYSTEM|TEMPLATE|ADAPTER|LICENSE|MESSAGE|FROM|REQUIRES)\b", re.IGNORECASE | re.MULTILINE
)
_SECTION: Final = re.compile(r"^[ \t]*\[[^\]\n]+\][ \t\r]*$", re.MULTILINE)


class Imported(NamedTuple):
    """One preset of another program in our terms."""

    preset: Preset
    format: str
    """Whose notation it is."""
    left_out: dict[str, str]
    """Keys that were not taken over, each with the reason; of very many the first, and how many more there are."""


def read_foreign(path: Path) -> list[Imported]:
    """Read a preset file of another program; most hold one preset, an INI file may hold several.

    Known are text-generation-webui (YAML), SillyTavern, LM Studio, KoboldAI and Hugging Face's generation_config
    (JSON), Ollama's Modelfile, and llama.cpp's presets (INI). Raises ConfigError for a file that is none of them, that
    cannot be read, or in which nothing can be used.
    """
    text = read_text(path)
    name = _name_from(path.name)
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped.startswith("{"):
        found = [_from_json(stripped, name, path)]
    elif _SECTION.search(text) and not stripped.startswith(("---", "- ")):
        found = _from_ini(text, path)
    elif _MODELFILE.search(text):
        found = [_from_modelfile(text, name)]
    else:
        found = [_from_yaml(text, name, path)]
    usable = [one for one in found if one.preset.sampling]
    if not usable:
        why = "".join(f" {one_line(key)}: {one_line(reason)}." for one in found for key, reason in one.left_out.items())
        raise ConfigError(
            f"{one_line(str(path))} holds no sampling parameter that can be used here.{why[:_MOST_REASONS]}",
            f"Known are presets of {', '.join(FORMATS)}.",
        )
    return usable


def _imported(name: str, kind: str, taken: Taken, also: Mapping[str, str] | None = None) -> Imported:
    summary = f"Imported from a preset of {kind}."
    preset = Preset(name=name, summary=summary, sampling=taken.sampling)
    left_out = {**taken.left_out, **(also or {})}
    if (more := len(left_out) - _MOST_LISTED) > 0:
        left_out = {**dict(islice(left_out.items(), _MOST_LISTED)), f"{more:,} others": "too many to be told by name"}
    return Imported(preset, kind, left_out)


def _name_from(text: str) -> str:
    stem = re.sub(r"(\.preset)?\.(json|ya?ml|ini|txt)$|\.modelfile$", "", one_line(text), flags=re.IGNORECASE)
    return "".join(char for char in stem if char.isprintable())[:_NAME].strip() or "imported"


def _from_json(text: str, name: str, path: Path) -> Imported:
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{one_line(str(path))} is nested too deeply.", "Is it the right file?") from error
    except ValueError as error:
        raise ConfigError(
            f"{one_line(str(path))} is not valid JSON: {one_line(str(error))}.", "Export it anew."
        ) from error
    given = data.get("name") or data.get("preset")
    if isinstance(given, str) and given.strip():
        name = _name_from(given)
    if isinstance(data.get("operation"), dict) or "inference_params" in data:
        return _from_lm_studio(data, name)
    data = {key: value for key, value in data.items() if key not in ("name", "preset")}
    if "rep_pen" in data or "sampler_order" in data:
        kind = "SillyTavern" if {"freq_pen", "nsigma", "dynatemp", "min_temp", "samplers"} & set(data) else "KoboldAI"
        if kind == "SillyTavern" and "samplers" in data:
            data.pop("sampler_order", None)  # the same order for another program
        return _imported(name, kind, take_over(data))
    if "temp" in data:
        return _imported(name, "SillyTavern", take_over(data))
    return _imported(name, "Hugging Face", take_over(data))


def _from_lm_studio(data: Mapping[str, Any], name: str) -> Imported:
    found: dict[str, Any] = {}
    off: dict[str, str] = {}
    for part in ("operation", "load"):
        section = data.get(part)
        fields = section.get("fields", []) if isinstance(section, dict) else []
        for field in fields if isinstance(fields, list) else []:
            if not isinstance(field, dict) or not isinstance(field.get("key"), str):
                continue
            key, value = field["key"], field.get("value")
            if isinstance(value, dict) and "checked" in value:
                if not value["checked"]:
                    off[key] = "switched off there"
                    continue
                value = value.get("value")
            if key.startswith("llm.prediction."):
                found[key.removeprefix("llm.prediction.")] = value
            else:
                off[key] = "says how a model is loaded"
    old = data.get("inference_params")
    if isinstance(old, dict):
        found |= old
        off |= {"load_params": "says how a model is loaded"} if data.get("load_params") else {}
    return _imported(name, "LM Studio", take_over(found), off)


def _check_yaml(text: str, loader: Any) -> None:
    """Go through it piece by piece, before anything is built of it. Raises YAMLError for what no preset holds.

    A few lines in which values stand for earlier ones can unfold to gigabytes, and the reader in C ends the program
    where something is nested a hundred thousand times.
    """
    import yaml

    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=loader)):
        if number > _MOST_EVENTS:
            raise yaml.YAMLError("it holds more values than a preset has")
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("a value refers to another one, which presets do not")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.YAMLError("it is nested too deeply")


def _from_yaml(text: str, name: str, path: Path) -> Imported:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the one in C is three times as fast
    try:
        _check_yaml(text, loader)
        data = yaml.load(text, loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        why = one_line(str(error), 120)
        raise ConfigError(f"{one_line(str(path))} cannot be read: {why}.", "Is it a preset?") from error
    if not isinstance(data, dict):
        data = {}
    return _imported(name, "text-generation-webui", take_over({str(key): value for key, value in data.items()}))


def _from_modelfile(text: str, name: str) -> Imported:
    instructions = _BLOCK.sub(lambda block: block[0].split('"""')[0], text)  # what stands in quotes is no instruction
    found: dict[str, Any] = {}
    stops: list[str] = []
    for key, padded in _PARAMETER.findall(instructions):
        value = padded.rstrip()
        plain = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
        if key.lower() == "stop":
            stops.append(plain)
        else:
            found[key] = plain
    if stops:
        found["stop"] = stops
    others = {key.upper(): "is no sampling parameter" for key in _OTHER.findall(instructions)}
    return _imported(name, "Ollama", take_over(found), others)


def _from_ini(text: str, path: Path) -> list[Imported]:
    parser = configparser.ConfigParser(
        default_section="*", interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#", ";")
    )
    try:
        parser.read_string(text)
    except configparser.Error as error:
        why = one_line(str(error), 120)
        raise ConfigError(
            f"{one_line(str(path))} cannot be read: {why}.", "Is it a preset file of llama.cpp?"
        ) from error
    names = parser.sections() or ["*"]
    return [
        _imported(
            _name_from(name if name != "*" else path.name),
            "llama.cpp",
            take_over({key.removeprefix("llama_arg_"): value for key, value in parser[name].items()}),
        )
        for name in names
    ]
