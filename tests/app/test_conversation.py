"""Several turns, versions, system prompt, raw text, the exact prompt; on the real model."""

from __future__ import annotations

import pytest
from msgspec import structs
from textual.widgets import TextArea

from playground.domain.messages import Role
from playground.screens.pane_figures import status_of
from playground.screens.prompt_view import PromptScreen
from playground.screens.text_dialog import TextDialog
from playground.widgets.token_list import TokenList
from playground.widgets.token_view import TokenView
from tests.app.support import Player, make_app, playing

pytestmark = pytest.mark.usefixtures("starter_gguf")


def replies(player: Player) -> list[str]:
    """Every reply of the tree, whether on screen or not."""
    return [turn.content for turn in player.pane.session.transcript.turns.values() if turn.role is Role.ASSISTANT]


async def test_another_reply_stands_beside_the_first_and_both_stay() -> None:
    async with playing(make_app("max_tokens=8", "temperature=2", "top_k=0", "top_p=1", "min_p=0")) as player:
        await player.ready()
        await player.ask("Say something.")
        first = player.transcript
        await player.run("ctrl+r")
        assert "‹ 2 of 2 ›" in player.transcript
        await player.press("alt+left")
        assert "‹ 1 of 2 ›" in player.transcript
        assert player.transcript.replace("  ‹ 1 of 2 ›", "") == first
        for _ in range(5):
            await player.press("alt+right")
        assert "\n\n\n" not in player.transcript.split("Say something.")[1].split("‹")[0]
        assert all(reply in player.transcript for reply in replies(player)[1:])


async def test_an_edited_message_goes_out_again_as_a_branch() -> None:
    async with playing(make_app("max_tokens=4")) as player:
        await player.ready()
        await player.ask("First.")
        await player.ask("Second.")
        await player.press("ctrl+b")
        assert player.screen.editor.text == "Second."
        assert "Edit and send again" in player.text
        await player.press("!")
        await player.run("enter")
        assert "First." in player.transcript
        assert "You  ‹ 2 of 2 ›\nSecond.!" in player.transcript
        await player.press("alt+left")
        assert "You  ‹ 1 of 2 ›\nSecond.\n" in player.transcript
        assert len(replies(player)) == 3


async def test_an_edit_can_be_left() -> None:
    async with playing(make_app("max_tokens=2")) as player:
        await player.ready()
        await player.ask("First.")
        await player.press("ctrl+b", "escape")
        assert player.screen.editor.text == ""
        assert "Edit and send again" not in player.text


async def test_a_reply_cut_off_goes_on_where_it_ended() -> None:
    async with playing(make_app("max_tokens=6", "temperature=0")) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        before = turn.content
        await player.run("ctrl+g")
        assert len(turn.tokens) == 12
        assert turn.content.startswith(before)
        assert turn.content in player.transcript
        assert player.transcript.count("■") == 1
        assert "prompt tokens from cache" in player.transcript


async def test_another_candidate_forks_the_reply_and_the_old_one_stays() -> None:
    async with playing(make_app("max_tokens=8", "temperature=0")) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        old = player.pane.session.transcript.last(Role.ASSISTANT)
        assert old is not None
        await player.press("ctrl+t", "left", "left", "left", "left", "enter")
        wanted = old.tokens[3].top[1]
        await player.press("down")
        await player.run("enter")
        new = player.pane.session.transcript.last(Role.ASSISTANT)
        assert new is not None
        assert new.forked_at == 3
        assert [token.id for token in new.tokens[:4]] == [*(token.id for token in old.tokens[:3]), wanted.id]
        assert [token.index for token in new.tokens] == list(range(len(new.tokens)))
        assert len(new.tokens) > 4
        assert "‹ 2 of 2 ›" in player.transcript
        assert new.content in player.transcript.replace("✎", "")
        assert len(old.tokens) == 8
        await player.press("alt+left", "ctrl+t", "enter", "enter")
        await player.until(lambda: "stands there already" in player.notices, "refused")


async def test_there_is_nothing_to_go_on_with_at_first() -> None:
    async with playing(make_app()) as player:
        await player.ready()
        for key, reason in (("ctrl+r", "nothing to answer"), ("ctrl+g", "no reply to continue"), ("ctrl+b", "to edit")):
            await player.press(key)
            assert reason in player.notices
        await player.press("alt+left")
        assert "only one version" in player.notices


async def test_a_second_message_pays_for_its_own_tokens_alone() -> None:
    async with playing(make_app("max_tokens=4", "ignore_eos=true")) as player:
        await player.ready()
        await player.ask("Remember the number 7.")
        await player.ask("Which number?")
        started = player.pane.session.transcript.last(Role.ASSISTANT).started  # type: ignore[union-attr]
        assert started is not None
        assert started.cached_tokens
        assert started.parts.history > 0
        assert status_of(player.pane).parts.history > 0


