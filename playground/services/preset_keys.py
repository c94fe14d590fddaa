"""What other programs call sampling parameters, and what stands for the same here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from playground.domain.errors import BadInput
from playground.domain.params import replace
from playground.domain.sampling import DEFAULT_ORDER, NEUTRAL

_ALIASES: Final[dict[str, str]] = {
    alias: name
    for name, aliases in {
        "temperature": "temp temperature",
        "dynatemp_range": "dynatemp_range",
        "dynatemp_exponent": "dynatemp_exponent dynatemp_exp",
        "top_k": "top_k topksampling",
        "top_p": "top_p toppsampling",
        "min_p": "min_p minpsampling",
        "typical_p": "typical_p typical typ_p",
        "top_n_sigma": "top_n_sigma nsigma top_nsigma",
        "xtc_probability": "xtc_probability xtcprobability",
        "xtc_threshold": "xtc_threshold xtcthreshold",
        "dry_multiplier": "dry_multiplier",
        "dry_base": "dry_base",
        "dry_allowed_length": "dry_allowed_length",
        "dry_last_n": "dry_penalty_last_n dry_last_n",
        "mirostat": "mirostat mirostat_mode",
        "mirostat_tau": "mirostat_tau mirostat_ent",
        "mirostat_eta": "mirostat_eta mirostat_lr",
        "adaptive_target": "adaptive_target",
        "adaptive_decay": "adaptive_decay",
        "repeat_penalty": "repeat_penalty repetition_penalty rep_pen repeatpenalty penalty_repeat",
        "frequency_penalty": "frequency_penalty freq_pen frequencypenalty penalty_freq",
        "presence_penalty": "presence_penalty presence_pen presencepenalty penalty_present",
        "penalty_last_n": "repeat_last_n repetition_penalty_range rep_pen_range penalty_last_n",
        "seed": "seed",
        "max_tokens": "max_tokens max_new_tokens num_predict n_predict predict maxpredictedtokens genamt",
        "ignore_eos": "ignore_eos ignore_eos_token ban_eos_token",
        "grammar": "grammar grammar_string",
        "json_schema": "json_schema",
    }.items()
    for alias in aliases.split()
}
_STAGES: Final[dict[str, str]] = {
    "typ_p": "typical_p",
    "typical": "typical_p",
    "temp": "temperature",
    "repetition_penalty": "penalties",
    "presence_penalty": "penalties",
    "frequency_penalty": "penalties",
    "dynamic_temperature": "temperature",
    "top_nsigma": "top_n_sigma",
}
_KOBOLD_STAGES: Final = ("top_k", "", "top_p", "", "typical_p", "temperature", "penalties")
"""KoboldAI's numbers of stages; top-a and tail-free have no counterpart in llama.cpp."""
_WHOLE: Final = frozenset({"top_k", "dry_allowed_length", "dry_last_n", "mirostat", "penalty_last_n", "max_tokens"})
_BREAKER: Final = re.compile(r'"(?:[^"\\]|\\.)*"')


class Taken(NamedTuple):
    """What of somebody else's preset can be used."""

    sampling: dict[str, Any]
    """Fields of SamplingParams, checked."""
    left_out: dict[str, str]
    """Every other key by its own name, and why it was left out."""


def take_over(found: Mapping[str, Any]) -> Taken:
    """Translate keys of other programs. Every key is either in `sampling` under our name or in `left_out`."""
    sampling: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for key, value in found.items():
        plain = key.lower().replace("-", "_")
        reader = _SPECIAL.get(plain)
        try:
            changes = reader(value, found) if reader is not None else _number(plain, value)
            replace(NEUTRAL, **changes)
        except (BadInput, ValueError, TypeError, OverflowError) as error:
            left_out[key] = error.message if isinstance(error, BadInput) else f"{value!r:.60} cannot be read"
            continue
        except KeyError:
            left_out[key] = "there is nothing like it in llama.cpp"
            continue
        sampling |= changes
    return Taken(sampling, left_out)


