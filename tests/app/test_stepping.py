"""A reply led token by token: drawn by the samplers, chosen by hand, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs
from textual.widgets import TextArea

from playground.domain.events import StopReason
from playground.domain.messages import Role
from playground.domain.transcript import Turn
from playground.screens.force_dialog import ForceDialog
from playground.screens.pane import Pane
from playground.screens.pane_figures import status_of
from playground.widgets.candidates import CandidateList
from playground.widgets.prompt_editor import PromptEditor
from playground.widgets.token_view import TokenView
from tests.app.support import FakeBackend, Player, make_app, playing, transcript_of

SEA = "Tell me about the sea."


def reply_of(pane: Pane) -> Turn:
    """The last reply."""
    turn = pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


def ids(player: Player) -> list[int | None]:
    """Those of the last reply's tokens."""
    return [token.id for token in reply_of(player.pane).tokens]


async def begin(player: Player) -> None:
    """Go token by token."""
    await player.press("alt+s")
    await player.until(lambda: player.pane.stepping, "token by token")


async def waits(player: Player, count: int) -> None:
    """Wait until the reply has so many tokens and the next position is shown."""
    tree, stepping = player.pane.session.transcript, player.screen.stepping
    await player.until(
        lambda: (turn := tree.last(Role.ASSISTANT)) and len(turn.tokens) == count and stepping.shown() is not None,
        f"{count} tokens and the next one's candidates",
    )


async def test_a_reply_stepped_at_temperature_0_is_the_one_written_in_one_go(starter_gguf: Path) -> None:
    async with playing(make_app("temperature=0", "max_tokens=6")) as player:
        await player.ready()
        await player.ask(SEA)
        whole = ids(player)
        await begin(player)
        await player.press("ctrl+n")
        await player.say(SEA)
        await waits(player, 0)
        assert not player.pane.session.busy, "no token comes unless it is asked for"
        for count in range(1, 7):
            await player.press("space")
            await waits(player, count)
        assert ids(player) == whole
        figures = player.pane.session.figures
        assert figures.ttft_ms is None, "the time of one step is no TTFT of a reply"
        assert figures.tokens_per_second is None
        assert reply_of(player.pane).finished is None
        assert "‖ token by token" in player.text
        assert "‖ next token: Space draws one" in player.transcript


