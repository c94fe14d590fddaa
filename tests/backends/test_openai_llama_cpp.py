"""The OpenAI backend against a real llama.cpp server, and beside the local engine on the same file."""

from __future__ import annotations

import asyncio
import json
import statistics
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from playground.backends.openai import OpenAIBackend, list_openai_models
from playground.backends.openai_params import traits_of
from playground.backends.openai_request import build_call
from playground.backends.openai_servers import ServerFacts, ServerKind
from playground.domain.endpoints import Endpoint
from playground.domain.events import PromptProgress, StopReason
from playground.domain.messages import ChatPrompt, Message, Prompt, RawPrompt, Role
from playground.engine.prompt import build_prompt
from tests.backends.hosted_support import CHAT, RAW, asking, run
from tests.backends.support import Sink
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, opened
from tests.engine.test_server_truth import serving
from tests.tiny_models import GENERATING

pytest.importorskip("xllamacpp")

QUESTION = ChatPrompt((Message(Role.USER, "Write one sentence about the sea, then one about a mountain."),))


@pytest.fixture(scope="module")
def server(starter_gguf: Path) -> Iterator[str]:
    with serving(starter_gguf) as address:
        yield address


@pytest.fixture(scope="module")
def local(starter_gguf: Path) -> Iterator[Harness]:
    """The engine on the same file, in this process."""
    with opened(starter_gguf, context=1024, **ONE_THREAD) as model:
        yield Harness(model)


def own(server: str) -> Endpoint:
    return Endpoint(name="own", api="openai", base_url=f"{server}/v1", key_needed=False)


@pytest.fixture
async def backend(server: str) -> AsyncIterator[OpenAIBackend]:
    made = OpenAIBackend(own(server), "", None)
    await made.prepare()
    yield made
    await made.close()


def busy_slots(server: str) -> int:
    with urllib.request.urlopen(f"{server}/slots", timeout=30) as answer:
        return sum(slot["is_processing"] for slot in json.load(answer))


