"""What goes wrong between here and a server: the right sentence, the text so far kept, no other pane touched."""

from __future__ import annotations

import asyncio
import re

import pytest

from playground.domain.events import StopReason
from playground.screens.pane_figures import state_of
from tests.app.hosted_support import APIS, KEY, SO_FAR, TEXT, hosted
from tests.fakes.anthropic_events import HUGE

pytestmark = pytest.mark.usefixtures("no_model")

ONCE = "[hosted]\nattempts = 1\nstall_s = 1.0"
TWICE = "[hosted]\nattempts = 2\nstall_s = 1.0"

FAULTS = [
    # fault, what is said, what of the reply stands
    ("401", "does not accept the key. Check the key", ""),
    ("400", "refused the request: messages: at least one message is required", ""),
    ("404", "has no model m:404", ""),
    ("413", "The request is too large for", ""),
    ("credit", "There is no credit left at", ""),
    ("429", "its rate limit is reached. {} asks to wait 7 s", ""),
    ("429long", "its rate limit is reached. {} asks to wait 1 h", ""),
    ("529", "is overloaded at the moment", ""),
    ("500html", "{} failed (500)", ""),
    ("badbody", "{} refused the request", ""),
    ("redirect", "answers that it has moved (307); the key is not sent after it", ""),
    ("overloaded", "became overloaded and broke the reply off", SO_FAR),
    ("rst", "The connection to {} broke in the middle of the reply", SO_FAR),
    ("drop", "The connection to {} broke in the middle of the reply", SO_FAR),
    ("eof", "{} ended the stream before the reply was complete", SO_FAR),
    ("stall", "{} stopped sending in the middle of the reply", SO_FAR),
    ("badjson", "{} sent something that cannot be read", SO_FAR),
    ("badutf8", "{} sent something that cannot be read", SO_FAR),
    ("empty", "{} ended the stream without a word", ""),
]


