"""Several panes: opening, walking, moving, folding, and what goes to all of them or to one; on fake models."""

from __future__ import annotations

import asyncio

import pytest

from playground.domain.events import StopReason
from playground.domain.messages import ChatPrompt, Role
from playground.screens.pane import Pane
from playground.screens.text_dialog import TextDialog
from playground.widgets.compare_table import CompareTable
from playground.widgets.pane_tabs import PaneTabs
from playground.widgets.prompt_editor import PromptEditor
from playground.widgets.slider import ParamSlider
from tests.app.support import FakeBackend, Player, make_app, playing, transcript_of

pytestmark = pytest.mark.usefixtures("no_model")

NAMES = ("alder", "birch", "cedar", "elder", "fir", "hazel")
WIDE = (200, 50)


def said(pane: Pane) -> str:
    """Which tree it is."""
    return next(name for name in NAMES if f"{name} tree" in transcript_of(pane).replace("╎≠╎", ""))


async def open_panes(player: Player, count: int, hold_after: int | None = None) -> list[FakeBackend]:
    """So many panes; each says its own name."""
    backends = [FakeBackend([name.encode(), b" tree"], hold_after) for name in NAMES[:count]]
    await player.attach(backends[0])
    for backend in backends[1:]:
        await player.add_pane(backend)
    return backends


def places(player: Player, names: tuple[str, ...] = NAMES) -> list[tuple[int, int]]:
    """Row and column at which each name stands on the screen, for those that do."""
    lines = player.text.split("\n")
    return [
        next((y, line.index(f"{name} tree")) for y, line in enumerate(lines) if f"{name} tree" in line)
        for name in names
        if f"{name} tree" in player.text
    ]


def system_of(backend: FakeBackend) -> str:
    """The system prompt of the last request."""
    prompt = backend.requests[-1].prompt
    assert isinstance(prompt, ChatPrompt)
    return "".join(message.content for message in prompt.messages if message.role is Role.SYSTEM)


async def test_there_are_six_panes_at_most_and_one_at_least() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 5)
        for _ in range(3):  # faster than a pane opens
            player.screen.action_add_pane()
        await player.until(lambda: "There are 6 panes already." in player.notices, "refused")
        assert len(player.panes) == 6
        assert "Alt+W" in player.notices
        for left in range(5, 0, -1):
            await player.press("alt+w")
            await player.until(lambda: len(player.panes) <= left, "closed")  # noqa: B023 - it is over when it changes
            assert len(player.panes) == left
        await player.press("alt+w")
        await player.until(lambda: "This is the only pane." in player.notices, "refused")
        assert len(player.panes) == 1
        assert player.focus_is(PromptEditor)


async def test_one_walks_between_panes_by_keys_numbers_and_mouse() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 3)
        first, second, third = player.panes
        assert player.pane is third
        await player.press("ctrl+pagedown")
        assert player.pane is first
        await player.press("ctrl+pageup", "ctrl+pageup")
        assert player.pane is second
        await player.press("alt+3")
        assert player.pane is third
        await player.press("alt+5")
        assert "There is no pane 5." in player.notices
        await player.pilot.click(first.view, offset=(8, 4))
        await player.until(lambda: player.pane is first, "clicked")
        await player.press("escape")
        await player.ask_all("Which tree?")
        table = player.screen.query_one(CompareTable)
        await player.pilot.click(table, offset=(4, 2))
        await player.until(lambda: player.pane is second, "row clicked")
        assert player.screen.query_one("#status-model").display


async def test_panes_change_places_and_keep_what_is_in_them() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 3)
        await player.ask_all("Which tree?")
        before = [column for _, column in places(player, NAMES[:3])]
        assert before == sorted(before)
        await player.press("alt+shift+left")
        await player.until(lambda: places(player, ("cedar",)) < places(player, ("birch",)), "moved")
        assert [said(pane) for pane in player.panes] == ["alder", "cedar", "birch"]
        await player.press("alt+shift+right", "alt+shift+right")
        await player.until(lambda: "no pane on that side" in player.notices, "at the edge")
        assert [column for _, column in places(player, NAMES[:3])] == before


