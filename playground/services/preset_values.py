"""Values of other programs' presets, read key by key. Nothing goes by without a word."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from playground.domain.errors import BadInput
from playground.domain.params import replace
from playground.domain.sampling import DEFAULT_ORDER, NEUTRAL, SamplingParams
from playground.services.preset_keys import (
    ALIASES,
    KOBOLD_STAGES,
    NOTHING_LIKE_IT,
    OFF,
    SHORT,
    STAGE_LETTERS,
    STAGES,
    plain_key,
    why_not,
)

_WHOLE: Final = frozenset({"top_k", "dry_allowed_length", "dry_last_n", "mirostat", "penalty_last_n", "max_tokens"})
_BREAKER: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_BIAS: Final = re.compile(r"\s*(\d+)\s*([+-]\s*(?:\d+(?:\.\d*)?|\.\d+|inf))\s*")
_ORDERS: Final = ("samplers", "sampler_seq", "sampling_seq", "sampler_priority", "sampler_order")
"""Keys that give the order of the stages: where several stand in a file, the first of these is llama.cpp's own."""


class Taken(NamedTuple):
    """What of somebody else's preset can be used."""

    sampling: dict[str, Any]
    """Fields of SamplingParams, checked."""
    left_out: dict[str, str]
    """Every other key by its own name, and why it was left out; "key: part" for a part of a value."""


class Read(NamedTuple):
    """What one key says."""

    changes: dict[str, Any]
    """Fields of SamplingParams."""
    why: str = ""
    """Why nothing, or not all of it, is taken over."""
    parts: tuple[tuple[str, str], ...] = ()
    """Parts of the value that are left out, each with the reason."""


def take_over(found: Mapping[str, Any], kind: str = "") -> Taken:
    """Translate the keys of a preset of `kind`. Every key is in `sampling` under our name, or in `left_out`."""
    sampling: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    said_by: dict[str, str] = {}
    values = {plain_key(key): value for key, value in found.items()}
    for key, value in sorted(found.items(), key=lambda item: plain_key(item[0]) in _LAST):
        plain = plain_key(key)
        plain = SHORT.get(plain, plain) if kind == "llama.cpp" else plain
        try:
            read = _read(plain, value, values)
            checked = replace(NEUTRAL, **read.changes)
        except (BadInput, ValueError, TypeError, OverflowError, AttributeError, RecursionError) as error:
            left_out[key] = (
                error.message.rstrip(".") if isinstance(error, BadInput) else f"{_shown(value)} cannot be read"
            )
            continue
        except KeyError:
            left_out[key] = why_not(plain, kind)
            continue
        if read.why:
            left_out[key] = read.why
        left_out |= {f"{key}: {part}": why for part, why in read.parts}
        for name in read.changes:
            new = getattr(checked, name)
            if name in sampling and sampling[name] != new:
                left_out[said_by[name]] = f"{key} says it in its place"
            sampling[name], said_by[name] = new, key
    return Taken(sampling, left_out)


def _shown(value: Any) -> str:
    if value is None:
        return "a value that is none"
    try:
        return f"{value!r:.60}"
    except (RecursionError, ValueError):  # nested too deeply, or a number of more digits than Python writes
        return "its value"


def _read(key: str, value: Any, found: Mapping[str, Any]) -> Read:
    """Raises KeyError for a key that is no parameter, and ValueError and its like for a value that is none."""
    reader = _SPECIAL.get(key)
    if reader is not None:
        return reader(value, found)
    if key in _ORDERS:
        return _order(key, value, found)
    if key not in ALIASES and key in SamplingParams.__struct_fields__:
        return Read({key: value})
    return _number(ALIASES[key], value)


def _number(name: str, value: Any) -> Read:
    if name in ("grammar", "json_schema"):
        if not isinstance(value, str):
            value = json.dumps(value) if value else ""
        return Read({name: value}) if value.strip() else Read({}, "is empty")
    if name == "ignore_eos":
        return Read({name: truth(value)})
    number = float(value)
    if name == "seed" and number < 0:
        return Read({}, "it asks for another seed each time, as every preset without one does")
    if name in ("top_k", "adaptive_target"):
        number = max(number, 0.0)  # below 0 it is off there
    return Read({name: int(number) if name in _WHOLE or name == "seed" else number})


def truth(value: Any) -> bool:
    """True for what the programs write where something is switched on."""
    return value.strip().lower() in ("true", "1", "yes", "on") if isinstance(value, str) else bool(value)


def _stops(value: Any, _found: Mapping[str, Any]) -> Read:
    texts = [value] if isinstance(value, str) else list(value)
    if isinstance(value, str) and value.lstrip().startswith("["):  # a list as JSON in a text
        texts = json.loads(value)
    stops = tuple(str(text) for text in texts if text)
    return Read({"stop": stops}) if stops else Read({}, "is empty")


def _breakers(value: Any, _found: Mapping[str, Any]) -> Read:
    if isinstance(value, str):
        value = [json.loads(quoted) for quoted in _BREAKER.findall(value)] or [value]
    return Read({"dry_breakers": tuple(str(text) for text in value if text)})


