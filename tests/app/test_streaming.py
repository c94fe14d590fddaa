"""A prompt, and what can be seen and done while the reply to it is written; on the real model."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.domain.endpoints import ModelRef
from playground.domain.events import StopReason
from playground.domain.messages import Role
from playground.screens.actions import ConversationScreen
from playground.screens.pane_figures import cost_of
from playground.widgets.candidate_row import chosen_index
from playground.widgets.candidates import CandidateList
from playground.widgets.colour_scale import LEVELS
from playground.widgets.inspector import Inspector
from playground.widgets.prompt_editor import PromptEditor
from playground.widgets.slider import ParamSlider
from playground.widgets.status_bar import StatusBar
from tests.app.support import make_app, playing

pytestmark = pytest.mark.usefixtures("starter_gguf")


async def test_typing_works_while_the_model_loads_and_enter_waits_for_it() -> None:
    async with playing(make_app("max_tokens=4")) as player:
        assert player.pane.card is None
        assert "Write a prompt below" in player.text
        await player.press(*"Hey")
        assert player.screen.editor.text == "Hey"
        await player.press("enter")
        await player.answered()
        assert "You\nHey\n" in player.transcript
        assert player.screen.editor.text == ""


async def test_a_reply_streams_in_colours_and_says_why_it_ended() -> None:
    async with playing(make_app("max_tokens=60", "seed=3", "ignore_eos=true")) as player:
        await player.ready()
        await player.say("Why is the sky blue?")
        await player.until(lambda: "writing" in player.text, "writing")
        await player.answered()
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert len(turn.tokens) == 60
        assert turn.content in player.transcript
        view = player.pane.transcript.view
        styles = {view.store.styles[i] for i, ref in enumerate(view.store.refs) if ref is not None}
        assert len(styles) > 2
        assert max(styles) < LEVELS
        assert "■ length limit · 60 tokens · TTFT " in player.transcript
        assert "seed 3" in player.transcript
        bar = player.screen.query_one(StatusBar)
        await player.until(lambda: "■ length limit" in player.text, "the end in the status bar")
        assert bar._view.tokens_per_second
        assert bar._view.ttft_ms
        assert cost_of(player.pane) == 0.0


async def test_the_inspector_follows_and_stays_where_the_cursor_is() -> None:
    async with playing(make_app("max_tokens=10", "seed=3")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        inspector = player.screen.query_one(Inspector)
        await player.until(lambda: inspector.token is player.pane.last_token(), "the latest token inspected")
        await player.until(lambda: "latest" in player.text, "named as the latest")
        await player.press("ctrl+t", "left", "left")
        await player.until(lambda: "pinned" in player.text, "pinned")
        token = inspector.token
        assert token is not None
        assert token.index == 7
        for piece in player.pane.session.transcript.last(Role.ASSISTANT).tokens:  # type: ignore[union-attr]
            assert chosen_index(piece) >= 0
        assert f"id {token.id}" in player.text
        await player.press("enter")
        assert player.focus_is(CandidateList)
        await player.press("escape")
        assert player.focus_is(PromptEditor)
        assert "latest" in player.text
        assert inspector.token is player.pane.last_token()


async def test_a_slider_moved_in_mid_stream_counts_from_the_next_token_and_leaves_a_mark() -> None:
    async with playing(make_app("max_tokens=400", "ignore_eos=true")) as player:
        await player.ready()
        await player.say("Tell me a long story about a lighthouse.")
        await player.tokens(2)
        player.screen.query_one("#param-temperature", ParamSlider).focus()
        await player.press("0", "enter")
        await player.until(lambda: "◆ temperature 0.8 → 0" in player.transcript, "mark")
        turn = player.pane.session.active
        assert turn is not None
        at = turn.marks[-1].at
        await player.tokens(at + 4)
        assert {token.stages[-1].name for token in turn.tokens[at:]} == {"greedy"}
        assert turn.tokens[at - 1].stages[-1].name == "dist"
        assert player.pane.session.params.temperature == 0.0
        await player.press("escape")
        await player.answered()


async def test_a_preset_chosen_in_mid_stream_is_marked_by_its_name() -> None:
    async with playing(make_app("max_tokens=400", "ignore_eos=true")) as player:
        await player.ready()
        await player.say("Tell me a long story about a lighthouse.")
        await player.tokens(2)
        player.screen.use_preset(player.screen.tuning.presets["creative"])
        await player.until(lambda: "◆ preset creative " in player.transcript, "mark")
        await player.press("escape")
        await player.answered()
        assert "creative" in player.text


async def test_escape_stops_at_once_and_what_was_written_stays() -> None:
    async with playing(make_app("max_tokens=2000", "ignore_eos=true")) as player:
        await player.ready()
        await player.say("Count to a thousand.")
        await player.tokens(3)
        await player.press("escape")
        await player.answered()
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert turn.stop_reason is StopReason.CANCELLED
        assert 3 <= len(turn.tokens) < 2000
        assert "■ stopped" in player.text
        assert "■ stopped" in player.transcript


async def test_a_new_conversation_in_mid_stream_ends_the_reply_and_loses_nothing() -> None:
    async with playing(make_app("max_tokens=2000", "ignore_eos=true")) as player:
        await player.ready()
        await player.say("Count to a thousand.")
        await player.tokens(2)
        await player.press("ctrl+n")
        await player.until(lambda: player.pane.session.transcript.head is None, "new conversation")
        assert "Write a prompt below" in player.text
        assert not player.pane.session.busy
        await player.press("alt+left")
        assert "Count to a thousand." in player.transcript
        assert "■ stopped" in player.transcript


async def test_the_reply_ends_at_a_stop_string_that_is_no_part_of_it() -> None:
    async with playing(make_app("max_tokens=60", "temperature=0", "stop= ")) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert turn.stop_reason is StopReason.STOP_STRING
        assert " " not in turn.content
        assert "■ stop string ' '" in player.transcript


async def test_a_model_chosen_in_mid_stream_ends_the_reply_in_good_order(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=2000", "ignore_eos=true")) as player:
        await player.ready()
        first = player.pane.runner.backend
        await player.say("Count to a thousand.")
        await player.tokens(2)
        player.screen.load_model(player.pane, ModelRef("", str(starter_gguf)))
        await player.until(
            lambda: player.pane.card and player.pane.runner.backend not in (None, first), "other model loaded"
        )
        assert "■ stopped" in player.transcript
        assert "✗" not in player.transcript


def test_the_screen_is_not_bound_to_a_key_twice() -> None:
    bindings = ConversationScreen.BINDINGS
    keys = [key for binding in bindings for key in binding.key.split(",")]  # type: ignore[union-attr]
    assert len(keys) == len(set(keys))
