"""Which of the OpenAI-compatible servers is at an address, and what it tells about itself.

They are told apart by their addresses, by marks in their lists of models, and by routes that only one of them has.
Whatever cannot be found out stays unknown; only what makes every request fail is an error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from playground.domain.endpoints import Endpoint

Get = Callable[[str], Awaitable[object]]
"""Fetches an address and gives its JSON; None for whatever goes wrong."""


class ServerKind(StrEnum):
    """Servers that differ in something we use."""

    OPENAI = "OpenAI"
    AZURE = "Azure"
    OPENROUTER = "OpenRouter"
    LLAMA_CPP = "llama.cpp"
    VLLM = "vLLM"
    SGLANG = "SGLang"
    OLLAMA = "Ollama"
    LM_STUDIO = "LM Studio"
    TGI = "TGI"
    OTHER = "OpenAI-compatible"


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a server told about itself and one model."""

    kind: ServerKind = ServerKind.OTHER
    model: str = ""
    """The name requests carry; the one asked for, or the first of the list."""
    n_ctx: int | None = None
    max_output: int | None = None
    n_vocab: int | None = None
    template: str = ""
    """The chat template, where it is told."""
    supported: frozenset[str] | None = None
    """OpenRouter: names of the fields the model takes; None when nobody tells."""


AFTER_SAMPLERS: Final = {ServerKind.SGLANG, ServerKind.TGI}
"""Servers whose log-probabilities follow temperature and the like."""

_BY_OWNER: Final = {
    "llamacpp": ServerKind.LLAMA_CPP,
    "vllm": ServerKind.VLLM,
    "sglang": ServerKind.SGLANG,
    "library": ServerKind.OLLAMA,
    "organization_owner": ServerKind.LM_STUDIO,
    "organization-owner": ServerKind.LM_STUDIO,
}
_HOSTS: Final = (
    ("api.openai.com", ServerKind.OPENAI),
    (".api.openai.com", ServerKind.OPENAI),
    ("openrouter.ai", ServerKind.OPENROUTER),
    (".openai.azure.com", ServerKind.AZURE),
    (".services.ai.azure.com", ServerKind.AZURE),
    (".cognitiveservices.azure.com", ServerKind.AZURE),
)


def kind_by_address(endpoint: Endpoint) -> ServerKind:
    """What the address alone tells; OTHER when it tells nothing."""
    try:
        host = urlsplit(endpoint.base_url).hostname or ""
    except ValueError:
        host = ""
    for name, kind in _HOSTS:
        if host == name or (name.startswith(".") and host.endswith(name)):
            return kind
    return ServerKind.AZURE if endpoint.api_version else ServerKind.OTHER


def server_root(endpoint: Endpoint) -> str:
    """The address without the `/v1` at its end, where servers have routes of their own."""
    return endpoint.base_url.rstrip("/").removesuffix("/v1")


def model_names(listed: object) -> list[str]:
    """Names in a list of models, in its order."""
    return [str(item["id"]) for item in _items(listed) if isinstance(item.get("id"), str)]


def window_of(item: Mapping[str, Any]) -> int | None:
    """Context window of an entry in a list of models, under the names servers have for it."""
    meta, provider = item.get("meta"), item.get("top_provider")
    places = (
        meta.get("n_ctx") if isinstance(meta, dict) else None,
        provider.get("context_length") if isinstance(provider, dict) else None,
        *(item.get(name) for name in ("max_model_len", "context_length", "context_window", "max_context_length")),
    )
    return next((size for size in places if isinstance(size, int) and size > 0), None)


def item_of(listed: object, model: str) -> Mapping[str, Any]:
    """The entry of a model, found by its name or by another name the server has for it; empty when there is none."""
    items = _items(listed)
    for item in items:
        if item.get("id") == model or model in (item.get("aliases") or ()):
            return item
    # A server with one model takes any name for it.
    return items[0] if len(items) == 1 and items[0].get("owned_by") == "llamacpp" else {}