async def test_a_candidate_put_there_by_hand_has_its_true_figures(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        shown = player.screen.stepping.shown()
        assert shown is not None
        second = shown.token.top[1]
        await player.press("2")
        await waits(player, 1)
        token = reply_of(player.pane).tokens[0]
        assert (token.id, token.piece, token.logprob, token.prob) == (
            second.id,
            second.piece,
            second.logprob,
            second.prob,
        )
        assert (token.rank, token.index) == (2, 0)
        assert reply_of(player.pane).by_hand == {0}
        await player.press("enter")
        assert player.focus_is(CandidateList)
        third = player.screen.stepping.shown()
        assert third is not None
        await player.press("down", "down", "enter")
        await waits(player, 2)
        assert reply_of(player.pane).tokens[1].id == third.token.top[2].id
        assert player.focus_is(CandidateList), "the next one can be taken at once"
        await player.press("space")
        await waits(player, 3)
        assert reply_of(player.pane).by_hand == {0, 1}


async def test_the_context_fills_with_every_token_and_empties_as_it_is_taken_back(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3")) as player:
        await player.ready()
        await begin(player)
        await player.write(SEA)
        await player.until(lambda: "in all" in player.text, "the draft counted")
        before = status_of(player.pane).parts.total
        assert f"{before:,} in all" in player.text, "one prompt, one size"
        await player.until(lambda: f"{before:,}/8,192" in player.text, "the same in the bar")
        await player.press("enter")
        await waits(player, 0)
        assert status_of(player.pane).parts.total == before
        for count, key in enumerate(("2", "1", "space"), 1):
            await player.press(key)
            await waits(player, count)
            assert status_of(player.pane).parts.total == before + count
        assert player.transcript.count("✎") == 2, "each that was chosen by hand"
        await player.press("backspace")
        await waits(player, 2)
        assert status_of(player.pane).parts.total == before + 2
        await player.until(lambda: f"{before + 2:,}/8,192" in player.text, "the same in the bar")


async def test_what_a_draft_makes_in_all_follows_every_step(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        await player.write("And the sky?")
        await player.until(lambda: "in all" in player.text, "the draft counted")
        before = status_of(player.pane).parts.total
        await player.press("ctrl+t")
        for count, (tokens, key) in enumerate(((1, "2"), (2, "space"), (1, "backspace")), 1):
            await player.press(key)
            await waits(player, tokens)
            wanted = (await player.screen.sender.measure(player.pane, "And the sky?")).total.tokens
            assert wanted != before, f"step {count} makes another prompt"
            before = wanted
            figures = f"{wanted:,} in all", f"{wanted:,}/8,192"
            await player.until(lambda: all(one in player.text for one in figures), f"{figures}")  # noqa: B023


async def test_behind_a_forced_text_the_next_place_waits(starter_gguf: Path) -> None:
    async with playing(make_app("temperature=0", "max_tokens=8")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        await player.press("space")
        await waits(player, 1)
        await player.press("f")
        await player.until(lambda: isinstance(player.app.screen, ForceDialog), "asked")
        player.app.screen.query_one(TextArea).load_text(" deep sea")
        await player.press("enter")
        await waits(player, 3)
        assert player.pane.transcript.view.cursor is None
        await player.press("1")
        await waits(player, 4)
        assert reply_of(player.pane).content.find(" deep sea") > 0


async def test_a_slider_reshapes_the_candidates_for_the_next_token(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "temperature=1.2", "min_p=0", "top_p=1")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        await player.until(lambda: "next" in player.text, "shown")
        before = player.screen.stepping.shown()
        assert before is not None
        assert sum((candidate.prob or 0.0) > 0.0 for candidate in before.token.top) > 1
        player.screen.use_preset(player.screen.tuning.presets["deterministic"])
        await player.until(
            lambda: (now := player.screen.stepping.shown()) is not None and now.token.top[0].prob == 1.0, "greedy"
        )
        await player.press("space")
        await waits(player, 1)
        assert reply_of(player.pane).tokens[0].id == before.token.top[0].id


async def test_what_is_taken_back_is_not_lost_and_the_reply_runs_on_from_there(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "max_tokens=5")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        for count in range(1, 5):
            await player.press("space")
            await waits(player, count)
        longer = reply_of(player.pane)
        pieces = [token.piece for token in longer.tokens]
        await player.press("backspace", "backspace", "backspace")
        await waits(player, 1)
        assert player.pane.session.transcript.place(reply_of(player.pane)) == (2, 2), "one version, not three"
        assert [token.piece for token in longer.tokens] == pieces
        assert longer.stop_reason is StopReason.CANCELLED, "what is left behind is not open for ever"
        shorter = reply_of(player.pane)
        await player.press("alt+left")
        await waits(player, 4)
        assert reply_of(player.pane) is longer, "back there it waits for its next token again"
        assert shorter.stop_reason is StopReason.CANCELLED
        await player.press("alt+right")
        await waits(player, 1)
        await player.press("alt+s")
        await player.until(lambda: not player.pane.stepping, "left")
        await player.answered()
        await player.until(lambda: reply_of(player.pane).finished, "run on")
        assert len(reply_of(player.pane).tokens) == 6
        assert "next token" not in player.transcript
        await player.press("space")
        assert len(reply_of(player.pane).tokens) == 6, "Space draws nothing where nobody goes token by token"


async def test_stepping_from_a_token_in_the_middle_keeps_the_whole_reply(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "max_tokens=8")) as player:
        await player.ready()
        await player.ask(SEA)
        whole = reply_of(player.pane)
        await player.press("ctrl+t", "ctrl+home", "right", "right", "right")
        ref = player.pane.transcript.view.store.refs[player.pane.transcript.view.cursor or 0]
        assert isinstance(ref, tuple)
        await begin(player)
        await waits(player, ref[1] + 1)
        assert ids(player) == [token.id for token in whole.tokens[: ref[1] + 1]]
        assert reply_of(player.pane) is not whole
        assert len(whole.tokens) == 8


async def test_the_end_drawn_or_chosen_ends_the_reply_and_can_be_taken_back(starter_gguf: Path) -> None:
    async with playing(make_app("temperature=0", "top=25")) as player:
        await player.ready()
        await begin(player)
        await player.say("Say only the word Yes.")
        await waits(player, 0)
        for _ in range(80):
            shown = player.screen.stepping.shown()
            assert shown is not None
            ends = [place for place, candidate in enumerate(shown.token.top) if candidate.special]
            if ends:
                break
            count = len(reply_of(player.pane).tokens)
            await player.press("space")
            await player.until(lambda: len(reply_of(player.pane).tokens) > count, "one more")  # noqa: B023
            await player.until(player.screen.stepping.shown, "next")
        count = len(reply_of(player.pane).tokens)
        player.screen.stepping.choose(ends[0])
        await player.until(lambda: reply_of(player.pane).finished, "ended")
        assert reply_of(player.pane).tokens[-1].special
        assert f"■ end of text · {count + 1} tokens · TTFT –" in player.transcript
        await player.press("space")
        await player.until(lambda: "no reply that waits for a token" in player.notices, "said")
        await player.press("backspace")
        await waits(player, count)


async def test_space_writes_spaces_in_the_prompt_and_esc_leads_there(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        assert player.focus_is(TokenView), "the next key is one that chooses a token"
        await player.press("escape")
        assert player.focus_is(PromptEditor)
        await player.press("a", "space", "b")
        assert player.screen.editor.text == "a b"
        assert not reply_of(player.pane).tokens
        await player.press("ctrl+t", "space")
        await waits(player, 1)


async def test_it_works_while_another_pane_streams_and_says_so_per_pane(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "max_tokens=200", "ignore_eos=true"), (160, 45)) as player:
        await player.ready()
        await player.add_pane()
        await player.until(lambda: all(pane.runner.backend for pane in player.panes), "both there")
        await begin(player)
        await player.say(SEA)
        other, mine = player.panes
        await player.until(lambda: len(reply_of(other).tokens) > 3, "the other one streams")
        await waits(player, 0)
        await player.press("space")
        await waits(player, 1)
        assert other.session.busy
        assert "waiting for a token" in player.text
        assert "next token" not in transcript_of(other)
        assert "next token" in transcript_of(mine)
        await player.stop_all()


async def test_parameters_that_change_between_two_steps_are_marked(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "temperature=0.5")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        await player.press("space")
        await waits(player, 1)
        player.screen.tuning.pending = structs.replace(player.pane.session.params, temperature=1.5)
        await player.press("space")
        await waits(player, 2)
        assert "◆ temperature 0.5 → 1.5" in player.transcript


@pytest.mark.usefixtures("no_model")
async def test_a_model_that_does_not_tell_candidates_is_refused_with_the_reason() -> None:
    async with playing(make_app()) as player:
        await player.press("alt+s")
        await player.until(lambda: "No model is loaded." in player.notices, "refused")
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.press("alt+s")
        await player.until(lambda: "cannot be led token by token" in player.notices, "refused")
        assert not player.pane.stepping


async def test_what_is_said_behind_a_reply_that_waits_ends_it_where_it_is(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "max_tokens=4")) as player:
        await player.ready()
        await begin(player)
        await player.say(SEA)
        await waits(player, 0)
        await player.press("escape")
        await player.say("And then?")
        await player.until(lambda: "The reply waits for its first token." in player.notices, "refused")
        assert player.screen.editor.text == "And then?"
        await player.press("ctrl+t", "space")
        await waits(player, 1)
        earlier = reply_of(player.pane)
        await player.press("escape", "enter")
        await player.until(lambda: reply_of(player.pane) is not earlier, "sent")
        await waits(player, 0)
        assert earlier.stop_reason == "cancelled"
        assert player.transcript.count("next token") == 1
