from __future__ import annotations

import msgspec
import pytest
from textual.app import ComposeResult

from playground.domain.tokens import Stage, Token
from playground.domain.what_if import TEMPERATURES, Column
from playground.widgets.candidate_row import chosen_index
from playground.widgets.candidates import CandidateList
from playground.widgets.funnel import Funnel, levels
from playground.widgets.inspector import Inspector
from playground.widgets.temperature_table import SideBySide, TemperatureTable
from tests.widgets.support import BARE, Stand, make_token, screen_text

N_VOCAB = 49152


def rows(widget: CandidateList | Funnel) -> list[str]:
    return [widget.render_line(y).text for y in range(widget.size.height)]


class Pair(Stand):
    """A funnel that is as wide as the screen."""

    def compose(self) -> ComposeResult:
        yield Funnel()


async def test_without_a_token_there_is_a_line_of_help() -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(40, 30)) as pilot:
        app.query_one(Inspector).show(None, None)
        await pilot.pause()
        text = screen_text(app)
        assert "Nothing to inspect yet" in text
        assert "model" not in text


async def test_what_came_while_it_was_hidden_is_there_when_it_is_shown() -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(60, 30)) as pilot:
        inspector = app.query_one(Inspector)
        inspector.display = False
        await pilot.pause()
        inspector.show(make_token(), N_VOCAB)
        inspector.display = True
        while "rank 2" not in screen_text(app):
            await pilot.pause(0.01)


async def test_a_token_is_shown_with_all_that_was_measured() -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(60, 30)) as pilot:
        app.query_one(Inspector).show(make_token(), N_VOCAB, "pinned")
        await pilot.pause()
        text = screen_text(app)
        for part in (
            "·a",
            "pinned",
            "#18",
            "id 11",
            "20 61",
            "1.23 s after sending",
            "21.3%",
            "22.0%",
            "rank 2",
            "2.91 bits",
            "2.23 bits",
            "vocabulary",
            "49,152",
            "−49,112",
            "97.1%",
            "━",
        ):
            assert part in text


async def test_what_nobody_measured_is_a_dash_and_never_zero() -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(60, 30)) as pilot:
        app.query_one(Inspector).show(BARE, None)
        await pilot.pause()
        text = screen_text(app)
        assert "id –" in text
        assert "rank –" in text
        assert "model          –" in text
        assert "No candidates are known" in text
        assert "samplers did is not known" in text
        assert "0.00" not in text
        assert "0%" not in text


async def test_shown_before_the_screen_exists_and_then_following() -> None:
    def build() -> Inspector:
        inspector = Inspector()
        inspector.show(make_token(), N_VOCAB)
        return inspector

    app = Stand(build)
    async with app.run_test(size=(60, 30)) as pilot:
        assert "latest" in screen_text(app)
        app.query_one(Inspector).show(make_token(index=18, chosen=0), N_VOCAB)
        await pilot.pause()
        assert "#19" in screen_text(app)
        assert "1▸ ·the" in screen_text(app)


async def test_a_special_token_shows_its_name() -> None:
    token = msgspec.structs.replace(make_token(), piece=b"", special="<|im_end|>")
    app = Stand(Inspector)
    async with app.run_test(size=(60, 30)) as pilot:
        app.query_one(Inspector).show(token, N_VOCAB)
        await pilot.pause()
        assert "<|im_end|>" in screen_text(app)


async def test_foreign_text_is_neither_markup_nor_an_escape() -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(60, 30)) as pilot:
        for chosen in range(6):
            app.query_one(Inspector).show(make_token(chosen=chosen), N_VOCAB)
            await pilot.pause()
        text = screen_text(app)
        assert "\x1b" not in text
        assert "␛[31m" in text
        assert "[/red]" in text
        assert "日本" in text
        assert "‹E6 97›" in text


