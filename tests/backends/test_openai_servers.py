"""Servers are told apart by what they say, and by nothing that costs a request more than it must."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from playground.backends.openai_client import OpenAIClient
from playground.backends.openai_servers import ServerFacts, ServerKind, find_out, kind_by_address, server_root
from playground.domain.endpoints import Endpoint


def at(base_url: str, **more: Any) -> Endpoint:
    return Endpoint(name="shop", api="openai", base_url=base_url, **more)


async def found(
    listed: object, routes: dict[str, object] | None = None, model: str = "", base_url: str = "http://box:1/v1"
) -> ServerFacts:
    async def get(url: str) -> object:
        await asyncio.sleep(0)
        return (routes or {}).get(url.removeprefix("http://box:1"))

    return await find_out(at(base_url), model, listed, get)


def listing(name: str = "m", **item: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model", **item}]}


PROPS = {"default_generation_settings": {"n_ctx": 2048}, "chat_template": "{{ x }}"}


@pytest.mark.parametrize(
    ("listed", "routes", "kind", "n_ctx"),
    [
        (listing(owned_by="llamacpp", meta={"n_ctx": 8192, "n_vocab": 7}), {"/props": PROPS}, "llama.cpp", 2048),
        (listing(owned_by="llamacpp", meta={"n_ctx": 8192}), {}, "llama.cpp", 8192),
        (listing(owned_by="vllm", max_model_len=4096), {}, "vLLM", 4096),
        (listing(owned_by="sglang", max_model_len=4096), {}, "SGLang", 4096),
        (listing(owned_by="library"), {}, "Ollama", None),
        (listing(owned_by="me"), {"/api/version": {"version": "0.12"}}, "Ollama", None),
        (
            listing(owned_by="organization_owner"),
            {"/api/v0/models": listing(loaded_context_length=4096, max_context_length=32768)},
            "LM Studio",
            4096,
        ),
        (listing(owned_by="m"), {"/info": {"model_id": "m", "max_total_tokens": 3000}}, "TGI", 3000),
        (listing(owned_by="m"), {"/version": {"version": "0.11"}}, "vLLM", None),
        (None, {"/props": PROPS}, "llama.cpp", 2048),
        (listing(context_length=1000), {}, "OpenAI-compatible", 1000),
        (None, {}, "OpenAI-compatible", None),
        (["junk", 3], {"/props": [], "/info": "x"}, "OpenAI-compatible", None),
        ({"data": "junk"}, {}, "OpenAI-compatible", None),
        ({"data": [{"id": 5, "meta": 3, "top_provider": 4}]}, {}, "OpenAI-compatible", None),
    ],
)
async def test_every_server_is_known_by_its_marks(
    listed: object, routes: dict[str, object], kind: str, n_ctx: int | None
) -> None:
    facts = await found(listed, routes)
    assert (facts.kind.value, facts.n_ctx) == (kind, n_ctx)


@pytest.mark.parametrize(
    ("base_url", "more", "kind"),
    [
        ("https://api.openai.com/v1", {}, ServerKind.OPENAI),
        ("https://eu.api.openai.com/v1", {}, ServerKind.OPENAI),
        ("https://api.openai.com.evil.example/v1", {}, ServerKind.OTHER),
        ("https://openrouter.ai/api/v1", {}, ServerKind.OPENROUTER),
        ("https://me.openai.azure.com/openai/v1", {}, ServerKind.AZURE),
        ("https://proxy.example/x", {"api_version": "2024-10-21"}, ServerKind.AZURE),
        ("http://[broken", {}, ServerKind.OTHER),
    ],
)
def test_some_are_known_by_their_address(base_url: str, more: dict[str, str], kind: ServerKind) -> None:
    assert kind_by_address(at(base_url, **more)) is kind


async def test_a_provider_on_the_net_is_asked_for_no_routes_it_cannot_have() -> None:
    asked: list[str] = []

    async def get(url: str) -> object:
        asked.append(url)
        return None

    listed = listing("gpt-4.1")
    assert (await find_out(at("https://api.openai.com/v1"), "gpt-4.1", listed, get)).kind is ServerKind.OPENAI
    assert asked == []


async def test_openrouter_tells_what_a_model_takes() -> None:
    item = {"supported_parameters": ["top_p"], "top_provider": {"context_length": 9, "max_completion_tokens": 4}}
    facts = await found(listing("a/b", **item), model="a/b", base_url="https://openrouter.ai/api/v1")
    assert (facts.supported, facts.n_ctx, facts.max_output) == (frozenset({"top_p"}), 9, 4)


async def test_a_model_is_found_among_others_or_by_its_alias() -> None:
    data = [{"id": "a", "max_model_len": 1}, {"id": "b", "max_model_len": 2, "aliases": ["bee"]}]
    assert (await found({"data": data}, model="b")).n_ctx == 2
    assert (await found({"data": data}, model="bee")).n_ctx == 2
    assert (await found({"data": data}, model="c")).n_ctx is None
    assert (await found({"data": data})).model == "a"


def test_addresses_are_put_together_as_each_server_wants_them() -> None:
    assert server_root(at("http://box:1/v1/")) == "http://box:1"
    assert server_root(at("http://box:1/api")) == "http://box:1/api"
    azure = OpenAIClient(at("https://me.openai.azure.com", api_version="2024-10-21"), None)
    assert azure.url("/chat/completions", "gpt").endswith("/openai/deployments/gpt/chat/completions")
    newer = OpenAIClient(at("https://me.openai.azure.com/openai/v1"), None)
    assert newer.url("/chat/completions", "gpt") == "https://me.openai.azure.com/openai/v1/chat/completions"
