from __future__ import annotations

import random

from textual._compositor import ChopsUpdate, CompositorUpdate
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Static

from playground.widgets.pane_view import PaneView
from playground.widgets.sparing import SparingCompositor
from tests.widgets.compare_support import ROWS


class Board(Screen[None]):
    """Boxes beside, above and over each other."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = SparingCompositor()

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static("left", id="left")
            with Vertical():
                yield Static("right above", id="above")
                yield Static("right below", id="below")
        yield Static("over", id="over")


class Bare(Board):
    """Without them: the app brings its own."""

    def compose(self) -> ComposeResult:
        yield from ()


class Host(App[None]):
    """Keeps what would be painted."""

    CSS = """
    Screen { layers: below above; }
    Horizontal, Vertical { width: 1fr; height: 1fr; }
    Static { width: 1fr; height: 1fr; border: round white; }
    #over { layer: above; dock: top; offset: 10 4; width: 30; height: 6; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.painted: list[CompositorUpdate] = []

    def get_default_screen(self) -> Board:
        return Board()

    def _display(self, screen: Screen[object], renderable: object) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.painted.append(renderable)


async def test_what_is_left_out_is_what_has_not_changed() -> None:
    """A terminal that gets only the updates shows what one shows that gets everything."""
    chance = random.Random(3)
    app = Host()
    async with app.run_test(size=(60, 20)) as pilot:
        compositor = app.screen._compositor
        assert isinstance(compositor, SparingCompositor)
        app.painted.clear()
        shown = [list(strip.text) for strip in compositor.render_strips()]
        for turn in range(60):
            names = chance.sample(["left", "above", "below", "over"], chance.randint(1, 3))
            with app.batch_update():
                for name in names:
                    app.query_one(f"#{name}", Static).update(
                        f"{name} {turn} " + "x" * chance.randint(0, 40), layout=False
                    )
            while not app.painted:
                await pilot.pause(0.01)
            for update in app.painted:
                _write(shown, update.render_segments(app.console))
            app.painted.clear()
            assert ["".join(row) for row in shown] == [strip.text for strip in compositor.render_strips()]


class Behind(Vertical):
    """A container that counts the lines it was asked for."""

    asked = 0

    def render_lines(self, crop: Region) -> list[Strip]:
        self.asked += crop.height
        return super().render_lines(crop)


class Covered(Host):
    def compose(self) -> ComposeResult:
        with Behind():
            yield Static("left", id="left")
            yield Static("right", id="right")

    def get_default_screen(self) -> Board:
        return Bare()


async def test_what_is_covered_is_not_drawn() -> None:
    app = Covered()
    async with app.run_test(size=(60, 20)):
        compositor, behind, left = app.screen._compositor, app.query_one(Behind), app.query_one("#left", Static)
        compositor.render_update(full=True)
        for changed, lines in ((left, 0), (behind, 20)):
            behind.asked = 0
            changed.refresh()
            compositor.update_widgets({changed})
            assert compositor.render_update() is not None
            assert behind.asked == lines


class Beside(Host):
    def compose(self) -> ComposeResult:
        yield PaneView()

    def get_default_screen(self) -> Board:
        return Bare()


async def test_a_new_heading_is_painted_without_the_conversation_under_it() -> None:
    app = Beside()
    async with app.run_test(size=(60, 20)):
        compositor, view = app.screen._compositor, app.query_one(PaneView)
        view.show_heading(ROWS[0])
        compositor.render_update(full=True)
        shown = [list(strip.text) for strip in compositor.render_strips()]
        view.refresh()
        compositor.update_widgets({view})
        compositor.render_update()
        view.show_heading(ROWS[1])
        compositor.update_widgets({view})
        update = compositor.render_update()
        assert isinstance(update, ChopsUpdate)
        assert {y for y, _, _ in update.spans} == {0, 19}
        _write(shown, update.render_segments(app.console))
        assert ["".join(row) for row in shown] == [strip.text for strip in compositor.render_strips()]
        assert "claude-sonnet-5" in "".join(shown[0])
        assert "≈120 tok/s" in "".join(shown[19])


def _write(screen: list[list[str]], output: str) -> None:
    """Put what a terminal would get onto a screen of characters."""
    import re

    x = y = 0
    for place, letter in re.findall(r"\x1b\[(\d+;\d+)H|(?:\x1b\[[\d;]*m)+|([^\x1b])", output):
        if place:
            y, x = (int(part) - 1 for part in place.split(";"))
        elif letter and letter != "\n":
            screen[y][x] = letter
            x += 1
