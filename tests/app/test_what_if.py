"""A token under the cursor follows the sliders: what it would have been."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from msgspec import structs

from tests.app.support import FakeBackend, make_app, playing


async def test_moving_a_slider_reshapes_the_pinned_token_and_moving_it_back_shows_what_was(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3", "temperature=1.2")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.press("ctrl+t", "left")
        await player.until(lambda: "pinned" in player.text, "pinned")
        inspector, before = player.screen.inspector, player.pane.session.params
        recorded = inspector.token
        assert recorded is not None
        assert recorded.logprob is not None
        player.screen.use_preset(player.screen.tuning.presets["deterministic"])
        await player.until(lambda: "what if" in player.text, "another distribution")
        bent = inspector.token
        assert bent is not None
        assert (bent.id, bent.index) == (recorded.id, recorded.index)
        assert bent.logprob == pytest.approx(recorded.logprob, abs=0.05), "the model's own stays what it is"
        assert bent.prob == (1.0 if bent.rank == 1 else 0.0), "greedy takes the best or nothing"
        assert sum(candidate.prob or 0.0 for candidate in bent.top) == pytest.approx(1.0, abs=1e-3)
        player.screen.tuning.pending = before
        await player.until(lambda: inspector.token is recorded, "what was")
        assert "what if" not in player.text


async def test_a_what_if_at_the_parameters_used_gives_the_figures_recorded(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", "seed=5")) as player:
        await player.ready()
        await player.ask("Count to four.")
        await player.press("ctrl+t", "left")
        recorded = player.screen.inspector.token
        assert recorded is not None
        assert recorded.prob is not None
        player.screen.tuning.pending = structs.replace(player.pane.session.params, seed=6)
        await player.until(lambda: "what if" in player.text, "asked")
        again = player.screen.inspector.token
        assert again is not None
        assert again.prob is not None
        assert math.isclose(again.prob, recorded.prob, abs_tol=2e-2)


@pytest.mark.usefixtures("no_model")
async def test_a_model_that_cannot_tell_shows_what_was_recorded() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"]))
        await player.ask("Hi")
        await player.press("ctrl+t")
        recorded = player.screen.inspector.token
        player.screen.use_preset(player.screen.tuning.presets["deterministic"])
        await player.until(lambda: player.screen.tuning.pending is None, "in force")
        assert player.screen.inspector.token is recorded
        assert "what if" not in player.text
