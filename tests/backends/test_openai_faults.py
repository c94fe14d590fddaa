"""Everything that can go wrong with a server, over a real socket, with chats and with raw text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from playground.domain.events import Failed, StopReason
from playground.domain.messages import Prompt
from tests.backends.hosted_support import CHAT, KEY, RAW, SO_FAR, TEXT, Make, asking, openai_backends, run
from tests.backends.support import Sink
from tests.fakes.hosted_api import FakeApi, fake_api

PROMPTS = pytest.mark.parametrize("prompt", [CHAT, RAW], ids=["chat", "raw"])


@pytest.fixture
async def fake() -> AsyncIterator[FakeApi]:
    async with fake_api() as server:
        yield server


@pytest.fixture
async def make(fake: FakeApi) -> AsyncIterator[Make]:
    async with openai_backends(fake) as backend:
        yield backend


BEFORE = {
    "401": ("KeyRefused", False, None),
    "403": ("KeyRefused", False, None),
    "404": ("RequestRefused", False, None),
    "400": ("RequestRefused", False, None),
    "413": ("RequestRefused", False, None),
    "context": ("PromptTooLong", False, None),
    "credit": ("RequestRefused", False, None),
    "402": ("RequestRefused", False, None),
    "429": ("RateLimited", True, 7.0),
    "429long": ("RateLimited", True, 3600.0),
    "429now": ("RateLimited", True, 0.01),
    "429bare": ("RateLimited", True, None),
    "529": ("Overloaded", True, None),
    "503": ("Overloaded", True, None),
    "500": ("ServerFailed", True, None),
    "500html": ("ServerFailed", True, None),
    "badbody": ("RequestRefused", False, None),
    "redirect": ("RequestRefused", False, None),
    "echo": ("KeyRefused", False, None),
    "empty": ("StreamCutOff", False, None),
}


@PROMPTS
@pytest.mark.parametrize("fault", BEFORE)
async def test_a_fault_before_the_first_word(make: Make, fake: FakeApi, fault: str, prompt: Prompt) -> None:
    done = await run(make(f"m:{fault}"), asking(prompt))
    problem = done.failed.problem
    kind, retryable, wait_s = BEFORE[fault]
    assert (problem.kind, problem.retryable, problem.retry_after_s) == (kind, retryable, wait_s)
    assert problem.hint
    assert done.text == ""
    assert len(fake.bodies) == 1, "retries are not this backend's business"
    assert KEY not in repr(done.events)
    assert "\x1b" not in str(problem) + problem.detail


async def test_the_page_of_a_broken_server_is_not_shown_whole(make: Make) -> None:
    problem = (await run(make("m:500html"), asking())).failed.problem
    assert problem.detail == "500 Oops"


async def test_counts_of_a_prompt_that_is_too_long_are_said(make: Make) -> None:
    problem = (await run(make("m:context"), asking())).failed.problem
    assert "4,096" in problem.message
    assert "5,000" in problem.message


MIDDLE = {
    "rst": "StreamCutOff",
    "drop": "StreamCutOff",
    "eof": "StreamCutOff",
    "overloaded": "Overloaded",
    "badjson": "BadReply",
    "badutf8": "BadReply",
}


@PROMPTS
@pytest.mark.parametrize("fault", MIDDLE)
async def test_a_fault_in_the_middle_keeps_what_came(make: Make, fault: str, prompt: Prompt) -> None:
    done = await run(make(f"m:{fault}"), asking(prompt))
    assert done.text == SO_FAR
    assert done.failed.problem.kind == MIDDLE[fault]
    assert "stays" in done.failed.problem.hint


@PROMPTS
async def test_a_server_that_falls_silent_is_given_up(make: Make, prompt: Prompt) -> None:
    done = await run(make("m:stall", stall_s=0.2), asking(prompt))
    assert done.text == SO_FAR
    assert done.failed.problem.kind == "ServerStalled"


@PROMPTS
@pytest.mark.parametrize("fault", ["slow", "slowfirst"])
async def test_the_first_word_may_take_its_time(make: Make, fake: FakeApi, fault: str, prompt: Prompt) -> None:
    task = asyncio.create_task(run(make(f"m:{fault}"), asking(prompt)))
    await fake.reached.wait()
    fake.let_go.set()
    assert (await task).finished.text == TEXT


async def test_but_not_for_ever(make: Make) -> None:
    problem = (await run(make("m:slowfirst", stall_s=0.02), asking())).failed.problem
    assert problem.kind == "ServerStalled"
    assert "did not answer" in problem.message


@PROMPTS
@pytest.mark.parametrize("fault", ["stall", "slow", "slowfirst", "endless"])
async def test_stopping_ends_it_at_once_and_hangs_up(make: Make, fake: FakeApi, fault: str, prompt: Prompt) -> None:
    backend, sink = make(f"m:{fault}"), Sink()
    await backend.prepare()
    task = asyncio.create_task(backend.generate(asking(prompt, stream=5), sink))
    await fake.reached.wait()
    if fault in ("stall", "endless"):
        await sink.until(lambda: len(sink.ids) >= 3)
    await backend.stop(4)
    assert not task.done()
    await backend.stop(5)
    await task
    finished = sink.events[-1]
    assert getattr(finished, "reason", None) is StopReason.CANCELLED
    assert getattr(finished, "text", "").startswith(SO_FAR) == (fault in ("stall", "endless"))
    await asyncio.wait_for(fake.until_open(0), 5)


async def test_cancelling_the_task_hangs_up_as_well(make: Make, fake: FakeApi) -> None:
    task = asyncio.create_task(make("m:stall").generate(asking(), Sink()))
    await fake.reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(fake.until_open(0), 5)


async def test_closing_ends_every_run(make: Make, fake: FakeApi) -> None:
    backend, sinks = make("m:stall"), [Sink(), Sink()]
    tasks = [asyncio.create_task(backend.generate(asking(stream=at), sink)) for at, sink in enumerate(sinks)]
    await sinks[0].until(lambda: len(sinks[0].ids) == 3)
    await sinks[1].until(lambda: len(sinks[1].ids) == 3)
    await backend.close()
    await asyncio.gather(*tasks)
    assert [getattr(sink.events[-1], "reason", None) for sink in sinks] == [StopReason.CANCELLED] * 2
    await asyncio.wait_for(fake.until_open(0), 5)


async def test_one_that_fails_does_not_touch_the_others(make: Make) -> None:
    backends = [make(f"m{at}:{fault}") for at, fault in enumerate(["ok", "rst", "pieces", "ok", "529", "ok"])]
    outcomes = await asyncio.gather(*(run(backend, asking()) for backend in backends))
    assert [isinstance(done.events[-1], Failed) for done in outcomes] == [False, True, False, False, True, False]
    assert all(done.finished.text == TEXT for done in outcomes if not isinstance(done.events[-1], Failed))
