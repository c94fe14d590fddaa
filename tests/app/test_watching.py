"""Words whose probability is followed at every step: the dialog, the plot, and the truth of its figures."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs
from textual.widgets import TextArea

from playground.backends.base import Capabilities, Progress, silent
from playground.domain.errors import RunFailed
from playground.domain.messages import Role
from playground.domain.recorded import in_force
from playground.domain.transcript import Turn
from playground.domain.watch_list import figure
from playground.domain.watching import Watched, WatchedWord
from playground.domain.what_if import WatchedReply, WatchRequest, known_of
from playground.screens.watch_dialog import WatchDialog
from playground.widgets.watch_plot import WatchPlot
from tests.app.hosted_support import hosted
from tests.app.support import FakeBackend, Player, make_app, playing
from tests.engine.support import ONE_THREAD, bare_context, bare_logits, log_softmax, opened


def plot(player: Player) -> list[str]:
    """The plot's rows; empty while there is none."""
    return [widget.render_line(y).text for widget in player.screen.query(WatchPlot) for y in range(widget.size.height)]


def reply(player: Player) -> Turn:
    turn = player.pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


async def watch(player: Player, *lines: str) -> None:
    """Write a watch list into the dialog and take it."""
    await player.press("alt+k")
    await player.until(lambda: isinstance(player.app.screen, WatchDialog), "the dialog")
    player.app.screen.query_one(TextArea).load_text("\n".join(lines))
    await player.press("ctrl+s")
    await player.until(lambda: not isinstance(player.app.screen, WatchDialog), "accepted")


