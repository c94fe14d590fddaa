"""From our request to the body of a call to Anthropic's messages API."""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

from playground.backends.anthropic_models import SAMPLING, THINKING
from playground.backends.base import Capabilities
from playground.domain.errors import RequestRefused, Unsupported
from playground.domain.messages import CallOptions, GenerationRequest, Message, Prompt, RawPrompt, Role
from playground.domain.models import ModelCard
from playground.domain.sampling import NEUTRAL, UNLIMITED, SamplingParams

LEGACY_VERSION: Final = "2023-06-01"
"""Last version of the API that has sampling parameters."""
UNKNOWN_MAX_TOKENS: Final = 4096
"""Longest reply to ask for when neither the person nor the server says; every model takes it."""
_LEAST_BUDGET: Final = 1024
"""Tokens of thinking the API wants at least to be allowed, where it wants a number."""


class Call(NamedTuple):
    """What is sent."""

    body: dict[str, Any]
    headers: dict[str, str]
    note: str
    """What was changed on the way, or left out."""


def make_call(request: GenerationRequest, model: str, can: Capabilities, card: ModelCard) -> Call:
    """Body, extra headers and note of a streaming call.

    Raises:
        Unsupported: the prompt is raw text.
        RequestRefused: the model does not go on from the beginning of a reply; or not that few tokens with thinking.
    """
    options, params = request.options, request.params
    notes: list[str] = []
    body = conversation(request.prompt, model, card.short_name, options.cache if can.cache else "off")
    if request.reply_text:
        body["messages"] += _beginning(request.reply_text, can, card, notes)
    body["max_tokens"] = _max_tokens(params, card, notes)
    if params.stop:
        body["stop_sequences"] = [_clean(text) for text in params.stop]
    body |= _effort_and_thinking(options, body["max_tokens"], can, notes)
    _add_format(body, params, can, notes)
    sampling, headers = _sampling(params, options, can)
    return Call({**body, **sampling, "stream": True}, headers, " ".join(notes))


def conversation(prompt: Prompt, model: str, short_name: str, cache: str = "off") -> dict[str, Any]:
    """The part of a body that can be counted: model, system prompt and messages.

    With a cache, the system prompt and the last message end a stretch that is kept: the next turn finds both again.
    Empty messages, such as a reply that was stopped before its first word, are left out: the API refuses them.

    Raises:
        Unsupported: the prompt is raw text.
    """
    if isinstance(prompt, RawPrompt):
        raise Unsupported(
            f"{short_name} takes conversations, not raw text.", "Switch to chat, or choose a local model."
        )
    spoken = [message for message in prompt.messages if message.content.strip()]
    system = "\n\n".join(_clean(message.content) for message in spoken if message.role is Role.SYSTEM)
    messages = [_message(message) for message in spoken if message.role is not Role.SYSTEM]
    body: dict[str, Any] = {"model": model, "messages": messages}
    if cache != "off" and messages:
        messages[-1]["content"] = _kept(messages[-1]["content"], cache)
    if system:
        body["system"] = system if cache == "off" else _kept(system, cache)
    return body


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role.value, "content": _clean(message.content)}


def _kept(text: str, cache: str) -> list[dict[str, Any]]:
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": cache}}]


def _clean(text: str) -> str:
    """The text without half characters (lone surrogates), which JSON in UTF-8 cannot hold."""
    return text.encode("utf-8", errors="replace").decode()


def _beginning(text: str, can: Capabilities, card: ModelCard, notes: list[str]) -> list[dict[str, Any]]:
    """The beginning of the reply as a message. White space at its end is refused, and so is nothing but white space."""
    if not can.continue_reply:
        raise RequestRefused(
            f"{card.short_name} does not go on from the beginning of a reply.",
            "Ask it in a message of your own to go on, or choose another model.",
            can.why_not("continue_reply"),
        )
    sent = _clean(text).rstrip()
    if sent != _clean(text):
        notes.append("White space at the end of the reply's beginning was not sent: this API refuses it.")
    return [{"role": Role.ASSISTANT.value, "content": sent}] if sent else []


def _max_tokens(params: SamplingParams, card: ModelCard, notes: list[str]) -> int:
    """The API wants a number."""
    most = card.max_output or card.n_ctx
    if params.max_tokens == UNLIMITED:
        if most is None:
            notes.append(f"The server does not tell its longest reply: it ends after {UNKNOWN_MAX_TOKENS:,} tokens.")
        return most or UNKNOWN_MAX_TOKENS
    if card.max_output is not None and params.max_tokens > card.max_output:
        notes.append(f"The reply ends after {card.max_output:,} tokens, the most this model writes.")
        return card.max_output
    return params.max_tokens


def _effort_and_thinking(
    options: CallOptions, max_tokens: int, can: Capabilities, notes: list[str]
) -> dict[str, dict[str, Any]]:
    """Effort and thinking. What the server did not list is left out and noted; without a list it is the judge."""
    body: dict[str, dict[str, Any]] = {}
    is_claude = bool(can.cache)
    if options.effort and (options.effort in can.effort or (is_claude and not can.effort)):
        body["output_config"] = {"effort": options.effort}
    elif options.effort:
        notes.append(f"Effort {options.effort} was not sent: the model does not have it.")
    if options.thinking and (options.thinking in can.thinking or (is_claude and not can.thinking)):
        body["thinking"] = _thinking(options.thinking, max_tokens)
    elif options.thinking:
        notes.append(f"Thinking {options.thinking} was not sent: the model does not have it.")
    return body


def _add_format(body: dict[str, Any], params: SamplingParams, can: Capabilities, notes: list[str]) -> None:
    """What the reply is held to: the API's structured output."""
    if params.grammar:
        notes.append(f"The grammar was not sent. {can.why_not('grammar')}")
    if not params.json_schema:
        return
    if "json_schema" not in can.params:
        notes.append(f"The JSON schema was not sent. {can.why_not('json_schema')}")
        return
    form = {"type": "json_schema", "schema": json.loads(params.json_schema)}
    body["output_config"] = {**body.get("output_config", {}), "format": form}


def _thinking(way: str, max_tokens: int) -> dict[str, Any]:
    kind = THINKING.get(way, way)
    if kind == "adaptive":
        return {"type": kind, "display": "summarized"}  # else some models send no word of it
    if kind != "enabled":
        return {"type": kind}
    if max_tokens <= _LEAST_BUDGET:
        raise RequestRefused(
            f"Thinking needs more than {_LEAST_BUDGET:,} tokens, and max_tokens is {max_tokens:,}.",
            "Raise max_tokens, or turn thinking off.",
        )
    return {"type": kind, "budget_tokens": max(_LEAST_BUDGET, max_tokens // 2), "display": "summarized"}


def _sampling(
    params: SamplingParams, options: CallOptions, can: Capabilities
) -> tuple[dict[str, float], dict[str, str]]:
    """Sampling parameters, for servers that take them, or because the person insists.

    For Claude neutral values are left out: some models take none at all, others not all of them together.
    """
    values: dict[str, float] = {name: getattr(params, name) for name in sorted(SAMPLING)}
    if can.params >= SAMPLING:
        return values, {}
    if not options.legacy_sampling:
        return {}, {}
    bent = {name: value for name, value in values.items() if value != getattr(NEUTRAL, name)}
    bent = {name: value for name, value in bent.items() if name in can.legacy_sampling}
    return bent, {"anthropic-version": LEGACY_VERSION} if bent else {}