@pytest.mark.parametrize("width", [24, 30, 37, 44, 60, 100])
async def test_every_row_is_as_wide_as_the_list(width: int) -> None:
    app = Stand(CandidateList)
    async with app.run_test(size=(width, 20)) as pilot:
        candidates = app.query_one(CandidateList)
        candidates.show(make_token())
        await pilot.pause()
        for y in range(candidates.size.height):
            assert candidates.render_line(y).cell_length == width
        text = rows(candidates)
        assert "41.2%" in text[1]
        assert ("█" in text[1]) == (width >= 30)
        assert text[2].startswith("2▸ ·a"), "the digit that takes it stands in front"
        assert "52.0%" in text[1]
        assert "top-p" in text[4], "why it was cut is seen at every width"
        assert ("━" in text[1]) == (width >= 46)


async def test_the_keyboard_walks_and_takes() -> None:
    app = Stand(CandidateList)
    async with app.run_test(size=(50, 20), message_hook=app.note) as pilot:
        candidates = app.query_one(CandidateList)
        candidates.show(make_token())
        candidates.focus()
        await pilot.pause()
        assert candidates.cursor == 1
        await pilot.press("down", "down", "up", "enter")
        await pilot.pause()
        assert [m.index for m in app.posted(CandidateList.Highlighted)] == [2, 3, 2]
        assert [m.index for m in app.posted(CandidateList.Picked)] == [2]


async def test_a_click_takes_the_row_under_the_mouse() -> None:
    app = Stand(CandidateList)
    async with app.run_test(size=(50, 20), message_hook=app.note) as pilot:
        candidates = app.query_one(CandidateList)
        candidates.show(make_token())
        await pilot.pause()
        await pilot.click(candidates, offset=(5, 0))
        await pilot.click(candidates, offset=(5, 1))
        await pilot.pause()
        assert [m.index for m in app.posted(CandidateList.Picked)] == [0]


async def test_a_hundred_candidates_scroll_and_the_header_stays() -> None:
    app = Stand(CandidateList)
    async with app.run_test(size=(50, 12), message_hook=app.note) as pilot:
        candidates = app.query_one(CandidateList)
        candidates.show(make_token(extra=94))
        candidates.focus()
        await pilot.pause()
        await pilot.press("end")
        await pilot.pause()
        assert candidates.cursor == 99
        text = rows(candidates)
        assert text[0].startswith("top-k removed ·word93"), "the head tells why"
        assert "word93" in text[-1]
        await pilot.click(candidates, offset=(5, 11))
        await pilot.pause()
        assert app.posted(CandidateList.Picked)[-1].index == 99
        await pilot.press("home")
        await pilot.pause()
        assert rows(candidates)[0].strip().startswith("token")
        assert "·the" in rows(candidates)[1]


async def test_only_rows_that_changed_are_painted_again() -> None:
    app = Stand(CandidateList)
    async with app.run_test(size=(50, 20)) as pilot:
        candidates = app.query_one(CandidateList)
        candidates.show(make_token(chosen=0))
        await pilot.pause()
        rows(candidates)
        before = dict(candidates._strips)
        candidates.show(make_token(index=18, chosen=2))
        assert set(before) - set(candidates._strips) == {0, 2}


def test_the_chosen_one_is_found_without_ids_too() -> None:
    token = make_token(chosen=2)
    top = tuple(msgspec.structs.replace(candidate, id=None) for candidate in token.top)
    assert chosen_index(msgspec.structs.replace(token, id=None, top=top)) == 2
    assert chosen_index(BARE) == -1


def test_the_funnel_begins_with_the_vocabulary_and_ends_with_one() -> None:
    table = levels(make_token(), N_VOCAB)
    assert [level.name for level in table] == ["vocabulary", "penalties", "top-k", "top-p", "temperature", "dist"]
    assert [level.candidates for level in table] == [49152, 49152, 40, 3, 3, 1]
    assert [level.removed for level in table] == [None, 0, 49112, 37, 0, 2]
    assert [level.idle for level in table] == [False, True, False, False, True, False]
    assert table[-1].mass == pytest.approx(0.213)


def test_a_last_stage_that_cuts_gets_a_row_of_its_own() -> None:
    token = msgspec.structs.replace(make_token(), stages=(Stage("mirostat_v2", 37, 0.9),))
    assert [(level.name, level.candidates) for level in levels(token, None)] == [
        ("vocabulary", None),
        ("mirostat-v2", 37),
        ("picked", 1),
    ]


