"""Sweeps on the real model and, over a real socket, on servers that have trouble."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from playground.backends.local import LocalBackend
from playground.domain.errors import BudgetReached, EngineDied
from playground.domain.events import Event, Finished, Started, StopReason
from playground.domain.experiment_groups import groups
from playground.domain.experiments import CellResult, named_prompts
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, Role
from playground.domain.prices import Budget
from playground.services.accounts import Accounts
from playground.services.experiment_cells import Room
from playground.services.experiment_store import CellFile
from playground.services.experiments import SweepRun, without_stand_ins
from playground.services.model_pool import ModelPool
from playground.services.settings import load_settings
from tests.fakes.hosted_api import FakeApi
from tests.fakes.hosted_settings import fake_in_settings
from tests.services.experiment_support import PLAIN, from_file, make_sweep, sweep_all


class Seen:
    """What goes to the real local backend, and how much of it at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seeds: list[int | None] = []
        self.started: list[Started] = []
        self.most = 0
        running = 0
        generate = LocalBackend.generate

        async def watched(backend: LocalBackend, request: GenerationRequest, sink: object) -> None:
            def take(event: Event) -> None:
                nonlocal running
                if isinstance(event, Started):
                    self.started.append(event)
                    running += 1
                    self.most = max(self.most, running)
                elif isinstance(event, Finished):
                    running -= 1
                assert callable(sink)
                sink(event)

            self.seeds.append(request.params.seed)
            await generate(backend, request, take)

        monkeypatch.setattr(LocalBackend, "generate", watched)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    return Seen(monkeypatch)


class _Clock(list[object]):
    """Milliseconds from the first result to the last; the first one's own time is added."""

    def __init__(self) -> None:
        super().__init__()
        self._began: float | None = None
        self.ms = 0.0

    def append(self, result: object) -> None:
        assert isinstance(result, CellResult)
        now = time.monotonic() * 1000
        if self._began is None:
            self._began = now - (result.timings.total_ms or 0.0)
        self.ms = now - self._began


async def test_every_cell_runs_once_and_the_prompt_is_computed_once(
    starter_gguf: Path, tmp_path: Path, seen: Seen
) -> None:
    sweep = make_sweep(str(starter_gguf), "The river went on and on until it", samples=4, ranges=["temperature=0,1"])
    ended = _Clock()
    run, file = await sweep_all(sweep, tmp_path, at_once=3, seen=ended)
    assert not run.errors
    assert (run.progress.done, run.progress.tokens) == (8, 8 * 4)
    assert set(file.results) == {cell.id for cell in sweep.cells}
    assert sorted(seed for seed in seen.seeds if seed is not None) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert seen.most == 3
    whole = seen.started[0].prompt_tokens
    assert whole is not None
    assert [start.cached_tokens for start in seen.started] == [0] + [whole - 1] * 7
    cold, warm = groups(sweep, file.results)
    assert cold.consistency == 1.0
    assert warm.consistency is not None
    assert warm.consistency < 1.0
    assert (cold.tokens, cold.reasons, cold.cost) == (4.0, {"length": 4}, 0.0)
    assert cold.perplexity is not None
    assert warm.perplexity is not None
    assert cold.ttft_p50_ms is not None
    totals = [result.timings.total_ms or 0.0 for result in file.results.values()]
    assert sum(totals) < 3 * ended.ms * 1.05, "three at a time; waiting for a place does not count"


async def test_the_same_cell_gives_the_same_text_however_many_run_beside_it(starter_gguf: Path, tmp_path: Path) -> None:
    sweep = make_sweep(str(starter_gguf), samples=4, temperature=0.7)
    _, alone = await sweep_all(sweep, tmp_path / "alone", at_once=1)
    _, together = await sweep_all(sweep, tmp_path / "together", at_once=4)
    texts = [{name: result.text for name, result in file.results.items()} for file in (alone, together)]
    assert texts[0] == texts[1]


