"""The best candidates of a token go on side by side, in panes that look at one tree."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from msgspec import structs
from textual.widgets import SelectionList

from playground.backends.local import LocalBackend
from playground.domain.events import Event, TokenGenerated
from playground.domain.messages import GenerationRequest, Role
from playground.domain.models import LoadOptions
from playground.domain.transcript import Begun, Turn
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.fan_out_dialog import FanOutDialog
from playground.screens.pane import Pane
from tests.app.support import FakeBackend, Player, make_app, playing, transcript_of

WIDE = (200, 50)
SEA = "Tell me about the sea."


def reply_of(pane: Pane) -> Turn:
    """The last reply."""
    turn = pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


async def asked(player: Player) -> SelectionList[int]:
    """Ask for a fan-out at the token under the cursor; the list of its candidates."""
    await player.press("o")
    await player.until(lambda: isinstance(player.app.screen, FanOutDialog), "dialog")
    return player.app.screen.query_one(SelectionList)


async def fan_out(player: Player, count: int) -> None:
    """Let so many candidates go on at the fourth token of the reply, and wait for them."""
    await player.press("ctrl+t", "ctrl+home", "right", "right", "right")
    await asked(player)
    await player.press(str(count), "enter")
    await player.until(lambda: len(player.panes) == count, "panes")
    await player.until(lambda: all(reply_of(pane).begun is Begun.FAN_OUT for pane in player.panes), "begun")


async def written(player: Player) -> None:
    """Wait for the end of all replies."""
    await player.until(lambda: all(reply_of(pane).finished for pane in player.panes), "all written")


async def forced(path: Path, folder: Path, turn: Turn) -> list[int | None]:
    """Ids of a fresh run whose reply begins as this one did."""
    backend = await LocalBackend.load(str(path), LoadOptions(), folder)
    found: list[Event] = []
    at = turn.forked_at or 0
    beginning = [token.id for token in turn.tokens[: at + 1]]
    assert turn.prompt is not None
    assert turn.params is not None
    try:
        await backend.generate(
            GenerationRequest(
                stream=1,
                prompt=turn.prompt,
                params=turn.params,
                reply_ids=tuple(one for one in beginning if one is not None),
            ),
            found.append,
        )
    finally:
        await backend.close()
    return [*beginning, *(event.token.id for event in found if isinstance(event, TokenGenerated))]


async def test_every_branch_is_as_a_fresh_run_forced_to_the_same_beginning(starter_gguf: Path, tmp_path: Path) -> None:
    async with playing(make_app("temperature=0", "max_tokens=6"), WIDE) as player:
        await player.ready()
        await player.ask(SEA)
        first = reply_of(player.pane)
        await fan_out(player, 4)
        await written(player)
        replies = [reply_of(pane) for pane in player.panes]
        at = replies[0].forked_at
        assert at is not None
        assert [turn.tokens[at].id for turn in replies] == [candidate.id for candidate in first.tokens[at].top[:4]]
        for turn in replies:
            assert [token.id for token in turn.tokens] == await forced(starter_gguf, tmp_path, turn)
            assert turn.by_hand == {at}
        started = [turn.started for turn in replies]
        assert all(event and (event.cached_tokens or 0) >= (event.prompt_tokens or 0) - 2 for event in started), (
            "the shared prefix is not computed again"
        )
        tree = player.panes[0].session.transcript
        assert all(tree.shares_with(pane.session.transcript) for pane in player.panes)
        for number, pane in enumerate(player.panes, 2):
            assert f"‹ {number} of 5 ›" in transcript_of(pane)
            assert f"≠ parts from the other panes at token {at + 1:,}" in transcript_of(pane)
        assert player.text.count("↳") == 4, "each heading tells which candidate it follows"
        await player.press("alt+j")
        assert "do not part" not in player.notices
        await player.press("alt+d")
        assert "Pane 1 and pane 2" in player.notices


async def test_what_one_pane_does_to_the_tree_is_counted_in_the_others_and_hurts_none(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3"), WIDE) as player:
        await player.ready()
        await player.ask(SEA)
        await fan_out(player, 2)
        await written(player)
        left, right = player.panes
        texts = [turn.content for turn in (reply_of(left), reply_of(right))]
        await player.press("alt+a", "alt+2", "ctrl+r")
        await player.until(lambda: "‹ 4 of 4 ›" in transcript_of(right) and not right.session.busy, "regenerated")
        await player.until(lambda: "‹ 2 of 4 ›" in transcript_of(left), "counted")
        await player.press("ctrl+b", "enter")
        await player.until(lambda: "‹ 2 of 2 ›" in transcript_of(right) and not right.session.busy, "edited")
        await player.until(lambda: "‹ 1 of 2 ›" in transcript_of(left), "counted beside")
        await player.press("f7")
        await player.until(lambda: right.session.mode == "raw", "raw")
        assert (left.session.mode, reply_of(left).content) == ("chat", texts[0])
        await player.press("alt+w")
        await player.until(lambda: len(player.panes) == 1, "closed")
        await player.press("alt+left")
        await player.press("alt+right", "alt+right")
        await player.until(lambda: reply_of(left).content == texts[1], "the closed pane's branch is still there")


async def test_a_reply_that_another_pane_writes_is_followed_but_not_touched(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3000", "ignore_eos=true", "seed=3"), WIDE) as player:
        await player.ready()
        await player.say(SEA)
        await player.tokens(6)
        await player.press("escape")
        await player.answered()
        await fan_out(player, 2)
        left, right = player.panes
        await player.press("escape")
        await player.until(lambda: not left.session.busy, "left one stopped")
        assert right.session.busy
        await player.press("alt+right")
        await player.until(lambda: left.session.transcript.head == right.session.transcript.head, "looks at it")
        count = len(left.transcript.view.store)
        await player.until(lambda: len(left.transcript.view.store) > count + 3, "follows")
        await player.press("ctrl+g")
        await player.until(lambda: "Another pane is writing this reply." in player.notices, "said")
        await player.stop_all()
        await player.press("alt+2", "escape")
        await player.until(lambda: not right.session.busy, "right one stopped")


async def test_it_stops_a_reply_that_is_being_written_and_a_closed_pane_loses_nothing(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3000", "ignore_eos=true", "seed=3"), WIDE) as player:
        await player.ready()
        await player.say(SEA)
        await player.tokens(6)
        whole = reply_of(player.pane)
        await fan_out(player, 3)
        assert whole.stop_reason == "cancelled"
        await player.until(lambda: all(len(reply_of(pane).tokens) > 6 for pane in player.panes), "all write")
        gone = reply_of(player.panes[1])
        await player.press("alt+2", "alt+w")
        await player.until(lambda: len(player.panes) == 2, "closed")
        assert gone.stop_reason == "cancelled"
        assert gone.id in player.pane.session.transcript.turns
        assert all(pane.session.busy for pane in player.panes)
        await player.stop_all()


async def test_more_than_there_is_room_for_is_asked(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", "seed=3"), WIDE) as player:
        await player.ready()
        for count in range(2, 6):
            await player.press("alt+n")
            await player.until(lambda: len(player.panes) == count, "one more")  # noqa: B023
        await player.until(lambda: all(pane.runner.backend for pane in player.panes), "all there")
        await player.press("alt+a")
        await player.ask(SEA)
        await player.press("ctrl+t")
        await asked(player)
        await player.press("4", "enter")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked")
        assert "need 3 panes beside this one, and there is room for 1" in player.text
        await player.press("escape")
        assert len(player.panes) == 5
        await player.press("o")
        await player.until(lambda: isinstance(player.app.screen, FanOutDialog), "dialog")
        await player.press("4", "enter")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked again")
        await player.press("enter")
        await player.until(
            lambda: len(player.panes) == 4 and all(pane.session.transcript.head for pane in player.panes),
            "four of them",
        )
        await written(player)
        assert len({reply_of(pane).id for pane in player.panes}) == 4


async def test_the_dialog_chooses_with_digits_and_space_refuses_too_few_and_can_be_left(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=5", "seed=3")) as player:
        await player.ready()
        await player.ask(SEA)
        await player.press("ctrl+t", "left")
        choices = await asked(player)
        assert choices.selected == [0, 1, 2, 3]
        await player.press("2")
        assert choices.selected == [0, 1]
        await player.press("space", "enter")
        assert "Choose 2 to 6 candidates; this is 1." in player.text
        await player.press("down", "down", "space", "enter")
        await player.until(lambda: len(player.panes) == 2, "two panes")
        await written(player)
        at = reply_of(player.panes[0]).forked_at
        assert at is not None
        tokens = [reply_of(pane).tokens[at] for pane in player.panes]
        assert [token.id for token in tokens] == [tokens[0].top[place].id for place in (1, 2)]
        await player.press("ctrl+t")
        await asked(player)
        await player.press("escape")
        assert len(player.panes) == 2


async def test_at_the_end_of_text_the_others_go_on(starter_gguf: Path) -> None:
    async with playing(make_app("temperature=0", "max_tokens=4")) as player:
        await player.ready()
        before = player.pane.session.params
        player.screen.tuning.pending = structs.replace(before, logit_bias={"<|im_end|>": 100.0})
        await player.ask(SEA)
        ended = reply_of(player.pane)
        assert [token.special for token in ended.tokens] == ["<|im_end|>"]
        player.screen.tuning.pending = before
        await player.until(lambda: player.pane.session.params == before, "as before")
        choices = await asked_from_palette(player)
        assert "would end the reply" in player.text
        ends = next(place for place, candidate in enumerate(ended.tokens[0].top) if candidate.special)
        assert ends not in choices.selected
        await player.press("2", "enter")
        await player.until(lambda: len(player.panes) == 2, "two panes")
        await written(player)
        assert all(len(reply_of(pane).tokens) == 5 for pane in player.panes)
        assert [token.special for token in ended.tokens] == ["<|im_end|>"]


async def asked_from_palette(player: Player) -> SelectionList[int]:
    """The same without a cursor, by the name of the action."""
    await player.press("ctrl+p", "f", "a", "n", "space", "o", "u", "t")
    await player.until(lambda: "Let the best candidates" in player.text, "found")
    await player.press("enter")
    await player.until(lambda: isinstance(player.app.screen, FanOutDialog), "dialog")
    return player.app.screen.query_one(SelectionList)


async def test_a_token_with_one_candidate_and_a_lost_model_are_refused(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3", "temperature=0", "top=1")) as player:
        await player.ready()
        await player.ask(SEA)
        await player.press("ctrl+t", "o")
        await player.until(lambda: "No other candidate is known for this token." in player.notices, "said")
        backend = player.pane.runner.backend
        assert isinstance(backend, LocalBackend)
        os.kill(backend.pid, signal.SIGKILL)
        await player.until(lambda: player.pane.runner.backend is None, "lost")
        await player.press("o")
        await player.until(lambda: "No model is loaded." in player.notices, "said")
        assert len(player.panes) == 1


@pytest.mark.usefixtures("no_model")
async def test_without_a_reply_there_is_nothing_to_fan_out() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one"]))
        player.screen.action_fan_out()
        await player.until(lambda: "There is no token yet" in player.notices, "said")
