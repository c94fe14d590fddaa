"""What a model behind Anthropic's API can do, from what the server tells about it and from its name.

Others than Anthropic speak this API: llama.cpp's server, vLLM, Ollama. They list their models in OpenAI's shape, take
sampling parameters, and know neither effort nor a cache of prompts. What nobody tells stays unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from playground.backends.base import Capabilities
from playground.domain.endpoints import Endpoint
from playground.domain.models import ModelCard

SAMPLING: Final = frozenset({"temperature", "top_p", "top_k"})
"""Sampling parameters this API once had for all models, and still has at servers other than Anthropic's."""
THINKING: Final = {"off": "disabled", "adaptive": "adaptive", "on": "enabled"}
"""Our words for ways of thinking, and the API's."""

_PARAMS: Final = frozenset({"max_tokens", "stop"})
_LEVELS: Final = ("low", "medium", "high", "xhigh", "max")
_VERSION: Final = re.compile(r"claude-(?:opus|sonnet|haiku)-(\d{1,2})(?:-(\d{1,2}))?(?!\d)")
_FIRST_GENERATIONS: Final = re.compile(r"claude-(?:instant|v?[123](?!\d))")
_LAST_WITH_PREFILL: Final = (4, 5)

_NO_LOGPROBS: Final = "This API gives no log-probabilities."
_REASONS: Final = {
    "logprobs": _NO_LOGPROBS,
    "stages": "The sampling happens at the server, which does not report it.",
    "live_params": "A request cannot be changed while it is answered.",
    "fork": "The server gives text and no tokens, so there is none to go on from.",
    "raw": "This API takes conversations, not raw text.",
    "view_prompt": "The server does not show the prompt it makes of the messages.",
}
_CLAUDE_REASONS: Final = _REASONS | {
    "params": "Claude's API takes no sampling parameters; effort and thinking take their place.",
    "continue_reply": "This model does not go on from the beginning of a reply; the last message must be the person's.",
    "effort": "The server names no levels of effort for this model.",
    "thinking": "The server names no ways of thinking for this model.",
    "grammar": "Claude's API takes no GBNF grammar; newer models take a JSON schema.",
    "json_schema": "The server names no structured outputs for this model.",
    "speculate": "The sampling happens at the server; nothing can be guessed for it.",
}
_OTHER_REASONS: Final = _REASONS | {
    "params": 'The server does not take it through this API; an endpoint with api = "openai" may.',
    "continue_reply": "Nobody told whether this server goes on from the beginning of a reply.",
    "effort": "Only Claude's API has levels of effort.",
    "thinking": "Only Claude's API lets one choose how the model thinks.",
    "grammar": 'This API takes no grammar; an endpoint with api = "openai" may.',
    "json_schema": 'Only Claude takes a JSON schema through this API; an endpoint with api = "openai" may.',
    "speculate": "The sampling happens at the server; nothing can be guessed for it.",
    "cache": "Only Claude's API lets one choose how long a prompt is kept.",
    "legacy_sampling": "The server takes sampling parameters as they are.",
}
_NO_COUNT: Final = "The server does not count tokens."


class ModelFacts(msgspec.Struct):
    """One model as a server describes it; of the fields only `id` is in every server's list."""

    id: str
    type: str | None = None
    owned_by: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    max_model_len: int | None = None
    """vLLM's name for the context window."""
    lifecycle: str | None = None
    retires_at: str | None = None
    capabilities: Any = None
    """A table by name; other servers put other things there."""
    meta: Any = None
    """llama.cpp's."""

    @property
    def window(self) -> int | None:
        """Context window in tokens."""
        n_ctx = self.meta.get("n_ctx") if isinstance(self.meta, dict) else None
        return self.max_input_tokens or self.max_model_len or (n_ctx if isinstance(n_ctx, int) else None) or None

    @property
    def told(self) -> dict[str, Any]:
        """What Claude's API says about the model's abilities."""
        return self.capabilities if isinstance(self.capabilities, dict) else {}


class _List(msgspec.Struct):
    data: list[ModelFacts] = []


