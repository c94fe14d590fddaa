"""From one telling token to the next, by key."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from playground.domain.messages import Role
from playground.domain.places import places_of
from playground.domain.session import Session
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Turn
from playground.widgets.legend import Legend
from tests.app.support import FakeBackend, Player, make_app, playing


def cursor(player: Player) -> tuple[int, int] | None:
    """Turn id and index of the token under the cursor."""
    view = player.pane.transcript.view
    ref = view.store.refs[view.cursor] if view.cursor is not None else None
    return ref if isinstance(ref, tuple) else None


def reply(player: Player) -> Turn:
    turn = player.pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


def legend(player: Player) -> str:
    return player.pane.view.query_one(Legend).render_line(0).text.strip()


async def test_keys_go_from_one_telling_token_to_the_next_and_say_why(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=24", "seed=7", "temperature=1.3", "top_k=0", "min_p=0.01")) as player:
        await player.ready()
        await player.ask("Tell me a story about a dog.")
        turn = reply(player)
        places = {place.at: place for place in places_of(turn.tokens)}
        low = [at for at, place in places.items() if place.is_of("rank")]
        assert len(low) > 1, "a reply as wild as that"
        await player.press("ctrl+t", "ctrl+home")
        for key, way in (("n", sorted(set(places) - {0})), ("p", sorted(places)[-2::-1])):
            for at in way:
                await player.press(key)
                assert cursor(player) == (turn.id, at)
                assert places[at].why() in legend(player) or legend(player).endswith("…")
        await player.press("ctrl+home", "r")
        first = next(at for at in low if at > 0)
        assert cursor(player) == (turn.id, first)
        number = low.index(first) + 1
        rank = turn.tokens[first].rank
        assert legend(player).startswith(f"{number}/{len(low)} · low choice: {rank}")
        await player.press("R")
        assert cursor(player) == (turn.id, low[low.index(first) - 1])
        said = legend(player)
        await player.press("left")
        await player.until(lambda: legend(player) != said, "the reason goes with the cursor")
        await player.press("right")
        await player.until(lambda: legend(player) == said, "and is there again with it")
        assert "stands out" not in player.notices


async def test_over_the_end_it_goes_on_at_the_top_and_says_so(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=12", "seed=7", "temperature=1.3", "top_k=0", "min_p=0.01")) as player:
        await player.ready()
        await player.ask("Tell me a story.")
        await player.ask("Another one.")
        first, last = [turn for turn in player.pane.session.transcript.path() if turn.role is Role.ASSISTANT]
        everything = [(turn.id, place.at) for turn in (first, last) for place in places_of(turn.tokens)]
        assert len({turn for turn, _ in everything}) == 2
        await player.press("ctrl+t", "ctrl+home")
        start = cursor(player)
        seen = []
        for _ in everything:
            await player.press("n")
            seen.append(cursor(player))
        assert set(seen) == set(everything), "through both replies, and round"
        wrapped = everything[0] if start != everything[0] else everything[1]
        assert wrapped in seen
        while cursor(player) != everything[0]:
            await player.press("n")
        assert "↺ from the top again" in legend(player)
        await player.press("p")
        assert "↺ from the end again" in legend(player)


async def test_a_change_of_parameters_is_a_place(starter_gguf: Path) -> None:
    async with playing(make_app("seed=3", "ignore_eos=true")) as player:
        await player.ready()
        await player.say("Count to a hundred.")
        await player.tokens(4)
        player.screen.use_preset(player.screen.tuning.presets["deterministic"])
        await player.until(lambda: reply(player).marks, "a mark")
        (mark,) = reply(player).marks
        await player.until(lambda: len(reply(player).tokens) > mark.at, "a token drawn with it")
        await player.stop_all()
        await player.press("ctrl+t", "ctrl+home", "c")
        assert cursor(player) == (reply(player).id, mark.at)
        assert "changed here: preset deterministic" in legend(player)


async def test_nothing_of_a_kind_is_a_sentence(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", "temperature=0")) as player:
        await player.ready()
        await player.press("ctrl+t", "n")
        assert "There is no reply yet." in player.notices
        await player.press("escape")
        await player.ask("What is 1 + 1?")
        await player.press("ctrl+t", "c")
        assert "No parameter changed in these replies." in player.notices
        await player.press("r")
        assert "was among the 3 likeliest" in player.notices


@pytest.mark.usefixtures("no_model")
async def test_a_server_that_tells_a_few_candidates_has_low_choices_but_no_entropy() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([]))
        top = tuple(Candidate(None, b"c%d" % n, math.log(0.3 / 2**n), None) for n in range(4))
        tokens = [Token(index, None, b"c0", top[0].logprob, None, 1, None, top) for index in range(3)]
        below = Candidate(None, b"x", math.log(0.001), None)
        tokens.append(Token(3, None, b"x", below.logprob, None, None, None, (*top, below)))
        tree = player.pane.session.transcript
        tree.add(Role.USER, None, text="Hi")
        tree.add(Role.ASSISTANT, tree.head, tokens=tokens)
        player.pane.sync()
        await player.press("ctrl+t", "ctrl+home", "r")
        assert cursor(player) == (reply(player).id, 3)
        assert "low choice: at best 5th" in legend(player)
        await player.press("e")
        assert "The model gave no entropy with these tokens." in player.notices


@pytest.mark.usefixtures("no_model")
async def test_ten_thousand_tokens_in_several_turns_and_the_top_of_what_is_in_sight() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([]))
        session = Session()
        tree = session.transcript
        for _ in range(3):
            tree.add(Role.USER, tree.head, text="Go on")
            tokens = [
                Token(index, 5, b" word", -0.1, 0.9, 9 if index % 1000 == 999 else 1, 0.5) for index in range(10_000)
            ]
            tree.add(Role.ASSISTANT, tree.head, tokens=tokens)
        player.pane.session.transcript = tree
        player.pane.sync()
        view = player.pane.transcript.view
        await player.until(lambda: len(view.store) > 30_000, "drawn")
        view.scroll_to(y=view.max_scroll_y // 2, animate=False)
        await player.pilot.pause()
        in_sight = view.wrapping.lines[view.scroll_offset.y].first_item
        view.focus()
        await player.press("n")
        found = cursor(player)
        assert found is not None
        assert found[1] % 1000 == 999
        assert view.cursor is not None
        assert 0 <= view.cursor - in_sight < 1100
        assert legend(player).split(" ")[0].endswith("/30")
        await player.press("p")
        assert cursor(player) == (found[0], found[1] - 1000)
