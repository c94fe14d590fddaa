"""Guessing ahead on the screen: which tokens were guessed, how many were right, and what it gains."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.domain.guess_gain import GuessRun, summed_up, verdict
from playground.domain.messages import Role
from playground.domain.transcript import Turn
from playground.screens.guessing_dialog import GuessingDialog
from playground.widgets.colour_scale import GUESSED
from tests.app.support import FakeBackend, Player, make_app, playing

REPEATING = "one two three four five one two three four five one two three"


def reply(player: Player) -> Turn:
    turn = player.pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


async def answered_raw(player: Player, text: str) -> None:
    """A raw completion of a text that repeats itself: there is much to be guessed."""
    await player.ready()
    await player.press("f7")
    await player.ask(text)


async def test_guessed_tokens_are_marked_and_the_share_that_was_right_is_told(starter_gguf: Path) -> None:
    app = make_app("temperature=0", "max_tokens=30", "speculate=8", model=str(starter_gguf))
    async with playing(app, size=(200, 50)) as player:
        await answered_raw(player, REPEATING)
        turn, finished = reply(player), reply(player).finished
        guessed = [token.index for token in turn.tokens if token.drafted]
        assert len(guessed) >= 10
        assert finished is not None
        drafted, right = finished.usage.drafted_tokens, finished.usage.accepted_tokens
        assert drafted
        assert right == len(guessed)
        assert f"guessed ahead {drafted}, {right} right: {right / drafted:.0%}" in player.transcript.replace("\n", " ")
        store = player.pane.transcript.view.store
        marked = {
            ref[1]
            for ref, style in zip(store.refs, store.styles, strict=True)
            if isinstance(ref, tuple) and style >= GUESSED
        }
        assert marked == set(guessed)
        assert "underlined: guessed ahead" in player.text
        await player.press("ctrl+t", "home", *["right"] * guessed[0])
        await player.until(lambda: "guessed" in player.text.split("#")[-1], "the inspector says so as well")


async def test_the_gain_is_measured_and_the_transcript_stays_as_it_is(starter_gguf: Path) -> None:
    app = make_app("temperature=0", "max_tokens=24", model=str(starter_gguf))
    async with playing(app) as player:
        await answered_raw(player, REPEATING)
        before, ids = player.transcript, [token.id for token in reply(player).tokens]
        await player.press("alt+z")
        await player.until(lambda: isinstance(player.app.screen, GuessingDialog), "measuring")
        dialog = player.app.screen
        assert isinstance(dialog, GuessingDialog)
        await player.until(lambda: "esc closes" in player.text, "measured")
        runs = dialog._measuring.runs
        assert [run.guessing for run in runs] == [True, False] * 3
        assert [list(run.ids) for run in runs] == [ids] * 6, "at temperature 0 the text is the same"
        assert runs[0].right > 0
        assert (runs[1].drafted, runs[1].right) == (0, 0)
        assert "the same in all runs" in player.text
        assert f"{runs[0].drafted} tokens guessed, {runs[0].right} right" in player.text
        await player.press("escape")
        await player.until(lambda: player.app.screen is player.screen, "closed")
        assert player.transcript == before
        assert player.pane.session.params.speculate == 0
        await player.run("ctrl+r")
        assert [token.id for token in reply(player).tokens] == ids


async def test_measuring_is_stopped_with_escape(starter_gguf: Path) -> None:
    app = make_app("temperature=0", "max_tokens=400", "ignore_eos=true", model=str(starter_gguf))
    async with playing(app) as player:
        await player.ready()
        await player.say("Tell me a story.")
        await player.tokens(60)
        await player.press("escape")
        await player.answered()
        await player.press("alt+z")
        await player.until(lambda: isinstance(player.app.screen, GuessingDialog), "measuring")
        await player.until(lambda: "run 1 of 6" in player.text, "under way")
        await player.press("escape")
        await player.until(lambda: "nothing was measured" in player.text, "stopped")
        await player.press("escape")
        await player.until(lambda: player.app.screen is player.screen, "closed")
        assert player.pane.runner.backend is not None


async def test_without_a_reply_there_is_nothing_to_measure(starter_gguf: Path) -> None:
    async with playing(make_app(model=str(starter_gguf))) as player:
        await player.ready()
        await player.press("alt+z")
        await player.until(lambda: "no reply of 8 tokens or more" in player.notices, "told")


@pytest.mark.usefixtures("no_model")
async def test_while_a_reply_is_written_nothing_is_measured() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"a"] * 20, hold_after=10))
        await player.say("Hello")
        await player.tokens(10)
        await player.press("alt+z")
        await player.until(lambda: "A reply is still being written." in player.notices, "refused")
        await player.stop_all()


def measured(guessing: bool, speed: float | None, ids: tuple[int, ...] = (1, 2, 3), right: int = 0) -> GuessRun:
    return GuessRun(guessing=guessing, ids=ids, tokens_per_second=speed, drafted=2 * right, right=right)


def test_pairs_are_summed_up_by_their_medians() -> None:
    runs = [
        measured(True, 30.0, right=4),
        measured(False, 20.0),
        measured(True, 99.0, right=4),
        measured(False, 10.0),
        measured(True, 20.0, right=4),
        measured(False, 20.0),
        measured(True, 50.0, right=4),
    ]
    gain = summed_up(runs)
    assert gain is not None
    assert (gain.pairs, gain.with_it, gain.without, gain.ratio) == (3, 30.0, 20.0, 1.5)
    assert (gain.right_share, gain.parted_at) == (0.5, None)
    assert verdict(gain) == "Guessing ahead is 1.50 times as fast here."
    assert summed_up(runs[:1]) is None


def test_replies_that_differ_say_where() -> None:
    runs = [measured(True, 2.0, (1, 2, 4), right=1), measured(False, 1.0, (1, 2, 3))]
    shorter = [measured(True, 2.0, (1, 2), right=1), measured(False, 1.0, (1, 2, 3))]
    assert [gain.parted_at for one in (runs, shorter) if (gain := summed_up(one))] == [2, 2]


def test_what_cannot_be_measured_is_said() -> None:
    gain = summed_up([measured(True, None, (1,)), measured(False, None, (1,))])
    assert gain is not None
    assert gain.ratio is None
    assert "too short" in verdict(gain)