_LIST: Final = msgspec.json.Decoder(_List)
_ONE: Final = msgspec.json.Decoder(ModelFacts)


def read_list(body: bytes) -> list[ModelFacts]:
    """The models in a server's list. Raises ValueError when it is none."""
    return _LIST.decode(body).data


def read_one(body: bytes) -> ModelFacts:
    """The one model in an answer. Raises ValueError when it is none."""
    return _ONE.decode(body)


def is_other_server(endpoint: Endpoint, model: str, facts: ModelFacts | None) -> bool:
    """True when the model is none of Claude's, so that the rules of Claude's API do not hold."""
    if "claude" in model.casefold():
        return False
    if facts is not None:
        return facts.type != "model"
    return not endpoint.key_needed


def card_of(endpoint: Endpoint, model: str, facts: ModelFacts | None) -> ModelCard:
    """What the screen needs to know."""
    return ModelCard(
        id=f"{endpoint.name}/{model}",
        short_name=model,
        provider=endpoint.name,
        n_ctx=facts.window if facts else None,
        max_output=(facts.max_tokens or None) if facts else None,
        note=_note(facts),
    )


def capabilities_of(endpoint: Endpoint, model: str, facts: ModelFacts | None, *, counts: bool = True) -> Capabilities:
    """What can be asked of the model. `counts`: the server is not known to lack the counting of tokens."""
    uncounted = {} if counts else {"exact_count": _NO_COUNT}
    if is_other_server(endpoint, model, facts):
        continues = facts is not None and facts.owned_by == "llamacpp"
        return Capabilities(
            params=_PARAMS | SAMPLING,
            logprobs="none",
            exact_count=counts,
            continue_reply=continues,
            reasons=_OTHER_REASONS | uncounted,
        )
    told = facts.told if facts else {}
    return Capabilities(
        params=_PARAMS | {"json_schema"} if _takes_schema(told) else _PARAMS,
        logprobs="none",
        exact_count=counts,
        continue_reply=takes_prefill(model),
        effort=_supported(told.get("effort"), _LEVELS),
        thinking=_ways_of_thinking(told),
        cache=("off", "5m", "1h"),
        legacy_sampling=SAMPLING,
        reasons=_CLAUDE_REASONS | uncounted,
    )


def _takes_schema(told: Mapping[str, Any]) -> bool:
    """True unless the server describes the model and says nothing of structured outputs; else it is the judge."""
    structured = told.get("structured_outputs")
    return not told or (isinstance(structured, dict) and structured.get("supported") is True)


def takes_prefill(model: str) -> bool:
    """True for a Claude that goes on from the beginning of a reply: those up to version 4.5 do."""
    name = model.casefold()
    version = _VERSION.search(name)
    if version is None:
        return _FIRST_GENERATIONS.search(name) is not None
    return (int(version[1]), int(version[2] or 0)) <= _LAST_WITH_PREFILL


def _ways_of_thinking(told: Mapping[str, Any]) -> tuple[str, ...]:
    thinking = told.get("thinking")
    if not isinstance(thinking, dict) or thinking.get("supported") is False:
        return ()
    theirs = _supported(thinking.get("types"), tuple(THINKING.values()))
    return tuple(ours for ours, their in THINKING.items() if their in theirs)


def _supported(table: object, order: tuple[str, ...]) -> tuple[str, ...]:
    """Names that such a table says are supported, known ones first and in this order."""
    if not isinstance(table, dict) or table.get("supported") is False:
        return ()
    names = [name for name, entry in table.items() if isinstance(entry, dict) and entry.get("supported") is True]
    return tuple(sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name)))


def _note(facts: ModelFacts | None) -> str:
    if facts is None:
        return "The server does not tell its limits."
    if facts.lifecycle == "retired":
        return "This model is retired: the server does not answer with it any more."
    if facts.lifecycle == "deprecated":
        when = f" on {facts.retires_at[:10]}" if facts.retires_at else " before long"
        return f"This model is deprecated and retires{when}."
    return "" if facts.window else "The server does not tell its context window."