async def test_figures_on_the_screen_are_the_models_own_and_those_after_the_samplers(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=8", "seed=7", "temperature=1.1"), (140, 40)) as player:
        await player.ready()
        await watch(player, '" the"', '" zebra"', "#28")
        await player.ask("Tell me a story.")
        turn, backend = reply(player), player.pane.runner.backend
        assert backend is not None
        assert turn.prompt is not None
        assert turn.started is not None
        ids = [word.id for word in turn.started.watching]
        prompt = (await backend.view_prompt(turn.prompt)).ids
        with opened(starter_gguf, context=512, **ONE_THREAD) as model, bare_context(model, 512) as context:
            feed = list(prompt)
            exact = []
            for token in turn.tokens:
                exact.append(np.exp(log_softmax(bare_logits(context, feed, model.info.n_vocab))))
                feed = [token.id or 0]
        await player.press("ctrl+t", "ctrl+home")
        for at, token in enumerate(turn.tokens):
            await player.until(lambda at=at: plot(player)[0].split()[0] == f"#{at + 1}", f"token {at}")  # type: ignore[misc]
            for row, id, found in zip(plot(player)[1:4], ids, token.watched, strict=True):
                assert id not in [candidate.id for candidate in token.top] or found.after == next(
                    candidate.prob for candidate in token.top if candidate.id == id
                )
                assert found.before == pytest.approx(exact[at][id], rel=3e-2, abs=1e-9)
                assert row.split()[2:4] == [figure(found.before), figure(found.after)]
            await player.press("right")
        outside = [token for token in turn.tokens if ids[1] not in [candidate.id for candidate in token.top]]
        assert outside, "a zebra is in no list of candidates"


async def test_watching_the_token_that_was_chosen_gives_the_figures_it_was_chosen_with(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=5", "seed=7")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        first = reply(player).tokens[0]
        await player.press("ctrl+t", "ctrl+home", "w")
        await player.until(lambda: "is watched." in player.notices, "watched")
        await player.until(lambda: "≈ afterwards" in "".join(plot(player)), "the reply on the screen has its figures")
        row = plot(player)[1].split()
        assert first.logprob is not None
        assert row[2:4] == [figure(math.exp(first.logprob)), figure(first.prob)], "what was recorded, to the digit"
        await player.run("ctrl+r")
        again = reply(player).tokens[0]
        assert again.id == first.id
        assert again.logprob is not None
        (found,) = again.watched
        assert found.before == pytest.approx(math.exp(again.logprob), rel=1e-6)
        assert found.after == again.prob
        await player.press("ctrl+t", "ctrl+home", "w")
        await player.until(lambda: not plot(player), "the second time takes it off the list, and the plot with it")
        assert player.pane.session.watch == ()


async def test_the_dialog_says_at_once_which_token_a_word_is(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3", "seed=7")) as player:
        await player.ready()
        await player.press("alt+k")
        area = player.app.screen.query_one(TextArea)
        area.load_text('" the"\n" hippopotamus!"')
        await player.until(lambda: "→ ·the #" in player.text, "the token")
        assert "the first of its 4 tokens is watched" in player.text
        area.load_text("#99999999")
        await player.until(lambda: "is not one of this model" in player.text, "refused while it is typed")
        await player.press("ctrl+s")
        await player.pilot.pause(0.05)
        assert isinstance(player.app.screen, WatchDialog), "what cannot be watched is not taken"
        area.load_text("\n".join("abcdefghi"))
        await player.until(lambda: "9 words are too many" in player.text, "too many")
        await player.press("escape")
        assert player.pane.session.watch == ()
        await watch(player, '" hippopotamus!"')
        await player.ask("Hi")
        assert "the first one" not in player.notices, "what the dialog has said is not said again"


async def test_words_are_found_in_past_replies_too_and_the_plot_folds_away(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", "seed=7")) as player:
        await player.ready()
        await watch(player, '" the"')
        await player.ask("Tell me a story.")
        await watch(player, '" dog"', '" cat"')
        await player.until(lambda: "≈ afterwards" in "".join(plot(player)), "found in the reply that is there")
        assert "·dog" in plot(player)[1]
        assert "·the" not in "".join(plot(player))
        await player.ask("Go on.")
        await player.until(lambda: "≈" not in "".join(plot(player)), "watched as it was written")
        await player.press("ctrl+t", "ctrl+home")
        await player.until(lambda: "≈ afterwards" in "".join(plot(player)), "those of the reply under the cursor")
        await watch(player, '" the"')
        await player.until(lambda: "≈" not in "".join(plot(player)), "what was recorded then is there still")
        await watch(player, '" dog"', '" cat"')
        player.screen.query_one(WatchPlot).focus()
        await player.press("delete")
        await player.until(lambda: not plot(player), "folded away")
        assert player.pane.session.watch == (" dog", " cat")
        await watch(player, '" dog"')
        await player.until(lambda: plot(player), "back")
        await watch(player)
        await player.until(lambda: not plot(player), "an empty list has no plot")


async def test_the_plot_leads_to_its_tokens_and_follows_the_active_pane(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=7"), (200, 50)) as player:
        await player.ready()
        await watch(player, '" the"')
        await player.add_pane()
        await player.until(lambda: all(pane.runner.backend for pane in player.panes), "both models")
        await player.ask_all("Tell me a story.")
        first, second = player.panes
        assert [len(pane.session.transcript.path()[-1].tokens[0].watched) for pane in (first, second)] == [1, 1]
        player.screen.query_one(WatchPlot).focus()
        await player.press("left", "left")
        view = second.transcript.view
        assert view.cursor is not None
        assert view.store.refs[view.cursor] == (second.session.transcript.head, 3)
        await player.until(lambda: plot(player)[0].startswith("#4 pinned"), "the token's figures")
        await player.press("alt+1")
        await player.until(lambda: plot(player)[0].startswith("#6 latest"), "the other pane's")


@pytest.mark.usefixtures("no_model")
async def test_a_model_that_cannot_tell_refuses_with_the_reason() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one"]))
        await player.press("alt+k")
        await player.until(lambda: "does not tell how likely a word of your choice is" in player.notices, "refused")
        assert not isinstance(player.app.screen, WatchDialog)
        await player.ask("Hi")
        await player.press("ctrl+t", "w")
        await player.pilot.pause()
        assert player.pane.session.watch == ()


async def test_a_hosted_model_refuses_and_what_was_watched_before_says_so(
    starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hosted(monkeypatch) as player:
        await player.ready()
        await watch(player, '" the"')
        await player.choose("box/m:ok")
        await player.ask("Hello?")
        await player.until(lambda: "does not tell how likely a word is" in "".join(plot(player)), "said in the plot")
        await player.press("alt+k")
        await player.until(lambda: "a local model (F5)" in player.notices, "refused")


async def test_words_found_afterwards_have_the_figures_of_each_tokens_own_parameters(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=30", "seed=7", "ignore_eos=true"), (120, 40)) as player:
        await player.ready()
        await watch(player, '" the"', '" of"', '" a"')
        await player.ask("Tell me a story.")
        turn = reply(player)
        recorded = [token.watched for token in turn.tokens]
        assert turn.prompt is not None
        request = WatchRequest(
            prompt=turn.prompt,
            reply_ids=tuple(token.id or 0 for token in turn.tokens),
            words=(" the", " of", " a"),
            drawn=in_force(player.pane.session.transcript, turn),
            known=tuple(known_of(token) for token in turn.tokens),
        )
        found = await player.pane.need_model().watch_reply(request)
        assert turn.started is not None
        assert found.words == turn.started.watching
        for now, then in zip(found.figures, recorded, strict=True):
            assert [one.before for one in now] == pytest.approx([one.before for one in then], rel=0.3, abs=1e-4)
            assert [one.after for one in now] == pytest.approx([one.after for one in then], abs=2e-2)


class Slow(FakeBackend):
    """Finds words when it is let go."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(pieces)
        self.asked: list[WatchRequest] = []
        self.given_up = 0
        self.answer = asyncio.Event()

    @property
    def capabilities(self) -> Capabilities:
        return structs.replace(super().capabilities, watch=True, what_if=True)

    async def watched_words(self, words: Sequence[str]) -> tuple[WatchedWord, ...]:
        return tuple(WatchedWord(word=word, id=number, piece=word.encode()) for number, word in enumerate(words))

    async def watch_reply(self, request: WatchRequest, progress: Progress = silent) -> WatchedReply:
        self.asked.append(request)
        progress(1, 2)
        try:
            await self.answer.wait()
        except asyncio.CancelledError:
            self.given_up += 1
            raise
        if "bad" in request.words:
            raise RunFailed("There is no room.")
        words = await self.watched_words(request.words)
        figures = tuple(tuple(Watched(word.id, 0.25, None) for word in words) for _ in request.reply_ids)
        return WatchedReply(words=words, figures=figures)


@pytest.mark.usefixtures("no_model")
async def test_the_plot_says_how_far_it_is_and_the_newest_words_win() -> None:
    async with playing(make_app()) as player:
        model = Slow([b"one", b" two"])
        await player.attach(model)
        await player.ask("Hi")
        await watch(player, "sea")
        await player.until(lambda: "computing 50%" in "".join(plot(player)), "progress")
        await watch(player, "land")
        await player.until(lambda: model.given_up == 1 and len(model.asked) == 2, "asked anew")
        model.answer.set()
        await player.until(lambda: plot(player)[1].split()[1:4] == ["land", "25.0%", "–"], "unknown is no figure")
        await watch(player, "bad")
        await player.until(lambda: "There is no room." in "".join(plot(player)), "why not, in the plot")
        await watch(player, "land")
        await player.until(lambda: "25.0%" in plot(player)[1], "kept")
        assert len(model.asked) == 3


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
@pytest.mark.usefixtures("no_model")
async def test_why_there_are_no_figures_can_be_read_whole(size: tuple[int, int]) -> None:
    async with playing(make_app(), size) as player:
        model = Slow([b"one", b" two"])
        await player.attach(model)
        await player.ask("Hi")
        reply(player).model = "another"
        await watch(player, "sea")
        await player.until(lambda: "not watched in this reply" in player.text, "said")
