"""`llm-playground compare`: one prompt, several models and presets, one table."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from playground.services.recent_models import recent_models, remember_model
from playground.services.settings import settings_path
from playground.services.spending import Spending
from tests.cli.support import COMMAND, Result, one_thread, run
from tests.fakes.hosted_api import FakeApi
from tests.fakes.hosted_settings import KEY, fake_in_settings

TEXT = "Hello, world! 你好 bye"
SHORT = ("--prompt", "Name a river.", "--max-tokens", "8", "--seed", "1")
MODEL = "SmolLM2-135M-Instruct.Q4_1"


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    """Both APIs, in the settings with a key, and budgets."""
    # Nothing is fetched to count tokens with: the address of the vocabularies leads nowhere.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    async with fake_in_settings(monkeypatch) as made:
        yield made


async def compare(*arguments: str) -> Result:
    """Run it beside the fake."""
    return await asyncio.to_thread(run, "compare", *arguments)


@pytest.mark.usefixtures("starter_gguf")
def test_presets_on_one_model_and_one_model_that_is_not_there() -> None:
    presets = ("--preset", "deterministic", "--preset", "creative")
    done = run("compare", *SHORT, "-m", "starter", "-m", "nosuch", *presets)
    assert done.status == 1
    assert done.err == ""
    head, *rows = done.out.split("\n\n")[0].splitlines()
    assert head.split()[:2] == ["model", "preset"]
    assert [row.split()[:3] for row in rows] == [
        ["1", MODEL, "deterministic"],
        ["2", MODEL, "creative"],
        ["3", "nosuch", "deterministic"],
        ["4", "nosuch", "creative"],
    ]
    assert "No model on this machine is called 'nosuch'" in done.out
    objects = run("compare", *SHORT, "-m", "starter", *presets, "--json").objects
    plain = run("run", *SHORT, "--preset", "deterministic").out.removesuffix("\n")
    assert objects[0]["text"] == plain
    assert [one["completion_tokens"] for one in objects] == [8, 8]
    assert [one["cost"] for one in objects] == [0.0, 0.0]
    for one in objects:
        assert one["ttft_ms"] > 0 < one["tokens_per_second"]
        assert one["perplexity"] >= 1.0
        assert one["state"] == "done"
        assert one["problem"] is None


@pytest.mark.usefixtures("starter_gguf")
def test_without_a_seed_all_have_the_same_one(starter_gguf: Path) -> None:
    again = run("compare", *SHORT[:4], *["--model", str(starter_gguf)] * 2, "--set", "temperature=1.5", "--json")
    assert len({row["text"] for row in again.objects}) == 1


def test_the_table_to_take_along(tiny_models: object, starter_gguf: Path) -> None:
    assert callable(tiny_models)
    two = ("-m", str(starter_gguf), "-m", str(tiny_models("chat")))
    remember_model(starter_gguf)
    markdown = run("compare", *SHORT, *two, "--markdown", "--full")
    assert markdown.status == 0
    lines = markdown.out.splitlines()
    assert [line.count("|") for line in lines[:4]] == [12] * 4
    assert sum(line.startswith("> ") for line in lines) >= 2
    rows = list(csv.DictReader(io.StringIO(run("compare", *SHORT, *two, "--csv").out)))
    assert [row["model"] for row in rows] == [MODEL, "chat"]
    assert all(row["reply"] for row in rows)
    assert rows[0]["completion_tokens"] == "8"
    assert recent_models()[0] == starter_gguf, "a comparison does not change the model to begin with"


async def test_models_on_servers_and_one_that_fails(fake: FakeApi) -> None:
    done = await compare("-p", "Hello?", "-m", "box/m:ok", "-m", "claude/claude-sonnet-4-5:ok", "-m", "box/m:500html")
    assert done.status == 1
    assert KEY not in done.out + done.err
    objects = (
        await compare(
            "-p", "Hello?", "-m", "box/m:ok", "-m", "claude/claude-sonnet-4-5:ok", "-m", "box/m:401", "--json"
        )
    ).objects
    assert [one["text"] for one in objects] == [TEXT, TEXT, ""]
    assert [one["state"] for one in objects] == ["done", "done", "failed"]
    assert objects[0]["cost"] is None
    assert objects[1]["cost"] == pytest.approx(0.007095)
    assert objects[2]["problem"]["kind"] == "KeyRefused"
    assert Spending().day.usd == pytest.approx(2 * 0.007095)
    assert fake.bodies


async def test_a_budget_is_asked_about_before_anything_is_sent(fake: FakeApi) -> None:
    with settings_path().open("a") as file:
        file.write("\n[budget]\nper_request_usd = 0.0001\n")
    asked = ("-p", "Hello?", "-m", "claude/claude-sonnet-4-5:ok", "--max-tokens", "500")
    refused = await compare(*asked)
    assert (refused.status, refused.out) == (2, "")
    assert "the budget of one request is $0.0001" in refused.error
    assert "--yes" in refused.error
    assert not [one for one in fake.requests if one.method == "POST"]
    assert (await compare(*asked, "--yes")).status == 0
    assert [one for one in fake.requests if one.method == "POST"]


async def test_ctrl_c_ends_what_is_written_and_prints_what_there_is(fake: FakeApi) -> None:
    one_thread()
    pipe = asyncio.subprocess.PIPE
    arguments = ("compare", "-p", "Hello?", "-m", "box/m:stall", "-m", "claude/m:stall", "--json")
    process = await asyncio.create_subprocess_exec(*COMMAND, *arguments, stdout=pipe, stderr=pipe)
    while len([one for one in fake.requests if one.method == "POST"]) < 2:  # noqa: ASYNC110 - the fake tells nobody
        await asyncio.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, err) == (130, b"")
    objects = [json.loads(line) for line in out.splitlines()]
    assert [(one["number"], one["state"], one["ending"]) for one in objects] == [
        (1, "done", "stopped"),
        (2, "done", "stopped"),
    ]
    assert all("Hello, world".startswith(one["text"]) for one in objects)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("-p", " "), "prompt is empty"),
        (("-p", "Hi", "--preset", "balancd"), "Did you mean 'balanced'?"),
        (("-p", "Hi", "--set", "temperature=99"), "outside 0 to 5"),
        (("-p", "Hi", "--seed", "-1"), "seed is -1"),
    ],
)
def test_bad_use_is_one_line_and_status_2(arguments: tuple[str, ...], says: str) -> None:
    done = run("compare", *arguments)
    assert (done.status, done.out) == (2, "")
    assert says in done.error
