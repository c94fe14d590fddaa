"""`llm-playground run` on hosted models, which the fake plays over a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from playground.services.settings import settings_path
from tests.cli.support import COMMAND, Result, one_thread, run
from tests.fakes.hosted_api import FakeApi
from tests.fakes.hosted_settings import KEY, fake_in_settings

TEXT = "Hello, world! 你好 bye"
SO_FAR = "Hello, world"
HELLO = ("--prompt", "Hello?")


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    """Both APIs, in the settings with a key."""
    bare = '[endpoints.bare]\nbase_url = "BOX_URL"\napi_key = "${NO_SUCH_KEY}"'
    async with fake_in_settings(monkeypatch, bare, attempts=2) as made:
        yield made


async def ask(model: str, *arguments: str) -> Result:
    """Run it beside the fake."""
    return await asyncio.to_thread(run, "run", "--model", model, *HELLO, *arguments)


async def test_the_reply_is_printed_as_it_is(fake: FakeApi) -> None:
    for api in ("box", "claude"):
        result = await ask(f"{api}/m:ok")
        assert (result.status, result.out, result.err) == (0, f"{TEXT}\n", "")
    assert KEY in "".join(fake.requests[-1].headers.values())


async def test_json_has_tokens_usage_cost_and_how_it_began(fake: FakeApi) -> None:
    result = await ask("claude/claude-sonnet-4-5:thinking", "--json", "--effort", "high", "--cache", "5m")
    assert (result.status, result.err) == (0, "")
    started, *between, finished = result.objects
    assert started["event"] == "started"
    assert started["model"]["id"] == "claude/claude-sonnet-4-5:thinking"
    assert [entry["text"] for entry in between if entry["event"] == "thinking"] == ["They greet", " me."]
    tokens = [entry for entry in between if entry["event"] == "token"]
    assert "".join(token["text"] for token in tokens) == finished["text"] == TEXT
    assert all(token["logprob"] is None for token in tokens)
    usage = finished["usage"]
    assert (usage["prompt_tokens"], usage["cached_tokens"], usage["thinking_tokens"]) == (3110, 2000, 4)
    assert usage["cost"] == pytest.approx(0.007155)
    body = fake.bodies[-1]
    assert body["output_config"] == {"effort": "high"}
    assert body["messages"][-1]["content"][0]["cache_control"]["ttl"] == "5m"


async def test_options_that_a_server_does_not_take_are_told_once_and_not_sent(fake: FakeApi) -> None:
    claude = await ask("claude/m:ok", "--effort", "enormous", "--context", "4096")
    assert (claude.status, claude.out) == (0, f"{TEXT}\n")
    context, effort = claude.err.splitlines()
    assert "--context is not used. It is for models that are loaded here." in context
    assert "--effort enormous is not used." in effort
    box = await ask("box/m:ok", "--effort", "low", "--thinking", "off", "--cache", "1h")
    assert (box.status, box.out) == (0, f"{TEXT}\n")
    assert [line.split()[1] for line in box.err.splitlines()] == ["--effort", "--thinking", "--cache"]
    assert not [body for body in fake.bodies if {"output_config", "reasoning_effort", "thinking"} & set(body)]


async def test_log_probabilities_and_an_unknown_price_are_told_as_such(fake: FakeApi) -> None:
    objects = (await ask("box/m:ok", "--json")).objects
    tokens = [entry for entry in objects if entry["event"] == "token"]
    assert {token["logprob"] for token in tokens} == {-0.1}
    assert objects[-1]["usage"].get("cost") is None
    assert KEY not in str(objects)
    assert fake.bodies


async def test_a_second_attempt_is_told(fake: FakeApi) -> None:
    text = await ask("box/m:529*1")
    assert (text.status, text.out) == (0, f"{TEXT}\n")
    assert "box is overloaded at the moment. Attempt 2 of 2 follows." in text.error
    objects = (await ask("box/n:529*1", "--json")).objects
    retry = next(entry for entry in objects if entry["event"] == "retrying")
    assert (retry["attempt"], retry["attempts"], retry["kind"]) == (1, 2, "Overloaded")
    assert objects[-1]["text"] == TEXT
    assert len(fake.bodies) == 4


@pytest.mark.parametrize(
    ("model", "status", "says"),
    [
        ("box/m:401", 2, "box does not accept the key."),
        ("claude/m:400", 2, "claude refused the request"),
        ("box/m:context", 2, "does not fit the context window of 4,096 tokens"),
        ("claude/m:500html", 1, "claude failed (500)"),
        ("box/m:429long", 1, "come back after"),
        ("bare/m:ok", 2, "There is no key for bare. Set the environment variable NO_SUCH_KEY"),
        ("claude/m:echo", 2, "claude does not accept the key."),
    ],
)
async def test_what_goes_wrong_is_one_line_and_an_exit_status(
    fake: FakeApi, model: str, status: int, says: str
) -> None:
    result = await ask(model, "--json")
    assert result.status == status
    last = result.err.splitlines()[-1]
    assert says in last
    assert KEY not in result.out + result.err
    failed = result.objects[-1]
    assert failed["event"] == "failed"
    assert failed["message"] in last
    assert fake.requests or model.startswith("bare")


async def test_a_reply_that_breaks_off_keeps_what_came(fake: FakeApi) -> None:
    result = await ask("box/m:rst")
    assert (result.status, result.out) == (1, f"{SO_FAR}\n")
    assert "The connection to box broke in the middle of the reply." in result.error
    assert len(fake.bodies) == 1


async def test_another_model_takes_over(fake: FakeApi) -> None:
    path = settings_path()
    text = path.read_text()
    path.write_text(text.replace("attempts = 2", 'attempts = 1\nfallback = "claude/claude-sonnet-4-5:ok"'))
    result = await ask("box/m:529", "--json")
    assert result.status == 0
    over = next(entry for entry in result.objects if entry["event"] == "fell_back")
    assert over["model"] == "claude/claude-sonnet-4-5:ok"
    assert result.objects[-1]["usage"]["cost"] == pytest.approx(0.007095)
    assert fake.bodies


async def test_ctrl_c_ends_it_and_keeps_what_came(fake: FakeApi) -> None:
    one_thread()
    pipe = asyncio.subprocess.PIPE
    arguments = ("run", "--model", "box/m:stall", *HELLO)
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=pipe, stderr=pipe)
    assert process.stdout is not None
    assert (await process.stdout.readexactly(len(SO_FAR))).decode() == SO_FAR
    os.kill(process.pid, signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode == 130
    assert (out, err) == (b"\n", b"")
    await asyncio.wait_for(fake.until_open(0), 5)


async def test_a_hosted_model_cannot_watch_words_and_says_so_before_it_is_called(fake: FakeApi) -> None:
    for api in ("box", "claude"):
        result = await ask(f"{api}/m:ok", "--watch", " Yes")
        assert result.status != 0
        assert result.out == ""
        assert "does not tell how likely a word of your choice is" in result.error
    assert not [request for request in fake.requests if request.method == "POST"]
