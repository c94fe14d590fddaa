"""What is sent: the body of a request, for each server in the words it knows."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Collection
from typing import Any, Final, NamedTuple

from playground.backends.hosted_texts import ErrorBody
from playground.backends.openai_params import COMMON_NAMES, LLAMA_CPP_NAMES, MORE_NAMES, Traits, most_candidates
from playground.backends.openai_servers import ServerFacts, ServerKind
from playground.domain.errors import Unsupported
from playground.domain.messages import ChatPrompt, GenerationRequest, RawPrompt
from playground.domain.sampling import UNLIMITED, SamplingParams

RAW_LIMIT: Final = 1024
"""Tokens asked for where a server would end raw text after 16."""

_FRESH_SEED: Final = {ServerKind.LLAMA_CPP, ServerKind.OLLAMA, ServerKind.LM_STUDIO, ServerKind.TGI}
"""Servers on which a seed makes a reply come out the same again, so that it is worth knowing."""
_CONTINUES: Final = {ServerKind.LLAMA_CPP, ServerKind.VLLM, ServerKind.SGLANG}
_HOSTED: Final = {ServerKind.OPENAI, ServerKind.AZURE, ServerKind.OPENROUTER}
_MOST_STOPS: Final = 4
_MOST_BIAS: Final = 100.0
_MOST_BIAS_LLAMA: Final = 1e9
"""JSON has no infinity."""
_SAMPLERS: Final = {"typical_p": "typ_p"}
"""llama.cpp's names for stages, where they differ from ours."""
_NEVER_DROPPED: Final = {"model", "messages", "prompt", "stream", "response_format", "grammar", "json_schema"}
"""Without them it would be another request. A server that refuses a schema says what is wrong with it."""
_TOGETHER: Final = {"logprobs": ("top_logprobs",)}
"""Fields that make no sense without another one."""


class Call(NamedTuple):
    """A request, ready to be sent."""

    path: str
    body: dict[str, Any]
    seed: int | None
    notes: tuple[str, ...] = ()
    """What could not be sent as it was asked for."""

    def without(self, names: Collection[str]) -> Call:
        """The same without some fields."""
        return self._replace(body={name: value for name, value in self.body.items() if name not in names})


def continues(kind: ServerKind, *, raw: bool) -> bool:
    """True when a server goes on from the beginning of a reply."""
    return raw or kind in _CONTINUES


def build_call(facts: ServerFacts, traits: Traits, request: GenerationRequest) -> Call:
    """The request in the server's words. Raises Unsupported when it cannot continue a reply."""
    params, notes = request.params, list[str]()
    raw = isinstance(request.prompt, RawPrompt)
    seed = params.seed
    if seed is None and facts.kind in _FRESH_SEED:
        seed = secrets.randbits(31)
    body: dict[str, Any] = {"model": facts.model, "stream": True, "stream_options": {"include_usage": True}}
    body |= _prompt(facts, request)
    if facts.kind is ServerKind.LLAMA_CPP:
        body |= _llama_cpp(params, facts.n_ctx)
    else:
        body |= _common(facts, traits, params, notes)
    if params.max_tokens != UNLIMITED:
        body["max_completion_tokens" if traits.max_completion_tokens and not raw else "max_tokens"] = params.max_tokens
    elif raw and facts.kind is not ServerKind.LLAMA_CPP:
        body["max_tokens"] = RAW_LIMIT
        notes.append(f"Without max_tokens this server would stop after 16 tokens; {RAW_LIMIT:,} are asked for.")
    if seed is not None and "seed" in traits.params:
        body["seed"] = seed & 0xFFFFFFFF if facts.kind is ServerKind.LLAMA_CPP else seed
    body |= _structure(facts, traits, params, notes, raw=raw)
    body |= _thinking(facts, traits, request)
    if traits.asks_logprobs(request.options):
        candidates = max(1, min(params.top, most_candidates(facts.kind, raw=raw)))
        body |= {"logprobs": candidates} if raw else {"logprobs": True, "top_logprobs": candidates}
    path = "/completions" if raw else "/chat/completions"
    return Call(path, body, body.get("seed"), tuple(notes))


def _prompt(facts: ServerFacts, request: GenerationRequest) -> dict[str, Any]:
    prompt = request.prompt
    if not isinstance(prompt, ChatPrompt):
        return {"prompt": prompt.text + request.reply_text}
    messages = chat_messages(prompt)
    if not request.reply_text:
        return {"messages": messages}
    if facts.kind not in _CONTINUES:
        raise Unsupported(f"{facts.model} does not continue a reply that was begun.", "Regenerate it instead.")
    messages.append({"role": "assistant", "content": request.reply_text})
    if facts.kind is ServerKind.LLAMA_CPP:
        return {"messages": messages}
    return {"messages": messages, "continue_final_message": True, "add_generation_prompt": False}


def chat_messages(prompt: ChatPrompt) -> list[dict[str, str]]:
    """A conversation as all of these servers take it."""
    return [{"role": message.role.value, "content": message.content} for message in prompt.messages]


