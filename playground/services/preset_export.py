"""A preset in the notation of another program."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from playground.domain.sampling import SamplingParams
from playground.services.presets import Preset, preset_toml

_LLAMA_CPP: Final = {
    "temperature": "temp",
    "dynatemp_range": "dynatemp-range",
    "dynatemp_exponent": "dynatemp-exp",
    "top_k": "top-k",
    "top_p": "top-p",
    "min_p": "min-p",
    "typical_p": "typical",
    "top_n_sigma": "top-nsigma",
    "xtc_probability": "xtc-probability",
    "xtc_threshold": "xtc-threshold",
    "dry_multiplier": "dry-multiplier",
    "dry_base": "dry-base",
    "dry_allowed_length": "dry-allowed-length",
    "dry_last_n": "dry-penalty-last-n",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat-ent",
    "mirostat_eta": "mirostat-lr",
    "adaptive_target": "adaptive-target",
    "adaptive_decay": "adaptive-decay",
    "repeat_penalty": "repeat-penalty",
    "frequency_penalty": "frequency-penalty",
    "presence_penalty": "presence-penalty",
    "penalty_last_n": "repeat-last-n",
    "seed": "seed",
    "max_tokens": "n-predict",
    "order": "samplers",
}
_OLLAMA: Final = {
    **{name: name for name in ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "seed")},
    "penalty_last_n": "repeat_last_n",
    "max_tokens": "num_predict",
}
_EXPLICIT: Final = ("temperature", "top_k", "top_p", "min_p")
"""Written even where a preset leaves them off: other programs have defaults of their own there."""


class Exported(NamedTuple):
    """A preset as a text, and what could not be said in that notation."""

    text: str
    left_out: tuple[str, ...]
    """Our names of parameters the notation does not have."""


def export_preset(preset: Preset, form: str) -> Exported:
    """A preset in one of `FORMS`."""
    return FORMS[form](preset)


def _toml(preset: Preset) -> Exported:
    return Exported(preset_toml(preset.name, preset.summary, preset.watch, preset.sampling), ())


def _json(preset: Preset) -> Exported:
    finite = {name: _finite(value) for name, value in msgspec.to_builtins(_said(preset)).items()}
    return Exported(json.dumps({"name": preset.name, **finite}, indent=2, ensure_ascii=False) + "\n", ())


def _finite(value: Any) -> Any:
    """JSON knows no infinity; a large number bans a token as well."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return math.copysign(1e9, value) if isinstance(value, float) and math.isinf(value) else value


def _llama_cpp(preset: Preset) -> Exported:
    said = _said(preset)
    lines = [f"[{preset.name.replace('[', '(').replace(']', ')')}]"]
    lines += [f"{_LLAMA_CPP[name]} = {_plain(value)}" for name, value in said.items() if name in _LLAMA_CPP]
    return Exported("\n".join(lines) + "\n", tuple(name for name in said if name not in _LLAMA_CPP))


def _ollama(preset: Preset) -> Exported:
    said = _said(preset)
    lines = [f"# {preset.name}: put these below FROM in a Modelfile"]
    lines += [f"PARAMETER {_OLLAMA[name]} {_plain(value)}" for name, value in said.items() if name in _OLLAMA]
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in said.get("stop", ())]
    return Exported("\n".join(lines) + "\n", tuple(name for name in said if name not in (*_OLLAMA, "stop")))


def _said(preset: Preset) -> dict[str, Any]:
    params = preset.params
    names = [name for name in SamplingParams.__struct_fields__ if name in preset.sampling or name in _EXPLICIT]
    return {name: getattr(params, name) for name in names}


def _plain(value: Any) -> str:
    return ";".join(value) if isinstance(value, tuple) else f"{value:g}" if isinstance(value, float) else str(value)


FORMS: Final[dict[str, Callable[[Preset], Exported]]] = {
    "toml": _toml,
    "json": _json,
    "llama.cpp": _llama_cpp,
    "ollama": _ollama,
}
"""By name: how a preset is written. The first is ours."""
