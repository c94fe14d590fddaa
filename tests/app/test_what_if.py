"""A token under the cursor: what else it could have been, at once, and with every slider."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs
from textual.widgets import TextArea

from playground.backends.base import Capabilities
from playground.domain.errors import RunFailed
from playground.domain.sampling import NEUTRAL
from playground.domain.tokens import Token
from playground.domain.what_if import TEMPERATURES, Column, WhatIf, WhatIfRequest
from playground.screens.force_dialog import ForceDialog
from playground.widgets.candidates import CandidateList
from playground.widgets.funnel import Funnel
from playground.widgets.slider import ParamSlider
from playground.widgets.temperature_table import TemperatureTable
from tests.app.support import FakeBackend, Player, make_app, playing, token


def table(player: Player) -> list[str]:
    """The table of temperatures as it stands, row by row."""
    widget = player.screen.inspector.query_one(TemperatureTable)
    if not widget.display:
        return []
    return [widget.render_line(y).text.rstrip() for y in range(widget.size.height)]


async def told(player: Player) -> list[str]:
    """The table once the model has answered."""
    await player.until(lambda: any(row.startswith("left") for row in table(player)), "figures")
    return table(player)


async def test_a_token_is_asked_about_as_soon_as_it_is_selected(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        assert table(player) == []
        await player.press("ctrl+t", "left")
        recorded = player.screen.inspector.token
        rows = await told(player)
        assert recorded is not None
        assert player.screen.inspector.token is recorded, "the sliders stand where they stood"
        assert "pinned" in player.text
        assert rows[0].split() == ["temperature", *(f"{one:g}" for one in TEMPERATURES)]
        assert sum(row.startswith("▸") for row in rows) == 1, "the chosen one is among them"
        assert "100%" in rows[1], "at temperature 0 the likeliest is certain"
        assert player.screen.inspector.query_one(CandidateList).size.height >= 7
        assert player.screen.inspector.query_one(Funnel).display


async def test_moving_a_slider_reshapes_the_pinned_token_and_moving_it_back_shows_what_was(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3", "temperature=1.2")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("ctrl+t", "left")
        inspector, before = player.screen.inspector, player.pane.session.params
        recorded = inspector.token
        assert recorded is not None
        assert recorded.logprob is not None
        player.screen.use_preset(player.screen.tuning.presets["deterministic"])
        await player.until(lambda: "what if" in player.text, "another distribution")
        bent = inspector.token
        assert bent is not None
        assert (bent.id, bent.index, bent.time_ms) == (recorded.id, recorded.index, recorded.time_ms)
        assert bent.logprob == pytest.approx(recorded.logprob, abs=0.05), "the model's own stays what it is"
        assert bent.prob == (1.0 if bent.rank == 1 else 0.0), "greedy takes the best or nothing"
        assert sum(candidate.prob or 0.0 for candidate in bent.top) == pytest.approx(1.0, abs=1e-3)
        assert f"was {(recorded.prob or 0.0):.1%}" in player.text
        await player.press("left")
        await player.until(lambda: (now := inspector.token) and now.index == recorded.index - 1, "the token before")
        await player.until(lambda: "what if" in player.text, "the sliders hold for every token")
        await player.press("right")
        player.screen.tuning.pending = before
        await player.until(lambda: inspector.token is recorded, "what was")
        assert "what if" not in player.text


async def test_a_slider_is_answered_without_waiting_for_its_parameters_to_be_in_force(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("ctrl+t")
        await told(player)
        slider = next(one for one in player.app.query(ParamSlider) if one.name == "top_k")
        slider.focus()
        await player.press("home", "right")
        await player.until(lambda: "what if" in player.text, "another distribution")
        shown = player.screen.inspector.token
        assert shown is not None
        assert next(stage for stage in shown.stages if stage.name == "top_k").candidates == slider.value


async def test_no_slider_moves_what_is_the_models_own(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=24", "seed=3", "temperature=1.2", "ignore_eos=true")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("ctrl+t")
        inspector = player.screen.inspector
        for _ in range(6):
            await player.press("left", "left")
            await player.until(lambda: "what if" not in player.text, "as it was drawn")
            await told(player)
            recorded = inspector.token
            assert recorded is not None
            before = player.pane.session.params
            player.screen.tuning.pending = structs.replace(before, top_p=0.5)
            await player.until(lambda: "what if" in player.text, "another distribution")
            bent = inspector.token
            assert bent is not None
            assert (bent.logprob, bent.rank, bent.entropy) == (recorded.logprob, recorded.rank, recorded.entropy)
            names = [stage.name for stage in bent.stages]
            first = names.index("top_p")
            assert names[first - 1] == "top_k"
            assert bent.stages[:first] == tuple(recorded.stages)[:first]
            player.screen.tuning.pending = before
            await player.until(lambda: inspector.token is recorded, "what was")  # noqa: B023 - waited for at once


async def test_where_sliders_hide_the_inspector_the_legend_says_what_becomes_of_the_token(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3"), size=(80, 24)) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("ctrl+t", "left", "ctrl+o")
        await player.until(lambda: player.focus_is(ParamSlider), "there")
        await player.press("right", "right")
        await player.until(lambda: " → " in player.text and ", rank " in player.text, "what becomes of it")
        await player.press("escape")
        await player.until(lambda: "what if" in player.text and "probability" in player.text, "inspector and legend")


@pytest.mark.parametrize("preset", ["balanced", "creative"])
async def test_a_what_if_at_the_parameters_used_gives_the_figures_recorded(starter_gguf: Path, preset: str) -> None:
    """To the bit for what was decoded by itself, in later turns too; the first token came with its prompt."""
    async with playing(make_app("max_tokens=8", "seed=5", "ignore_eos=true", preset=preset)) as player:
        await player.ready()
        pane = player.pane
        for prompt in ("Count to four.", "Now tell me a story about the sea.", "Go on."):
            await player.ask(prompt)
            turn = pane.session.transcript.path()[-1]
            assert turn.prompt is not None
            for at, recorded in enumerate(turn.tokens):
                again = await pane.need_model().what_if(
                    WhatIfRequest(
                        prompt=turn.prompt,
                        reply_ids=tuple(one.id or 0 for one in turn.tokens[:at]),
                        chosen=recorded.id,
                        params=pane.session.params,
                    )
                )
                assert again.computed == 1
                assert_same(again.token, recorded, 2e-2 if at == 0 else 1e-6)


def assert_same(now: Token, recorded: Token, tolerance: float) -> None:
    assert now.prob == pytest.approx(recorded.prob, abs=tolerance)
    then = {candidate.id: candidate.prob for candidate in recorded.top}
    for candidate in now.top:
        if candidate.id in then:
            assert candidate.prob == pytest.approx(then[candidate.id], abs=tolerance)


async def test_a_forced_token_keeps_what_was_recorded_at_its_place(starter_gguf: Path) -> None:
    """The list of candidates, the funnel and the table of temperatures tell the same of it."""
    async with playing(make_app("max_tokens=6", "seed=3")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        old = player.pane.session.transcript.path()[-1].tokens[2]
        await player.press("ctrl+t", "ctrl+home", "right", "right", "f")
        await player.until(lambda: isinstance(player.app.screen, ForceDialog), "the dialog")
        player.app.screen.query_one(TextArea).load_text(" zebra and")
        await player.run("enter")
        turn = player.pane.session.transcript.path()[-1]
        assert turn.by_hand == {2, 3}
        await player.until(lambda: turn.tokens[2].logprob is not None, "figures")
        put, *_ = turn.tokens[2:]
        assert put.stages == old.stages
        assert list(put.top)[: len(old.top)] == list(old.top)
        assert put.entropy == old.entropy
        assert put.id in [candidate.id for candidate in put.top]
        await player.press("ctrl+t")
        player.pane.transcript.view.move_to(player.pane.transcript.view.store.refs.index((turn.id, 2)))
        await told(player)
        shown = player.screen.inspector.token
        assert shown is not None
        assert shown.id == put.id
        for now, then in zip(shown.top[:5], old.top[:5], strict=True):
            assert now.id == then.id
            assert now.logprob == pytest.approx(then.logprob, abs=1e-5)


async def test_a_question_while_the_reply_is_written_disturbs_nothing(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=40", "seed=3", "ignore_eos=true")) as player:
        await player.ready()
        player.app.clear_notifications()
        await player.ask("Tell me a story.")
        alone = [one.id for one in player.pane.session.transcript.path()[-1].tokens]
        player.pane.session.new_conversation()
        await player.say("Tell me a story.")
        await player.tokens(5)
        await player.press("ctrl+t", "left")
        await told(player)
        for _ in range(3):
            await player.press("left")
        await player.answered()
        await told(player)
        assert [one.id for one in player.pane.session.transcript.path()[-1].tokens] == alone
        assert player.notices == ""


async def test_on_a_small_screen_a_key_shows_the_temperatures_in_the_funnels_place(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3"), size=(80, 24)) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("ctrl+t", "left")
        inspector = player.screen.inspector
        await player.until(lambda: "0  " in player.text and "sampled" in player.text, "ten candidates")
        assert "vocabulary" not in player.text
        await player.press("v")
        await player.until(lambda: "vocabulary" in player.text, "the funnel")
        assert table(player) == []
        await player.press("v")
        rows = await told(player)
        assert "vocabulary" not in player.text
        assert len(rows) >= 5
        assert inspector.query_one(CandidateList).size.height >= 7
        await player.press("v")
        await player.until(lambda: table(player) == [], "candidates alone again")
        assert inspector.query_one(CandidateList).size.height >= 11


async def test_xtc_and_mirostat_say_what_cannot_be_known(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3"), size=(200, 60)) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("ctrl+t", "left")
        player.screen.tuning.pending = structs.replace(NEUTRAL, xtc_probability=0.3, xtc_threshold=0.05)
        await player.until(lambda: "XTC acts in 30.0% of draws" in " ".join(table(player)), "both throws")
        player.screen.tuning.pending = structs.replace(NEUTRAL, mirostat=2)
        await player.until(lambda: "mirostat-v2 remembers earlier draws" in " ".join(table(player)), "its memory")


@pytest.mark.usefixtures("no_model")
async def test_a_model_that_cannot_tell_shows_what_was_recorded_and_why() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Hi")
        await player.press("ctrl+t")
        recorded = player.screen.inspector.token
        player.screen.use_preset(player.screen.tuning.presets["deterministic"])
        await player.until(lambda: player.screen.tuning.pending is None, "in force")
        assert player.screen.inspector.token is recorded
        assert "what if" not in player.text
        assert "No what-if" in table(player)[0]


class Telling(FakeBackend):
    """Answers what-ifs when it is let go, and remembers what it was asked."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(pieces)
        self.asked: list[WhatIfRequest] = []
        self.answer = asyncio.Event()
        self.problem: RunFailed | None = None
        self.recomputed = False

    @property
    def capabilities(self) -> Capabilities:
        return structs.replace(super().capabilities, what_if=True)

    async def what_if(self, request: WhatIfRequest) -> WhatIf:
        self.asked.append(request)
        await self.answer.wait()
        if self.problem is not None:
            raise self.problem
        then = token(len(request.reply_ids), b"again")
        columns = tuple(Column(one, (1.0,) + (0.0,) * 9, 5) for one in TEMPERATURES)
        return WhatIf(token=then, params=request.params, columns=columns, computed=31, recomputed=self.recomputed)


