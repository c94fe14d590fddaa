"""llama.cpp's samplers: how each is made, and the values that shape it."""

from __future__ import annotations

import ctypes
from typing import Any, Final, NamedTuple

import llama_cpp.llama_cpp as lib

from playground.domain.sampling import SamplingParams
from playground.engine.prefixes import Prefixes

_MIROSTAT_M: Final = 100  # tokens mirostat 1 looks at to estimate the distribution's tail; llama.cpp's default


class Vocabulary(NamedTuple):
    """What samplers need to know about a model."""

    pointer: Any
    size: int
    n_ctx: int
    n_ctx_train: int
    end_tokens: tuple[int, ...]
    prefixes: Prefixes


def stage_key(
    name: str, p: SamplingParams, *, vocabulary: Vocabulary, bias: dict[int, float], seed: int
) -> tuple[Any, ...]:
    """The stage's name and every value that shapes it. For stages with a window, the window comes second."""
    match name:
        case "logit_bias":
            banned = dict.fromkeys(vocabulary.end_tokens, float("-inf")) if p.ignore_eos else {}
            return (name, *sorted({**bias, **banned}.items()))
        case "penalties":
            return (
                name,
                _window(vocabulary, p.penalty_last_n),
                p.repeat_penalty,
                p.frequency_penalty,
                p.presence_penalty,
            )
        case "dry":
            return (
                name,
                _window(vocabulary, p.dry_last_n),
                p.dry_multiplier,
                p.dry_base,
                p.dry_allowed_length,
                p.dry_breakers,
            )
        case "temperature":
            return name, p.temperature, p.dynatemp_range, p.dynatemp_exponent
        case "xtc":
            return name, p.xtc_probability, p.xtc_threshold, p.min_keep, seed
        case "top_p" | "min_p" | "typical_p":
            return name, getattr(p, name), p.min_keep
        case "mirostat" | "mirostat_v2":
            return name, seed, p.mirostat_tau, p.mirostat_eta
        case "adaptive_p":
            return name, p.adaptive_target, p.adaptive_decay, seed
        case "dist":
            return name, seed
        case "grammar":
            return name, p.grammar, p.json_schema
        case "greedy":
            return (name,)
        case _:
            return name, getattr(p, name)


def _window(vocabulary: Vocabulary, tokens: int) -> int:
    return tokens if tokens >= 0 else vocabulary.n_ctx


def make_stage(vocabulary: Vocabulary, key: tuple[Any, ...]) -> Any:
    """llama.cpp's sampler for a key of `stage_key`; a grammar is made elsewhere."""
    name, values = key[0], key[1:]
    match name:
        case "logit_bias":
            array = (lib.llama_logit_bias * len(values))(*(lib.llama_logit_bias(t, b) for t, b in values))
            return lib.llama_sampler_init_logit_bias(vocabulary.size, len(values), array)
        case "dry":
            window, multiplier, base, allowed, breakers = values
            texts = (ctypes.c_char_p * len(breakers))(*(text.encode("utf-8", "replace") for text in breakers))
            pointer = vocabulary.pointer
            return lib.llama_sampler_init_dry(pointer, multiplier, base, allowed, window, texts, len(breakers))
        case "penalties":
            return lib.llama_sampler_init_penalties(vocabulary.size, *values)
        case "temperature":
            return lib.llama_sampler_init_temp_ext(*values)
        case "mirostat":
            return lib.llama_sampler_init_mirostat(vocabulary.size, *values, _MIROSTAT_M)
        case "typical_p":
            return lib.llama_sampler_init_typical(*values)
        case _:
            return getattr(lib, f"llama_sampler_init_{name}")(*values)
