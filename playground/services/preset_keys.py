"""What other programs call sampling parameters, and what stands for the same here."""

from __future__ import annotations

import re
from typing import Final

ALIASES: Final[dict[str, str]] = {
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
"""By a program's name for a parameter, in small letters and with "_" for "-": our name."""
SHORT: Final = {"n": "n_predict", "s": "seed", "r": "reverse_prompt", "l": "logit_bias", "j": "json_schema"}
"""llama.cpp's options of one letter that are about sampling."""

STAGES: Final[dict[str, str]] = {
    "typ_p": "typical_p",
    "typical": "typical_p",
    "temp": "temperature",
    "repetition_penalty": "penalties",
    "presence_penalty": "penalties",
    "frequency_penalty": "penalties",
    "dynamic_temperature": "temperature",
    "top_nsigma": "top_n_sigma",
}
"""Stages with another name than here."""
STAGE_LETTERS: Final = {
    "e": "penalties",
    "d": "dry",
    "s": "top_n_sigma",
    "k": "top_k",
    "y": "typical_p",
    "p": "top_p",
    "m": "min_p",
    "x": "xtc",
    "t": "temperature",
}
"""llama.cpp's letters for its stages, as in `--sampler-seq`."""
KOBOLD_STAGES: Final = ("top_k", "top_a", "top_p", "tfs", "typical_p", "temperature", "penalties")
"""KoboldAI's numbers of stages."""

NOTHING_LIKE_IT: Final = "there is nothing like it in llama.cpp"
OFF: Final = "switched off there"
_LOADING: Final = "belongs to loading a model, not to a preset of sampling"
_MODEL: Final = "belongs to the model, not to a preset of sampling"
_TALK: Final = "belongs to the conversation, not to a preset of sampling"
_FILE: Final = "names another file, which is not read"
_WHOLE_FILE: Final = "says in which notation the file is"

_NOWHERE: Final = frozenset(
    [
        "tfs",
        "tfs_z",
        "top_a",
        "smoothing_factor",
        "smoothing_curve",
        "epsilon_cutoff",
        "eta_cutoff",
        "guidance_scale",
        "penalty_alpha",
        "num_beams",
        "num_beam_groups",
        "no_repeat_ngram_size",
        "encoder_repetition_penalty",
        "encoder_rep_pen",
        "rep_pen_slope",
        "rep_pen_decay",
        "rep_pen_size",
        "length_penalty",
        "early_stopping",
        "diversity_penalty",
        "negative_prompt",
        "cfg_scale",
        "skew",
    ]
)
_OF_LOADING: Final = re.compile(
    r"llm\.load\..*|load_params|(rope|yarn|cache|lora|numa|cpu|gpu|hf|mmproj|override|tensor|split|spec|draft)([_.].*)?|"
    r"(num_|n_)(ctx|gpu|gpu_layers|batch|ubatch|thread|threads|cpu_moe|keep|parallel)|ctx(_size)?|contextlength|"
    r"(llama\.)?cputhread.*|(u?batch|threads)(_.*)?|draft_num_predict|parallel|flash_attn|kv_.*|swa_full|fit.*|"
    r"(no_)?(mmap|mlock|warmup|repack|kv_offload)|use_(mmap|mlock)|main_gpu|device|model(_.*)?|alias|context_shift|"
    r"truncation_length|max_context_length|max_length|contextoverflowpolicy"
)
_OF_LOADING_SHORT: Final = frozenset(
    [
        "c",
        "b",
        "ub",
        "t",
        "tb",
        "np",
        "m",
        "mu",
        "hf",
        "hff",
        "hft",
        "ngl",
        "fa",
        "ctk",
        "ctv",
        "sm",
        "ts",
        "mg",
        "dev",
        "ot",
        "cmoe",
        "ncmoe",
        "a",
    ]
)
_OF_MODEL: Final = re.compile(
    r".*_token_id|_from_model_config|transformers_version|(no_)?jinja|(prompt_?)?template|prompttemplate|"
    r"chat_template.*|add_bos_token|bos_token|eos_token|skip_special_tokens|tokenizer.*|architectures"
)
_OF_TALK: Final = re.compile(r"system(_?prompt)?|pre_prompt.*|input_(prefix|suffix).*|contextprefill|tools|message")


def plain_key(key: str) -> str:
    """A key as it is looked up: small letters, "_" for "-", and llama.cpp's variables by the name of their option."""
    return key.lower().replace("-", "_").removeprefix("llama_arg_")


def why_not(key: str, kind: str) -> str:
    """Why a key that is no parameter of sampling here was left out, in words that are true of it.

    Args:
        key: As `plain_key` gives it.
        kind: Whose preset it stands in.
    """
    ours = kind == "llama.cpp"
    if key == "version" and ours:
        return _WHOLE_FILE
    if key in _NOWHERE:
        return NOTHING_LIKE_IT
    if key in ("grammar_file", "json_schema_file", "gf", "jf"):
        return _FILE
    if _OF_LOADING.fullmatch(key) or (ours and key in _OF_LOADING_SHORT):
        return _LOADING
    if _OF_MODEL.fullmatch(key):
        return _MODEL
    if _OF_TALK.fullmatch(key):
        return _TALK
    return "is no option of sampling" if ours else "is not known as a parameter of sampling"