def _number(key: str, value: Any) -> dict[str, Any]:
    name = _ALIASES[key]
    if name in ("grammar", "json_schema"):
        if not isinstance(value, str):
            value = json.dumps(value) if value else ""
        return {name: value} if value.strip() else {}
    if name == "ignore_eos":
        return {name: _truth(value)}
    number = float(value)
    if name == "seed":
        return {} if number < 0 else {name: int(number)}
    return {name: int(number) if name in _WHOLE else number}


def _truth(value: Any) -> bool:
    return value.strip().lower() in ("true", "1", "yes", "on") if isinstance(value, str) else bool(value)


def _stops(value: Any, _found: Mapping[str, Any]) -> dict[str, Any]:
    texts = [value] if isinstance(value, str) else list(value)
    if isinstance(value, str) and value.lstrip().startswith("["):  # a list as JSON in a text
        texts = json.loads(value)
    return {"stop": tuple(str(text) for text in texts if text)}


def _breakers(value: Any, _found: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(value, str):
        value = [json.loads(quoted) for quoted in _BREAKER.findall(value)] or [value]
    return {"dry_breakers": tuple(str(text) for text in value)}


def _order(value: Any, _found: Mapping[str, Any]) -> dict[str, Any]:
    names: list[Any] = re.split(r"[\s;,]+", value.strip()) if isinstance(value, str) else list(value)
    if names and all(isinstance(name, int) for name in names):
        names = [_KOBOLD_STAGES[name] if 0 <= name < len(_KOBOLD_STAGES) else "" for name in names]
    ours = [_STAGES.get(str(name).lower(), str(name).lower().replace("-", "_")) for name in names]
    known = list(dict.fromkeys(name for name in ours if name in DEFAULT_ORDER))
    if not known:
        raise ValueError
    # What the other program does not know runs where llama.cpp has it: before the stage that follows it there.
    for place, name in enumerate(DEFAULT_ORDER):
        if name not in known:
            behind = next((known.index(later) for later in DEFAULT_ORDER[place + 1 :] if later in known), len(known))
            known.insert(behind, name)
    return {"order": tuple(known)}


def _temperature_last(value: Any, _found: Mapping[str, Any]) -> dict[str, Any]:
    others = tuple(name for name in DEFAULT_ORDER if name != "temperature")
    return {"order": (*others, "temperature")} if _truth(value) else {}


def _dynamic(_value: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    """A lowest and a highest temperature, where llama.cpp has a middle and a range."""
    on = found.get("dynamic_temperature", found.get("dynatemp", True))
    if not _truth(on):
        return {}
    low = float(found.get("dynatemp_low", found.get("min_temp", 0)))
    high = float(found.get("dynatemp_high", found.get("max_temp", low)))
    if high <= low:
        return {}
    return {"temperature": (low + high) / 2, "dynatemp_range": (high - low) / 2}


def _sampled(value: Any, _found: Mapping[str, Any]) -> dict[str, Any]:
    return {} if _truth(value) else {"temperature": 0.0}


def _biases(value: Any, _found: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {"logit_bias": {f"#{token}" if str(token).isdigit() else token: float(b) for token, b in value.items()}}
    return {"logit_bias": {entry["text"]: float(entry["value"]) for entry in value}} if value else {}


_SPECIAL: Final[dict[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]]] = {
    **dict.fromkeys(("stop", "stops", "stopstrings", "custom_stopping_strings", "stop_sequence", "antiprompt"), _stops),
    **dict.fromkeys(("dry_sequence_breakers", "dry_sequence_breaker"), _breakers),
    **dict.fromkeys(("sampler_priority", "samplers", "sampler_order"), _order),
    **dict.fromkeys(
        ("dynamic_temperature", "dynatemp", "dynatemp_low", "dynatemp_high", "min_temp", "max_temp"), _dynamic
    ),
    "temperature_last": _temperature_last,
    "do_sample": _sampled,
    "logit_bias": _biases,
}
