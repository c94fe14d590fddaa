"""Which parameters a server and a model take: the tables behind the capabilities."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from playground.backends.base import Capabilities
from playground.backends.openai_servers import ServerFacts, ServerKind
from playground.domain.messages import CallOptions
from playground.domain.sampling import SamplingParams

COMMON_NAMES: Final = {name: name for name in ("temperature", "top_p", "frequency_penalty", "presence_penalty")}
"""Our names to those of the API, for parameters that are sent as they are."""
MORE_NAMES: Final = {
    "top_k": "top_k",
    "min_p": "min_p",
    "repeat_penalty": "repetition_penalty",
    "ignore_eos": "ignore_eos",
}
"""The same for what some servers take besides."""
LLAMA_CPP_NAMES: Final = {
    name: name
    for name in (
        "temperature",
        "dynatemp_range",
        "dynatemp_exponent",
        "top_k",
        "top_p",
        "min_p",
        "typical_p",
        "xtc_probability",
        "xtc_threshold",
        "dry_multiplier",
        "dry_base",
        "dry_allowed_length",
        "mirostat",
        "mirostat_tau",
        "mirostat_eta",
        "adaptive_decay",
        "repeat_penalty",
        "frequency_penalty",
        "presence_penalty",
        "min_keep",
        "ignore_eos",
    )
} | {"dry_last_n": "dry_penalty_last_n", "penalty_last_n": "repeat_last_n"}
"""The same for llama.cpp; what needs more than another name is in `openai_request`."""

_ALWAYS: Final = frozenset({"max_tokens", "top"})
_COMMON: Final = frozenset({*COMMON_NAMES, "seed", "stop", "logit_bias", "json_schema"}) | _ALWAYS
_PARAMS: Final[dict[ServerKind, frozenset[str]]] = {
    ServerKind.LLAMA_CPP: frozenset(SamplingParams.__struct_fields__) - {"speculate"},
    ServerKind.VLLM: _COMMON | {"top_k", "min_p", "repeat_penalty", "ignore_eos"},
    ServerKind.SGLANG: _COMMON | {"top_k", "min_p", "repeat_penalty", "ignore_eos"},
    ServerKind.OPENROUTER: _COMMON | {"top_k", "min_p", "repeat_penalty"},
    ServerKind.LM_STUDIO: _COMMON | {"top_k"},
    ServerKind.OLLAMA: _COMMON - {"logit_bias"},
    ServerKind.TGI: _COMMON - {"logit_bias"},
}
_CANDIDATES: Final[dict[ServerKind, tuple[int, int]]] = {
    ServerKind.LLAMA_CPP: (100, 100),
    ServerKind.VLLM: (20, 20),
    ServerKind.SGLANG: (20, 20),
    ServerKind.OLLAMA: (20, 20),
    ServerKind.TGI: (5, 5),
}
"""Most candidates in chats and with raw completions."""
_LIKE_OPENAI: Final = (20, 5)

_EFFORTS: Final = ("low", "medium", "high")
_REASONING: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"o1-(mini|preview)", ()),
    (r"o\d", _EFFORTS),
    (r"gpt-5(-mini|-nano|-codex|-pro)?(-\d{4}-.*)?$", ("minimal", *_EFFORTS)),
    (r"gpt-5\.1", ("none", *_EFFORTS)),
    (r"gpt-([6-9]|5\.\d)", ("none", *_EFFORTS, "xhigh")),
)
"""OpenAI's models that think before they answer, by the beginning of their names, and the efforts they know. They
refuse to be sampled in any way but their own; log-probabilities they give with the effort "none" alone."""
_NO_LOGPROBS: Final = re.compile(r"deepseek-reasoner")


class Traits(NamedTuple):
    """What one model on one server takes."""

    params: frozenset[str]
    logprobs: bool = True
    """Worth asking for."""
    effort: tuple[str, ...] = ()
    thinking: tuple[str, ...] = ()
    max_completion_tokens: bool = False
    """The newer name of `max_tokens`, the only one that reasoning models take."""
    reasoning: bool = False

    def asks_logprobs(self, options: CallOptions) -> bool:
        """True when a request asks for log-probabilities."""
        return self.logprobs or (self.reasoning and options.effort == "none" and "none" in self.effort)


def traits_of(facts: ServerFacts, refused: frozenset[str] = frozenset()) -> Traits:
    """The traits of a model; `refused` are fields that the server refused before."""
    params = _PARAMS.get(facts.kind, _COMMON)
    wire = {**COMMON_NAMES, **MORE_NAMES, **(LLAMA_CPP_NAMES if facts.kind is ServerKind.LLAMA_CPP else {})}
    params = params - {name for name in params if wire.get(name, name) in refused}
    logprobs = "logprobs" not in refused and _NO_LOGPROBS.match(_bare(facts.model)) is None
    if facts.supported is not None:
        wire["json_schema"] = "structured_outputs"
        params = frozenset(name for name in params if name in _ALWAYS or wire.get(name, name) in facts.supported)
        logprobs = logprobs and "logprobs" in facts.supported
    efforts = _reasoning_efforts(facts)
    if efforts is not None:
        params &= {*_ALWAYS, "seed", "json_schema"}
        return Traits(params, False, efforts, max_completion_tokens=True, reasoning=True)
    effort = _EFFORTS if "reasoning_effort" in facts.template or "reasoning" in (facts.supported or ()) else ()
    thinking = ("on", "off") if "enable_thinking" in facts.template else ()
    return Traits(params, logprobs, effort, thinking, max_completion_tokens=facts.kind is ServerKind.OPENAI)


def most_candidates(kind: ServerKind, *, raw: bool) -> int:
    """How many candidates a server gives for each token."""
    return _CANDIDATES.get(kind, _LIKE_OPENAI)[raw]


def capabilities_of(facts: ServerFacts, traits: Traits, name: str, logprobs: bool | None) -> Capabilities:
    """What the screen is told. `logprobs`: whether replies had them so far; None before the first one."""
    is_llama_cpp = facts.kind is ServerKind.LLAMA_CPP
    counts = facts.kind in (ServerKind.LLAMA_CPP, ServerKind.VLLM)
    may = traits.logprobs or "none" in traits.effort
    server = name if facts.kind is ServerKind.OTHER else f"{name} ({facts.kind})"
    reasons = {
        "params": f"{server} does not take it.",
        "stages": "A server reports nothing of its sampler stages.",
        "live_params": "A server takes parameters once a request; a change waits for the next one.",
        "fork": f"{server} does not go on from any token.",
        "speculate": f"{server} guesses ahead as it was started; a request cannot ask for it.",
        "grammar": f"{server} takes no GBNF grammar{', but a JSON schema' if 'json_schema' in traits.params else ''}.",
    }
    if traits.reasoning:
        reasons["params"] = f"{facts.model} thinks before it answers and is sampled its own way; choose an effort."
    if logprobs is False or not may:
        reasons["logprobs"] = f"{facts.model} at {name} gives no log-probabilities."
    if not counts:
        reasons["exact_count"] = f"{server} does not count tokens."
    if not is_llama_cpp:
        reasons["view_prompt"] = f"{server} does not show what it makes of a conversation."
    continues = facts.kind in (ServerKind.LLAMA_CPP, ServerKind.VLLM, ServerKind.SGLANG)
    if not continues:
        reasons["continue_reply"] = f"{server} begins every reply anew."
    return Capabilities(
        params=traits.params,
        logprobs="none" if logprobs is False or not may else ("top" if logprobs else "maybe"),
        exact_count=counts,
        continue_reply=continues,
        raw=True,
        view_prompt=is_llama_cpp,
        effort=traits.effort,
        thinking=traits.thinking,
        reasons=reasons,
    )


def _reasoning_efforts(facts: ServerFacts) -> tuple[str, ...] | None:
    """Efforts of one of OpenAI's thinking models; None for any other model."""
    hosted = facts.kind in (ServerKind.OPENAI, ServerKind.AZURE)
    name = _bare(facts.model)
    if not (hosted or facts.model.startswith("openai/")) or "-chat" in name:
        return None
    return next((efforts for pattern, efforts in _REASONING if re.match(pattern, name)), None)


def _bare(model: str) -> str:
    return model.rsplit("/", 1)[-1].casefold()