@pytest.mark.parametrize("fault", [fault for fault, _, _ in FAULTS])
async def test_a_fault_is_told_in_its_pane_and_the_text_so_far_stays(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    said, kept = next((said, kept) for name, said, kept in FAULTS if name == fault)
    async with hosted(monkeypatch, *(f"{api}/m:{fault}" for api in APIS), "box/m:ok", more=ONCE) as desk:
        await desk.ask_all("Hello?")
        for api, pane, text in zip(APIS, desk.panes, desk.transcripts, strict=False):
            problem = desk.reply(pane).problem
            assert problem is not None
            assert said.format(api) in str(problem)
            assert str(problem) in text
            assert "✗" in text
            assert desk.reply(pane).content == kept
            assert kept in text
            assert state_of(pane) == "✗ failed"
            assert KEY not in f"{problem!r} {text}"
        assert TEXT in desk.transcripts[2]
        assert "✗" not in desk.transcripts[2]
        await desk.press("alt+1")
        await desk.until(lambda: "✗" in desk.text, "seen")


@pytest.mark.parametrize("fault", ["pieces", "unknown", "huge"])
async def test_what_is_odd_but_sound_is_read(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    reply = HUGE if fault == "huge" else TEXT
    async with hosted(monkeypatch, *(f"{api}/m:{fault}" for api in APIS)) as desk:
        await desk.ask_all("Hello?")
        for pane, text in zip(desk.panes, desk.transcripts, strict=True):
            assert desk.reply(pane).stop_reason is StopReason.STOP
            assert reply in desk.reply(pane).content
            assert "■ end of text" in text
        assert desk.screen.rows()[0].completion_tokens == 6


@pytest.mark.parametrize("fault", ["slow", "slowfirst"])
async def test_a_slow_first_byte_is_waited_for(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    async with hosted(monkeypatch, *(f"{api}/m:{fault}" for api in APIS)) as desk:
        await desk.say("Hello?")
        await desk.until(lambda: len(desk.fake.bodies) == 2 and desk.fake.reached.is_set(), "both wait")
        assert all(pane.session.busy for pane in desk.panes)
        desk.fake.let_go.set()
        await desk.all_answered()
        assert all(TEXT in text for text in desk.transcripts)


STOPPED = ["slow", "slowfirst", "stall", "endless", "429", "529", "500"]


@pytest.mark.parametrize("fault", STOPPED)
async def test_escape_ends_a_reply_in_whatever_trouble_it_is(monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    async with hosted(monkeypatch, *(f"{api}/m:{fault}" for api in APIS)) as desk:
        await desk.say("Hello?")
        if fault[0].isdigit():
            await desk.until(lambda: all(pane.session.retrying for pane in desk.panes), "both wait to try again")
        elif fault in ("stall", "endless"):
            await desk.until(lambda: all(SO_FAR in text for text in desk.transcripts), "both write")
        else:
            await desk.until(lambda: len(desk.fake.bodies) == 2 and desk.fake.reached.is_set(), "both wait")
        await desk.stop_all()
        for pane, text in zip(desk.panes, desk.transcripts, strict=True):
            assert desk.reply(pane).stop_reason is StopReason.CANCELLED
            assert "■ stopped" in text
            assert "✗" not in text
        if fault in ("stall", "endless"):
            assert all(SO_FAR in text for text in desk.transcripts)
        await desk.press("alt+w")
        await desk.until(lambda: len(desk.panes) == 1, "closed")


async def test_one_pane_fails_while_five_others_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    good = ("claude/m:ok", "box/m:pieces", "claude/m:thinking", "box/m:unknown", "claude/m:pieces")
    async with hosted(monkeypatch, "box/m:rst", *good, more=ONCE) as desk:
        await desk.ask_all("Hello?")
        assert [TEXT in text for text in desk.transcripts] == [False, True, True, True, True, True]
        assert ["✗" in text for text in desk.transcripts] == [True, False, False, False, False, False]
        assert "✗" in desk.text
        await desk.press("alt+1", "alt+a")
        await desk.choose("box/m:ok")
        await desk.run("ctrl+r")
        assert "‹ 2 of 2 ›" in desk.transcript
        assert TEXT in desk.transcript


async def test_a_pane_closed_in_mid_stream_closes_its_connection_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:stall", "claude/m:stall", "box/m:stall") as desk:
        await desk.say("Hello?")
        await desk.until(lambda: all(SO_FAR in text for text in desk.transcripts), "all write")
        await desk.press("alt+w")
        await desk.until(lambda: len(desk.panes) == 2, "closed")
        assert all(pane.session.busy for pane in desk.panes)
        await desk.until(lambda: desk.screen.accounts.spending.session.unknown == 1, "its cost is in the books")
        desk.fake.let_go.set()
        await desk.all_answered()
        assert all(TEXT in text for text in desk.transcripts)


async def test_a_reply_that_broke_off_counts_as_one_of_unknown_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "claude/claude-sonnet-4-5:rst", more=ONCE) as desk:
        await desk.ask("Hello?")
        await desk.until(lambda: desk.screen.accounts.spending.session.unknown == 1, "entered")
        await desk.choose("claude/claude-sonnet-4-5:529")
        await desk.ask("Hello?")
        await asyncio.sleep(0)
        assert desk.screen.accounts.spending.session.unknown == 1


async def test_two_attempts_are_made_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:500", more=TWICE) as desk:
        await desk.ask("Hello?")
        assert len(desk.fake.bodies) == 2
        assert "↻ attempt 1 of 2: box failed (500)" in desk.transcript
        assert "✗ box failed (500)" in desk.transcript


async def test_a_server_that_asks_for_an_hour_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:429long", "claude/n:429long") as desk:
        await desk.ask_all("Hello?")
        for text in desk.transcripts:
            assert re.search(r"It asks to wait 1 h: come back after \d\d:\d\d, or choose another model", text)
        assert len(desk.fake.bodies) == 2


async def test_a_prompt_that_the_server_finds_too_long_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:context") as desk:
        await desk.say("Hello?")
        await desk.until(lambda: "does not fit the context window of 4,096 tokens" in desk.notices, "told")
        assert desk.screen.editor.text == "Hello?"
        assert "Hello?" not in desk.transcript


async def test_escapes_of_a_server_reach_neither_screen_nor_screenshot(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, *(f"{api}/m:ansi" for api in APIS), "box/m:echo", "claude/m:echo") as desk:
        await desk.ask_all("Hello?")
        width, height = desk.app.size
        strips = desk.app.screen._compositor.render_strips()
        painted = "".join(segment.text for strip in strips[:height] for segment in strip)
        assert len(painted) >= width
        for text in (painted, desk.app.export_screenshot(), desk.notices):
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
        assert "[bold]" in desk.transcripts[0]
        assert "red" in desk.transcripts[0]
        written = "".join(strip.render(desk.app.console) for strip in strips)
        assert "\x1b]0;" not in written
        assert "\x9b" not in written


async def test_unplugging_every_pane_at_once_leaves_the_app_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    models = [f"{api}/m:{fault}" for api in APIS for fault in ("stall", "slow", "429")]
    async with hosted(monkeypatch, *models) as desk:
        await desk.say("Hello?")
        await desk.until(lambda: len(desk.fake.bodies) >= 6, "all asked")
        for _ in range(5):
            await desk.press("alt+w")
        await desk.until(lambda: len(desk.panes) == 1, "five closed")
        await desk.press("escape")
        await desk.all_answered()
        await desk.choose("box/m:ok")
        await desk.ask("Still there?")
        assert TEXT in desk.transcript


async def test_leaving_in_mid_stream_closes_every_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:stall", "claude/m:stall", "box/m:429") as desk:
        await desk.say("Hello?")
        await desk.until(lambda: all(SO_FAR in text for text in desk.transcripts[:2]), "two write")
        await desk.press("ctrl+q")
        await asyncio.wait_for(desk.fake.until_open(0), 10)
