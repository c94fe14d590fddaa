"""Whose preset it is, by its keys."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

# Keys that one program has and the others do not. What several have, such as nsigma or sampler_order, tells nothing.
_SILLYTAVERN: Final = frozenset(
    [
        "freq_pen",
        "presence_pen",
        "dynatemp",
        "min_temp",
        "max_temp",
        "samplers",
        "sampler_priority",
        "temperature_last",
        "typical_p",
        "genamt",
        "mirostat_mode",
        "add_bos_token",
        "json_schema",
        "grammar_string",
        "dry_sequence_breakers",
        "logit_bias",
    ]
)
_KOBOLD: Final = frozenset(
    ["preset", "typical", "dynatemp_range", "use_default_badwordids", "single_line", "sampler_seed"]
)
_HUGGING_FACE: Final = frozenset(
    [
        "do_sample",
        "transformers_version",
        "_from_model_config",
        "eos_token_id",
        "bos_token_id",
        "pad_token_id",
        "num_beams",
        "decoder_start_token_id",
        "no_repeat_ngram_size",
        "length_penalty",
        "max_new_tokens",
    ]
)


def kind_of(keys: Set[str]) -> str:
    """Whose keys these are; "JSON" where they are the field's common names and no more."""
    silly, kobold = len(keys & _SILLYTAVERN), len(keys & _KOBOLD)
    if {"temp", "rep_pen", "sampler_order"} & keys:
        if silly != kobold:
            return "SillyTavern" if silly > kobold else "KoboldAI"
        return "KoboldAI" if "sampler_order" in keys and "samplers" not in keys else "SillyTavern"
    return "Hugging Face" if keys & _HUGGING_FACE else "JSON"
