"""Running a reply of the history again from its screen: asked about, watched, stopped, reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.domain.history import Setting
from playground.domain.session import Session
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.history_replay_screen import HistoryReplayScreen
from playground.screens.history_screen import HistoryScreen
from playground.services.history import history_path
from playground.services.history_recorder import Recorder
from playground.services.history_store import HistoryStore
from playground.services.spending import Spending
from tests.app.hosted_support import hosted
from tests.app.support import Player, make_app, playing
from tests.app.test_keeping import open_history
from tests.services.history_support import ask


def keep(model_ref: str, *words: str, model_hash: str = "", cost: float | None = None) -> None:
    """Put a reply into the history."""
    session = Session()
    ask(session, "Hello?", *words, cost=cost)
    change = Recorder().take(session, Setting(model_ref=model_ref, model_hash=model_hash))
    assert change is not None
    store = HistoryStore(history_path(), "test")
    store.apply(change)
    store.close()


async def run_again(player: Player) -> HistoryReplayScreen:
    """Open the history and run its newest reply again."""
    await open_history(player)
    await player.press("v")
    await player.until(lambda: len(player.app.screen_stack) > 2, "run again")
    screen = player.app.screen_stack[2]
    assert isinstance(screen, HistoryReplayScreen)
    return screen


async def test_a_reply_comes_again_beside_the_model_that_the_pane_has(starter_gguf: Path) -> None:
    async with playing(make_app("seed=7", "max_tokens=12", "temperature=0.7")) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        await player.until(lambda: history_path().exists(), "kept")
        before = player.transcript
        screen = await run_again(player)
        assert "#1 · Why is the sky blue?" in player.text
        await player.until(lambda: not screen.at_work, "run to its end")
        assert "✓ equal" in player.text
        assert "all 12 tokens came again" in player.text
        assert "seed 7 · temperature 0.7 · 12 tokens" in player.text
        await player.press("escape")
        assert isinstance(player.app.screen, HistoryScreen)
        assert player.transcript == before
        assert player.pane.runner.backend is not None, "the pane's model is left alone"


async def test_a_hosted_reply_is_paid_only_when_a_person_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:another*1") as desk:
        await desk.ask("Hello?")
        sent = len(desk.fake.bodies)
        screen = await run_again(desk)
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog), "asked")
        assert "box/m:another*1 is hosted: it need not repeat itself" in desk.text
        assert "costs what nobody knows here" in desk.text
        await desk.press("down", "enter")
        await desk.until(lambda: "Not run. Nothing was sent." in desk.text, "left")
        assert len(desk.fake.bodies) == sent
        await desk.press("v")
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog), "asked again")
        await desk.press("enter")
        await desk.until(lambda: not screen.at_work, "run to its end")
        assert "Token 3 differs" in desk.text
        assert "moon! 你好 bye" in desk.text
        row = next(line for line in desk.text.splitlines() if "·world" in line and "▸" in line)
        assert row.split("▸")[1].split()[0] == "-0.10000"
        assert len(desk.fake.bodies) == sent + 1


async def test_esc_ends_a_run_and_what_was_sent_is_booked(monkeypatch: pytest.MonkeyPatch) -> None:
    keep("box/m:stall", "Hello", ",", " world", "!", cost=0.25)
    async with hosted(monkeypatch) as desk:
        screen = await run_again(desk)
        await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog), "asked")
        assert "the reply cost $0.2500 then" in desk.text
        await desk.press("enter")
        await desk.until(lambda: "running it again: 3 of 4 tokens" in desk.text, "half way")
        await desk.press("escape")
        await desk.until(lambda: not screen.at_work, "stopped")
        await desk.until(lambda: "Stopped: nothing was compared. What came until then may cost" in desk.text, "said")
        assert Spending().day.unknown == 1
        await desk.press("escape")
        assert isinstance(desk.app.screen, HistoryScreen)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize(
    ("hash_kept", "there", "says"),
    [("", False, "✗ The model is gone: there is no file"), ("ab" * 32, True, "✗ Another model is at")],
)
async def test_a_model_that_is_gone_or_another_one_is_said(
    tmp_path: Path, starter_gguf: Path, hash_kept: str, there: bool, says: str
) -> None:
    model = tmp_path / "model.gguf"
    if there:
        model.symlink_to(starter_gguf)
    keep(str(model), "Hi", model_hash=hash_kept)
    async with playing(make_app()) as player:
        screen = await run_again(player)
        await player.until(lambda: not screen.at_work, "given up")
        assert says in player.text
        await player.press("escape")
        assert isinstance(player.app.screen, HistoryScreen)


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("size", [(60, 20), (80, 24), (200, 60)])
async def test_the_report_has_room_at_every_size(size: tuple[int, int], starter_gguf: Path) -> None:
    keep(str(starter_gguf), "This", " was", " never", " said")
    async with playing(make_app(), size=size) as player:
        screen = await run_again(player)
        await player.until(lambda: not screen.at_work, "run to its end")
        assert "Token 1 differs" in player.text
        await player.press("end")
        await player.until(lambda: "·other8" in player.text, "the last candidate")
        assert "Back" in player.text