@pytest.mark.parametrize("width", [24, 33, 40, 50, 60, 100])
async def test_the_funnel_narrows_at_every_width(width: int) -> None:
    app = Pair(Funnel)
    async with app.run_test(size=(width, 20)) as pilot:
        funnel = app.query_one(Funnel)
        funnel.show(make_token(), N_VOCAB)
        await pilot.pause()
        text = rows(funnel)
        assert len(text) == 6
        assert all(funnel.render_line(y).cell_length == width for y in range(6))
        blocks = [sum(row.count(block) for block in "█▐▌") for row in text]
        assert blocks == sorted(blocks, reverse=True)
        assert blocks[-1] >= 1
        assert ("97.1%" in text[2]) == (width >= 33)
        assert ("−49,112" in text[2]) == (width >= 50)
        funnel.show(make_token(), None)
        await pilot.pause()
        assert "–" in funnel.render_line(0).text


async def test_the_funnel_grows_with_the_stages() -> None:
    app = Pair(Funnel)
    async with app.run_test(size=(50, 20)) as pilot:
        funnel = app.query_one(Funnel)
        funnel.show(make_token(), N_VOCAB)
        await pilot.pause()
        assert funnel.size.height == 6
        funnel.show(msgspec.structs.replace(make_token(), stages=(Stage("dist", N_VOCAB, 1.0),)), N_VOCAB)
        await pilot.pause()
        assert funnel.size.height == 2
        funnel.show(None, None)
        await pilot.pause()
        assert funnel.size.height == 0


async def test_following_a_stream_never_lays_the_screen_out(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(60, 40)) as pilot:
        inspector = app.query_one(Inspector)
        inspector.show(make_token(0, extra=4), N_VOCAB)
        await pilot.pause()
        inspector.show(make_token(1, extra=5), N_VOCAB)
        await pilot.pause()
        layouts: list[object] = []
        monkeypatch.setattr(type(app.screen), "_refresh_layout", lambda *args, **kw: layouts.append(args))
        for index in range(2, 12):
            inspector.show(make_token(index, chosen=index % 6, extra=4 + index % 2), N_VOCAB)
            await pilot.pause()
        assert not layouts


def compared(token: Token, *words: str, asked: bool = True) -> SideBySide:
    shares = [(1.0, 0.0, 0.0), (0.61, 0.3, 0.09), (0.52, 0.22, 0.26), (0.2, 0.0004, 0.15)]
    columns = tuple(
        Column(temperature, (*share, *(0.0,) * 20)[: len(token.top)], 3 * 10**row)
        for row, (temperature, share) in enumerate(zip(TEMPERATURES, shares, strict=True))
    )
    return SideBySide(token, columns if asked else (), 1.0, words)


@pytest.mark.parametrize("width", [26, 28, 34, 36, 52, 58, 100])
async def test_the_same_token_stands_at_four_temperatures(width: int) -> None:
    app = Stand(TemperatureTable)
    async with app.run_test(size=(width, 30)) as pilot:
        table, token = app.query_one(TemperatureTable), make_token(chosen=5)
        table.show(compared(token), 4)
        await pilot.pause()
        assert table.size.height == 4 + 2
        text = [table.render_line(y).text for y in range(table.size.height)]
        assert all(table.render_line(y).cell_length == width for y in range(table.size.height))
        assert text[0].split()[1:] == ["0", "0.5", "1", "1.5"]
        assert "100%" in text[1]
        assert "61%" in text[1] or "61.0%" in text[1]
        assert "█" in text[1] or "━" in text[1] or width < 34
        assert text[4].replace("▸ ", "▸").startswith("▸␛"), "the chosen one stands there, however unlikely it was"
        assert text[5].split() == ["left", "3", "30", "300", "3,000" if width >= 52 else "3.0k"]
        assert "<.1%" in text[2] or "0.04%" in text[2]


async def test_while_the_model_is_asked_the_table_has_its_rows_and_a_refusal_its_words() -> None:
    app = Stand(TemperatureTable)
    async with app.run_test(size=(40, 30)) as pilot:
        table, token = app.query_one(TemperatureTable), make_token()
        table.show(compared(token, asked=False), 4)
        await pilot.pause()
        assert table.size.height == 6
        assert "asking the model" in table.render_line(5).text
        table.show(SideBySide(token, words=("No what-if: \x1b[31mthe server does not tell.",), refused=True), 4)
        await pilot.pause()
        assert "No what-if" in table.render_line(0).text
        assert "\x1b" not in screen_text(app)
        assert "asking" not in screen_text(app)