def _order(key: str, value: Any, found: Mapping[str, Any]) -> Read:
    """The order of the stages. What llama.cpp is told to run is all that runs; other programs have stages beside."""
    above = next(one for one in _ORDERS if one in found)
    if above != key:
        return Read({}, f"{above} says it in its place")
    names: list[Any] = list(value) if not isinstance(value, str) else re.split(r"[\s;,]+", value.strip())
    if key in ("sampler_seq", "sampling_seq"):
        names = [STAGE_LETTERS.get(letter, letter) for letter in str(value).strip()]
    if names and all(isinstance(name, int) for name in names):
        names = [KOBOLD_STAGES[name] if 0 <= name < len(KOBOLD_STAGES) else str(name) for name in names]
    ours = {str(name): STAGES.get(plain_key(str(name)), plain_key(str(name))) for name in names}
    known = list(dict.fromkeys(name for name in ours.values() if name in DEFAULT_ORDER))
    if not known:
        raise ValueError
    if key in ("sampler_priority", "sampler_order"):
        _complete(known)
    if key == "sampler_priority" and truth(found.get("temperature_last", False)):
        known = [*(name for name in known if name != "temperature"), "temperature"]
    # KoboldAI's numbers are always all of them, the two that are none here too.
    passed = (*DEFAULT_ORDER, *(KOBOLD_STAGES if key == "sampler_order" else ()))
    parts = tuple((name, NOTHING_LIKE_IT) for name, stage in ours.items() if stage not in passed)
    return Read({"order": tuple(known)}, parts=parts)


def _complete(known: list[str]) -> None:
    """Add the stages that the other program does not know, where llama.cpp has them: before the one that follows."""
    for place, name in enumerate(DEFAULT_ORDER):
        if name not in known:
            behind = next((known.index(later) for later in DEFAULT_ORDER[place + 1 :] if later in known), len(known))
            known.insert(behind, name)


def _temperature_last(value: Any, found: Mapping[str, Any]) -> Read:
    if not truth(value):
        return Read({}, OFF)
    order = next((key for key in _ORDERS if key in found), "")
    if order and order != "sampler_priority":
        return Read({}, f"{order} says it in its place")
    if order:
        return _order(order, found[order], found)._replace(parts=())
    others = tuple(name for name in DEFAULT_ORDER if name != "temperature")
    return Read({"order": (*others, "temperature")})


def _dynamic(_value: Any, found: Mapping[str, Any]) -> Read:
    """A lowest and a highest temperature, where llama.cpp has a middle and a range."""
    if not truth(found.get("dynamic_temperature", found.get("dynatemp", True))):
        return Read({}, OFF)
    low = float(found.get("dynatemp_low", found.get("min_temp", 0)))
    high = float(found.get("dynatemp_high", found.get("max_temp", low)))
    if high <= low:
        return Read({}, "the highest temperature is not above the lowest, so that it changes nothing")
    return Read({"temperature": (low + high) / 2, "dynatemp_range": (high - low) / 2})


def _sampled(value: Any, _found: Mapping[str, Any]) -> Read:
    return Read({}) if truth(value) else Read({"temperature": 0.0})


def _biases(value: Any, _found: Mapping[str, Any]) -> Read:
    if not value:
        return Read({}, "is empty")
    if isinstance(value, str):  # as llama.cpp's option has it
        found = _BIAS.fullmatch(value)
        if found is None:
            raise ValueError
        return Read({"logit_bias": {f"#{found[1]}": float(found[2].replace(" ", ""))}})
    if isinstance(value, Mapping):
        pairs = {f"#{token}" if str(token).isdigit() else token: float(b) for token, b in value.items()}
        return Read({"logit_bias": {token: -math.inf if bias <= -1e9 else bias for token, bias in pairs.items()}})
    return Read({"logit_bias": {entry["text"]: float(entry["value"]) for entry in value}})


def _mirostat(value: Any, _found: Mapping[str, Any]) -> Read:
    """LM Studio's, which is three parameters in one."""
    if not int(value["version"]):
        return Read({"mirostat": 0})
    rate, target = float(value["learningRate"]), float(value["targetEntropy"])
    return Read({"mirostat": int(value["version"]), "mirostat_eta": rate, "mirostat_tau": target})


def _structured(value: Any, _found: Mapping[str, Any]) -> Read:
    schema = value.get("jsonSchema") if isinstance(value, Mapping) else None
    if schema:
        return Read({"json_schema": json.dumps(schema)})
    return Read({}, OFF if value.get("type") == "none" else "it holds no JSON schema")


_SPECIAL: Final[dict[str, Callable[[Any, Mapping[str, Any]], Read]]] = {
    **dict.fromkeys(
        ("stop", "stops", "stopstrings", "stop_strings", "custom_stopping_strings", "stop_sequence", "antiprompt"),
        _stops,
    ),
    "reverse_prompt": _stops,
    **dict.fromkeys(("dry_sequence_breakers", "dry_sequence_breaker", "dry_breakers"), _breakers),
    **dict.fromkeys(
        ("dynamic_temperature", "dynatemp", "dynatemp_low", "dynatemp_high", "min_temp", "max_temp"), _dynamic
    ),
    "temperature_last": _temperature_last,
    "do_sample": _sampled,
    "logit_bias": _biases,
    "mirostatsampling": _mirostat,
    "structured": _structured,
}
_LAST: Final = ("dynamic_temperature", "dynatemp", "dynatemp_low", "dynatemp_high", "min_temp", "max_temp", "do_sample")
"""Keys that stand above one that says the same otherwise, wherever they stand in the file."""
