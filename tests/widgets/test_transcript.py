"""The conversation on screen: growth, thinking, notes, chunks, divergence, differences, replies held back, endings."""

from __future__ import annotations

import math

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from playground.domain.errors import Problem
from playground.domain.events import Finished, Retrying, StopReason, ThinkingGenerated, TokenGenerated
from playground.domain.messages import Role
from playground.domain.session import Session
from playground.domain.text_diff import diff_replies
from playground.domain.tokens import Token
from playground.domain.transcript import Turn
from playground.domain.usage import Timings, Usage
from playground.widgets.colour_scale import LEVELS, PALETTE_SIZE, ColourMode, TokenStyle
from playground.widgets.legend import Legend
from playground.widgets.token_layout import TokenLayout
from playground.widgets.transcript import TranscriptPane
from tests.domain.support import end, fail, start, write

PALETTE = [Style(bgcolor=f"color({16 + level})") for level in range(PALETTE_SIZE)]
OVERLOADED = Problem(kind="Overloaded", message="The server has no room.", hint="Try again in a minute.")


class Talk(App[None]):
    """A session and the pane that shows it."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session()
        self.session.model = "tiny"
        self.now = 0.0
        self.transcript = TranscriptPane(clock=lambda: self.now)

    def compose(self) -> ComposeResult:
        yield self.transcript

    def on_mount(self) -> None:
        self.transcript.set_palette(PALETTE)

    @property
    def reply(self) -> Turn:
        turn = self.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        return turn

    def sync(self) -> None:
        tree = self.session.transcript
        self.transcript.sync(tree.path(), raw=self.session.mode == "raw", model="now", place=tree.place)

    def think(self, text: str, time_ms: float = 100.0) -> None:
        self.session.apply(ThinkingGenerated(stream=self.session.stream, text=text, time_ms=time_ms))
        self.sync()

    def say(self, *texts: str) -> None:
        write(self.session, *texts)
        self.sync()

    def say_chunks(self, *texts: str) -> None:
        for text in texts:
            token = Token(len(self.reply.tokens), None, text.encode(), -0.1, None, None, None, chunk=True)
            self.session.apply(TokenGenerated(stream=self.session.stream, token=token))
        self.sync()

    def stop(self, reason: StopReason = StopReason.STOP, *, detail: str = "", usage: Usage | None = None) -> None:
        self.session.apply(
            Finished(
                stream=self.session.stream,
                reason=reason,
                text="",
                usage=usage or Usage(prompt_tokens=20, completion_tokens=3),
                timings=Timings(ttft_ms=200.0, tokens_per_second=50.0, total_ms=3400.0),
                detail=detail,
            )
        )
        self.sync()

    @property
    def text(self) -> str:
        """Everything that is shown, as one text."""
        return "".join(self.transcript.view.store.texts)

    def rows(self) -> list[str]:
        view = self.transcript.view
        return [view.render_line(y).text.rstrip() for y in range(view.size.height)]

    def styles_of(self, *texts: str) -> list[int]:
        store = self.transcript.view.store
        return [store.styles[store.texts.index(text)] for text in texts]

    @property
    def legend(self) -> str:
        return self.query_one(Legend).render_line(0).text.strip()


def ask(app: Talk, text: str = "Hi") -> None:
    app.session.send(text)
    start(app.session)
    app.sync()


async def settle(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.pause()


async def test_each_reply_is_headed_by_the_model_that_wrote_it() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.say("yes")
        end(app.session)
        app.session.model = "claude"
        ask(app, "And?")
        app.say("no")
        headings = [text for text in app.text.splitlines() if text in ("tiny", "claude", "now", "You")]
        assert headings == ["You", "tiny", "You", "claude"]
        app.reply.model = "backup\n[/x]"
        app.reply.notes.append("backup took over:\nthe server has no room.")
        app.sync()
        assert app.text.endswith("backup [/x]\n↻ backup took over: the server has no room.\nno")


async def test_what_happened_on_the_way_stands_above_the_reply() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.session.apply(
            Retrying(stream=app.session.stream, problem=OVERLOADED, attempt=1, attempts=3, resume_at=0.0, change="wait")
        )
        app.sync()
        app.say("yes")
        assert app.text.endswith("tiny\n↻ attempt 1 of 3: The server has no room. Next: wait.\nyes")


async def test_thinking_is_one_line_until_it_is_unfolded() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.think("Let me ", 100.0)
        app.think("see.", 2200.0)
        assert app.text.endswith("tiny\n▸ thinking … 11 characters · 2.1 s\n")
        app.say("yes")
        assert app.text.endswith("▸ thought for 11 characters · 2.1 s\nyes")
        assert app.transcript.toggle_thinking()
        assert app.text.endswith("▾ thought for 11 characters · 2.1 s\nLet me see.\n\nyes")
        app.say(" indeed")
        assert app.text.endswith("see.\n\nyes indeed")
        app.transcript.toggle_thinking()
        assert app.text.endswith("▸ thought for 11 characters · 2.1 s\nyes indeed")


async def test_unfolded_thinking_streams() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        assert not app.transcript.toggle_thinking()
        ask(app)
        for word in ("Let", " me", " see"):
            app.think(word)
        assert app.text.endswith("▾ thinking …\nLet me see")
        assert len(app.transcript.view.store.texts[-1]) == len(" see"), "no word is drawn twice"
        app.say("yes")
        assert app.text.endswith("▾ thought for 10 characters\nLet me see\n\nyes")


async def test_a_click_on_its_line_unfolds_the_thinking_of_one_reply() -> None:
    app = Talk()
    async with app.run_test(size=(60, 24)) as pilot:
        for question in ("One", "Two"):
            ask(app, question)
            app.think(f"about {question}")
            app.say("yes")
            app.stop()
        await settle(pilot)
        line = next(y for y, row in enumerate(app.rows()) if row.startswith("▸"))
        await pilot.click("#tokens", offset=(3, line))
        await settle(pilot)
        assert "about One" in app.text
        assert "about Two" not in app.text
        assert app.rows()[line].startswith("▾")
        await pilot.click("#tokens", offset=(3, line))
        assert "about One" not in app.text
        assert app.transcript.view.cursor is None


async def test_thinking_that_comes_late_goes_where_thinking_stands() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.say("yes")
        app.think("hm")
        assert app.text.endswith("▸ thought for 2 characters\nyes")
        app.say(", no")
        assert app.text.endswith("▸ thought for 2 characters\nyes, no")


async def test_the_cursor_stays_on_its_token_when_something_above_unfolds() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.think("hm")
        app.say("one", " two", " three")
        view = app.transcript.view
        view.move_to(view.store.texts.index(" two"))
        app.transcript.toggle_thinking()
        assert view.cursor is not None
        assert view.store.texts[view.cursor] == " two"
        app.transcript.mark_divergence(app.reply.id, 1)
        assert view.store.refs[view.cursor or 0] == (app.reply.id, 1)


async def test_the_window_stays_where_it_is_when_a_reply_above_its_end_is_drawn_anew() -> None:
    app = Talk()
    async with app.run_test(size=(40, 10)):
        ask(app)
        app.think("hm")
        app.say(*[f" word{number}" for number in range(200)])
        view = app.transcript.view
        view.scroll_to(y=12, animate=False)
        before = app.rows()
        app.transcript.mark_divergence(app.reply.id, 190)
        assert view.scroll_offset.y == 12
        assert app.rows() == before


async def test_the_first_token_that_differs_is_marked_and_the_note_says_so() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.say("The", " sea", " is")
        app.transcript.mark_divergence(app.reply.id, 1)
        assert app.text.endswith("The╎≠╎ sea is")
        assert app.styles_of("╎≠╎") == [TokenStyle.DIVERGED]
        app.say(" blue")
        app.stop()
        assert "The╎≠╎ sea is blue\n≠ parts from the other panes at token 2\n■ end of text" in app.text
        app.transcript.clear_divergence()
        assert "≠" not in app.text
        assert "The sea is blue\n■ end of text" in app.text


async def test_a_mark_waits_for_its_token_and_stands_at_the_end_of_a_reply_without_it() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.say("The")
        app.transcript.mark_divergence(app.reply.id, 2)
        assert "≠" not in app.text
        app.say(" sea")
        assert "≠" not in app.text
        app.stop()
        assert "The sea╎≠╎\n≠ parts" in app.text


async def test_agreeing_and_differing_words_stand_in_place_of_probabilities() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)) as pilot:
        ask(app)
        app.say("The", " sea", " is", " blue")
        colours = app.styles_of("The", " blue")
        assert max(colours) < LEVELS
        other = [Token(0, None, b"The sea is green", None, None, None, None, chunk=True)]
        app.transcript.show_diff({app.reply.id: diff_replies(app.reply.tokens, other)[0]})
        assert app.styles_of("The", " blue") == [TokenStyle.AGREES, TokenStyle.DIFFERS]
        await pilot.pause()
        assert "only this reply" in app.legend
        app.say("!")
        assert app.styles_of("!") == [TokenStyle.PLAIN]
        app.transcript.show_diff(None)
        assert app.styles_of("The", " blue") == colours
        await pilot.pause()
        assert app.legend.startswith("probability")


async def test_chunks_are_compared_word_by_word() -> None:
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.say_chunks("The sea is", " blue today")
        other = [Token(0, None, b"The sea is green today", None, None, None, None, chunk=True)]
        app.transcript.show_diff({app.reply.id: diff_replies(app.reply.tokens, other)[0]})
        same, differs = TokenStyle.AGREES, TokenStyle.DIFFERS
        assert app.styles_of("The", " sea", " blue", " today") == [same, same, differs, same]


async def test_chunks_have_no_colour_and_the_legend_says_so() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)) as pilot:
        ask(app)
        app.say_chunks("The sea", " is blue")
        assert set(app.styles_of("The", " sea", " is", " blue")) == {TokenStyle.PLAIN}
        assert app.transcript.token_at(app.transcript.view.store.refs[-1]) is app.reply.tokens[1]
        await pilot.pause()
        assert app.legend == "no probability given for these tokens"
        app.stop()
        ask(app, "And here?")
        app.say("yes")
        await pilot.pause()
        assert app.legend.startswith("probability")
        assert "given" not in app.legend
        app.session.apply(TokenGenerated(stream=app.session.stream, token=Token(1, 5, b" no", -0.1, None, 3, None)))
        app.stop()
        ask(app, "And now?")
        app.say_chunks("yes")
        await pilot.pause()
        assert app.legend.endswith("last reply: no probability given")
        app.transcript.set_mode(ColourMode.OFF)
        await pilot.pause()
        assert app.legend == "colours off"


async def test_a_reply_that_is_held_back_says_how_long_and_appears_whole() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        app.transcript.set_buffered(True)
        ask(app)
        app.think("hm")
        app.now = 3.21
        app.say("The", " sea")
        assert app.text.endswith("tiny\nwaiting … 3.2 s, 2 tokens so far")
        app.now = 4.0
        app.sync()
        assert app.text.endswith("tiny\nwaiting … 4.0 s, 2 tokens so far")
        app.say("!")
        app.stop()
        assert "tiny\n▸ thought for 2 characters\nThe sea!\n■ end of text · 3 tokens · " in app.text
        assert "seen whole after 3.4 s, growing from 0.2 s" in app.text
        assert "waiting" not in app.text


async def test_holding_back_can_begin_and_end_in_the_middle_of_a_reply() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        ask(app)
        app.now = 1.0
        app.say("The", " sea")
        app.transcript.set_buffered(True)
        assert app.text.endswith("waiting … 1.0 s, 2 tokens so far")
        app.transcript.set_buffered(False)
        assert app.text.endswith("tiny\nThe sea")
        app.say(" is")
        assert app.text.endswith("The sea is")


async def test_a_failed_reply_keeps_its_words_and_says_what_to_do() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        app.transcript.set_buffered(True)
        ask(app)
        app.say("The", " sea")
        fail(app.session, "The stream ended without its closing event.")
        app.reply.problem = Problem(
            kind="StreamCutOff", message="It broke.", hint="Send it again.", detail="Error: reset"
        )
        app.sync()
        assert app.text.endswith("The sea\n✗ It broke. Send it again.\n  Error: reset")


@pytest.mark.parametrize(
    ("reason", "detail", "words"),
    [
        (StopReason.REFUSAL, "category: cyber\n\x1b[31m", "■ refused: category: cyber ␛[31m ·"),
        (StopReason.UNKNOWN, "sleepy", "■ ended: sleepy ·"),
        (StopReason.PAUSE, "", "■ paused by the provider ·"),
    ],
)
async def test_the_note_says_how_a_reply_ended(reason: StopReason, detail: str, words: str) -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        ask(app)
        app.say("yes")
        app.stop(reason, detail=detail)
        assert words in app.text


async def test_the_note_marks_estimates_and_copes_with_what_nobody_knows() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        ask(app)
        app.say("yes")
        app.stop(usage=Usage(cached_tokens=7, completion_tokens=1234, thinking_tokens=1000, estimate=True, cost=0.0123))
        note = app.text.splitlines()[-1]
        assert "≈1,234 tokens, 1,000 of them thinking · " in note
        assert "≈$0.0123 · 7 of – prompt tokens from cache" in note


async def test_a_stop_string_is_struck_out_in_chunks_as_well() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        ask(app)
        app.say_chunks("one two", " STOP it")
        end(app.session, StopReason.STOP_STRING, trimmed=len(" STOP it"))
        app.sync()
        assert app.styles_of("one", " two", " STOP", " it") == [TokenStyle.PLAIN] * 2 + [TokenStyle.CUT] * 2
        app.transcript.set_mode(ColourMode.RANK)
        assert app.styles_of(" two", " STOP") == [TokenStyle.PLAIN, TokenStyle.CUT]


async def test_a_reply_that_goes_on_loses_its_note_and_grows() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        ask(app)
        app.say("one")
        app.stop()
        app.session.continue_reply()
        start(app.session)
        app.sync()
        app.say(" two")
        assert app.text.endswith("tiny\none two")
        app.stop()
        assert app.text.count("■") == 1


async def test_another_branch_replaces_what_differs_and_nothing_else() -> None:
    app = Talk()
    async with app.run_test(size=(100, 20)):
        ask(app)
        app.say("one")
        app.stop()
        app.session.regenerate()
        start(app.session)
        app.sync()
        app.say("two")
        assert "one" not in app.text
        assert "2 of 2" in app.text
        assert app.text.startswith("You\nHi\n\ntiny")


async def test_raw_text_has_no_headings_but_its_thinking_and_notes_have_lines_of_their_own() -> None:
    app = Talk()
    app.session.mode = "raw"
    async with app.run_test(size=(100, 20)):
        ask(app, "Once upon")
        app.say(" a time")
        assert app.text == "Once upon a time"
        app.think("hm")
        assert app.text == "Once upon\n▸ thought for 2 characters\n a time"


async def test_what_a_hostile_server_sends_stays_text() -> None:
    app = Talk()
    async with app.run_test(size=(60, 30)) as pilot:
        app.session.model = "\x1b]0;pwned\x07[/red]"
        ask(app)
        app.session.apply(
            Retrying(
                stream=app.session.stream,
                problem=Problem(kind="Overloaded", message="\x1b[2J[bold]"),
                attempt=1,
                attempts=2,
                resume_at=0.0,
            )
        )
        app.transcript.toggle_thinking()
        app.think("\x1b[31mhm\u202e[/]")
        app.say("\x9b5mx")
        fail(app.session, "\x1b[5mgone")
        app.sync()
        await settle(pilot)
        shown = "\n".join(app.rows())
        assert not [char for char in shown if not char.isprintable() and char != "\n"]
        for text in ("pwned", "[bold]", "[31mhm[/]", "gone"):
            assert text in shown


async def test_a_frame_costs_what_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    laid_out: list[str] = []
    append = TokenLayout.append

    def counted(layout: TokenLayout, item: int, text: str, *, marks: bool = True) -> None:
        laid_out.append(text)
        append(layout, item, text, marks=marks)

    monkeypatch.setattr(TokenLayout, "append", counted)
    app = Talk()
    async with app.run_test(size=(60, 20)):
        ask(app)
        app.think("hm")
        for _ in range(3):
            app.say(*[" word"] * 500)
            laid_out.clear()
            app.say(" one", " two")
            app.sync()
            assert laid_out == [" one", " two"]
        app.transcript.set_buffered(True)
        laid_out.clear()
        app.now = 1.0
        app.sync()
        assert laid_out == ["waiting … 1.0 s, 1,506 tokens so far"]


def test_a_probability_of_a_chunk_says_nothing_about_its_colour() -> None:
    from playground.widgets.colour_scale import level_of_token

    token = Token(0, None, b"two words", math.log(0.5), None, None, None, chunk=True)
    assert level_of_token(token, ColourMode.PROBABILITY) == TokenStyle.PLAIN