@pytest.mark.usefixtures("no_model")
async def test_of_the_sliders_that_move_while_the_model_thinks_only_the_last_is_answered() -> None:
    async with playing(make_app("temperature=1.0")) as player:
        model = Telling([b"one", b" two"])
        await player.attach(model)
        await player.ask("Hi")
        await player.press("ctrl+t")
        await player.until(lambda: len(model.asked) == 1, "asked")
        assert "asking the model" in "".join(table(player))
        next(one for one in player.app.query(ParamSlider) if one.name == "temperature").focus()
        await player.press("right", "right", "right")
        assert len(model.asked) == 1, "one question at a time"
        model.answer.set()
        await player.until(lambda: len(model.asked) == 2, "asked again")
        wanted = model.asked[-1].params.temperature
        await player.until(lambda: player.pane.session.params.temperature == wanted, "the last one")
        await player.until(lambda: "what if" in player.text, "answered")
        assert [request.params.temperature for request in model.asked] == [1.0, wanted]


@pytest.mark.usefixtures("no_model")
async def test_memory_that_cannot_be_cut_and_a_question_that_fails_are_said_where_the_figures_stand() -> None:
    async with playing(make_app(), size=(200, 60)) as player:
        model = Telling([b"one", b" two"])
        model.recomputed = True
        model.answer.set()
        await player.attach(model)
        await player.ask("Hi")
        await player.press("ctrl+t")
        await player.until(lambda: "31 tokens computed again" in " ".join(table(player)), "the price")
        model.problem = RunFailed("There is no room now.", "Wait until the replies are done.")
        await player.press("left")
        await player.until(lambda: "No what-if: There is no room now." in " ".join(table(player)), "the reason")
        assert player.notices == ""
        model.problem = None
        await player.press("right")
        await told(player)
