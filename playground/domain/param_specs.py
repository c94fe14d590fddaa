"""One table for every sampling parameter: its range, its step, where it is off, and what it does in one line.

Sliders, validation, `--set` and the help all read from here.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec


class ParamSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be known about one numeric parameter."""

    name: str
    """Field of SamplingParams."""
    label: str
    low: float
    high: float
    step: float
    help: str
    """One line: what turning it up does."""
    off: float | None = None
    """The value at which its stage does nothing; drawn as "off"."""
    scale: Literal["linear", "log"] = "linear"
    decimals: int = 2
    """0 marks a whole number."""
    group: str = ""
    """Stage it belongs to; parameters of one group are shown together."""
    common: bool = False
    """Shown without asking for more."""

    @property
    def whole(self) -> bool:
        """True when only whole numbers make sense."""
        return self.decimals == 0


def _spec(name: str, label: str, low: float, high: float, step: float, summary: str, /, **more: Any) -> ParamSpec:
    return ParamSpec(name=name, label=label, low=low, high=high, step=step, help=summary, **more)


# fmt: off
SPECS: Final[dict[str, ParamSpec]] = {
    spec.name: spec
    for spec in (
        _spec("temperature", "temperature", 0.0, 5.0, 0.05,
              "Flattens the distribution: 0 always takes the top token, 1 is the model's own, above 1 is wilder.",
              group="temperature", common=True),
        _spec("top_k", "top-k", 0, 1000, 1, "Keeps only the k most likely tokens.",
              off=0, decimals=0, scale="log", group="top_k", common=True),
        _spec("top_p", "top-p", 0.0, 1.0, 0.01, "Keeps the smallest set of tokens whose probabilities reach p.",
              off=1.0, group="top_p", common=True),
        _spec("min_p", "min-p", 0.0, 1.0, 0.01, "Keeps tokens at least p times as likely as the best one.",
              off=0.0, group="min_p", common=True),
        _spec("repeat_penalty", "repeat penalty", 0.5, 2.0, 0.01,
              "Divides the logits of tokens that were used lately; above 1 repeats less.",
              off=1.0, group="penalties", common=True),
        _spec("dynatemp_range", "dynamic range", 0.0, 5.0, 0.05,
              "Lets the temperature move by this much either way, high where the model is unsure.",
              off=0.0, group="temperature"),
        _spec("dynatemp_exponent", "dynamic exponent", 0.1, 5.0, 0.05,
              "How sharply the dynamic temperature follows the entropy.", group="temperature"),
        _spec("typical_p", "typical-p", 0.0, 1.0, 0.01,
              "Keeps tokens whose surprise is close to the expected one, up to mass p.", off=1.0, group="typical_p"),
        _spec("top_n_sigma", "top-n-sigma", 0.0, 10.0, 0.1,
              "Keeps tokens within n standard deviations of the best logit; temperature does not disturb it.",
              off=0.0, group="top_n_sigma"),
        _spec("xtc_probability", "XTC chance", 0.0, 1.0, 0.01,
              "How often the most obvious tokens are removed so that a less obvious one is taken.",
              off=0.0, group="xtc"),
        _spec("xtc_threshold", "XTC threshold", 0.0, 0.5, 0.01,
              "Tokens above this probability count as obvious; the least likely of them stays.", group="xtc"),
        _spec("dry_multiplier", "DRY strength", 0.0, 5.0, 0.05,
              "Penalises a token that would continue a sequence already written.", off=0.0, group="dry"),
        _spec("dry_base", "DRY base", 1.0, 4.0, 0.05, "How fast the DRY penalty grows with the length of the repeat.",
              group="dry"),
        _spec("dry_allowed_length", "DRY free length", 1, 50, 1, "Repeats up to this many tokens go unpunished.",
              decimals=0, group="dry"),
        _spec("dry_last_n", "DRY window", -1, 8192, 1, "How many tokens back DRY looks; -1 is the whole context.",
              off=0, decimals=0, group="dry"),
        _spec("mirostat", "mirostat", 0, 2, 1,
              "Steers towards a constant surprise instead of cutting: 0 off, or version 1 or 2.",
              off=0, decimals=0, group="mirostat"),
        _spec("mirostat_tau", "mirostat tau", 0.0, 20.0, 0.1, "The surprise in bits that mirostat aims for.",
              group="mirostat"),
        _spec("mirostat_eta", "mirostat eta", 0.0, 1.0, 0.01, "How fast mirostat corrects itself.", group="mirostat"),
        _spec("adaptive_target", "adaptive-p target", 0.0, 1.0, 0.01,
              "Prefers tokens whose probability is near this target, adapting to what was picked.",
              off=0.0, group="adaptive_p"),
        _spec("adaptive_decay", "adaptive-p decay", 0.0, 0.99, 0.01, "How long adaptive-p remembers its past picks.",
              group="adaptive_p"),
        _spec("frequency_penalty", "frequency penalty", -2.0, 2.0, 0.05,
              "Takes this much off a token's logit each time it was used lately.", off=0.0, group="penalties"),
        _spec("presence_penalty", "presence penalty", -2.0, 2.0, 0.05,
              "Takes this much off a token's logit once it was used lately.", off=0.0, group="penalties"),
        _spec("penalty_last_n", "penalty window", -1, 8192, 1,
              "How many tokens back penalties look; -1 is the whole context.", off=0, decimals=0, group="penalties"),
        _spec("min_keep", "keep at least", 1, 100, 1, "Cutting stages never leave fewer candidates than this.",
              decimals=0, group="limits"),
        _spec("max_tokens", "max tokens", -1, 131072, 1, "The reply ends after this many tokens; -1 is no limit.",
              off=-1, decimals=0, scale="log", group="limits", common=True),
        _spec("speculate", "guess ahead", 0, 32, 1,
              "Guesses this many tokens from earlier text and checks them in one step: faster where text repeats.",
              off=0, decimals=0, group="limits"),
        _spec("top", "candidates kept", 1, 100, 1, "How many candidates are recorded for each token.",
              decimals=0, group="limits"),
    )
}
# fmt: on
"""Every numeric parameter by name, in the order they are shown."""
