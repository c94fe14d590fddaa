"""Replies of sweeps in the history, from a model that is none: how they are put together."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from msgspec import structs

from playground.domain.events import Finished, Started, StopReason, TokenGenerated
from playground.domain.experiments import Cell, Sweep, named_prompts
from playground.domain.history import Query
from playground.domain.messages import ChatPrompt, GenerationRequest, Message, Role
from playground.domain.transcript import restored
from playground.domain.usage import Timings, Usage
from playground.services import history_sweep
from playground.services.history import History
from playground.services.history_keeping import HistoryKeeping
from playground.services.history_sweep import Keep, SweepHistory
from tests.app.support import token
from tests.services.counted_backend import CountedBackend
from tests.services.experiment_support import PLAIN, make_sweep


def write(keep: Keep, sweep: Sweep, cell: Cell, *words: str, reason: StopReason = StopReason.LENGTH) -> None:
    """One reply, from its request to its end."""
    request = GenerationRequest(stream=7, prompt=sweep.prompts[cell.prompt].prompt, params=cell.params)
    kept = keep(cell, request)
    take = kept.beside(lambda _event: None)
    take(Started(stream=7, prompt_tokens=5, cached_tokens=0, params=cell.params, seed=cell.params.seed))
    for index, word in enumerate(words):
        take(TokenGenerated(stream=7, token=token(index, word.encode())))
    finished = Finished(stream=7, reason=reason, text="".join(words), usage=Usage(cost=0.0), timings=Timings())
    take(finished)
    kept.end(finished)


async def test_a_conversation_that_is_full_is_followed_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_sweep, "MOST_REPLIES", 2)
    history = History(tmp_path / "history.sqlite3")
    await history.open()
    sweep = make_sweep("m", "One", "Two", samples=3)
    async with HistoryKeeping(private=False, history=history) as keeping:
        kept = SweepHistory(sweep, keeping)
        keep = await kept.meet(CountedBackend(), PLAIN, sweep.cells)
        assert keep is not None
        for cell in sweep.cells:
            write(keep, sweep, cell, "a", "b")
            write(keep, sweep, cell, reason=StopReason.CANCELLED)  # nothing came of it, so it is none
    entries = await history.read(lambda reader: reader.find(Query()))
    assert [entry.prompt for entry in entries] == ["Two"] * 3 + ["One"] * 3
    uids = list(dict.fromkeys(entry.tree for entry in entries))
    sizes = []
    for uid in uids:
        tree = await history.read(lambda reader, uid=uid: reader.tree(uid))  # type: ignore[misc]
        transcript = restored(turn.turn(tokens) for turn, tokens in tree.turns)
        (user,) = transcript.children(None)
        assert all(reply.content == "ab" for reply in transcript.children(user.id))
        assert tree.title == f"sweep {sweep.name}"
        sizes.append(len(transcript.children(user.id)))
    assert sorted(sizes) == [1, 1, 2, 2]
    assert len(await history.read(lambda reader: reader.find(Query(grouped=True)))) == 1
    await history.close()


async def test_each_reply_says_what_tells_it_from_the_others(tmp_path: Path) -> None:
    async def labels(sweep: Sweep) -> list[str]:
        history = History(tmp_path / f"{sweep.name}-{sweep.samples}.sqlite3")
        await history.open()
        async with HistoryKeeping(private=False, history=history) as keeping:
            keep = await SweepHistory(sweep, keeping).meet(CountedBackend(), PLAIN, sweep.cells)
            assert keep is not None
            for cell in sweep.cells:
                write(keep, sweep, cell, "a")
        entries = await history.read(lambda reader: reader.find(Query()))
        await history.close()
        return [entry.label for entry in reversed(entries)]

    ranges = ["temperature=0.5,1.2", "top_k=10,20"]
    assert await labels(make_sweep("m", samples=1, ranges=ranges[:1])) == ["temperature 0.5", "temperature 1.2"]
    assert await labels(make_sweep("m", samples=2)) == ["sample 1", "sample 2"]
    plan = make_sweep("m", samples=2, ranges=ranges)
    assert (await labels(plan))[::3] == [
        "temperature 0.5 · top_k 10 · sample 1",
        "temperature 0.5 · top_k 20 · sample 2",
        "temperature 1.2 · top_k 20 · sample 1",
    ]
    other = structs.replace(plan.settings[0], preset="wild", values={}, params=plan.settings[3].params)
    assert await labels(structs.replace(plan, settings=(plan.settings[0], other), samples=1)) == [
        "neutral · temperature 0.5 · top_k 10",
        "wild",
    ]


async def test_what_comes_while_the_app_is_private_is_left_out(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite3")
    await history.open()
    sweep = make_sweep("m", samples=2)
    private = True
    async with HistoryKeeping(private=False, history=history, leave_out=lambda: private) as keeping:
        kept = SweepHistory(sweep, keeping)
        keep = await kept.meet(CountedBackend(), PLAIN, sweep.cells)
        assert keep is not None
        write(keep, sweep, sweep.cells[0], "secret")
        while kept._waiting:  # noqa: ASYNC110 - who looks tells nobody
            await asyncio.sleep(0.02)
        private = False
        write(keep, sweep, sweep.cells[1], "known")
    assert [entry.reply for entry in await history.read(lambda reader: reader.find(Query()))] == ["known"]
    assert history.problem is None
    await history.close()


async def test_an_empty_system_message_is_no_turn_of_its_own(tmp_path: Path) -> None:
    history = History(tmp_path / "history.sqlite3")
    await history.open()
    messages = (Message(Role.SYSTEM, ""), Message(Role.USER, "Hello"))
    plan = make_sweep("m", samples=1)
    sweep = structs.replace(plan, prompts=named_prompts([ChatPrompt(messages)]))
    async with HistoryKeeping(private=False, history=history) as keeping:
        keep = await SweepHistory(sweep, keeping).meet(CountedBackend(), PLAIN, sweep.cells)
        assert keep is not None
        write(keep, sweep, sweep.cells[0], "Hi")
    (entry,) = await history.read(lambda reader: reader.find(Query()))
    tree = await history.read(lambda reader: reader.tree(entry.tree))
    assert [(turn.role, turn.text) for turn, _ in tree.turns] == [(Role.USER, "Hello"), (Role.ASSISTANT, "")]
    assert tree.info.system == ""
    await history.close()
