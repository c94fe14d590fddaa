"""Panes and the worker processes behind them: sharing, loading, losing, leaving; on real models."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from playground.backends.base import Backend
from playground.backends.local import LocalBackend
from playground.domain.endpoints import ModelRef
from playground.domain.messages import Role
from playground.engine.memory import MemoryEstimate
from playground.screens.pane import Pane
from playground.services.model_pool import Progress
from tests.app.support import Player, make_app, playing

LONG = "max_tokens=1900", "ignore_eos=true"


def worker_of(pane: Pane) -> int:
    """Process id of the worker that answers in a pane."""
    backend = pane.runner.backend
    assert isinstance(backend, LocalBackend)
    return backend.pid


def workers() -> set[int]:
    """Worker processes of this one."""
    return {
        child.pid
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "playground.engine" in child.cmdline()
    }


async def all_ready(player: Player) -> None:
    """Wait for the models of all panes."""
    await player.until(lambda: all(pane.runner.backend for pane in player.panes), "all models there")


async def use(player: Player, path: Path) -> None:
    """Choose a model for the active pane."""
    player.screen.load_model(player.pane, ModelRef("", str(path)))
    await player.until(lambda: player.pane.card and player.pane.card.id == str(path), "model chosen")


async def test_panes_share_a_worker_until_the_last_of_them_goes(starter_gguf: Path) -> None:
    async with playing(make_app(*LONG), (200, 50)) as player:
        await player.ready()
        await player.add_pane()
        await player.add_pane()
        await all_ready(player)
        (worker,) = {worker_of(pane) for pane in player.panes}
        await player.say("Count to a thousand.")
        await player.until(lambda: all(pane.last_token() for pane in player.panes), "all write")
        await player.press("alt+w")
        await player.until(lambda: len(player.panes) == 2, "closed")
        before = [len(turn.tokens) for pane in player.panes if (turn := pane.session.active)]
        await player.until(
            lambda: all(
                (turn := pane.session.active) and len(turn.tokens) > count + 2
                for pane, count in zip(player.panes, before, strict=True)
            ),
            "the others go on",
        )
        assert workers() == {worker}
        await player.stop_all()


async def test_two_models_are_two_workers_and_each_goes_with_its_last_pane(
    starter_gguf: Path, tiny_models: Callable[[str], Path]
) -> None:
    async with playing(make_app("max_tokens=4"), (160, 50)) as player:
        await player.ready()
        await player.add_pane()
        await use(player, tiny_models("chat"))
        await player.add_pane()
        await all_ready(player)
        first, second, third = (worker_of(pane) for pane in player.panes)
        assert first != second == third
        assert workers() == {first, second}
        await player.ask_all("Hello.")
        rows = player.screen.rows()
        assert len({row.model for row in rows}) == 2
        assert all("■" in text for text in player.transcripts)
        await player.press("alt+w")
        await player.until(lambda: len(player.panes) == 2, "closed")
        assert workers() == {first, second}
        await player.press("alt+w")
        await player.until(lambda: workers() == {first}, "the second worker ended")


async def test_two_panes_that_want_a_model_at_once_start_it_once(
    starter_gguf: Path, tiny_models: Callable[[str], Path]
) -> None:
    async with playing(make_app("max_tokens=2")) as player:
        await player.ready()
        await player.add_pane()
        await all_ready(player)
        await player.add_pane()
        await all_ready(player)
        other = ModelRef("", str(tiny_models("chat")))
        for pane in player.panes[1:]:
            player.screen.load_model(pane, other)
        await player.until(lambda: all(pane.card and pane.card.id == other.name for pane in player.panes[1:]), "loaded")
        assert len(workers()) == 2


async def test_a_second_model_without_room_is_refused_with_the_figures(
    starter_gguf: Path, tiny_models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with playing(make_app("max_tokens=2"), (160, 50)) as player:
        await player.ready()
        await player.add_pane()
        await all_ready(player)
        short = MemoryEstimate(40_000_000_000, 2_000_000_000, 4096, 3_000_000_000, enough=False)
        monkeypatch.setattr("playground.engine.memory.estimate_memory", lambda *_: short)
        player.screen.load_model(player.pane, ModelRef("", str(tiny_models("chat"))))
        await player.until(lambda: player.pane.model_state == "no model", "refused")
        told = " ".join(player.notices.split())
        assert "chat.gguf needs about 42 GB beside what is loaded, and 3 GB are free." in told
        assert "Close a pane with another model first" in told
        assert len(workers()) == 1
        await player.say("Hello.")
        await player.until(lambda: "■" in player.transcripts[0], "the other pane answers")


def hold_loads(player: Player, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Let no model be opened from now on until the event is set."""
    pool, gate = player.screen.pool, asyncio.Event()
    open_now = pool.open

    async def open_later(ref: ModelRef, progress: Progress, stand_in: ModelRef | None = None) -> Backend:
        await gate.wait()
        return await open_now(ref, progress, stand_in)

    monkeypatch.setattr(pool, "open", open_later)
    return gate