@pytest.mark.parametrize(("height", "shown"), [(22, False), (30, True), (33, True), (60, True)])
async def test_the_table_comes_where_the_list_keeps_its_rows(height: int, shown: bool) -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(38, height)) as pilot:
        inspector, token = app.query_one(Inspector), make_token(extra=4)
        inspector.show(token, N_VOCAB, "what if", recorded=token, table=compared(token, "A word of warning."))
        await pilot.pause()
        assert ("left" in screen_text(app)) == shown
        candidates = inspector.query_one(CandidateList)
        if shown:
            assert candidates.size.height >= 7
            assert inspector.max_scroll_y == 0
            assert "A word of warning." in screen_text(app)
        inspector.action_temperatures()
        await pilot.pause()
        assert ("left" in screen_text(app)) != shown
        assert ("vocabulary" in screen_text(app)) == shown, "it takes the funnel's place"
        assert "was 22.0%" in screen_text(app)


async def test_in_a_low_inspector_the_list_has_the_room_and_a_key_goes_round() -> None:
    app = Stand(Inspector)
    async with app.run_test(size=(38, 17)) as pilot:
        inspector, token = app.query_one(Inspector), make_token(extra=4)
        inspector.show(token, N_VOCAB, "what if", recorded=token, table=compared(token))
        await pilot.pause()
        seen = []
        for _ in range(4):
            text = screen_text(app)
            seen.append(("vocabulary" in text, "left" in text, inspector.query_one(CandidateList).size.height >= 11))
            inspector.action_temperatures()
            await pilot.pause()
        assert seen == [(False, False, True), (True, False, False), (False, True, False), (False, False, True)]


async def test_the_cursor_stays_on_its_candidate_when_the_rows_change_places() -> None:
    app = Stand(CandidateList)
    async with app.run_test(size=(50, 20), message_hook=app.note) as pilot:
        candidates, token = app.query_one(CandidateList), make_token()
        candidates.show(token)
        candidates.focus()
        await pilot.pause()
        await pilot.press("down", "down")
        wanted = candidates.candidates[3]
        moved = (wanted, *(one for one in token.top if one != wanted))
        candidates.show(msgspec.structs.replace(token, top=moved))
        await pilot.press("plus")
        await pilot.pause()
        assert [message.candidate for message in app.posted(CandidateList.BiasRequested)] == [wanted]
        candidates.show(msgspec.structs.replace(token, top=moved[1:]))
        await pilot.press("plus")
        await pilot.pause()
        assert len(app.posted(CandidateList.BiasRequested)) == 1, "no other one gets its keys"
        candidates.show(token)
        assert candidates.cursor == 3


async def test_why_the_candidate_under_the_cursor_was_cut_stands_in_the_head() -> None:
    app = Stand(CandidateList)
    async with app.run_test(size=(26, 20)) as pilot:
        candidates = app.query_one(CandidateList)
        candidates.show(make_token())
        candidates.focus()
        await pilot.press("down")
        assert "sampled" in rows(candidates)[0]
        await pilot.press("down")
        assert rows(candidates)[0].startswith("top-p removed ‹E6 97›")


async def test_a_position_without_a_token_is_said_to_be_open() -> None:
    token = msgspec.structs.replace(make_token(), id=None, piece=b"", logprob=None, prob=None, rank=None)
    app = Stand(Inspector)
    async with app.run_test(size=(60, 40)) as pilot:
        app.query_one(Inspector).show(token, N_VOCAB, "next", table=compared(token))
        await pilot.pause()
        assert "not chosen yet" in screen_text(app)
        assert "next" in screen_text(app)


def test_what_could_not_come_is_not_picked() -> None:
    level = levels(msgspec.structs.replace(make_token(), prob=0.0), N_VOCAB)[-1]
    assert (level.candidates, level.mass) == (0, 0.0)
