"""What other programs do where their presets say nothing. Those that are not here store every value, or are neutral."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_DEFAULTS: Final[dict[str, dict[str, Any]]] = {
    # common/common.h, common_params_sampling.
    "llama.cpp": {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05},
    # api/types.go, DefaultOptions. Its repeat penalty was 1.1 before August 2026 and is off since.
    "Ollama": {"temperature": 0.8, "top_k": 40, "top_p": 0.9},
    # lmstudio-js, the schematics of llm.prediction.
    "LM Studio": {"temperature": 0.8, "top_k": 40, "top_p": 0.95, "min_p": 0.05, "repeat_penalty": 1.1},
    # transformers, GenerationConfig. Without do_sample the most likely token is taken; see `unsaid`.
    "Hugging Face": {"top_k": 50},
}
_STAGES: Final = {"repeat_penalty": "penalties"}
"""The stage that a parameter belongs to, where it has another name."""


def unsaid(kind: str, sampling: Mapping[str, Any], *, samples: bool = True) -> dict[str, Any]:
    """The values that hold in the program because its preset does not set them.

    Args:
        kind: Whose preset it is.
        sampling: What the preset sets, by our names.
        samples: False where the file does not say that tokens are drawn and the program then takes the most likely.
    """
    order = sampling.get("order")
    defaults = {
        name: value
        for name, value in _DEFAULTS.get(kind, {}).items()
        if name not in sampling and (order is None or _STAGES.get(name, name) in order)
    }
    if samples or kind != "Hugging Face" or "temperature" in sampling:
        return defaults
    return {**defaults, "temperature": 0.0}


def sentence(kind: str, defaults: Mapping[str, Any]) -> str:
    """Which values are a program's defaults and were not in the file; empty for none."""
    if not defaults:
        return ""
    values = ", ".join(f"{name} {value:g}" for name, value in defaults.items())
    greedy = " (without do_sample it takes the most likely token)" if defaults.get("temperature") == 0.0 else ""
    return f"Not in the file, so the defaults of {kind} hold: {values}{greedy}."