async def test_a_prompt_waits_in_the_pane_whose_model_still_loads(
    starter_gguf: Path, tiny_models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with playing(make_app("max_tokens=3"), (160, 50)) as player:
        await player.ready()
        await player.add_pane()
        await all_ready(player)
        gate = hold_loads(player, monkeypatch)
        player.screen.load_model(player.pane, ModelRef("", str(tiny_models("chat"))))
        await player.until(lambda: player.pane.opening, "loading")
        await player.say("Hello.")
        await player.until(lambda: "■" in player.transcripts[0], "the other pane answered")
        assert player.pane.waiting is not None
        assert "the prompt goes as soon as it is there" in player.notices
        gate.set()
        await player.all_answered()
        assert all("Hello." in text and "■" in text for text in player.transcripts)
        assert player.pane.card is not None
        assert player.pane.card.id == str(tiny_models("chat"))


async def test_escape_gives_a_waiting_prompt_back_and_a_second_one_ends_the_load(
    starter_gguf: Path, tiny_models: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with playing(make_app(*LONG), (160, 50)) as player:
        await player.ready()
        await player.add_pane()
        await all_ready(player)
        hold_loads(player, monkeypatch)
        player.screen.load_model(player.pane, ModelRef("", str(tiny_models("chat"))))
        await player.until(lambda: player.pane.opening, "loading")
        await player.say("Count to a thousand.")
        await player.until(player.panes[0].last_token, "the other pane writes")
        await player.press("escape")
        await player.until(lambda: not player.panes[0].session.busy, "the other reply stopped")
        assert player.screen.editor.text == "Count to a thousand."
        assert "Count to a thousand." not in player.transcript
        assert player.pane.opening
        await player.press("escape")
        await player.until(lambda: player.pane.model_state == "load cancelled", "load ended")


async def test_every_pane_that_lost_its_model_gets_it_back_with_one_key(starter_gguf: Path) -> None:
    async with playing(make_app(*LONG), (160, 50)) as player:
        await player.ready()
        await player.add_pane()
        await all_ready(player)
        await player.say("Count to a thousand.")
        await player.until(lambda: all(pane.last_token() for pane in player.panes), "both write")
        lost = worker_of(player.pane)
        os.kill(lost, signal.SIGKILL)
        await player.until(lambda: all(pane.model_state == "model lost" for pane in player.panes), "lost")
        assert all("✗ The model's process ended unexpectedly" in text for text in player.transcripts)
        assert player.notices.count("ended unexpectedly") == 1
        turns = [pane.session.transcript.last(Role.ASSISTANT) for pane in player.panes]
        assert all(turn is not None and turn.tokens for turn in turns)
        await player.press("ctrl+l")
        await all_ready(player)
        (worker,) = {worker_of(pane) for pane in player.panes}
        assert worker != lost
        assert workers() == {worker}


async def test_leaving_in_mid_stream_leaves_no_process(starter_gguf: Path, tiny_models: Callable[[str], Path]) -> None:
    app = make_app(*LONG)
    async with app.run_test(size=(160, 50)) as pilot:
        player = Player(app, pilot)
        await player.until(lambda: player.screen.furnished, "furnished")
        await player.ready()
        await player.add_pane()
        await use(player, tiny_models("chat"))
        await player.say("Count to a thousand.")
        await player.until(lambda: all(pane.last_token() for pane in player.panes), "both write")
        assert len(workers()) == 2
        await player.press("ctrl+q")
    assert workers() == set()
