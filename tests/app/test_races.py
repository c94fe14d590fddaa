"""Presets raced against each other, differences between replies, the table of all panes, and buffered replies."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from textual.widgets import Input, SelectionList

from playground.domain.comparison import first_divergence
from playground.domain.messages import Role
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.screens.comparing import parted_from
from playground.screens.pane import Pane
from playground.screens.race_dialog import Choices, RaceDialog
from playground.widgets.colour_scale import TokenStyle
from playground.widgets.compare_table import CompareTable
from tests.app.support import FakeBackend, Player, make_app, playing, transcript_of

WIDE = (200, 50)


async def race(player: Player, *names: str, seed: str = "42") -> None:
    """Set up a race of these presets, as a person does."""
    await player.press("alt+r")
    await player.until(lambda: isinstance(player.app.screen, RaceDialog), "dialog")
    dialog = player.app.screen
    assert isinstance(dialog, RaceDialog)
    listed = dialog.query_one(SelectionList)
    presets = list(player.screen.tuning.presets)
    for number, name in enumerate(presets):
        if (number in listed.selected) != (name in names):
            await player.press("home", *["down"] * number, "space")
    dialog.query_one(Input).value = seed
    await player.press("ctrl+s")
    await player.until(
        lambda: len(player.panes) == len(names) and all(pane.runner.backend for pane in player.panes), "panes there"
    )


def reply_of(pane: Pane) -> Turn:
    """The last reply."""
    turn = pane.session.transcript.last(Role.ASSISTANT)
    assert turn is not None
    return turn


def parting(panes: list[Pane]) -> int:
    """The first token at which the replies are not the same."""
    ids = [[token.id for token in reply_of(pane).tokens] for pane in panes]
    return next(index for index, here in enumerate(zip(*ids, strict=False)) if len(set(here)) > 1)


async def test_a_race_marks_the_token_at_which_presets_part(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=24", "ignore_eos=true"), WIDE) as player:
        await player.ready()
        await player.ask("Good morning.")
        await player.write("Tell me about the sea.")
        await race(player, "balanced", "creative", "deterministic")
        await player.until(
            lambda: all(pane.session.transcript.head is not None and not pane.session.busy for pane in player.panes),
            "race run",
        )
        assert sorted(pane.tuning.name for pane in player.panes) == ["balanced", "creative", "deterministic"]
        started = [turn.started for pane in player.panes if (turn := reply_of(pane))]
        assert {event.seed for event in started if event} == {42}
        assert len({event.prompt_tokens for event in started if event}) == 1, "one prompt, and nothing else before it"
        assert "Good morning." not in "".join(player.transcripts)
        computed = [event.prompt_tokens - event.cached_tokens for event in started if event]  # type: ignore[operator]
        assert len([count for count in computed if count > 4]) <= 1, "the prompt was computed once"
        await player.until(lambda: all("╎≠╎" in text for text in player.transcripts), "marked")
        at = parting(list(player.panes))
        for pane in player.panes:
            store, turn = pane.transcript.view.store, reply_of(pane)
            mark = store.styles.index(TokenStyle.DIVERGED)
            assert store.refs[mark + 1] == (turn.id, at)
            assert re.search(rf"≠ parts from .*panes? .*at token {at + 1:,}", transcript_of(pane))
        await player.press("alt+j")
        assert "do not part" not in player.notices


def test_a_pane_parts_from_those_that_go_on_differently() -> None:
    def reply(*ids: int) -> Turn:
        tokens = [Token(at, one, b"%d" % one, -1.0, 0.5, 1, 2.0) for at, one in enumerate(ids)]
        return Turn(id=1, parent=None, role=Role.ASSISTANT, tokens=tokens)

    turns = [reply(1, 2), reply(1, 3), reply(4, 2), reply(5, 2)]
    found = first_divergence([turn.tokens for turn in turns])
    assert found is not None
    told = parted_from(found, turns, [1, 2, 3, 4])
    assert told == ["panes 3 and 4", "panes 3 and 4", "the other panes", "the other panes"]


async def test_the_same_preset_and_seed_twice_never_part(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=24", "ignore_eos=true", "seed=7", "temperature=1.2"), WIDE) as player:
        await player.ready()
        await player.add_pane()
        await player.until(lambda: player.pane.runner.backend, "second pane")
        await player.ask_all("Tell me about the sea.")
        one, two = ([token.id for token in reply_of(pane).tokens] for pane in player.panes)
        assert len(one) == 24
        assert one == two
        assert not any("≠" in text for text in player.transcripts)
        await player.press("alt+j")
        assert "The replies do not part" in player.notices


@pytest.mark.usefixtures("no_model")
async def test_the_race_dialog_says_what_is_wrong_and_can_be_left() -> None:
    async with playing(make_app(), WIDE) as player:
        await player.attach(FakeBackend([b"Hi"]))
        await player.press("alt+r", "ctrl+s")
        assert "Choose 2 to 6 presets; these are 1." in player.text
        await player.press("down", "space")
        player.app.screen.query_one(Input).value = "-3"
        await player.press("ctrl+s")
        assert "seed is -3" in player.text
        assert "Temperature 0" not in player.text
        number = list(player.screen.tuning.presets).index("deterministic")
        player.app.screen.query_one(Choices).select(number)
        await player.until(lambda: "Temperature 0: batches round otherwise in a race" in player.text, "told")
        await player.press("escape")
        assert len(player.panes) == 1


async def two_replies(player: Player) -> None:
    """Two panes with replies that differ in one word."""
    await player.attach(FakeBackend([b"The", b" sea", b" is", b" blue", b" today"]))
    await player.add_pane(FakeBackend([b"The", b" sea", b" is", b" grey", b" today"]))
    await player.ask_all("What is the sea?")


@pytest.mark.usefixtures("no_model")
async def test_the_difference_of_two_replies_is_shown_and_taken_back() -> None:
    async with playing(make_app(), WIDE) as player:
        await player.attach(FakeBackend([b"Hi"]))
        await player.press("alt+d")
        assert "There is only one pane." in player.notices
    async with playing(make_app(), WIDE) as player:
        await two_replies(player)
        before = [list(pane.transcript.view.store.styles) for pane in player.panes]
        await player.press("alt+d")
        assert "Pane 2 and pane 1" in player.notices
        assert player.text.count("only this reply says it") == 2
        for pane, word in zip(player.panes, (" blue", " grey"), strict=True):
            store = pane.transcript.view.store
            apart = [text for text, style in zip(store.texts, store.styles, strict=True) if style == TokenStyle.DIFFERS]
            assert apart == [word]
        await player.press("alt+d")
        assert [list(pane.transcript.view.store.styles) for pane in player.panes] == before


@pytest.mark.usefixtures("no_model")
async def test_the_table_shows_and_copies_the_figures_of_all_panes() -> None:
    async with playing(make_app("seed=3"), WIDE) as player:
        await two_replies(player)
        table = player.screen.query_one(CompareTable)
        await player.until(lambda: "■ end of text" in table.render_line(2).text, "filled")
        for number in (1, 2):
            line = table.render_line(number).text
            for figure in (f"{number}  Toy-1M.Q8_0", "balanced", " 32 ", "80 ms", "50.0", "$0"):
                assert figure in line
        table.focus()
        await player.press("c")
        copied = player.app.clipboard.splitlines()
        assert len(copied) == 4
        assert copied[0].startswith("|")
        assert "Toy-1M.Q8\\_0" in copied[2] or "Toy-1M.Q8_0" in copied[2]
        assert "as Markdown" in player.notices
        await player.press("v")
        rows = list(csv.reader(io.StringIO(player.app.clipboard)))
        assert len(rows) == 3
        assert {len(row) for row in rows} == {len(rows[0])}
        assert "Toy-1M.Q8_0" in rows[1]
        await player.press("escape", "alt+t")
        await player.until(lambda: player.screen.table is not None and player.screen.table.has_focus, "gone to")
        await player.press("alt+t")
        await player.until(lambda: player.screen.table is None, "hidden")
        await player.press("alt+t")
        await player.until(lambda: player.screen.table is not None, "shown")


@pytest.mark.usefixtures("no_model")
async def test_buffered_replies_appear_when_they_are_complete_with_both_waiting_times() -> None:
    async with playing(make_app(), WIDE) as player:
        backend = FakeBackend([b"The", b" sea", b" is", b" blue"], hold_after=2)
        await player.attach(backend)
        await player.press("alt+u")
        assert "both waiting times" in player.notices
        await player.say("What is the sea?")
        await player.until(lambda: "2 tokens so far" in player.transcript, "held back")
        assert "The sea" not in player.transcript
        assert "waiting …" in player.transcript
        backend.let_go.set()
        await player.answered()
        assert "The sea is blue" in player.transcript
        assert "seen whole after 2.5 s, growing from 0.1 s" in player.transcript
        await player.press("alt+u")
        assert "Replies stream again." in player.notices
        assert "TTFT 80 ms" in player.transcript
        await player.add_pane(FakeBackend([b"Hi"]))
        assert not player.pane.transcript.drawing.buffered