async def find_out(endpoint: Endpoint, model: str, listed: object, get: Get) -> ServerFacts:
    """Everything a server tells about itself and a model, given its list of models."""
    names = model_names(listed)
    model = model or (names[0] if names else "") or (endpoint.models[0] if endpoint.models else "")
    item = item_of(listed, model)
    kind = kind_by_address(endpoint)
    root = server_root(endpoint)
    if kind is ServerKind.OTHER:
        kind = _kind_by_list(listed, item)
    if kind is ServerKind.OTHER:
        kind = await _kind_by_routes(root, get)
    provider = item.get("top_provider")
    most = provider.get("max_completion_tokens") if isinstance(provider, dict) else None
    supported = item.get("supported_parameters")
    facts = ServerFacts(
        kind=kind,
        model=model,
        n_ctx=window_of(item),
        max_output=most if isinstance(most, int) else None,
        supported=frozenset(map(str, supported)) if isinstance(supported, list) else None,
    )
    match kind:
        case ServerKind.LLAMA_CPP:
            return _with_props(facts, item, await get(f"{root}/props"))
        case ServerKind.LM_STUDIO:
            return _with_loaded_window(facts, await get(f"{root}/api/v0/models"))
        case ServerKind.TGI:
            info = await get(f"{root}/info")
            window = info.get("max_total_tokens") if isinstance(info, dict) else None
            return msgspec.structs.replace(facts, n_ctx=window if isinstance(window, int) else facts.n_ctx)
        case _:
            return facts


def _with_props(facts: ServerFacts, item: Mapping[str, Any], props: object) -> ServerFacts:
    """What llama.cpp tells: the window of one slot, which is what a request has, and the template."""
    props = props if isinstance(props, dict) else {}
    settings, meta = props.get("default_generation_settings"), item.get("meta")
    window = settings.get("n_ctx") if isinstance(settings, dict) else None
    vocabulary = meta.get("n_vocab") if isinstance(meta, dict) else None
    return msgspec.structs.replace(
        facts,
        n_ctx=window if isinstance(window, int) and window > 0 else facts.n_ctx,
        n_vocab=vocabulary if isinstance(vocabulary, int) else None,
        template=str(props.get("chat_template") or ""),
    )


def _with_loaded_window(facts: ServerFacts, listed: object) -> ServerFacts:
    """LM Studio loads a model with a window of its own choice, and tells it in its own list."""
    item = item_of(listed, facts.model)
    window = item.get("loaded_context_length") or window_of(item)
    return msgspec.structs.replace(facts, n_ctx=window if isinstance(window, int) else facts.n_ctx)


def _kind_by_list(listed: object, item: Mapping[str, Any]) -> ServerKind:
    candidates = [item] if item else _items(listed)[:1]
    return next(
        (_BY_OWNER[one["owned_by"]] for one in candidates if one.get("owned_by") in _BY_OWNER), ServerKind.OTHER
    )


async def _kind_by_routes(root: str, get: Get) -> ServerKind:
    """Ask for routes that only one server has, all at once."""
    props, ollama, lm_studio, info, vllm = await asyncio.gather(
        *(get(root + path) for path in ("/props", "/api/version", "/api/v0/models", "/info", "/version"))
    )
    if isinstance(props, dict) and "default_generation_settings" in props:
        return ServerKind.LLAMA_CPP
    if isinstance(ollama, dict) and "version" in ollama:
        return ServerKind.OLLAMA
    if any("loaded_context_length" in item or "max_context_length" in item for item in _items(lm_studio)):
        return ServerKind.LM_STUDIO
    if isinstance(info, dict) and "max_total_tokens" in info:
        return ServerKind.TGI
    return ServerKind.VLLM if isinstance(vllm, dict) and "version" in vllm else ServerKind.OTHER


def _items(listed: object) -> list[dict[str, Any]]:
    data = listed.get("data") if isinstance(listed, dict) else listed
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
