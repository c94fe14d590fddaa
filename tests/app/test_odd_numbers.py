"""A history that somebody else wrote may hold any number: it is listed, opened and coloured all the same."""

from __future__ import annotations

import math

import msgspec
import pytest

from playground.domain.messages import Role
from playground.domain.tokens import Candidate, Stage, Token
from playground.domain.watching import Watched
from playground.services.history import history_path, read_history
from playground.services.history_store import HistoryStore
from playground.widgets.colour_scale import ColourMode
from tests.app.support import make_app, playing
from tests.app.test_keeping import open_history
from tests.services.test_history_files import keep, rich_session

pytestmark = pytest.mark.usefixtures("no_model")


@pytest.mark.parametrize("odd", [1e30, -1e30, math.nan, math.inf])
async def test_what_cannot_have_been_measured_is_drawn(odd: float) -> None:
    elsewhere = history_path().parent / "elsewhere.sqlite3"
    uid = keep(rich_session(), elsewhere)
    tree = read_history(elsewhere, lambda reader: reader.tree(uid))
    entries = read_history(elsewhere, lambda reader: reader.entries_of(uid))
    candidate = Candidate(5, b"odd", odd, odd)
    spoilt = [
        Token(
            i,
            5,
            b"odd ",
            odd,
            odd,
            -3,
            odd,
            (candidate,),
            (Stage("top_k", -1, odd),),
            odd,
            watched=(Watched(5, odd, odd),),
        )
        for i in range(3)
    ]
    turns = [(turn, spoilt if turn.role is Role.ASSISTANT else []) for turn, _ in tree.turns]
    store = HistoryStore(history_path(), "test")
    store.restore(
        msgspec.structs.replace(tree, turns=turns),
        [msgspec.structs.replace(one, cost=odd, ttft_ms=odd, tokens_per_second=odd) for one in entries],
    )
    store.close()
    async with playing(make_app()) as player:
        await open_history(player)
        await player.until(lambda: "odd odd" in player.text, "previewed")
        await player.press("enter")
        await player.until(lambda: player.app.screen is player.screen, "opened")
        await player.until(lambda: bool(player.pane.session.transcript.turns), "in the pane")
        for _ in ColourMode:
            await player.press("f4")
        await player.until(lambda: "odd odd" in player.text, "still drawn")