async def test_a_pane_takes_all_the_room_and_gives_it_back() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 3)
        await player.ask_all("Which tree?")
        await player.press("alt+m")
        await player.until(lambda: len(places(player)) == 1, "maximised")
        assert "cedar tree" in player.text
        await player.press("alt+2")
        await player.until(lambda: "birch tree" in player.text, "the next one")
        assert len(places(player)) == 1
        await player.press("alt+m")
        await player.until(lambda: len(places(player)) == 3, "shared again")


@pytest.mark.parametrize(
    ("size", "count", "rows", "columns"),
    [
        ((80, 24), 2, 2, 1),
        ((80, 24), 3, 1, 1),
        ((80, 24), 6, 1, 1),
        ((120, 40), 2, 1, 2),
        ((120, 40), 4, 2, 2),
        ((200, 60), 6, 2, 3),
    ],
)
async def test_panes_fold_as_the_terminal_has_room(size: tuple[int, int], count: int, rows: int, columns: int) -> None:
    async with playing(make_app(), size) as player:
        await open_panes(player, count)
        await player.ask_all("Which tree?")
        await player.until(lambda: "tree" in player.text, "drawn")
        seen = places(player)
        assert len({row for row, _ in seen}) == rows
        assert len({column for _, column in seen}) == columns
        tabs = player.screen.query_one(PaneTabs)
        assert tabs.display == (rows * columns < count)
        if tabs.display:
            line = tabs.render_line(0).text
            assert all(f" {number} " in line for number in range(1, count + 1))
            await player.pilot.click(tabs, offset=(2, 0))
            await player.until(lambda: "alder tree" in player.text, "first tab")
            await player.pilot.resize_terminal(220, 60)
            await player.until(lambda: len(places(player)) == count, "room for all")


async def test_a_prompt_goes_to_all_or_to_one() -> None:
    async with playing(make_app(), WIDE) as player:
        backends = await open_panes(player, 3)
        assert "to all 3 panes" in player.text
        await player.ask_all("For all.")
        await player.press("alt+a")
        assert "to pane 3 alone" in player.text
        await player.ask("For one.")
        assert [len(backend.requests) for backend in backends] == [1, 1, 2]
        assert ["For one." in text for text in player.transcripts] == [False, False, True]
        await player.press("alt+1")
        assert "to pane 1 alone" in player.text
        await player.press("alt+a")
        await player.ask_all("For all again.")
        assert [len(backend.requests) for backend in backends] == [2, 2, 3]


async def test_each_pane_has_its_own_system_prompt_preset_and_sliders() -> None:
    async with playing(make_app(), WIDE) as player:
        one, two = await open_panes(player, 2)
        await player.press("f9")
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        await player.press(*"Rhyme", "ctrl+s")
        await player.press("f6", "down", "enter")
        await player.until(lambda: player.panes[1].tuning.name == "creative", "preset")
        player.screen.query_one("#param-temperature", ParamSlider).focus()
        await player.press(*"1.75", "enter")
        await player.until(lambda: player.panes[1].session.params.temperature == 1.75, "slider")
        await player.press("alt+1")
        assert "balanced" in player.screen.query_one("#controls-preset").render_line(0).text
        await player.ask_all("Hello?")
        assert (one.requests[0].params.temperature, two.requests[0].params.temperature) == (0.8, 1.75)
        prompts = [backend.requests[0].prompt for backend in (one, two)]
        systems = [
            [m.content for m in p.messages if m.role is Role.SYSTEM] for p in prompts if isinstance(p, ChatPrompt)
        ]
        assert systems == [[], ["Rhyme"]]
        rows = player.screen.rows()
        assert [row.preset for row in rows] == ["balanced", "creative*"]