async def test_the_system_prompt_goes_first_with_every_call() -> None:
    async with playing(make_app("max_tokens=2")) as player:
        await player.ready()
        await player.press("f9")
        assert isinstance(player.app.screen, TextDialog)
        player.app.screen.query_one(TextArea).load_text("Answer in rhyme.")
        await player.press("ctrl+s")
        assert "with a system prompt" in player.text
        await player.write("Hello")
        await player.press("f8")
        await player.until(lambda: isinstance(player.app.screen, PromptScreen), "prompt view")
        shown = "".join(player.app.screen.query_one(TokenView).store.texts)
        assert shown.startswith("<|im_start|>system\nAnswer in rhyme.<|im_end|>\n<|im_start|>user\nHello<|im_end|>")
        assert "Answer" in player.text
        await player.press("escape")
        await player.run("enter")
        assert status_of(player.pane).parts.system > 0


async def test_without_a_draft_the_prompt_ends_with_the_last_reply() -> None:
    async with playing(make_app("max_tokens=3", "ignore_eos=true")) as player:
        await player.ready()
        await player.ask("Hi")
        await player.press("f8")
        await player.until(lambda: isinstance(player.app.screen, PromptScreen), "prompt view")
        shown = "".join(player.app.screen.query_one(TokenView).store.texts)
        assert shown.count("<|im_start|>assistant") == 1
        reply = player.pane.session.transcript.last(Role.ASSISTANT)
        assert reply is not None
        assert shown.endswith(f"<|im_start|>assistant\n{reply.content}")
        assert "Nothing is written yet" in player.text


async def test_the_prompt_is_shown_behind_another_models_reply_that_ends_inside_a_character() -> None:
    async with playing(make_app("max_tokens=3", "ignore_eos=true")) as player:
        await player.ready()
        await player.ask("Hi")
        reply = player.pane.session.transcript.last(Role.ASSISTANT)
        assert reply is not None
        reply.model = "another-model"
        reply.tokens[-1] = structs.replace(reply.tokens[-1], piece=b"\xf0\x9f")
        await player.press("f8")
        await player.until(lambda: isinstance(player.app.screen, PromptScreen), "prompt view")
        shown = "".join(player.app.screen.query_one(TokenView).store.texts)
        assert reply.content in shown


async def test_the_exact_prompt_lists_every_token_with_its_id() -> None:
    async with playing(make_app()) as player:
        await player.ready()
        await player.write("Hi")
        await player.press("f8")
        await player.until(lambda: isinstance(player.app.screen, PromptScreen), "prompt view")
        listed = player.app.screen.query_one(TokenList)
        rows = "\n".join(listed.render_line(y).text for y in range(listed.size.height))
        assert "<|im_start|>" in rows
        assert "message and template" in player.text
        await player.press("home")
        await player.press("ctrl+home")
        assert "token 1 · id 1 · <|im_start|> · special" in player.text
        assert listed.cursor == 0
        await player.pilot.click(TokenList, offset=(3, 1))
        assert "token 2 · " in player.text


async def test_raw_text_goes_out_without_a_template() -> None:
    async with playing(make_app("max_tokens=5", "temperature=0")) as player:
        await player.ready()
        await player.ask("Hello.")
        await player.press("f7")
        await player.until(lambda: player.pane.session.mode == "raw", "raw")
        assert "Raw text" in player.text
        await player.ask("The capital of France is")
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert turn.started is not None
        assert turn.started.prompt_tokens == 5
        assert player.transcript.startswith("The capital of France is Paris")
        await player.press("alt+left")
        assert "Raw text" not in player.text
        assert "You  ‹ 1 of 2 ›\nHello." in player.transcript
        await player.press("alt+right")
        assert "Raw text" in player.text


async def test_the_colour_of_tokens_changes_and_is_kept_for_the_next_time() -> None:
    async with playing(make_app("max_tokens=8")) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        view = player.pane.transcript.view
        by_probability = bytes(view.store.styles)
        await player.press("f4")
        assert "entropy  many ways" in player.text
        assert bytes(view.store.styles) != by_probability
        await player.press("f4", "f4")
        assert "colours off" in player.text
        saved = player.screen.settings
        assert saved.colour == "probability"
    await _colour_is_saved("off")


async def _colour_is_saved(mode: str) -> None:
    from playground.services.settings import load_settings

    settings, errors = load_settings()
    assert not errors
    assert settings.colour == mode
    assert settings.preset == ""
