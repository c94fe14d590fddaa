"""Presets of other programs: told apart by what stands in the file, never by its name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

from playground.domain.errors import ConfigError
from playground.domain.sampling import NEUTRAL
from playground.services.preset_defaults import sentence, unsaid
from playground.services.preset_ini import GLOBAL, read_ini
from playground.services.preset_keys import ALIASES, OFF, plain_key, why_not
from playground.services.preset_kinds import kind_of
from playground.services.preset_values import take_over
from playground.services.presets import Preset, read_preset
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
_SECTION: Final = re.compile(r"^[ \t]*\[[^\]\n]+\][ \t\r]*(?:[;#].*)?$", re.MULTILINE)
_OURS: Final = re.compile(r"^\[sampling\][ \t\r]*$", re.MULTILINE)
_BEGINS_AS_INI: Final = re.compile(r"(?:[;#][^\n]*\n|[ \t\r]*\n)*[ \t]*[A-Za-z_][\w.-]*[ \t]*=(?!=)")


class Imported(NamedTuple):
    """One preset of another program in our terms."""

    preset: Preset
    format: str
    """Whose notation it is."""
    left_out: dict[str, str]
    """Keys that were not taken over, each with the reason; of very many the first, and how many more there are."""
    defaults: dict[str, Any]
    """What of `preset.sampling` was not in the file: the values that the program has there by itself."""

    @property
    def remark(self) -> str:
        """One sentence about `defaults`; empty without any."""
        return sentence(self.format, self.defaults)


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
    elif _OURS.search(text) and (ours := _from_ours(path)) is not None:
        found = [ours]
    elif _SECTION.search(text) and not stripped.startswith(("---", "- ")):
        found = _from_ini(text, path)
    elif _MODELFILE.search(text):
        found = [_from_modelfile(text, name)]
    elif _BEGINS_AS_INI.match(text.lstrip("\ufeff")):
        found = _from_ini(text, path)
    else:
        found = [_from_yaml(text, name, path)]
    usable = [one for one in found if set(one.preset.sampling) - set(one.defaults)]
    if not usable:
        why = "".join(f" {_told(key, reason)}." for one in found for key, reason in one.left_out.items())
        raise ConfigError(
            f"{one_line(str(path))} holds no sampling parameter that can be used here.{why[:_MOST_REASONS]}",
            f"Known are presets of {', '.join(FORMATS)}.",
        )
    return _with_those_left_out(usable, [one for one in found if one not in usable])


def _told(key: str, reason: str) -> str:
    """A key and why it is left out, without its name twice."""
    return one_line(reason) if reason.startswith(f"{key} ") else f"{one_line(key)}: {one_line(reason)}"


def _with_those_left_out(usable: list[Imported], empty: list[Imported]) -> list[Imported]:
    """The first one also tells what stood in sections without a parameter of sampling."""
    also = {
        key if not one.preset.name else f"[{one.preset.name}] {key}": why
        for one in empty
        for key, why in one.left_out.items()
    }
    first = usable[0]._replace(left_out={**usable[0].left_out, **also})
    return [one._replace(left_out=_shortened(one.left_out)) for one in (first, *usable[1:])]


def _imported(name: str, kind: str, found: Mapping[str, Any], also: Mapping[str, str] | None = None) -> Imported:
    """A preset of what was found. `also` are keys that are left out whatever they hold, each with the reason."""
    sampling, left_out = take_over(found, kind)
    samples = any(plain_key(key) == "do_sample" for key in found)
    if kind == "Hugging Face" and not samples and "temperature" in sampling:
        sampling["temperature"] = 0.0
        left_out["temperature"] = "without do_sample the most likely token is taken there"
    defaults = unsaid(kind, sampling, samples=samples)
    for key, why in (also or {}).items():
        field = ALIASES.get(plain_key(key), "")
        if why == OFF and field in defaults:
            del defaults[field]
            sampling[field] = getattr(NEUTRAL, field)
    preset = Preset(
        name=name,
        summary=f"Imported from a preset of {kind}.",
        watch=sentence(kind, defaults),
        sampling={**sampling, **defaults},
    )
    return Imported(preset, kind, {**left_out, **(also or {})}, defaults)


def _shortened(left_out: dict[str, str]) -> dict[str, str]:
    if (more := len(left_out) - _MOST_LISTED) > 0:
        return {**dict(islice(left_out.items(), _MOST_LISTED)), f"{more:,} others": "too many to be told by name"}
    return left_out


def _from_ours(path: Path) -> Imported | None:
    """A preset as this program writes it; None for another file with such a section."""
    try:
        return Imported(read_preset(path), "llm-playground", {}, {})
    except ConfigError:
        return None


def _name_from(text: str) -> str:
    stem = re.sub(r"(\.preset)?\.(json|ya?ml|ini|txt)$|\.modelfile$", "", one_line(text), flags=re.IGNORECASE)
    return "".join(char for char in stem if char.isprintable())[:_NAME].strip() or "imported"


def _from_json(text: str, name: str, path: Path) -> Imported:
    try:
        data = json.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{one_line(str(path))} is nested too deeply.", "Is it the right file?") from error
    except ValueError as error:
        at = f"line {error.lineno:,}, column {error.colno:,}" if isinstance(error, json.JSONDecodeError) else "a number"
        raise ConfigError(
            f"{one_line(str(path))} is not valid JSON: {at} cannot be read.", "Export it anew."
        ) from error
    given = data.get("name") or data.get("preset")
    if isinstance(given, str) and given.strip():
        name = _name_from(given)
    if isinstance(data.get("operation"), dict) or "inference_params" in data:
        return _from_lm_studio(data, name)
    kind = kind_of(set(data))
    data = {key: value for key, value in data.items() if key not in ("name", "preset")}
    return _imported(name, kind, data)


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
                    off[_short(key)] = OFF
                    continue
                value = value.get("value")
            if key.startswith("llm.prediction."):
                found[_short(key)] = value
            else:
                off[key] = why_not(plain_key(key), "LM Studio")
    old = data.get("inference_params")
    if isinstance(old, dict):
        found |= old
        off |= {"load_params": why_not("load_params", "LM Studio")} if data.get("load_params") else {}
    return _imported(name, "LM Studio", found, off)


def _short(key: str) -> str:
    """What a key of LM Studio is about, without the scopes it stands in."""
    return key.removeprefix("llm.prediction.").removeprefix("llama.")


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
        raise ConfigError(f"{one_line(str(path))} cannot be read: {_yaml_words(error)}.", "Is it a preset?") from error
    if not isinstance(data, dict):
        data = {}
    return _imported(name, "text-generation-webui", {str(key): value for key, value in data.items()})


def _yaml_words(error: Exception) -> str:
    """What is wrong and where, without the parser's own words for itself."""
    import yaml

    match error:
        case yaml.MarkedYAMLError(problem_mark=mark) if mark is not None:
            return f"line {mark.line + 1:,} is no YAML"
        case yaml.reader.ReaderError():
            return "it holds a character that no text has"
        case yaml.YAMLError():  # one of ours
            return str(error)
        case RecursionError():
            return "it is nested too deeply"
    return "a value in it is none: a number that is too long, or a date that no calendar has"


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
    reasons = {"SYSTEM": "system", "MESSAGE": "message"}
    others = {
        key.upper(): why_not(reasons.get(key.upper(), "template"), "Ollama") for key in _OTHER.findall(instructions)
    }
    return _imported(name, "Ollama", found, others)


def _from_ini(text: str, path: Path) -> list[Imported]:
    try:
        sections, ignored = read_ini(text)
    except ValueError as error:
        raise ConfigError(
            f"{one_line(str(path))} cannot be read: {error}.", "Is it a preset file of llama.cpp?"
        ) from error
    everywhere, above = sections.pop(GLOBAL, {}), sections.pop("")
    if not sections or set(above) - {"version"}:
        # Without a section of its own it holds for whatever the file is used for.
        sections = {"": above, **sections}
        above = {}
    found = [
        _imported(_name_from(name or path.name), "llama.cpp", {**everywhere, **values})
        for name, values in sections.items()
    ]
    also = {**{key: why_not(plain_key(key), "llama.cpp") for key in above}, **ignored}
    return [found[0]._replace(left_out={**also, **found[0].left_out}), *found[1:]]