async def test_linked_sliders_move_in_all_panes() -> None:
    async with playing(make_app(), WIDE) as player:
        await player.attach(FakeBackend([b"Hi"]))
        await player.press("alt+l")
        assert "only one pane" in player.notices
        await player.add_pane(FakeBackend([b"Hi"]))
        await player.press("alt+l")
        assert "in all panes together" in player.notices
        slider = player.screen.query_one("#param-temperature", ParamSlider)
        slider.focus()
        await player.press("right")
        await player.until(lambda: [p.session.params.temperature for p in player.panes] == [0.85, 0.85], "both")
        await player.press("alt+l")
        slider.focus()
        await player.press("right")
        await player.until(lambda: [p.session.params.temperature for p in player.panes] == [0.85, 0.9], "one")


async def test_a_prompt_right_behind_a_slider_goes_with_its_value() -> None:
    async with playing(make_app(), WIDE) as player:
        (backend,) = await open_panes(player, 1)
        player.screen._change(temperature=1.3)
        player.screen.submit("Hello?", 0.0)
        await player.answered()
        assert backend.requests[0].params.temperature == 1.3


async def test_escape_stops_the_active_pane_and_then_the_others() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 3, hold_after=1)
        await player.say("Which tree?")
        await player.until(lambda: all(pane.last_token() for pane in player.panes), "all write")
        await player.stop_all()
        assert player.text.count("■ stopped") >= 3
        backends = [pane.runner.backend for pane in player.panes]
        for backend in backends:
            assert isinstance(backend, FakeBackend)
            backend.let_go.clear()
        await player.press("ctrl+r")
        await player.until(lambda: all(pane.session.busy and pane.last_token() for pane in player.panes), "again")
        await player.press("escape")
        await player.until(lambda: not player.pane.session.busy, "one stopped")
        assert [pane.session.busy for pane in player.panes] == [True, True, False]
        await player.stop_all()
        assert all("‹ 2 of 2 ›" in text for text in player.transcripts)


async def test_a_new_conversation_begins_in_all_panes_even_in_mid_stream() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 2, hold_after=1)
        await player.say("Which tree?")
        await player.until(lambda: all(pane.last_token() for pane in player.panes), "all write")
        await player.press("ctrl+n")
        await player.until(lambda: all(pane.session.transcript.head is None for pane in player.panes), "anew")
        assert not any(pane.session.busy for pane in player.panes)
        assert not any("Which tree?" in text for text in player.transcripts)


async def test_a_pane_closed_in_mid_stream_disturbs_no_other() -> None:
    async with playing(make_app(), WIDE) as player:
        backends = await open_panes(player, 3, hold_after=1)
        await player.say("Which tree?")
        await player.until(lambda: all(pane.last_token() for pane in player.panes), "all write")
        await player.press("alt+2", "alt+w")
        await player.until(lambda: len(player.panes) == 2, "closed")
        await player.until(backends[1].let_go.is_set, "its reply was stopped")
        for backend in (backends[0], backends[2]):
            assert not backend.let_go.is_set()
            backend.let_go.set()
        await player.all_answered()
        reasons = [turn.stop_reason for pane in player.panes if (turn := pane.session.transcript.last(Role.ASSISTANT))]
        assert reasons == [StopReason.STOP, StopReason.STOP]
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "run"]


async def test_a_pane_without_a_model_is_left_out_and_the_others_answer() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 2)
        player.panes[0].detach("no model")
        await player.say("Which tree?")
        await player.until(lambda: "birch tree" in player.transcripts[1], "answered")
        assert "Pane 1 has no model" in player.notices
        assert "Which tree?" not in player.transcripts[0]
        player.panes[1].detach("no model")
        await player.say("Once more?")
        await player.until(lambda: "No model is loaded." in player.notices, "refused")
        assert player.screen.editor.text == "Once more?"


async def test_the_colours_and_the_theme_hold_in_all_panes() -> None:
    async with playing(make_app(), WIDE) as player:
        await open_panes(player, 2)
        await player.press("f4")
        assert [pane.transcript.mode for pane in player.panes] == ["entropy", "entropy"]
        await player.add_pane(FakeBackend([b"Hi"]))
        assert player.pane.transcript.mode == "entropy"
