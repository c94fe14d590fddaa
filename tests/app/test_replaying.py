"""A whole reply under other sliders: what would stay, what could change, what could not come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec import structs

from playground.backends.base import Capabilities, Progress, silent
from playground.domain.sampling import NEUTRAL
from playground.domain.what_if import Replay, Replayed, ReplayRequest, Verdict
from playground.widgets.colour_scale import LEVELS, TokenStyle
from tests.app.support import FakeBackend, Player, make_app, playing

MARKS = {TokenStyle.STAYS, TokenStyle.OPEN, TokenStyle.GONE, TokenStyle.UNSURE}


def marks(player: Player) -> list[int]:
    """The styles of the last reply's tokens, in order."""
    store = player.pane.transcript.view.store
    turn = player.pane.session.transcript.path()[-1]
    return [
        style
        for style, ref in zip(store.styles, store.refs, strict=True)
        if isinstance(ref, tuple) and ref[0] == turn.id
    ]


def marked(player: Player) -> bool:
    """True when every token has its mark."""
    return bool(marks(player)) and set(marks(player)) <= MARKS


async def test_greedy_leaves_one_way_and_marks_every_token_that_was_not_the_likeliest(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=12", "seed=3", "temperature=1.5", "ignore_eos=true")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        ranks = [token.rank for token in player.pane.session.transcript.path()[-1].tokens]
        assert set(ranks) != {1}, "the seed is one that leaves the beaten path"
        await player.press("alt+v")
        await player.until(lambda: marked(player), "marks")
        assert "This reply is as likely as it was." in player.notices
        assert "d: next open, x: impossible" in player.notices
        player.screen.tuning.pending = structs.replace(NEUTRAL, temperature=0.0)
        wanted = [TokenStyle.STAYS if rank == 1 else TokenStyle.GONE for rank in ranks]
        await player.until(lambda: marks(player) == wanted, "the sliders are followed")
        assert f"{wanted.count(TokenStyle.GONE)} impossible" in player.text
        await player.press("ctrl+t", "home", "x")
        gone = [index for index, style in enumerate(wanted) if style == TokenStyle.GONE]
        assert "reply ×" not in player.text, "what could not come has no likelihood"
        await player.until(lambda: "not the likeliest" in player.text, "the reason")
        token = player.screen.inspector.token
        assert token is not None
        assert token.index in gone
        await player.press("alt+v")
        await player.until(lambda: max(marks(player)) < LEVELS, "colours")
        assert "probability" in player.text
        assert "likeliest:" not in player.text


async def test_a_cut_names_the_stage_and_both_chances(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=12", "seed=3", "temperature=1.5", "ignore_eos=true")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        player.screen.tuning.pending = structs.replace(NEUTRAL, top_k=1)
        await player.press("alt+v")
        await player.until(lambda: TokenStyle.GONE in marks(player), "marks")
        await player.press("ctrl+t", "x")
        await player.until(lambda: "cut by top-k: " in player.text, "the stage")
        token = player.screen.inspector.token
        assert token is not None
        recorded = player.pane.session.transcript.path()[-1].tokens[token.index]
        assert f"{recorded.prob:.1%} → 0%" in player.text
        await player.press("d")
        await player.until(lambda: player.screen.inspector.token, "a place that could differ")
        await player.press("escape")
        await player.until(lambda: max(marks(player)) < LEVELS, "Esc goes back to colours")


async def test_more_tokens_are_looked_at_too_and_another_branch_ends_it(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3", "ignore_eos=true")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("alt+v")
        await player.until(lambda: marked(player), "marks")
        await player.run("ctrl+g")
        await player.until(lambda: len(marks(player)) == 12 and marked(player), "the new tokens too")
        await player.run("ctrl+r")
        await player.until(lambda: max(marks(player)) < LEVELS, "another reply has its colours")
        await player.press("alt+left")
        await player.until(lambda: len(marks(player)) == 12, "the first reply")
        assert max(marks(player)) < LEVELS


async def test_a_stage_with_a_memory_leaves_tokens_unsure(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        player.screen.tuning.pending = structs.replace(NEUTRAL, mirostat=2)
        await player.press("alt+v")
        await player.until(lambda: TokenStyle.UNSURE in marks(player), "marks")
        assert "unsure" in player.text


async def test_the_sliders_as_they_were_say_what_was_recorded_and_others_how_likely_the_reply_is(
    starter_gguf: Path,
) -> None:
    """A long reply: from 512 tokens on llama.cpp computes many tokens at once otherwise than one."""
    async with playing(make_app("max_tokens=600", "seed=7", "ignore_eos=true"), (120, 30)) as player:
        await player.ready()
        await player.ask("Write a long story about a river.")
        tokens = player.pane.session.transcript.path()[-1].tokens
        await player.press("alt+v")
        await player.until(lambda: marked(player), "marks")
        assert set(marks(player)) == {TokenStyle.STAYS, TokenStyle.OPEN}, "all of it came, so nothing is impossible"
        alone = [token.stages[-1].candidates == 1 for token in tokens]
        assert [mark == TokenStyle.STAYS for mark in marks(player)] == alone
        assert "reply ×1 " in player.text
        params = player.pane.session.params
        player.screen.tuning.pending = structs.replace(params, temperature=1.2)
        await player.until(lambda: "reply ×10⁻" in player.text, "less likely")
        assert TokenStyle.GONE not in marks(player), "min-p comes before the temperature"
        await player.press("ctrl+t", "home", "d")
        await player.until(lambda: "what if" in player.text and "could change" in player.text, "one token")
        shown = player.screen.inspector.token
        assert shown is not None
        was, now = tokens[shown.index].prob or 0.0, shown.prob or 0.0
        assert f"could change: {was:.1%} → {now:.1%}" in player.text, "the remark has the figure of the what-if"
        assert shown.logprob == pytest.approx(tokens[shown.index].logprob, abs=1e-5)
        player.screen.tuning.pending = structs.replace(params, temperature=0.0)
        await player.until(lambda: TokenStyle.GONE in marks(player), "greedy")
        assert [mark == TokenStyle.STAYS for mark in marks(player)] == [token.rank == 1 for token in tokens]


async def test_there_must_be_a_reply(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6")) as player:
        await player.ready()
        await player.press("alt+v")
        await player.until(lambda: "no reply to look at" in player.notices, "refused")


@pytest.mark.usefixtures("no_model")
async def test_a_model_that_cannot_is_refused_with_the_reason() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Hi")
        await player.press("alt+v")
        await player.until(lambda: "does not show its whole distribution" in player.notices, "the reason")
        assert max(marks(player)) < LEVELS


class Slow(FakeBackend):
    """Replays when it is let go, and counts what was asked and what was given up."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(pieces)
        self.asked: list[ReplayRequest] = []
        self.cancelled = 0
        self.answer = asyncio.Event()
        self.when_asked: Callable[[], object] = list

    @property
    def capabilities(self) -> Capabilities:
        return structs.replace(super().capabilities, what_if=True)

    async def replay(self, request: ReplayRequest, progress: Progress = silent) -> Replay:
        self.asked.append(request)
        self.when_asked()
        try:
            while not self.answer.is_set():
                progress(1, 2)
                await asyncio.sleep(0.02)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        told = tuple(
            Replayed(index, one, Verdict.CERTAIN, then, 1.0)
            for index, (one, then) in enumerate(zip(request.reply_ids, request.recorded, strict=True))
        )
        return Replay(tokens=told, params=request.params, first_open=None, first_impossible=None)


@pytest.mark.usefixtures("no_model")
async def test_the_newest_sliders_win_and_leaving_gives_the_work_up() -> None:
    async with playing(make_app("temperature=1.0")) as player:
        model = Slow([b"one", b" two"])
        await player.attach(model)
        await player.ask("Hi")
        await player.press("alt+v")
        await player.until(lambda: marks(player) == [TokenStyle.OPEN] * 2, "what was recorded needs no model")
        assert not model.asked
        player.screen.tuning.pending = structs.replace(player.pane.session.params, temperature=1.2)
        await player.until(lambda: "replaying 50% at temperature 1.2" in player.text, "progress")
        await player.press("ctrl+t", "d")
        assert "Still replaying, 1 of 2 tokens" in player.notices
        assert "replaying …" in player.text
        player.screen.tuning.pending = structs.replace(player.pane.session.params, temperature=0.5)
        await player.until(lambda: len(model.asked) == 2 and model.cancelled == 1, "asked anew")
        model.answer.set()
        await player.until(lambda: marks(player) == [TokenStyle.STAYS] * 2, "marks")
        assert model.asked[-1].params.temperature == 0.5
        await player.until(lambda: "reply ×1.7" in player.text, "certain now, and 97% and 60% then")
        model.answer.clear()
        kept: list[list[int]] = []
        model.when_asked = lambda: kept.append(marks(player))
        player.screen.tuning.pending = structs.replace(player.pane.session.params, temperature=0.6)
        await player.until(lambda: len(model.asked) == 3, "asked again")
        assert kept == [[TokenStyle.STAYS] * 2], "the old marks stay for a moment"
        await player.until(lambda: marks(player) == [TokenStyle.PLAIN] * 2, "and go when it takes longer")
        await player.press("alt+v")
        await player.until(lambda: model.cancelled == 2, "given up")
        assert max(marks(player)) < LEVELS


@pytest.mark.usefixtures("no_model")
async def test_it_ends_with_the_model() -> None:
    async with playing(make_app()) as player:
        model = Slow([b"one", b" two"])
        model.answer.set()
        await player.attach(model)
        await player.ask("Hi")
        await player.press("alt+v")
        await player.until(lambda: marked(player), "marks")
        player.pane.detach("lost")
        await player.until(lambda: max(marks(player)) < LEVELS, "colours")
