"""A preset in the notation of another program."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from playground.domain.sampling import SamplingParams
from playground.services.preset_ini import escaped, one_line_schema, stage_letters
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
}
_OLLAMA: Final = {
    **{name: name for name in ("temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "seed")},
    **{name: name for name in ("presence_penalty", "frequency_penalty")},
    "penalty_last_n": "repeat_last_n",
    "max_tokens": "num_predict",
}
_HERE_ALONE: Final = {
    "top": "it says how many candidates are kept here",
    "speculate": "it depends on the model that guesses",
    "min_keep": "llama.cpp takes it with a request to its server only",
}
_EXPLICIT: Final = ("temperature", "top_k", "top_p", "min_p")
"""Written even where a preset leaves them off: other programs have defaults of their own there."""


class Exported(NamedTuple):
    """A preset as a text, and what could not be said in that notation."""

    text: str
    left_out: dict[str, str]
    """Our names of parameters of which this text does not say all, each with the reason."""


def export_preset(preset: Preset, form: str) -> Exported:
    """A preset in one of `FORMS`."""
    return FORMS[form](preset)


def _toml(preset: Preset) -> Exported:
    return Exported(preset_toml(preset.name, preset.summary, preset.watch, preset.sampling), {})


def _json(preset: Preset) -> Exported:
    finite = {name: _finite(value) for name, value in msgspec.to_builtins(_said(preset)).items()}
    return Exported(json.dumps({"name": preset.name, **finite}, indent=2, ensure_ascii=False) + "\n", {})


def _finite(value: Any) -> Any:
    """JSON knows no infinity; a large number bans a token as well."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return math.copysign(1e9, value) if isinstance(value, float) and math.isinf(value) else value


def _llama_cpp(preset: Preset) -> Exported:
    lines = [f"[{preset.name.replace('[', '(').replace(']', ')')}]"]
    left_out = {}
    for name, value in _said(preset).items():
        if name in _LLAMA_CPP:
            lines.append(f"{_LLAMA_CPP[name]} = {_plain(value)}")
            continue
        written, why = _ini_lines(name, value)
        lines += written
        if why:
            left_out[name] = why
    return Exported("\n".join(lines) + "\n", left_out)


def _ini_lines(name: str, value: Any) -> tuple[list[str], str]:
    """The lines of a parameter that is more than a number, and why it is not said by them as a whole."""
    match name:
        case "order":
            return [f"sampler-seq = {stage_letters(value)}"], ""
        case "stop" | "dry_breakers":
            key = "reverse-prompt" if name == "stop" else "dry-sequence-breaker"
            texts = [escaped(text) for text in value] or (["none"] if name == "dry_breakers" else [])
            last = f"of several lines with {key} llama.cpp takes the last; on its command line all can be given"
            return [f"{key} = {text}" for text in texts], last if len(texts) > 1 else ""
        case "ignore_eos":
            return (["ignore-eos = true"] if value else []), ""
        case "json_schema":
            return ([f"json-schema = {one_line_schema(value)}"] if value.strip() else []), ""
        case "grammar":
            return _ini_grammar(value)
        case "logit_bias":
            return _ini_biases(value)
    return [], _HERE_ALONE.get(name, "its INI files have nothing like it")


def _ini_grammar(grammar: str) -> tuple[list[str], str]:
    rules = [line.strip() for line in grammar.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if not rules:
        return [], ""
    if len(rules) > 1:
        return [], "a value in an INI file is one line; put the grammar into a file and name that with grammar-file"
    if set("#;") & set(rules[0]):
        return [], "a comment would begin inside it; put the grammar into a file and name that with grammar-file"
    return [f"grammar = {rules[0]}"], ""


def _ini_biases(biases: dict[str, float]) -> tuple[list[str], str]:
    if len(biases) > 1:
        return [], "an INI file can hold the bias of one token; on the command line of llama.cpp all can be given"
    for token, bias in biases.items():
        if not token.removeprefix("#").isdigit() or not token.startswith("#"):
            return [], "llama.cpp wants the number of a token, and here it is a text"
        return [f"logit-bias = {token[1:]}{bias:+.9g}"], ""
    return [], ""


def _ollama(preset: Preset) -> Exported:
    said = _said(preset)
    lines = [f"# {preset.name}: put these below FROM in a Modelfile"]
    lines += [f"PARAMETER {_OLLAMA[name]} {_plain(value)}" for name, value in said.items() if name in _OLLAMA]
    lines += [f"PARAMETER stop {json.dumps(stop, ensure_ascii=False)}" for stop in said.get("stop", ())]
    others = [name for name in said if name not in (*_OLLAMA, "stop")]
    return Exported("\n".join(lines) + "\n", dict.fromkeys(others, "Ollama has no parameter like it"))


def _said(preset: Preset) -> dict[str, Any]:
    params = preset.params
    names = [name for name in SamplingParams.__struct_fields__ if name in preset.sampling or name in _EXPLICIT]
    return {name: value for name in names if (value := getattr(params, name)) is not None}


def _plain(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


FORMS: Final[dict[str, Callable[[Preset], Exported]]] = {
    "toml": _toml,
    "json": _json,
    "llama.cpp": _llama_cpp,
    "ollama": _ollama,
}
"""By name: how a preset is written. The first is ours."""
