"""Bans and biases from the candidate list and the token view, on the real model."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from textual.events import Key
from textual.widgets import TextArea

from playground.domain.biases import BAN, bias_key, describe_bias_change, with_ban, with_step
from playground.domain.display import visible_piece
from playground.domain.errors import BadInput
from playground.domain.messages import Role
from playground.domain.tokens import Candidate
from playground.domain.transcript import Turn
from playground.screens.text_dialog import TextDialog
from playground.screens.tuning import parse_biases, show_biases
from playground.widgets.candidates import CandidateList
from playground.widgets.rows import ActionRow
from tests.app.support import FakeBackend, Player, make_app, playing


def reply(player: Player) -> Turn:
    turn = player.pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


def rows(player: Player) -> list[str]:
    shown = player.screen.inspector.query_one(CandidateList)
    return [shown.render_line(y).text for y in range(1, 6)]


def bias_row(player: Player) -> str:
    return player.screen.controls.query_one("#controls-logit_bias", ActionRow).render_line(0).text


async def test_a_candidate_is_banned_bent_and_let_go_again(starter_gguf: Path) -> None:
    async with playing(make_app("temperature=0", "max_tokens=8", model=str(starter_gguf))) as player:
        await player.ready()
        await player.ask("What colour is the sky?")
        first = reply(player).tokens[0]
        await player.press("ctrl+t", "home", "enter")
        await player.until(lambda: player.focus_is(CandidateList), "candidates have the keys")
        await player.press("b")
        bias = f"#{first.id}"
        await player.until(lambda: player.pane.session.params.logit_bias == {bias: BAN}, "banned")
        await player.until(lambda: any("✗" in row and "banned" in row for row in rows(player)), "marked")
        assert f"{visible_piece(first.piece)} banned" in bias_row(player)
        await player.press("down", "plus", "plus", "minus")
        other = first.top[1]
        await player.until(lambda: player.pane.session.params.logit_bias.get(f"#{other.id}") == 1.0, "bent")
        await player.until(lambda: any("↑" in row and "+1" in row for row in rows(player)), "marked as bent")
        await player.press("up", "b", "down", "minus")
        await player.until(lambda: player.pane.session.params.logit_bias == {}, "all taken back")
        await player.press("up", "b")
        await player.until(lambda: player.pane.session.params.logit_bias == {bias: BAN}, "banned again")
        await player.press("escape", "escape")
        await player.run("ctrl+r")
        assert reply(player).tokens[0].id == other.id, "the next best one comes first now"
        assert all(token.id != first.id for token in reply(player).tokens)


async def test_a_bias_that_no_token_can_have_is_refused_in_the_dialog(starter_gguf: Path) -> None:
    async with playing(make_app("temperature=0", "max_tokens=3", model=str(starter_gguf))) as player:
        await player.ready()
        await player.screen.run_action("logit_bias")
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        area = player.app.screen.query_one(TextArea)
        for line, why in (
            ("#99999999 3", "The logit bias for '#99999999' is not one token of this model. Ids go from #0 to"),
            ("#-3 2", "The logit bias for '#-3' is not one token of this model. Ids go from #0 to"),
            ('"unbelievable elephants" 3', "The logit bias for 'unbelievable elephants' is not one token"),
        ):
            area.load_text(line)
            await player.press("ctrl+s")
            await player.until(lambda: why in player.text, why)  # noqa: B023 - waited for at once
        area.load_text('#504 2\n" the" -inf')
        await player.press("ctrl+s")
        wanted = {"#504": 2.0, " the": BAN}
        await player.until(lambda: player.pane.session.params.logit_bias == wanted, "in force")
        await player.screen.run_action("logit_bias")
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog again")
        id_line = player.app.screen.query_one(TextArea).text.splitlines()[0]
        assert id_line.startswith("#504 ")
        assert id_line.endswith(" 2")
        assert len(id_line.split()) == 3, "the id with its text"
        await player.press("ctrl+s")
        await player.until(lambda: not isinstance(player.app.screen, TextDialog), "taken as it stands")
        await player.pilot.pause()
        assert (player.pane.tuning.pending or player.pane.session.params).logit_bias == wanted


@pytest.mark.parametrize("known", [False, True])
async def test_the_dialog_opens_once_however_quickly_it_is_asked_for_again(starter_gguf: Path, known: bool) -> None:
    async with playing(make_app("logit_bias=#504:2", model=str(starter_gguf))) as player:
        await player.ready()
        player.screen.controls.query_one("#controls-logit_bias", ActionRow).focus()
        for keys in (1, 2) if known else (2,):  # the model is asked once for the names of tokens
            for _ in range(keys):
                player.app.post_message(Key("enter", "\r"))
            await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
            await player.until(lambda: all(one.group != "logit bias" for one in player.app.workers), "no other comes")
            await player.press("escape")
            assert player.app.screen is player.screen, "one dialog, one Esc"


async def test_w_on_a_candidate_follows_it_and_lets_it_go_again(starter_gguf: Path) -> None:
    async with playing(make_app("temperature=0", "max_tokens=6", model=str(starter_gguf))) as player:
        await player.ready()
        await player.ask("What colour is the sky?")
        other = reply(player).tokens[0].top[1]
        await player.press("ctrl+t", "home", "enter")
        await player.until(lambda: player.focus_is(CandidateList), "candidates have the keys")
        await player.press("down", "w")
        await player.until(lambda: player.pane.session.watch == (other.piece.decode(),), "watched")
        await player.press("w")
        await player.until(lambda: player.pane.session.watch == (), "not any more")


async def test_b_on_a_token_bans_it_from_the_next_draw_on_and_the_transcript_names_it(starter_gguf: Path) -> None:
    app = make_app("seed=5", "max_tokens=600", "ignore_eos=true", "temperature=0", model=str(starter_gguf))
    async with playing(app) as player:
        await player.ready()
        await player.say("Count: one, two, three, one, two, three.")
        await player.tokens(4)
        await player.press("ctrl+t", "home")
        view = player.pane.transcript.view
        assert view.cursor is not None
        banned = player.pane.transcript.token_at(view.store.refs[view.cursor])
        assert banned is not None
        await player.press("b")
        await player.until(lambda: reply(player).marks, "a mark")
        mark = reply(player).marks[0]
        await player.tokens(mark.at + 3)
        assert f"logit bias {visible_piece(banned.piece)} banned" in mark.text
        assert f"◆ {mark.text}" in player.transcript
        assert all(token.id != banned.id for token in reply(player).tokens[mark.at :])
        await player.press("b")
        await player.until(lambda: len(reply(player).marks) == 2, "a second mark")
        assert reply(player).marks[1].text.endswith("allowed again")
        await player.stop_all()


async def test_contradictory_biases_are_refused_with_a_sentence_and_the_reply_goes_on(starter_gguf: Path) -> None:
    app = make_app("seed=5", "max_tokens=600", "ignore_eos=true", model=str(starter_gguf))
    async with playing(app) as player:
        await player.ready()
        await player.say("Hello")
        await player.tokens(2)
        the = next(
            one for token in reply(player).tokens for one in token.top if one.piece.isascii() and one.piece.isalpha()
        )
        player.pane.tuning.change(
            player.pane.session.params, {"logit_bias": {the.piece.decode(): 1.0, f"#{the.id}": 2}}
        )
        await player.until(lambda: "has two logit biases" in player.notices, "refused")
        assert player.pane.session.params.logit_bias == {}
        before = len(reply(player).tokens)
        await player.tokens(before + 2)
        await player.stop_all()
        player.pane.tuning.change(
            player.pane.session.params, {"logit_bias": {the.piece.decode(): 1.0, f"#{the.id}": 2}}
        )
        await player.run("ctrl+r")
        assert "has two logit biases" in player.transcript


@pytest.mark.usefixtures("no_model")
async def test_a_token_without_an_id_cannot_be_banned_and_it_says_why() -> None:
    from msgspec import structs

    from playground.domain.events import Event, TokenGenerated
    from playground.domain.messages import GenerationRequest

    class Nameless(FakeBackend):
        def _tokens(self, request: GenerationRequest) -> list[Event]:
            made = [event for event in super()._tokens(request) if isinstance(event, TokenGenerated)]
            return [structs.replace(event, token=structs.replace(event.token, id=None)) for event in made]

    async with playing(make_app()) as player:
        await player.attach(Nameless([b"Hi", b" there"]))
        await player.ask("Hello")
        await player.press("ctrl+t", "b")
        await player.until(lambda: "does not tell the ids" in player.notices, "reason told")
        assert player.pane.session.params.logit_bias == {}


def test_steps_and_bans_add_up() -> None:
    yes = Candidate(7, b" Yes", -1.0, 0.5)
    assert with_ban({}, yes) == {"#7": -math.inf}
    assert with_ban({"#7": -math.inf}, yes) == {}
    assert with_ban({" Yes": 2.0}, yes) == {" Yes": -math.inf}, "as it was named before"
    assert with_step({"#7": -math.inf}, yes, 1.0) == {"#7": 1.0}
    assert with_step({"#7": 1.0, "x": 3.0}, yes, -1.0) == {"x": 3.0}
    with pytest.raises(BadInput, match="does not tell the ids"):
        bias_key({}, Candidate(None, b"x", None, None))


def test_a_change_is_told_by_the_tokens_text() -> None:
    names = {"#7": "·Yes", "#8": "·No"}
    said = describe_bias_change({"#8": -math.inf, " a": 1.0}, {"#7": 2.0, " a": 1.5}, names)
    assert said == "·No allowed again, ·Yes +2, ·a +1 → +1.5"


@pytest.mark.parametrize("biases", [{"#1 is": 2.0}, {"#": 1.0}, {"#-3": 1.0}, {"#504": BAN, " the": -1.5, '"': 2.0}])
def test_biases_are_read_as_they_are_shown(biases: dict[str, float]) -> None:
    assert parse_biases(show_biases(biases, {"#504": "·is", "#1": "one"})) == biases