async def test_a_sweep_that_was_stopped_goes_on_and_runs_no_cell_twice(
    starter_gguf: Path, tmp_path: Path, seen: Seen
) -> None:
    sweep = make_sweep(str(starter_gguf), samples=8)
    pool = ModelPool(from_file())
    with CellFile(tmp_path) as file:
        file.begin(sweep)
        accounts = Accounts(pool.settings, lambda: pool.endpoints)
        stopping: list[asyncio.Task[None]] = []

        def after_three(_: object) -> None:
            if len(file.results) == 3:
                stopping.append(asyncio.create_task(run.stop()))

        run = SweepRun(sweep, file, pool, accounts, at_once=2, on_result=after_three)
        await run.run()
        await asyncio.wait(stopping)
        await pool.close_all()
    assert run.stopped
    first = set(file.results)
    assert 3 <= len(first) < 8
    assert all(result.reason == "length" for result in file.results.values()), "a broken reply is no result"
    begun = len(seen.seeds)
    again, file = await sweep_all(sweep, tmp_path)
    assert again.progress.kept == len(first)
    assert len(seen.seeds) - begun == 8 - len(first)
    assert set(file.results) == {cell.id for cell in sweep.cells}
    lines = file.path.read_bytes().splitlines()
    assert len(lines) == 1 + 8
    third, _ = await sweep_all(sweep, tmp_path)
    assert (third.progress.done, len(seen.seeds)) == (0, begun + 8 - len(first))


async def test_what_waits_for_room_when_a_sweep_is_stopped_is_not_begun(
    starter_gguf: Path, tmp_path: Path, seen: Seen
) -> None:
    sweep, pool = make_sweep(str(starter_gguf), samples=4, max_tokens=240), ModelPool(from_file())
    with CellFile(tmp_path) as file:
        file.begin(sweep)
        run = SweepRun(sweep, file, pool, Accounts(pool.settings, lambda: pool.endpoints), at_once=2)
        running = asyncio.create_task(run.run())
        async with asyncio.timeout(60):
            while not run.progress.tokens:  # noqa: ASYNC110 - a count tells nobody
                await asyncio.sleep(0.01)
        await run.stop()
        await running
        await pool.close_all()
    assert len(seen.seeds) == 2, "the window holds two of them"
    assert file.results == {}


async def test_a_worker_that_is_killed_leaves_the_rest_for_another_time(starter_gguf: Path, tmp_path: Path) -> None:
    import psutil

    sweep = make_sweep(str(starter_gguf), samples=10, max_tokens=20)
    pool = ModelPool(from_file())
    with CellFile(tmp_path) as file:
        file.begin(sweep)

        def kill(_: object) -> None:
            for child in psutil.Process().children():
                child.kill()

        run = SweepRun(sweep, file, pool, Accounts(pool.settings, dict), at_once=2, on_result=kill)
        await run.run()
        await pool.close_all()
    (error,) = run.errors
    assert isinstance(error, EngineDied)
    assert 1 <= len(file.done()) < 10
    assert len(file.results) <= len(file.done()) + 4, "what never ran has not failed"
    again, file = await sweep_all(sweep, tmp_path)
    assert not again.errors
    assert len(file.done()) == 10


async def test_replies_are_not_cut_short_by_their_neighbours(starter_gguf: Path, tmp_path: Path, seen: Seen) -> None:
    """Six at once would fill the window of 256 together."""
    sweep = make_sweep(str(starter_gguf), samples=6, max_tokens=80)
    settings = from_file(msgspec.structs.replace(PLAIN, context=256))
    run, file = await sweep_all(sweep, tmp_path, settings, at_once=6)
    assert not run.errors
    assert {result.reason for result in file.results.values()} == {StopReason.LENGTH}
    assert seen.most == 3


