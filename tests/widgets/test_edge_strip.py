"""The strip at the edge: the whole conversation at a glance, kept up at the cost of what is new."""

from __future__ import annotations

import math
import random

import pytest
from rich.style import Style
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from playground.widgets.colour_scale import GUESSED, LEVELS, PALETTE_SIZE, ColourMode, TokenStyle
from playground.widgets.edge_strip import POWER, EdgeStrip, LineSums
from playground.widgets.token_view import Item, TokenView
from tests.widgets.test_transcript import PALETTE, Talk, ask

CALM, WILD = LEVELS - 1, 0


class Bare(App[None]):
    """A view and its strip side by side."""

    CSS = "Screen { layout: horizontal; } EdgeStrip { width: 2; }"

    def __init__(self) -> None:
        super().__init__()
        self.view = TokenView()
        self.strip = EdgeStrip(self.view)

    def compose(self) -> ComposeResult:
        yield self.view
        yield self.strip

    def on_mount(self) -> None:
        styles = [Style(bgcolor=f"color({16 + level})") for level in range(PALETTE_SIZE)]
        self.view.set_palette(styles)
        self.strip.set_palette(styles)

    def say(self, *levels: int) -> None:
        """A line for each of these levels."""
        start = len(self.view.store)
        self.view.extend(Item(f"word{level}\n", level, (1, start + number)) for number, level in enumerate(levels))
        self.strip.look_soon()


async def seen(pilot: Pilot[None], strip: EdgeStrip) -> list[tuple[int, bool]]:
    """What the strip shows once it has looked."""
    strip.look_soon()
    for _ in range(500):
        if strip._timer is None:
            break
        await pilot.pause(0.01)
    assert strip._timer is None
    return list(strip.rows)


def whole(view: TokenView, top: int, bottom: int) -> float | None:
    """The same figure from the styles alone."""
    lines = [{item for item, _, _ in line.pieces} for line in view.wrapping.lines[top:bottom]]
    levels = [view.store.styles[item] % GUESSED for line in lines for item in line]
    surprise = [LEVELS - 1 - level for level in levels if level < LEVELS]
    return float((sum(one**POWER for one in surprise) / len(surprise)) ** (1 / POWER)) if surprise else None


async def test_each_row_stands_for_its_lines_and_the_part_in_sight_is_marked() -> None:
    app = Bare()
    async with app.run_test(size=(30, 10)) as pilot:
        app.say(*[CALM] * 30, *[WILD] * 10, *[TokenStyle.PLAIN] * 9)
        rows = await seen(pilot, app.strip)
        assert [surprise for surprise, _ in rows] == [0] * 6 + [LEVELS - 1] * 2 + [-1] * 2
        assert [in_sight for _, in_sight in rows] == [False] * 8 + [True] * 2
        wild, calm, none = (app.strip.render_line(y) for y in (6, 0, 9))
        assert (wild.text, calm.text, none.text) == ("██", "▏ ", "  ")
        assert [segment.style.color for segment in wild if segment.style] == [PALETTE[WILD].bgcolor]
        app.view.scroll_to(y=0, animate=False)
        assert [in_sight for _, in_sight in await seen(pilot, app.strip)] == [True] * 2 + [False] * 8


async def test_one_wild_token_among_calm_ones_is_seen() -> None:
    app = Bare()
    async with app.run_test(size=(30, 10)) as pilot:
        app.say(*[CALM] * 45, WILD, *[CALM] * 53)
        surprises = [surprise for surprise, _ in await seen(pilot, app.strip)]
        assert max(surprises) == surprises[4] > (LEVELS - 1) / 2
        assert sorted(surprises)[-2] == 0