def _common(facts: ServerFacts, traits: Traits, params: SamplingParams, notes: list[str]) -> dict[str, Any]:
    """Parameters as OpenAI has them, and those that some servers have besides."""
    names = {ours: theirs for ours, theirs in (COMMON_NAMES | MORE_NAMES).items() if ours in traits.params}
    body: dict[str, Any] = {theirs: getattr(params, ours) for ours, theirs in names.items()}
    if "top_k" in body and params.top_k <= 0:
        body["top_k"] = 0 if facts.kind in (ServerKind.OPENROUTER, ServerKind.LM_STUDIO) else -1
    if facts.kind is ServerKind.TGI:
        # It refuses the values that mean "off" and "greedy", which are its defaults.
        body = {name: value for name, value in body.items() if (name, value) not in (("temperature", 0), ("top_p", 1))}
    if "ignore_eos" in body and not params.ignore_eos:
        del body["ignore_eos"]
    if params.stop and "stop" in traits.params:
        most = _MOST_STOPS if facts.kind in _HOSTED else len(params.stop)
        body["stop"] = list(params.stop[:most])
        if len(params.stop) > most:
            notes.append(f"Only the first {most} stop strings are sent: this API takes no more.")
    if params.logit_bias and "logit_bias" in traits.params:
        by_id = {key[1:]: value for key, value in params.logit_bias.items() if _is_id(key)}
        body["logit_bias"] = {key: max(-_MOST_BIAS, min(_MOST_BIAS, value)) for key, value in by_id.items()}
        if len(by_id) < len(params.logit_bias):
            notes.append("Of logit_bias only token ids (#17) are sent: this API takes no texts.")
    return body


def _llama_cpp(params: SamplingParams, n_ctx: int | None) -> dict[str, Any]:
    """Everything; llama.cpp's server has the samplers of the library we have."""
    body: dict[str, Any] = {theirs: getattr(params, ours) for ours, theirs in LLAMA_CPP_NAMES.items()}
    for name in ("dry_penalty_last_n", "repeat_last_n"):
        if body[name] < 0:  # "the whole context", for which newer servers want its size
            body[name] = n_ctx or 0
    body["samplers"] = [_SAMPLERS.get(stage, stage) for stage in params.order]
    body["top_n_sigma"] = params.top_n_sigma or -1.0
    body["adaptive_target"] = params.adaptive_target if params.adaptive_target > 0 else -1.0
    if params.dry_breakers:
        body["dry_sequence_breakers"] = list(params.dry_breakers)
    if params.stop:
        # Without being verbose it does not tell a stop string from an end of text.
        body |= {"stop": list(params.stop), "verbose": True}
    if params.logit_bias:
        body["logit_bias"] = [
            [int(key[1:]) if _is_id(key) else key, False if value == -math.inf else min(value, _MOST_BIAS_LLAMA)]
            for key, value in params.logit_bias.items()
        ]
    return body | {"timings_per_token": True, "return_progress": True}


def _structure(
    facts: ServerFacts, traits: Traits, params: SamplingParams, notes: list[str], *, raw: bool
) -> dict[str, Any]:
    """What the reply is held to."""
    if params.grammar and "grammar" not in traits.params:
        notes.append("The grammar is not sent: this server takes none.")
    elif params.grammar:
        return {"grammar": params.grammar}
    if not params.json_schema:
        return {}
    schema = json.loads(params.json_schema)
    if facts.kind is ServerKind.LLAMA_CPP:
        return {"json_schema": schema}
    if raw or "json_schema" not in traits.params:
        where = "with raw text" if raw else "with this model"
        notes.append(f"The JSON schema is not sent: this server takes none {where}.")
        return {}
    named = {"name": "reply", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _thinking(facts: ServerFacts, traits: Traits, request: GenerationRequest) -> dict[str, Any]:
    effort = request.options.effort if request.options.effort in traits.effort else ""
    thinking = request.options.thinking if request.options.thinking in traits.thinking else ""
    if facts.kind is not ServerKind.LLAMA_CPP:
        return {"reasoning_effort": effort} if effort else {}
    template: dict[str, object] = {"reasoning_effort": effort} if effort else {}
    if thinking:
        template["enable_thinking"] = thinking == "on"
    return {"chat_template_kwargs": template} if template else {}


def _is_id(key: str) -> bool:
    return key.startswith("#") and key[1:].isdecimal()


def without_refused(call: Call, error: ErrorBody) -> tuple[Call, tuple[str, ...], str] | None:
    """The same call without the field that a server's refusal names; None when it names none of ours.

    Returns the call, the names of the fields that are gone, and what is different in words.
    """
    name = _refused_field(call.body, error)
    if name is None:
        return None
    if name == "max_tokens" and "max_completion_tokens" in error.message:
        changed = call.without(["max_tokens"])
        changed.body["max_completion_tokens"] = call.body["max_tokens"]
        return changed, (), "with max_completion_tokens in place of max_tokens"
    gone = (name, *(other for other in _TOGETHER.get(name, ()) if other in call.body))
    return call.without(gone), gone, f"without {' and '.join(gone)}"


def _refused_field(body: dict[str, Any], error: ErrorBody) -> str | None:
    droppable = sorted(body.keys() - _NEVER_DROPPED, key=len, reverse=True)
    named = re.split(r"[.\[]", error.param)[0]
    if named in droppable:
        return named
    if named in _NEVER_DROPPED:
        return None
    return next((name for name in droppable if re.search(rf"(?<![\w-]){name}(?![\w-])", error.message)), None)
