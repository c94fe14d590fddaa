"""A reply held to a JSON schema or a grammar by hosted models: what is sent, and what a real server makes of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.backends.anthropic_models import ModelFacts
from playground.backends.anthropic_models import capabilities_of as claude_capabilities
from playground.backends.hosted_texts import ErrorBody
from playground.backends.openai import OpenAIBackend
from playground.backends.openai_params import capabilities_of, traits_of
from playground.backends.openai_request import build_call, without_refused
from playground.backends.openai_servers import ServerFacts, ServerKind
from playground.domain.endpoints import Endpoint
from playground.domain.events import Started
from playground.domain.sampling import SamplingParams
from tests.backends import anthropic_support as claude
from tests.backends.hosted_support import CHAT, RAW, asking, openai_backends, run
from tests.engine.test_server_truth import serving
from tests.fakes.hosted_api import FakeApi, fake_api

SCHEMA = {
    "type": "object",
    "properties": {"n": {"enum": [1, 2]}},
    "required": ["n"],
    "additionalProperties": False,
}
TEXT = json.dumps(SCHEMA)
GRAMMAR = 'root ::= "Certainly." | "Never."'
CLAUDE = Endpoint(name="anthropic", api="anthropic", base_url="https://api.anthropic.com")


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as made:
        yield made


@pytest.fixture(scope="module")
def server(starter_gguf: Path) -> Iterator[str]:
    pytest.importorskip("xllamacpp")
    with serving(starter_gguf) as address:
        yield address


def facts(kind: ServerKind, **more: Any) -> ServerFacts:
    return ServerFacts(kind=kind, model="some-model", **more)


async def test_openai_is_sent_its_own_structured_output(fake: FakeApi) -> None:
    async with openai_backends(fake) as make:
        made = make()
        outcome = await run(made, asking(json_schema=TEXT))
    assert outcome.finished
    assert fake.bodies[-1]["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "reply", "strict": True, "schema": SCHEMA},
    }
    assert "json_schema" not in fake.bodies[-1]


async def test_a_grammar_that_cannot_be_sent_is_said(fake: FakeApi) -> None:
    async with openai_backends(fake) as make:
        outcome = await run(make(), asking(grammar=GRAMMAR))
    assert not fake.bodies[-1].keys() & {"grammar", "response_format"}
    assert "The grammar is not sent" in outcome.started[0].note


@pytest.mark.parametrize("kind", [kind for kind in ServerKind if kind is not ServerKind.LLAMA_CPP])
def test_gbnf_goes_to_llama_cpp_alone_and_the_others_say_so(kind: ServerKind) -> None:
    able = capabilities_of(facts(kind), traits_of(facts(kind)), "shop", None)
    assert "grammar" not in able.params
    assert "json_schema" in able.params
    assert "no GBNF grammar, but a JSON schema" in able.why_not("grammar")
    assert able.why_not("speculate")


def test_llama_cpp_gets_both_in_fields_of_its_own() -> None:
    own = facts(ServerKind.LLAMA_CPP)
    for prompt in (CHAT, RAW):
        assert build_call(own, traits_of(own), asking(prompt, grammar=GRAMMAR)).body["grammar"] == GRAMMAR
        assert build_call(own, traits_of(own), asking(prompt, json_schema=TEXT)).body["json_schema"] == SCHEMA
    assert "speculate" not in traits_of(own).params


def test_openrouter_takes_it_where_the_model_does() -> None:
    for supported, taken in ((frozenset({"structured_outputs"}), True), (frozenset({"response_format"}), False)):
        router = facts(ServerKind.OPENROUTER, supported=supported)
        call = build_call(router, traits_of(router), asking(json_schema=TEXT))
        assert ("response_format" in call.body) is taken
        assert any("JSON schema is not sent" in note for note in call.notes) is not taken


def test_a_refused_schema_is_not_left_out_in_silence() -> None:
    """The server's own words about it are shown instead."""
    shop = facts(ServerKind.OPENAI)
    call = build_call(shop, traits_of(shop), asking(json_schema=TEXT))
    error = ErrorBody("Invalid schema for response_format 'reply'", param="response_format")
    assert without_refused(call, error) is None


async def test_claude_is_sent_an_output_format_beside_the_effort(fake: FakeApi) -> None:
    params = SamplingParams(max_tokens=64, json_schema=TEXT)
    async with claude.backend(fake) as made:
        await claude.run(made, claude.ask(params=params, options=claude.options(effort="low")))
    assert fake.bodies[-1]["output_config"] == {
        "effort": "low",
        "format": {"type": "json_schema", "schema": SCHEMA},
    }


async def test_claude_says_that_it_takes_no_grammar(fake: FakeApi) -> None:
    async with claude.backend(fake) as made:
        events = await claude.run(made, claude.ask(params=SamplingParams(max_tokens=64, grammar=GRAMMAR)))
    assert "output_config" not in fake.bodies[-1]
    started = next(event for event in events if isinstance(event, Started))
    assert "The grammar was not sent." in started.note


@pytest.mark.parametrize(
    ("told", "taken"),
    [
        ({"structured_outputs": {"supported": True}}, True),
        ({"structured_outputs": {"supported": False}}, False),
        ({"effort": {"supported": False}}, False),
        (None, True),
    ],
)
def test_a_claude_takes_a_schema_where_the_server_says_so_or_says_nothing(told: object, taken: bool) -> None:
    can = claude_capabilities(CLAUDE, "claude-x", ModelFacts("claude-x", type="model", capabilities=told))
    assert ("json_schema" in can.params) is taken
    assert bool(can.why_not("json_schema")) is not taken


async def test_another_server_behind_that_api_says_why_not(fake: FakeApi) -> None:
    own = Endpoint(name="mine", api="anthropic", base_url="http://127.0.0.1:1/v1", key_needed=False)
    assert "Only Claude takes a JSON schema" in claude_capabilities(own, "llama", None).why_not("json_schema")


@pytest.mark.parametrize("prompt", [CHAT, RAW], ids=["chat", "raw"])
async def test_a_real_llama_cpp_server_holds_the_reply(server: str, prompt: Any) -> None:
    made = OpenAIBackend(Endpoint(name="own", api="openai", base_url=f"{server}/v1", key_needed=False), "", None)
    await made.prepare()
    try:
        held = await run(made, asking(prompt, json_schema=TEXT, max_tokens=40, seed=3))
        assert json.loads(held.text)["n"] in (1, 2)
        short = await run(made, asking(prompt, grammar=GRAMMAR, max_tokens=20, seed=3))
        assert short.text in ("Certainly.", "Never.")
    finally:
        await made.close()