async def test_room_counts_a_shared_prompt_once_and_lets_one_in_whatever_its_size() -> None:
    room = Room(100)
    await room.enter(0, 500, 10)
    second = asyncio.ensure_future(room.enter(1, 10, 10))
    await asyncio.sleep(0)
    assert not second.done()
    await room.leave(0, 500, 10)
    await second
    await room.enter(1, 10, 60)
    third = asyncio.ensure_future(room.enter(2, 30, 10))
    await asyncio.sleep(0)
    assert not third.done()
    await room.leave(1, 10, 60)
    await third


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApi]:
    prices = '[prices."box/m:ok"]\ninput_per_mtok = 1000.0\noutput_per_mtok = 1000.0'
    async with fake_in_settings(monkeypatch, prices, box='fallback = "box/other:ok"', attempts=2) as made:
        yield made


async def test_a_server_gets_no_more_at_once_than_was_asked_for(fake: FakeApi, tmp_path: Path) -> None:
    fake.gap_s = 0.01
    watched: list[int] = []
    sweep = make_sweep("box/m:ok", samples=9, ignore_eos=False)
    run, file = await sweep_all(sweep, tmp_path, at_once=3, seen=_Noting(watched, fake))
    assert not run.errors
    assert len(file.done()) == 9
    assert max(watched) <= 3 + 1  # one more that looks at the server itself
    assert len([body for body in fake.bodies if body.get("messages") or body.get("prompt")]) == 9
    (group,) = groups(sweep, file.results)
    assert group.perplexity is not None
    assert group.cost is not None
    assert group.cost > 0
    assert run.progress.spent.usd == pytest.approx(group.cost)


class _Noting(list[object]):
    """Notes the connections that stand whenever a result comes."""

    def __init__(self, watched: list[int], fake: FakeApi) -> None:
        super().__init__()
        self._watched, self._fake = watched, fake

    def append(self, result: object) -> None:
        super().append(result)
        self._watched.append(self._fake.open)


async def test_a_failed_cell_is_kept_as_failed_tried_again_and_nobody_takes_over(fake: FakeApi, tmp_path: Path) -> None:
    sweep = make_sweep("box/m:529*2", samples=2, ignore_eos=False)
    run, file = await sweep_all(sweep, tmp_path, at_once=1)
    assert not run.errors
    failed = [result for result in file.results.values() if result.problem is not None]
    assert [result.problem.kind for result in failed if result.problem] == ["Overloaded"]
    assert not [body for body in fake.bodies if body["model"] == "other:ok"]
    again, file = await sweep_all(sweep, tmp_path, at_once=1)
    assert (again.progress.kept, again.progress.done) == (1, 1)
    assert len(file.done()) == 2


async def test_a_key_that_is_refused_ends_that_model_and_no_other(fake: FakeApi, tmp_path: Path) -> None:
    sweep = make_sweep("box/m:401", samples=20, ignore_eos=False)
    hello = named_prompts([ChatPrompt((Message(Role.USER, "Hello?"),))])
    sweep = msgspec.structs.replace(sweep, prompts=hello, models=("box/m:401", "claude/claude-x:ok"))
    run, file = await sweep_all(sweep, tmp_path, at_once=2)
    assert len([body for body in fake.bodies if body["model"] == "m:401"]) <= 2
    assert [type(error).__name__ for error in run.errors] == ["KeyRefused"]
    done = file.done().values()
    assert {result.model for result in done} == {"claude/claude-x:ok"}
    assert len(done) == 20
    _, theirs = groups(sweep, file.results)
    assert theirs.perplexity is None, "this server tells no probabilities"
    assert theirs.consistency == 1.0


async def test_the_budget_of_the_day_ends_a_sweep_while_it_runs(fake: FakeApi, tmp_path: Path) -> None:
    settings = without_stand_ins(msgspec.structs.replace(load_settings()[0], load=PLAIN))
    settings = msgspec.structs.replace(settings, budget=Budget(per_day_usd=0.1))
    sweep = make_sweep("box/m:ok", samples=50, ignore_eos=False)
    run, file = await sweep_all(sweep, tmp_path, settings, at_once=1)
    assert [type(error) for error in run.errors] == [BudgetReached]
    assert 0 < len(file.done()) < 50
    assert run.progress.spent.usd <= 0.1
    over, file = await sweep_all(sweep, tmp_path, settings, at_once=4, anyway=True)
    assert not over.errors
    assert len(file.done()) == 50
