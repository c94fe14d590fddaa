"""The token view in a headless app: growth, scrolling, cursor, mouse, copies, resizing."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterable

import pytest
from rich.style import Style
from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container
from textual.geometry import Region
from textual.message import Message
from textual.pilot import Pilot

from playground.widgets.colour_scale import PALETTE_SIZE, TokenStyle
from playground.widgets.token_canvas import KEEP_STRIPS
from playground.widgets.token_layout import MIN_WRAP, TokenLayout
from playground.widgets.token_store import TokenStore
from playground.widgets.token_view import Item, TokenMessage, TokenView

WORDS = ["The", " light", "house", " keeper", " smiled", ".", "\n", " 漢字", " and", " went", " to", " sleep"]
PALETTE = [Style(bgcolor=f"color({16 + level})") for level in range(PALETTE_SIZE)]


class Host(App[None]):
    """Nothing but a view."""

    def __init__(self, *items: Item) -> None:
        super().__init__()
        self.first_items = items

    def compose(self) -> ComposeResult:
        view = TokenView(id="view")
        view.set_palette(PALETTE)
        view.extend(self.first_items)
        with Container():
            yield view

    @property
    def view(self) -> TokenView:
        return self.query_one(TokenView)

    def rows(self) -> list[str]:
        return [self.view.render_line(y).text.rstrip() for y in range(self.view.size.height)]

    def style_of(self, text: str) -> Style:
        """Style of the first run of text on the screen that contains `text`."""
        for y in range(self.view.size.height):
            for segment in self.view.render_line(y):
                if text in segment.text and segment.style is not None:
                    return segment.style
        raise AssertionError(f"{text!r} is not shown in {self.rows()}")


def tokens(count: int, start: int = 0) -> list[Item]:
    return [Item(WORDS[index % len(WORDS)], index % 32, f"t{index}") for index in range(start, start + count)]


def told(messages: Iterable[Message], kind: type[TokenMessage]) -> list[tuple[int | None, object]]:
    once = {id(message): message for message in messages if isinstance(message, kind)}
    return [(message.item_index, message.ref) for message in once.values()]


async def wheel(pilot: Pilot[None], kind: Callable[..., Message]) -> None:
    view = pilot.app.query_one(TokenView)
    view.post_message(kind(view, 1, 1, 0, 1, 0, False, False, False))
    await pilot.pause()


async def settled(pilot: Pilot[None]) -> TokenView:
    """The view, once its lines are wrapped to its width."""
    view = pilot.app.query_one(TokenView)
    while view.wrapping.wrap != max(MIN_WRAP, view.scrollable_content_region.width - 1):
        await pilot.pause(0.02)
    await pilot.pause()
    return view


async def test_what_came_before_the_first_layout_is_wrapped_at_once() -> None:
    app = Host(
        Item("You\n", TokenStyle.HEADING_USER), Item("hi\tthere\n", TokenStyle.USER), *tokens(3), Item("\n", 3, 1)
    )
    async with app.run_test(size=(30, 6)):
        assert app.rows()[:3] == ["You", "hi  there", "The lighthouse↵"]


async def test_the_narrowest_view_shows_everything_too() -> None:
    app = Host(*tokens(3))
    async with app.run_test(size=(6, 9)):
        assert app.view.wrapping.wrap == MIN_WRAP
        assert "".join(app.rows()) == "The light house".replace(" ", "")


async def test_it_follows_the_end_until_the_wheel_turns_up_and_again_from_the_end() -> None:
    app = Host(*tokens(300))
    async with app.run_test(size=(30, 8)) as pilot:
        view = app.view
        assert view.scroll_offset.y == view.max_scroll_y > 0
        await wheel(pilot, events.MouseScrollUp)
        top = view.scroll_offset.y
        view.extend(tokens(100, 300))
        await pilot.pause()
        assert view.scroll_offset.y == top
        view.focus()
        await pilot.press("end")
        view.extend(tokens(100, 400))
        await pilot.pause()
        assert view.follow
        assert view.scroll_offset.y == view.max_scroll_y


async def test_the_wheel_catches_an_end_that_moves_away() -> None:
    app = Host(*tokens(300))
    async with app.run_test(size=(30, 8)) as pilot:
        await wheel(pilot, events.MouseScrollUp)
        for start in range(300, 360, 12):
            await wheel(pilot, events.MouseScrollDown)
            app.view.extend(tokens(12, start))
            await pilot.pause()
        assert app.view.follow
        assert app.view.scroll_offset.y == app.view.max_scroll_y


async def test_scrolling_to_the_end_drops_the_cursor_and_moving_it_there_does_not() -> None:
    app = Host(*tokens(300))
    messages: list[Message] = []
    async with app.run_test(size=(30, 8), message_hook=messages.append) as pilot:
        view = app.view
        view.focus()
        view.move_to(0)
        assert not view.follow
        view.move_to(299)
        await pilot.pause()
        assert (view.cursor, view.follow) == (299, False)
        view.move_to(0)
        view.scroll_end(animate=False)
        await pilot.pause()
        assert (view.cursor, view.follow) == (None, True)
    assert told(messages, TokenView.Selected) == [(0, "t0"), (299, "t299"), (0, "t0"), (None, None)]


async def test_keys_walk_over_tokens_only() -> None:
    app = Host(
        Item("You\n", TokenStyle.HEADING_USER),
        *tokens(3),
        Item("\n◆ warmer\n", TokenStyle.MARK),
        *tokens(3, 3),
        Item("!", 0),
    )
    messages: list[Message] = []
    async with app.run_test(size=(30, 8), message_hook=messages.append) as pilot:
        view = app.view
        view.focus()
        seen = []
        for key in (
            "left",
            "left",
            "left",
            "left",
            "up",
            "down",
            "home",
            "right",
            "ctrl+home",
            "left",
            "pagedown",
            "enter",
        ):
            await pilot.press(key)
            seen.append(view.cursor)
        assert seen == [7, 6, 5, 3, 3, 6, 5, 6, 1, 1, 5, 5]
    assert told(messages, TokenView.Activated) == [(5, "t3")]


async def test_without_a_cursor_the_keys_scroll() -> None:
    app = Host(*tokens(300))
    async with app.run_test(size=(30, 8)) as pilot:
        view = app.view
        view.focus()
        end = view.max_scroll_y
        await pilot.press("up")
        assert (view.scroll_offset.y, view.follow, view.cursor) == (end - 1, False, None)
        await pilot.press("pageup")
        assert view.scroll_offset.y == end - 8
        await pilot.press("home")
        assert view.scroll_offset.y == 0
        await pilot.press("left")
        assert view.cursor is not None
        assert 0 <= view.wrapping.line_of(view.cursor) < 8


async def test_the_mouse_hovers_and_selects_tokens_only() -> None:
    app = Host(Item("You\n", TokenStyle.HEADING_USER), *tokens(4))
    messages: list[Message] = []
    async with app.run_test(size=(40, 6), message_hook=messages.append) as pilot:
        for offset in ((1, 0), (1, 1), (5, 1), (6, 1), (39, 1)):
            await pilot.hover("#view", offset=offset)
        assert not app.style_of("light").underline
        await pilot.hover("#view", offset=(5, 1))
        assert app.style_of("light").underline
        await pilot.click("#view", offset=(1, 0))
        assert app.view.cursor is None
        await pilot.click("#view", offset=(10, 1))
        assert app.style_of("house").reverse
        assert not app.style_of("light").reverse
    assert told(messages, TokenView.Hovered)[:3] == [(1, "t0"), (2, "t1"), (None, None)]
    assert told(messages, TokenView.Selected) == [(3, "t2")]


async def test_the_cursor_on_half_a_character_shows_on_the_whole_one() -> None:
    app = Host(Item("so", 1, 0), Item("", 2, 1), Item("", 3, 2), Item("😀", 4, 3), Item("", 5, 4))
    async with app.run_test(size=(30, 6)) as pilot:
        view = app.view
        for half in (1, 2, 4):
            view.move_to(half)
            await pilot.pause()
            assert app.style_of("😀").reverse
            assert app.style_of("😀").italic
            assert not app.style_of("so").reverse
        view.move_to(3)
        assert app.style_of("😀").reverse
        assert not app.style_of("😀").italic
        view.clear_cursor()
        assert not app.style_of("😀").reverse


async def test_copies_are_the_original_text_of_whole_tokens() -> None:
    app = Host(
        Item("You\n", TokenStyle.HEADING_USER, None, ""), Item("a\tb\n", TokenStyle.USER), *tokens(8),
        Item("◆ warmer", TokenStyle.MARK, None, ""), Item(" \x1b[1mend", 3, "x"),
    )  # fmt: skip
    async with app.run_test(size=(24, 8)) as pilot:
        view = app.view
        assert app.rows()[2:5] == ["The lighthouse keeper", "smiled.↵", " 漢字◆ warmer ␛[1mend"]
        await pilot.mouse_down("#view", offset=(5, 2))
        await pilot.hover("#view", offset=(2, 4))
        await pilot.mouse_up("#view", offset=(2, 4))
        await pilot.pause()
        assert app.screen.get_selected_text() == " lighthouse keeper smiled.\n 漢字"
        assert view.cursor is None
        await pilot.resize_terminal(60, 8)
        await settled(pilot)
        assert app.screen.get_selected_text() == " lighthouse keeper smiled.\n 漢字"
        await pilot.mouse_down("#view", offset=(0, 0))
        await pilot.hover("#view", offset=(50, 6))
        await pilot.mouse_up("#view", offset=(50, 6))
        await pilot.pause()
        assert app.screen.get_selected_text() == "a\tb\n" + "".join(WORDS[:8]) + " \x1b[1mend"
        app.screen.clear_selection()
        await pilot.pause()
        assert app.screen.get_selected_text() is None


async def test_truncate_replace_and_restyle() -> None:
    app = Host(*tokens(300))
    async with app.run_test(size=(30, 8)) as pilot:
        view = app.view
        view.move_to(250)
        view.truncate(100)
        await pilot.pause()
        assert (len(view.store), view.cursor) == (100, None)
        assert view.scroll_offset.y <= view.max_scroll_y
        assert app.rows()[-1] or len(view.wrapping.lines) < 8
        view.replace_all([Item("one", 1, 1), Item(" two", 1, 2)])
        await pilot.pause()
        assert app.rows()[0] == "one two"
        view.restyle([2, 3])
        assert app.style_of("one").bgcolor == PALETTE[2].bgcolor
        view.set_item_styles(1, [4])
        assert app.style_of("two").bgcolor == PALETTE[4].bgcolor
        with pytest.raises(ValueError, match="1 styles for 2 items"):
            view.restyle([1])
        with pytest.raises(ValueError, match="items 1 to 3"):
            view.set_item_styles(1, [1, 1])
        view.truncate(0)
        await pilot.pause()
        assert not any(app.rows())
        await pilot.press("left", "right", "up", "down", "home", "ctrl+home", "pagedown", "end", "enter")


async def test_a_resize_is_wrapped_once_it_rests_and_keeps_the_top_token() -> None:
    app = Host(*tokens(600))
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        view.scroll_to(y=20, animate=False)
        await pilot.pause()
        top = view.wrapping.lines[20].first_item
        old = view.wrapping
        for width in (50, 40, 30):
            await pilot.resize_terminal(width, 10)
            view.extend(tokens(5, len(view.store)))
        assert view.wrapping is old
        await settled(pilot)
        first, last = view.wrapping.line_of(top), view.wrapping.last_line_of(top)
        assert first <= view.scroll_offset.y <= last
        assert not view.follow
        assert [item for line in view.wrapping.lines for item, _, _ in line.pieces][-1] == len(view.store) - 1


async def test_a_storm_of_resizes_loses_nothing() -> None:
    app = Host(*tokens(200), Item("x" * 10_000, 3, "long"))
    async with app.run_test(size=(60, 10)) as pilot:
        view = app.view
        for size in ((5, 3), (1, 1), (200, 2), (3, 40), (2, 10), (41, 7)):
            await pilot.resize_terminal(*size)
            view.extend(tokens(7, len(view.store)))
            await pilot.pause()
        await settled(pilot)
        assert {item for line in view.wrapping.lines for item, _, _ in line.pieces} == set(range(len(view.store)))
        assert view.follow
        assert view.scroll_offset.y == view.max_scroll_y


def drawn(view: TokenView) -> list[int]:
    return [number for number, line in enumerate(view.wrapping.lines) if line.drawn is not None]


async def test_lines_that_were_drawn_long_ago_give_their_drawing_back() -> None:
    app = Host()
    async with app.run_test(size=(30, 8)) as pilot:
        view = app.view
        for start in range(0, 12_000, 100):
            view.extend(tokens(100, start))
            await pilot.pause()
        assert len(view.wrapping.lines) > 4 * KEEP_STRIPS
        assert len(drawn(view)) <= KEEP_STRIPS
        view.follow = False
        while view.scroll_offset.y:
            view.scroll_relative(y=-100, animate=False)
            await pilot.pause()
            assert len(drawn(view)) <= KEEP_STRIPS
        assert drawn(view)[: view.size.height] == list(range(view.size.height)), "what is in sight stays drawn"


async def test_a_line_that_is_drawn_again_and_again_pushes_no_other_out() -> None:
    app = Host(*tokens(20), Item("\n", 0, "end"))
    async with app.run_test(size=(30, 8)) as pilot:
        view = await settled(pilot)
        for number in range(KEEP_STRIPS + 10):
            view.extend([Item("" if number % 2 else ".", 0, f"d{number}")])
            view.truncate(len(view.store) - 1)
            app.rows()
        first = view.wrapping.lines[0].drawn
        app.rows()
        assert first is not None
        assert view.wrapping.lines[0].drawn is first


def test_an_item_costs_at_most_200_bytes_beyond_its_text() -> None:
    items = tokens(20_000)
    tracemalloc.start()
    store, layout = TokenStore(), TokenLayout(100)
    for item in items:
        layout.append(store.append(item), item.text)
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert used / len(items) <= 200


@pytest.mark.parametrize("no_color", [False, True])
async def test_the_cursor_can_be_told_without_colour(no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    app = Host(*tokens(5))
    async with app.run_test(size=(40, 6)) as pilot:
        app.view.move_to(2)
        await pilot.pause()
        strip = app.view.render_lines(Region(0, 0, 40, 1))[0]
        cursor = next(segment.style for segment in strip if segment.text == "house")
        other = next(segment.style for segment in strip if segment.text == " light")
        assert cursor is not None
        assert other is not None
        assert cursor.reverse
        assert cursor.bold
        assert cursor.color != other.color or cursor.bgcolor != other.bgcolor
