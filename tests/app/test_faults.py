"""What goes wrong while the app runs: a clear sentence, nothing lost; on the real model."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from playground.backends.local import LocalBackend
from playground.domain.endpoints import ModelRef
from playground.domain.events import StopReason
from playground.domain.messages import Role
from playground.screens.choice_dialog import ChoiceDialog
from playground.widgets.prompt_editor import PromptEditor
from tests.app.support import Player, make_app, playing, settings

LONG = "max_tokens=3000", "ignore_eos=true"


def kill_model(player: Player) -> None:
    """Take the model's process away, as a machine does that is out of memory."""
    backend = player.pane.runner.backend
    assert isinstance(backend, LocalBackend)
    os.kill(backend.pid, signal.SIGKILL)


async def test_a_model_killed_while_it_streams_leaves_the_transcript_and_one_key_reloads(starter_gguf: Path) -> None:
    async with playing(make_app(*LONG)) as player:
        await player.ready()
        await player.say("Count to a thousand.")
        await player.tokens(3)
        kill_model(player)
        await player.answered()
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert len(turn.tokens) >= 3
        assert turn.content in player.transcript
        assert "✗ The model's process ended unexpectedly: " in player.transcript
        await player.until(lambda: "model lost" in player.text, "state shown")
        assert "Ctrl+L" in player.notices
        assert "Reload" in player.text
        await player.say("Are you there?")
        assert player.screen.editor.text == "Are you there?"
        assert "Ctrl+L loads it again" in player.notices
        await player.press("ctrl+l")
        await player.ready()
        before = len(turn.tokens)
        await player.press("ctrl+g")
        await player.until(lambda: len(turn.tokens) > before, "the reply goes on")
        assert "✗" not in player.transcript
        await player.press("escape")
        await player.answered()


async def test_a_prompt_too_long_is_told_with_counts_and_nothing_is_cut_unasked(starter_gguf: Path) -> None:
    settings("[load]\ncontext = 256\n")
    async with playing(make_app("max_tokens=3")) as player:
        await player.ready()
        await player.ask("Hello.")
        before = player.transcript
        long = "word " * 300
        await player.write(long)
        await player.until(lambda: "too long by" in player.text, "said before sending")
        assert player.screen.editor.has_class("-over")
        await player.press("enter")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked")
        assert "context window of 256" in " ".join(player.text.split())
        await player.press("escape")
        await player.until(lambda: player.screen.editor.text == long, "left")
        assert player.transcript == before
        await player.press("ctrl+b")
        await player.write(long)
        await player.press("enter")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked again")
        await player.press("escape")
        await player.until(lambda: player.screen.editor.text == long, "left again")
        assert player.transcript == before
        assert "Edit and send again" in player.text


async def test_a_long_message_is_cut_in_the_middle_when_the_person_says_so(starter_gguf: Path) -> None:
    settings("[load]\ncontext = 256\n")
    async with playing(make_app("max_tokens=3")) as player:
        await player.ready()
        await player.write("word " * 300)
        await player.press("enter")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked")
        assert "from the middle" in player.text
        await player.press("enter")
        await player.answered()
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert turn.started is not None
        assert turn.started.prompt_tokens is not None
        assert turn.started.prompt_tokens < 256
        assert "Left out" in " ".join(turn.notes)


async def test_a_context_that_fills_up_ends_the_reply_and_says_so(starter_gguf: Path) -> None:
    settings("[load]\ncontext = 256\n")
    async with playing(make_app("ignore_eos=true", "top=1")) as player:
        await player.ready()
        await player.write("word " * 200)
        await player.run("enter")
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert turn.stop_reason is StopReason.CONTEXT
        assert "■ context full" in player.text
        await player.press("ctrl+g")
        assert "is full" in player.notices
        assert "■ context full" in player.transcript


async def test_a_file_that_is_no_model_says_why_and_the_app_goes_on(starter_gguf: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\0\0\0" + b"\xff" * 64)
    async with playing(make_app("max_tokens=2", model=str(broken))) as player:
        await player.until(lambda: player.pane.model_state == "no model", "load failed")
        assert "broken.gguf" in player.transcript
        assert "F5 lists" in player.transcript
        await player.say("Hello")
        assert "No model is loaded" in player.notices
        assert player.screen.editor.text == "Hello"
        player.screen.load_model(player.pane, ModelRef("", str(starter_gguf)))
        await player.ready()
        await player.run("enter")
        assert "■" in player.transcript


async def test_a_load_can_be_cancelled(starter_gguf: Path) -> None:
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.slot.loading, "loading")
        await player.press("escape")
        await player.until(lambda: player.pane.model_state == "load cancelled", "cancelled")
        assert player.focus_is(PromptEditor)
        await player.press("ctrl+l")
        await player.ready()


async def test_a_terminal_that_changes_all_the_time_loses_nothing(starter_gguf: Path) -> None:
    sizes = random.Random(4)
    async with playing(make_app("max_tokens=40", "ignore_eos=true", "seed=5")) as player:
        await player.ready()
        await player.say("Tell me a story.")
        while player.pane.session.transcript.head is None or player.pane.session.busy:
            await player.pilot.resize_terminal(sizes.randint(20, 220), sizes.randint(8, 70))
            await player.pilot.pause(0.05)
        await player.pilot.resize_terminal(100, 30)
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert len(turn.tokens) == 40
        assert turn.content in player.transcript
        await player.until(lambda: "seed 5" in player.text, "end in sight")


async def test_two_instances_have_a_model_each(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3")) as one, playing(make_app("max_tokens=3")) as other:
        await one.ready()
        await other.ready()
        await one.ask("Hello.")
        await other.ask("Hello.")
        pids = [player.pane.runner.backend.pid for player in (one, other)]  # type: ignore[union-attr]
        assert pids[0] != pids[1]
        assert "■" in one.transcript
        assert "■" in other.transcript


@pytest.mark.usefixtures("no_model")
async def test_without_any_model_the_app_opens_and_says_what_to_do() -> None:
    async with playing(make_app()) as player:
        await player.until(lambda: player.pane.model_state == "no model", "looked for one")
        assert "There is no model on this machine yet." in player.transcript
        assert "pip install 'llm-playground-tui[starter]'" in player.transcript
        await player.say("Hello")
        assert "Choose one with F5" in player.notices
        await player.press("f5")
        await player.until(lambda: "No model was found" in player.text, "search ended")
        await player.press("escape", "ctrl+l", "f8", "escape")
        assert "no model to load again" in player.notices