@pytest.mark.parametrize("seed", range(6))
async def test_sums_are_those_of_the_lines_that_stand_there(seed: int) -> None:
    chance = random.Random(seed)
    app = Bare()
    async with app.run_test(size=(chance.choice((14, 30, 60)), 10)) as pilot:
        sums = LineSums(app.view)
        for _ in range(60):
            what, count = chance.random(), len(app.view.store)
            words = [
                Item(
                    chance.choice((" the", "ing", " a\n", "\n\n", "")),
                    chance.choice((3, 9, 31, 33, GUESSED + 5)),
                    (1, count + n),
                )
                for n in range(chance.randrange(1, 30))
            ]
            if what < 0.6:
                app.view.extend(words)
            elif what < 0.75:
                app.view.truncate(chance.randrange(count + 1))
            elif what < 0.9:
                app.view.replace_from(chance.randrange(count + 1), words)
            elif what < 0.95:
                app.view.restyle([chance.randrange(LEVELS) for _ in range(count)])
                sums.forget()
            else:
                await pilot.resize_terminal(chance.choice((14, 30, 60)), 10)
                await pilot.pause(0.3)
            if chance.random() < 0.5:  # not after each change: several may come between two looks
                continue
            sums.update()
            total = len(app.view.wrapping.lines)
            for _ in range(5):
                top = chance.randrange(total)
                bottom = chance.randrange(top, total) + 1
                expected, found = whole(app.view, top, bottom), sums.surprise(top, bottom)
                assert (found is None) == (expected is None)
                assert found is None or math.isclose(found, expected or 0.0, rel_tol=1e-9, abs_tol=1e-9)


async def test_more_text_costs_a_look_at_what_is_new() -> None:
    app = Bare()
    async with app.run_test(size=(30, 10)):
        app.view.extend(Item("word\n", CALM, (1, number)) for number in range(5000))
        sums = LineSums(app.view)
        sums.update()
        known = sums._powers
        looked_at: list[int] = []

        class Counting(bytearray):
            def __getitem__(self, item: object) -> int:  # type: ignore[override]
                assert isinstance(item, int)
                looked_at.append(item)
                return super().__getitem__(item)

        app.view.store.styles = Counting(app.view.store.styles)
        app.view.extend(Item("word\n", CALM, (1, 5000 + number)) for number in range(7))
        sums.update()
        assert sums._powers is known
        assert min(looked_at) >= 4999
        assert len(looked_at) <= 16, "a token and its new line"


async def test_it_follows_a_new_width_of_the_text() -> None:
    app = Talk()
    async with app.run_test(size=(40, 30)) as pilot:
        ask(app)
        app.say(*(f" word{number}" for number in range(60)))
        strip = app.query_one(EdgeStrip)
        narrow = len([surprise for surprise, _ in await seen(pilot, strip) if surprise >= 0])
        assert narrow > 10
        await pilot.resize_terminal(120, 30)
        wide = narrow
        for _ in range(500):
            wide = len([surprise for surprise, _ in strip.rows if surprise >= 0])
            if wide < narrow:
                break
            await pilot.pause(0.01)
        assert wide == len(app.transcript.view.wrapping.lines) - 4, "what the person said, and a heading, have none"


async def test_a_click_goes_to_the_most_surprising_token_of_the_stretch() -> None:
    app = Bare()
    async with app.run_test(size=(30, 10)) as pilot:
        app.say(*[CALM] * 14, WILD, *[CALM] * 84)
        await seen(pilot, app.strip)
        await pilot.click(EdgeStrip, offset=(1, 1))
        assert app.view.cursor == 14
        top = app.view.scroll_offset.y
        assert top <= 14 < top + 10
        assert not app.view.follow
        assert app.focused is app.view
        assert next(in_sight for _, in_sight in (await seen(pilot, app.strip))[1:]) is True


async def test_it_shows_what_the_colours_show_and_nothing_when_they_show_nothing() -> None:
    app = Talk()
    async with app.run_test(size=(60, 12)) as pilot:
        ask(app)
        app.say(*(f" word{number}" for number in range(120)))
        strip = app.query_one(EdgeStrip)
        by_probability = {surprise for surprise, _ in await seen(pilot, strip)}
        assert by_probability - {-1}
        app.transcript.set_mode(ColourMode.RANK)
        assert {surprise for surprise, _ in await seen(pilot, strip)} - {-1} == {0}, "each was the first choice"
        app.transcript.set_mode(ColourMode.OFF)
        assert {surprise for surprise, _ in await seen(pilot, strip)} == {-1}
        app.transcript.set_mode(ColourMode.PROBABILITY)
        assert {surprise for surprise, _ in await seen(pilot, strip)} == by_probability


@pytest.mark.parametrize(("width", "columns"), [(60, 2), (30, 1), (16, 0)])
async def test_a_narrow_pane_keeps_its_room_for_the_text(width: int, columns: int) -> None:
    app = Talk()
    async with app.run_test(size=(width, 12)) as pilot:
        ask(app)
        app.say(*(f" word{number}" for number in range(40)))
        await pilot.pause()
        assert app.query_one(EdgeStrip).size.width == columns
        assert app.transcript.view.size.width + columns == width
