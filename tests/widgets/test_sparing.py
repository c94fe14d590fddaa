from __future__ import annotations

import random

from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import Screen
from textual.widgets import Static

from playground.widgets.sparing import SparingCompositor


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


class Host(App[None]):
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
