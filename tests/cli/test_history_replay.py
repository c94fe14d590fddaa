"""`llm-playground history replay` of replies by hosted models, which the fake plays over a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator

import pytest

from playground.domain.endpoints import parse_model_ref
from playground.domain.history import Setting
from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.services.accounts import Accounts
from playground.services.history import history_path
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from playground.services.model_pool import ModelPool
from playground.services.runs import Runner
from playground.services.settings import load_settings, save_setting, settings_path
from playground.services.spending import Spending
from tests.cli.support import COMMAND, Result, one_thread, run
from tests.fakes.hosted_api import FakeApi
from tests.fakes.hosted_settings import KEY, fake_in_settings

CLAUDE = "claude/claude-sonnet-4-5"
CLAUDE_COST = 0.007095
"""US dollars of the fake's reply, part of whose prompt comes from the provider's cache."""


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    """Both APIs, in the settings with a key."""
    async with fake_in_settings(monkeypatch, '[endpoints.own]\nbase_url = "BOX_URL"') as made:
        yield made


async def keep_reply(model: str, again: str = "", seed: int | None = 7) -> None:
    """Ask a model and keep its reply as written by `again`; empty: by itself. The only reply in the history."""
    settings, _ = load_settings()
    pool = ModelPool(settings)
    accounts = Accounts(settings, lambda: pool.endpoints)
    session = Session(SamplingParams(seed=seed, max_tokens=50))
    runner = Runner(session)
    runner.price = accounts.price
    ref = parse_model_ref(model, set(pool.endpoints))
    runner.backend = await pool.open(ref, lambda _fraction: None)
    runner.answering = runner.backend.card
    try:
        runner.start(session.send("Hello?"))
        await runner.settle()
        runner.drain()
    finally:
        await pool.close_all()
    change = Recorder().take(session, Setting(model_ref=again or model))
    assert change is not None
    store = HistoryStore(history_path(), "test")
    store.apply(change)
    store.close()


async def replay(*arguments: str) -> Result:
    """Run it beside the fake."""
    return await asyncio.to_thread(run, "history", "replay", "1", *arguments)


async def test_a_server_that_keeps_to_the_seed_gives_the_same_again(fake: FakeApi) -> None:
    await keep_reply("box/m:seeded")
    result = await replay("--yes")
    assert (result.status, result.err) == (0, "")
    assert "The runs are equal: all 6 tokens came again" in result.out
    assert "What this run cost is not known." in result.out
    first, second = fake.bodies
    assert first["seed"] == second["seed"] == 7
    assert first["messages"] == second["messages"]
    assert KEY not in result.out


async def test_a_reply_that_differs_is_reported_with_both_lists_of_candidates(fake: FakeApi) -> None:
    await keep_reply("box/m:ok", "box/m:another")
    result = await replay("--yes")
    assert (result.status, result.err) == (1, "")
    assert "Token 3 differs: it was “·world” (log-probability -0.1000), and is “·moon”" in result.out
    assert "A hosted model need not repeat itself, whatever the seed." in result.out
    lines = result.out.splitlines()
    assert "before:  Hello," in lines
    assert "then:     world! 你好 bye" in lines
    assert "now:      moon! 你好 bye" in lines
    table = {line.split()[0]: line for line in lines[lines.index("now:      moon! 你好 bye") + 3 :]}
    assert table["·world"].split() == ["·world", ">", "-0.10000", "–", "–", "–", "–"]
    assert table["·moon"].split() == ["·moon", "–", "–", ">", "-0.10000", "–", "–"]
    assert table["x"].split() == ["x", "-3.00000", "–", "-3.00000", "–", "+0.0e+00"]
    (told,) = (await replay("--yes", "--json")).objects
    assert (told["verdict"], told["equal_tokens"], told["index"]) == ("edge", 2, 2)
    assert (told["then"]["text"], told["now"]["text"]) == (" world", " moon")


async def test_without_a_seed_nothing_is_promised(fake: FakeApi) -> None:
    await keep_reply("box/m:seeded", seed=None)
    result = await replay("--yes")
    assert "Its seed is not known." in result.out
    assert "seed" not in fake.bodies[-1]


async def test_what_it_will_cost_is_said_before_and_booked_behind(fake: FakeApi) -> None:
    await keep_reply(f"{CLAUDE}:ok")
    path = settings_path()
    path.write_text(f"{path.read_text()}\n[budget]\nper_request_usd = 0.001\n")
    asked = await replay()
    assert asked.status == 2
    assert "is hosted: it need not repeat itself, and the reply cost $0.0071 then." in asked.error
    assert "To run it again costs ≈$0.0" in asked.error
    assert "the budget of one request is $0.0010" in asked.error
    assert len(fake.bodies) == 1, "nothing was sent"
    result = await replay("--yes")
    assert (result.status, result.err) == (0, "")
    assert "This run cost $0.0071." in result.out
    assert Spending().day.usd == pytest.approx(CLAUDE_COST)


async def test_a_server_of_ones_own_is_not_asked_about(fake: FakeApi) -> None:
    await keep_reply("own/m:seeded")
    result = await replay()
    assert (result.status, result.err) == (0, "")
    assert "This run cost $0." in result.out


async def test_nor_about_a_reply_of_it_that_broke_off_so_that_nobody_counted_it(fake: FakeApi) -> None:
    await keep_reply("own/m:rst", "own/m:seeded")
    result = await replay()
    assert result.err == ""
    assert "This run cost $0." in result.out


@pytest.mark.parametrize(
    ("again", "status", "says"),
    [
        ("box/m:401", 2, "box does not accept the key."),
        ("box/m:529", 1, "box is overloaded"),
        ("box/m:404", 2, "m:404"),
        ("gone/m:ok", 2, "gone/m:ok"),
    ],
)
async def test_what_goes_wrong_is_one_line_and_no_other_model_takes_over(
    fake: FakeApi, again: str, status: int, says: str
) -> None:
    await keep_reply("box/m:ok", again)
    save_setting(settings_path(), "hosted.fallback", "box/m:ok")
    result = await replay("--yes")
    assert (result.status, result.out) == (status, "")
    assert says in result.error
    assert [body["model"] for body in fake.bodies[1:]] == ([] if again.startswith("gone") else [again[4:]])


async def test_a_run_that_breaks_off_is_compared_as_far_as_it_came(fake: FakeApi) -> None:
    await keep_reply("box/m:ok", "box/m:rst")
    result = await replay("--yes")
    assert result.status == 1
    assert "Token 4 differs: it was “!” (log-probability -0.1000), and is the end (it broke)." in result.out
    assert "The run broke: The connection to box broke in the middle of the reply." in result.out


def heed_ctrl_c() -> None:
    """A shell that runs the tests in the background lets them, and what they start, ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def test_ctrl_c_ends_it(fake: FakeApi) -> None:
    await keep_reply("box/m:ok", "box/m:stall")
    one_thread()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "history", "replay", "1", "--yes", stdout=pipe, stderr=pipe, preexec_fn=heed_ctrl_c
    )
    await asyncio.wait_for(fake.reached.wait(), 60)
    os.kill(process.pid, signal.SIGINT)
    out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"")
    await asyncio.wait_for(fake.until_open(0), 10)
