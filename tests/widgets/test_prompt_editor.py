from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.events import Paste

from playground.widgets.prompt_editor import PromptEditor, shield, unshield
from tests.widgets.support import Stand, screen_text


def texts(app: Stand) -> list[str]:
    return [message.text for message in app.posted(PromptEditor.Submitted)]


async def test_enter_sends_and_keeps_the_text() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 12), message_hook=app.note) as pilot:
        await pilot.press(*"hi", "enter")
        await pilot.pause()
        assert texts(app) == ["hi"]
        assert app.query_one(PromptEditor).text == "hi"
        assert [message.text for message in app.posted(PromptEditor.Edited)] == ["h", "hi"]


async def test_nothing_is_not_sent() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 12), message_hook=app.note) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        assert texts(app) == []


@pytest.mark.parametrize("key", ["shift+enter", "ctrl+j", "alt+enter"])
async def test_a_new_line_does_not_send(key: str) -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 12), message_hook=app.note) as pilot:
        await pilot.press("a", key, "b", "enter")
        await pilot.pause()
        assert texts(app) == ["a\nb"]


async def test_it_grows_from_three_to_eight_rows() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 20)) as pilot:
        editor = app.query_one(PromptEditor)
        assert editor.outer_size.height == 3
        await pilot.press("ctrl+j", "ctrl+j")
        await pilot.pause()
        assert editor.outer_size.height == 5
        await pilot.press(*["ctrl+j"] * 10)
        await pilot.pause()
        assert editor.outer_size.height == 8


async def test_the_arrows_walk_the_history_and_come_back_to_the_draft() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 12)) as pilot:
        editor = app.query_one(PromptEditor)
        for text in ("one", "two\nlines", "two\nlines"):
            editor.remember(text)
        await pilot.press(*"draft", "up")
        assert editor.text == "two\nlines"
        await pilot.press("up")
        assert editor.text == "two\nlines"
        await pilot.press("up")
        assert editor.text == "one"
        await pilot.press("up")
        assert editor.text == "one"
        await pilot.press("down")
        assert editor.text == "two\nlines"
        await pilot.press("down")
        assert editor.text == "draft"
        await pilot.press("down")
        assert editor.text == "draft"


async def test_a_long_first_line_is_walked_row_by_row() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(20, 12)) as pilot:
        editor = app.query_one(PromptEditor)
        editor.remember("old")
        editor.text = "word " * 8
        editor.move_cursor(editor.document.end)
        await pilot.press("up")
        assert editor.text != "old"
        await pilot.press("up", "up", "up")
        assert editor.text == "old"


NASTY = "a\x1b[31mred\x07\u202eevil\u200b \x9b2J\u2028end[/b]"


async def test_pasted_control_characters_are_kept_but_never_drawn() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(60, 12), message_hook=app.note) as pilot:
        editor = app.query_one(PromptEditor)
        app.post_message(Paste(NASTY + "\r\nx\ry"))
        await pilot.pause()
        assert editor.text == NASTY + "\nx\ny"
        assert editor.document.line_count == 3
        text = screen_text(app)
        assert "a␛[31mred␇◌evil◌ ◌2J◌end[/b]" in text
        assert not {character for character in NASTY if character < " " or character in "\x9b\u202e\u200b\u2028"} & set(
            text.replace("\n", "")
        )
        editor.select_all()
        assert editor.selected_text == NASTY + "\nx\ny"
        await pilot.press("enter")
        await pilot.pause()
        assert texts(app) == [NASTY + "\nx\ny"]


async def test_texts_set_from_outside_and_from_the_history_are_shielded_too() -> None:
    app = Stand(lambda: PromptEditor("\x1b[2J"))
    async with app.run_test(size=(60, 12)) as pilot:
        editor = app.query_one(PromptEditor)
        assert editor.text == "\x1b[2J"
        assert "␛[2J" in screen_text(app)
        editor.remember("\x00old")
        await pilot.press("up")
        assert editor.text == "\x00old"
        assert "␀old" in screen_text(app)


async def test_wide_characters_and_undo() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 12)) as pilot:
        editor = app.query_one(PromptEditor)
        app.post_message(Paste("日本\x1b語"))
        await pilot.pause()
        await pilot.press("backspace", "backspace")
        assert editor.text == "日本"
        await pilot.press("ctrl+z", "ctrl+z")
        assert editor.text in ("", "日本\x1b語", "日本\x1b")


async def test_the_count_stands_in_the_border_and_warns() -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 12)) as pilot:
        editor = app.query_one(PromptEditor)
        editor.show_count("9,000 tokens [over]", over=True)
        await pilot.pause()
        assert "9,000 tokens [over]" in screen_text(app)
        assert editor.has_class("-over")
        editor.show_count("3 tokens")
        await pilot.pause()
        assert not editor.has_class("-over")


@pytest.mark.parametrize(
    ("width", "seen"),
    [
        (80, "≈1,340 tokens · 10,604 of 8,192: too long by 2,413 · ≈$0.0031 with reply"),
        (70, "≈1,340 tokens · 10,604 of 8,192: too long by 2,413 · ≈$0.0031 ─"),
        (56, "≈1,340 tokens · 10,604 of 8,192: too long by 2,413 ─"),
        (40, "─ too long by 2,413 ─"),
    ],
)
async def test_the_price_of_sending_stands_beside_the_count_as_far_as_there_is_room(width: int, seen: str) -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(100, 12)) as pilot:
        editor = app.query_one(PromptEditor)
        editor.show_send_estimate("≈$0.0031 with reply")
        await pilot.pause()
        assert "─ ≈$0.0031 with reply ─" in screen_text(app)
        editor.show_count("≈1,340 tokens · 10,604 of 8,192: too long by 2,413", over=True)
        await pilot.resize_terminal(width, 12)
        await pilot.pause()
        assert seen in screen_text(app)
        editor.show_count("")
        editor.show_send_estimate("")
        await pilot.pause()
        assert "tokens" not in screen_text(app)
        assert "$" not in screen_text(app)


@given(st.text(st.characters(exclude_categories=["Cs", "Co"])))
def test_shielding_loses_nothing_but_carriage_returns(text: str) -> None:
    shielded = shield(text)
    assert unshield(shielded) == text.replace("\r\n", "\n").replace("\r", "\n")
    assert len(shielded.splitlines()) <= shielded.count("\n") + 1


@pytest.mark.parametrize(
    ("sent", "now", "left"),
    [
        ("hi", "hi", ""),
        ("hi", "hi and more", " and more"),
        ("say it", "say what? it", "what? "),
        ("hello", "hel", "hel"),
        ("one", "another", "another"),
        ("a\x1bb", "a\x1bbc", "c"),
    ],
)
async def test_what_is_typed_after_sending_stays(sent: str, now: str, left: str) -> None:
    app = Stand(PromptEditor)
    async with app.run_test(size=(40, 12)) as pilot:
        editor = app.query_one(PromptEditor)
        editor.load_text(now)
        editor.clear_sent(sent)
        assert editor.text == left
        await pilot.press("x")
        assert editor.text == f"{left}x"
