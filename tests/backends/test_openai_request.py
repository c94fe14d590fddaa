"""What is sent to whom, and what the screen is told of it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from playground.backends.hosted_texts import ErrorBody
from playground.backends.openai_params import capabilities_of, traits_of
from playground.backends.openai_request import Call, build_call, without_refused
from playground.backends.openai_servers import ServerFacts, ServerKind
from playground.domain.errors import Unsupported
from playground.domain.messages import CallOptions, Prompt
from playground.domain.sampling import SamplingParams
from tests.backends.hosted_support import CHAT, RAW, asking


def facts(kind: ServerKind, model: str = "some-model", **more: Any) -> ServerFacts:
    return ServerFacts(kind=kind, model=model, **more)


def sent(server: ServerFacts, prompt: Prompt = CHAT, **more: Any) -> dict[str, Any]:
    return build_call(server, traits_of(server), asking(prompt, **more)).body


def test_openai_gets_what_its_documentation_names_and_no_more() -> None:
    body = sent(facts(ServerKind.OPENAI, "gpt-4.1"), max_tokens=5, seed=3, stop=("x",))
    assert body.keys() == {
        "model",
        "messages",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "frequency_penalty",
        "presence_penalty",
        "seed",
        "stop",
        "max_completion_tokens",
        "logprobs",
        "top_logprobs",
    }
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
    ]
    assert (body["temperature"], body["top_logprobs"], body["stream_options"]) == (0.8, 10, {"include_usage": True})


def test_a_seed_is_drawn_only_where_it_is_good_for_something() -> None:
    assert "seed" not in sent(facts(ServerKind.OPENAI))
    assert sent(facts(ServerKind.LLAMA_CPP))["seed"] != sent(facts(ServerKind.LLAMA_CPP))["seed"]


@pytest.mark.parametrize(
    ("kind", "prompt", "field", "most"),
    [
        (ServerKind.OPENAI, CHAT, "top_logprobs", 20),
        (ServerKind.OPENAI, RAW, "logprobs", 5),
        (ServerKind.VLLM, RAW, "logprobs", 20),
        (ServerKind.TGI, CHAT, "top_logprobs", 5),
        (ServerKind.LLAMA_CPP, CHAT, "top_logprobs", 30),
    ],
)
def test_no_more_candidates_are_asked_for_than_a_server_gives(
    kind: ServerKind, prompt: Prompt, field: str, most: int
) -> None:
    assert sent(facts(kind), prompt, top=30)[field] == most
    assert sent(facts(kind), prompt, top=0)[field] == 1


@pytest.mark.parametrize(
    ("model", "efforts"),
    [
        ("o3", ("low", "medium", "high")),
        ("o4-mini-2025-04-16", ("low", "medium", "high")),
        ("gpt-5", ("minimal", "low", "medium", "high")),
        ("gpt-5-mini", ("minimal", "low", "medium", "high")),
        ("gpt-5.1", ("none", "low", "medium", "high")),
        ("gpt-5.2", ("none", "low", "medium", "high", "xhigh")),
    ],
)
def test_models_that_think_get_an_effort_and_no_sampling(model: str, efforts: tuple[str, ...]) -> None:
    server = facts(ServerKind.OPENAI, model)
    body = sent(server, options=CallOptions(effort="high"), max_tokens=9)
    assert not body.keys() & {"temperature", "top_p", "frequency_penalty", "logprobs", "max_tokens", "stop"}
    assert (body["reasoning_effort"], body["max_completion_tokens"]) == ("high", 9)
    able = capabilities_of(server, traits_of(server), "openai", None)
    assert able.effort == efforts
    assert "temperature" not in able.params
    assert "effort" in able.why_not("temperature")
    assert "reasoning_effort" not in sent(server)
    assert ("logprobs" in sent(server, options=CallOptions(effort="none"))) == ("none" in efforts)
    assert able.logprobs == ("maybe" if "none" in efforts else "none")


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-5-chat-latest", "gpt-5.1-chat-latest", "olmo-2"])
def test_other_models_are_sampled(model: str) -> None:
    assert "temperature" in sent(facts(ServerKind.OPENAI, model))


def test_a_model_of_the_same_name_elsewhere_is_sampled() -> None:
    assert "temperature" in sent(facts(ServerKind.VLLM, "o3-of-mine"))


def test_openrouter_is_sent_what_it_says_the_model_takes() -> None:
    server = facts(ServerKind.OPENROUTER, supported=frozenset({"temperature", "top_k", "repetition_penalty"}))
    body = sent(server, top_k=0, repeat_penalty=1.1)
    assert (body["top_k"], body["repetition_penalty"]) == (0, 1.1)
    assert not body.keys() & {"top_p", "min_p", "logprobs"}
    assert capabilities_of(server, traits_of(server), "router", None).logprobs == "none"


def test_off_is_said_as_each_server_says_it() -> None:
    assert sent(facts(ServerKind.VLLM), top_k=0)["top_k"] == -1
    assert not sent(facts(ServerKind.TGI), temperature=0.0, top_p=1.0).keys() & {"temperature", "top_p"}
    llama = sent(facts(ServerKind.LLAMA_CPP, n_ctx=512), top_n_sigma=0.0, adaptive_target=0.0)
    assert (llama["top_n_sigma"], llama["adaptive_target"], llama["dry_penalty_last_n"]) == (-1.0, -1.0, 512)


def test_biases_go_by_id_or_by_text() -> None:
    bias = {"#17": -math.inf, " the": 3.0}
    assert sent(facts(ServerKind.LLAMA_CPP), logit_bias=bias)["logit_bias"] == [[17, False], [" the", 3.0]]
    server = facts(ServerKind.OPENAI)
    call = build_call(server, traits_of(server), asking(logit_bias=bias))
    assert call.body["logit_bias"] == {"17": -100.0}
    assert "only token ids" in call.notes[0]


def test_what_does_not_fit_is_said() -> None:
    server = facts(ServerKind.OPENAI)
    call = build_call(server, traits_of(server), asking(stop=tuple("abcdef")))
    assert call.body["stop"] == list("abcd")
    assert "first 4 stop strings" in call.notes[0]
    raw = build_call(server, traits_of(server), asking(RAW))
    assert raw.body["max_tokens"] == 1024
    assert "1,024" in raw.notes[0]


def test_a_begun_reply_goes_where_it_can_be_continued() -> None:
    vllm = sent(facts(ServerKind.VLLM), reply_text="Hel")
    assert vllm["messages"][-1] == {"role": "assistant", "content": "Hel"}
    assert (vllm["continue_final_message"], vllm["add_generation_prompt"]) == (True, False)
    assert sent(facts(ServerKind.OPENAI), RAW, reply_text=", there")["prompt"] == RAW.text + ", there"
    with pytest.raises(Unsupported, match="does not continue"):
        sent(facts(ServerKind.OPENAI), reply_text="Hel")


def test_a_template_that_can_think_can_be_told_not_to() -> None:
    server = facts(ServerKind.LLAMA_CPP, template="{% if enable_thinking %}…{{ reasoning_effort }}")
    body = sent(server, options=CallOptions(thinking="off", effort="low"))
    assert body["chat_template_kwargs"] == {"enable_thinking": False, "reasoning_effort": "low"}
    able = capabilities_of(server, traits_of(server), "own", None)
    assert (able.thinking, able.effort) == (("on", "off"), ("low", "medium", "high"))


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (ErrorBody(param="top_p"), "top_p"),
        (ErrorBody(param="logit_bias.17"), None),
        (ErrorBody(message="Unsupported parameter: 'presence_penalty' is not supported"), "presence_penalty"),
        (ErrorBody(message="body.stream_options: Extra inputs are not permitted"), "stream_options"),
        (ErrorBody(message="top_logprobs must be at most 5"), "top_logprobs"),
        (ErrorBody(message="stop: too many"), None),
        (ErrorBody(message="messages: at least one, with top_p", param="messages"), None),
        (ErrorBody(message="the modeltemperatures are bad"), None),
        (ErrorBody(), None),
    ],
)
def test_the_refused_field_is_found(error: ErrorBody, gone: str | None) -> None:
    server = facts(ServerKind.OTHER)
    call = build_call(server, traits_of(server), asking())
    refused = without_refused(call, error)
    assert (refused[1][0] if refused else None) == gone
    if refused:
        assert gone not in refused[0].body
        assert gone in call.body, "the first request stays as it was sent"


def test_the_newer_name_of_max_tokens_takes_its_place() -> None:
    call = Call("/chat/completions", {"model": "m", "messages": [], "max_tokens": 7}, None)
    words = "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead."
    refused = without_refused(call, ErrorBody(message=words, param="max_tokens"))
    assert refused is not None
    assert refused[0].body == {"model": "m", "messages": [], "max_completion_tokens": 7}
    assert "in place of" in refused[2]


def test_every_parameter_a_server_lacks_has_its_reason() -> None:
    for kind in ServerKind:
        server = facts(kind)
        able = capabilities_of(server, traits_of(server), "shop", None)
        for name in SamplingParams.__struct_fields__:
            assert bool(able.why_not(name)) == (name not in able.params)
        for field in ("stages", "live_params", "fork", "exact_count", "view_prompt", "continue_reply"):
            assert getattr(able, field) or able.why_not(field)