def completion(server: str, body: dict[str, Any]) -> Any:
    call = urllib.request.Request(
        f"{server}/completion", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(call, timeout=60) as answer:
        return json.load(answer)


async def test_the_server_says_what_it_is(backend: OpenAIBackend, server: str, starter_gguf: Path) -> None:
    assert backend.card.short_name == starter_gguf.stem
    assert backend.card.n_ctx == 1024
    assert backend.card.n_vocab == 49152
    assert backend.card.note == "llama.cpp server"
    able = backend.capabilities
    assert {"top_k", "min_p", "mirostat", "dry_multiplier", "order", "xtc_probability"} <= able.params
    assert (able.logprobs, able.exact_count, able.view_prompt, able.continue_reply) == ("maybe", True, True, True)
    cards = await list_openai_models(own(server), None)
    assert [(card.id, card.n_ctx) for card in cards] == [(backend.card.id, 1024)]


async def differences(backend: OpenAIBackend, harness: Harness, prompt: Prompt) -> list[float]:
    """How far the chosen tokens' log-probabilities are apart, as long as both write the same at temperature 0."""
    request = asking(prompt, temperature=0.0, max_tokens=24, top=5)
    theirs = await run(backend, request)
    assert not theirs.retries
    harness.run(request)
    apart = []
    for their, our in zip(theirs.tokens, harness.tokens(1), strict=False):
        if their.id != our.id:
            break
        assert their.logprob is not None
        assert our.logprob is not None
        apart.append(abs(their.logprob - our.logprob))
        assert (their.piece, their.chunk) == (our.piece, False)
        assert their.prob is None, "the server was asked for the model's own probabilities"
        assert their.rank == 1
        assert their.entropy is None
        assert their.top[0].id == our.id
        assert len(their.top) == 5
    harness.events.clear()
    return apart


async def test_chosen_tokens_are_as_likely_as_the_local_engine_finds_them(
    backend: OpenAIBackend, local: Harness
) -> None:
    """Kernels round differently, and four-bit weights make more of that than full ones; see the test below."""
    apart = [apart for prompt in (QUESTION, RAW) for apart in await differences(backend, local, prompt)]
    assert len(apart) >= 12
    assert statistics.median(apart) < 0.1
    assert max(apart) < 0.5


async def test_and_the_same_with_weights_of_full_precision(tiny_models: TinyModels) -> None:
    path = tiny_models(GENERATING[0])
    with serving(path) as server, opened(path, context=512, **ONE_THREAD) as model:
        backend = OpenAIBackend(own(server), "", None)
        apart = await differences(backend, Harness(model), RawPrompt("the water was about to"))
        await backend.close()
    assert len(apart) >= 6
    assert max(apart) < 0.1


async def test_progress_and_the_servers_own_clock_come_through(backend: OpenAIBackend) -> None:
    long = ChatPrompt((Message(Role.USER, "The river is long. " * 110),))
    done = await run(backend, asking(long, temperature=0.0, max_tokens=4))
    progress = [event for event in done.events if isinstance(event, PromptProgress)]
    assert progress[0].done == 0
    assert progress[-1].done == progress[-1].total > 500
    assert len(progress) >= 2
    started, finished = done.started[0], done.finished
    assert started.prompt_tokens == finished.usage.prompt_tokens
    assert started.seed is not None
    assert (finished.usage.cached_tokens or 0) + progress[-1].total == finished.usage.prompt_tokens
    timings = finished.timings
    assert timings.prefill_ms is not None
    assert timings.ttft_ms is not None
    assert timings.ttft_ms >= timings.prefill_ms
    assert timings.tokens_per_second is not None
    assert timings.prefill_tokens_per_second is not None
    assert finished.reason is StopReason.LENGTH
    assert finished.usage.completion_tokens == 4
    again = await run(backend, asking(long, temperature=0.0, max_tokens=4))
    assert (again.finished.usage.cached_tokens or 0) > 500
    assert again.text == done.text


@pytest.mark.parametrize("prompt", [CHAT, QUESTION, RAW], ids=["system", "chat", "raw"])
async def test_counting_a_prompt_gives_what_is_used(backend: OpenAIBackend, prompt: Prompt) -> None:
    count = await backend.count_prompt(prompt)
    done = await run(backend, asking(prompt, max_tokens=1))
    assert count.tokens == done.finished.usage.prompt_tokens
    assert count.exact
    assert count.method == "server"
    view = await backend.view_prompt(prompt)
    assert len(view.ids) == count.tokens == view.parts.total
    if prompt is CHAT:
        assert view.text.startswith("<|im_start|>system\nBe brief.<|im_end|>")
        assert [view.pieces[at] for at, special in enumerate(view.special) if special][:2] == [
            b"<|im_start|>",
            b"<|im_end|>",
        ]
        assert view.parts.system > 4
        assert view.parts.prompt > 4


async def test_text_is_counted_and_shown_as_the_local_engine_does(backend: OpenAIBackend, local: Harness) -> None:
    for text in ("Hello 🦙, <|im_start|> 汉字", "", "a\n\n  b"):
        assert (await backend.count_tokens(text)).tokens == len(local.model.tokenize(text, special=True, begin=False))
    assert await backend.view_prompt(CHAT) == build_prompt(local.model, CHAT)


async def test_the_same_seed_gives_the_same_reply_and_the_drawn_one_is_told(backend: OpenAIBackend) -> None:
    first = await run(backend, asking(RAW, temperature=1.2, max_tokens=12))
    seed = first.started[0].seed
    second = await run(backend, asking(RAW, temperature=1.2, max_tokens=12, seed=seed))
    assert first.text == second.text
    assert second.started[0].seed == seed


ODD: dict[str, Any] = {
    "temperature": 0.5,
    "dynatemp_range": 0.25,
    "dynatemp_exponent": 1.5,
    "top_k": 7,
    "top_p": 0.75,
    "min_p": 0.125,
    "typical_p": 0.875,
    "top_n_sigma": 1.5,
    "xtc_probability": 0.5,
    "xtc_threshold": 0.25,
    "dry_multiplier": 0.5,
    "dry_base": 1.25,
    "dry_allowed_length": 3,
    "dry_breakers": ("|",),
    "mirostat": 2,
    "mirostat_tau": 4.0,
    "mirostat_eta": 0.25,
    "adaptive_target": 0.25,
    "adaptive_decay": 0.5,
    "repeat_penalty": 1.25,
    "frequency_penalty": 0.25,
    "presence_penalty": 0.5,
    "min_keep": 2,
    "seed": 5,
    "ignore_eos": True,
}
RENAMED: dict[str, str] = {"dry_breakers": "dry_sequence_breakers"}


async def test_every_parameter_is_known_to_the_server_by_the_name_it_is_sent_with(
    backend: OpenAIBackend, server: str
) -> None:
    facts = ServerFacts(kind=ServerKind.LLAMA_CPP, model="any", n_ctx=1024)
    wanted = asking(RAW, max_tokens=1, penalty_last_n=-1, order=("temperature", "typical_p"), stop=("END",), **ODD)
    body = {**build_call(facts, traits_of(facts), wanted).body, "stream": False}
    in_force = (await asyncio.to_thread(completion, server, body))["generation_settings"]
    for name, value in ODD.items():
        assert in_force[RENAMED.get(name, name)] == (list(value) if isinstance(value, tuple) else value)
    assert in_force["samplers"] == ["temperature", "typ_p"]
    assert (in_force["repeat_last_n"], in_force["dry_penalty_last_n"]) == (1024, 1024)
    assert (in_force["stop"], in_force["n_probs"]) == (["END"], 10)
    done = await run(backend, wanted)
    assert not done.retries, "the default parameters of a request must not be refused"


async def test_sampling_parameters_reach_the_server(backend: OpenAIBackend) -> None:
    greedy = await run(backend, asking(RAW, temperature=0.0, max_tokens=8))
    one = await run(backend, asking(RAW, temperature=2.0, top_k=1, max_tokens=8))
    assert one.text == greedy.text
    first = greedy.tokens[0]
    banned = await run(backend, asking(RAW, temperature=0.0, max_tokens=8, logit_bias={f"#{first.id}": float("-inf")}))
    assert banned.tokens[0].id != first.id
    unsorted = await run(backend, asking(RAW, temperature=2.0, top_k=1, order=(), max_tokens=8, seed=3))
    assert unsorted.text != greedy.text, "a stage that is left out of the order does not run"


async def test_a_character_of_several_tokens_is_a_chunk(backend: OpenAIBackend) -> None:
    llama = ChatPrompt((Message(Role.USER, "Repeat exactly: 🦙🦙🦙🦙🦙🦙"), Message(Role.ASSISTANT, "🦙🦙🦙")))
    done = await run(backend, asking(llama, temperature=0.0, max_tokens=9))
    animals = [token for token in done.tokens if token.piece == "🦙".encode()]
    assert animals, done.text
    assert all(token.chunk and token.logprob is None and token.id is None for token in animals)
    assert done.finished.usage.completion_tokens > len(done.tokens)


async def test_a_reply_goes_on_from_its_beginning(backend: OpenAIBackend) -> None:
    done = await run(backend, asking(QUESTION, temperature=0.0, max_tokens=3, reply_text="The sea is a"))
    assert done.finished.text.startswith("The sea is a")
    assert len(done.finished.text) > len("The sea is a")


@pytest.mark.parametrize("prompt", [QUESTION, RAW], ids=["chat", "raw"])
async def test_a_stop_string_is_named_and_not_part_of_the_reply(backend: OpenAIBackend, prompt: Prompt) -> None:
    free = await run(backend, asking(prompt, temperature=0.0, max_tokens=12))
    word = free.tokens[5].piece.decode() + free.tokens[6].piece.decode()
    done = await run(backend, asking(prompt, temperature=0.0, max_tokens=12, stop=("never", word)))
    assert (done.finished.reason, done.finished.stop_string) == (StopReason.STOP_STRING, word)
    assert done.text == done.finished.text == free.text[: free.text.index(word)]
    other = await run(backend, asking(prompt, temperature=0.0, max_tokens=4, stop=("never",)))
    assert (other.finished.reason, other.finished.stop_string) == (StopReason.LENGTH, "")


async def test_stopping_frees_the_slot(backend: OpenAIBackend, server: str) -> None:
    sink = Sink()
    task = asyncio.create_task(backend.generate(asking(RAW, stream=3, ignore_eos=True), sink))
    await sink.until(lambda: len(sink.ids) >= 3)
    assert await asyncio.to_thread(busy_slots, server) == 1
    await backend.stop(3)
    await task
    done = sink.events[-1]
    assert getattr(done, "reason", None) is StopReason.CANCELLED
    async with asyncio.timeout(20):
        while await asyncio.to_thread(busy_slots, server):
            pass


async def test_a_prompt_that_does_not_fit_is_said_with_the_counts(backend: OpenAIBackend) -> None:
    long = ChatPrompt((Message(Role.USER, "river " * 3000),))
    problem = (await run(backend, asking(long))).failed.problem
    assert problem.kind == "PromptTooLong"
    assert "1,024" in problem.message


async def test_a_full_context_window_is_named(backend: OpenAIBackend) -> None:
    long = ChatPrompt((Message(Role.USER, "river " * 985),))
    done = await run(backend, asking(long, ignore_eos=True))
    assert done.finished.reason is StopReason.CONTEXT
