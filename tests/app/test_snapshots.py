"""What the screen looks like, at three sizes, with a reply that is always the same."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
from textual.pilot import Pilot

from playground.app import PlaygroundApp
from tests.app.support import FakeBackend, Player, make_app

pytestmark = [
    pytest.mark.usefixtures("no_model"),
    pytest.mark.skipif(version("textual") != "8.2.8", reason="the snapshots were taken with Textual 8.2.8"),
]

REPLY = (
    *(b"The", b" sky", b" looks", b" blue", b" because", b" short", b" waves", b" of", b" light", b" are"),
    *(b" scattered", b" more", b" than", b" long", b" ones", b".", b"\n\n", "日".encode(), b" \xf0\x9f", b"\x98\x80"),
    *(b" [bold]", b" \x1b[31m", b" and", b" so", b" on"),
)


async def converse(pilot: Pilot[Any]) -> None:
    """One answered prompt, with the cursor on one of its tokens."""
    app = pilot.app
    assert isinstance(app, PlaygroundApp)
    player = Player(app, pilot)
    await player.until(lambda: player.screen.furnished, "furnished")
    await player.attach(FakeBackend(REPLY))
    player.screen.editor.cursor_blink = False
    await player.ask("Why is the sky blue?")
    await player.press("ctrl+t", "left", "left")
    await player.until(lambda: "pinned" in player.text and "■ end of text" in player.text, "all drawn")


@pytest.mark.parametrize(
    ("theme", "width", "height"), [("ember", 80, 24), ("ember", 120, 40), ("ember", 200, 60), ("parchment", 80, 24)]
)
def test_a_reply_on_the_main_screen(snap_compare: Any, theme: str, width: int, height: int) -> None:
    app = make_app("seed=7")
    app.theme = theme
    assert snap_compare(app, terminal_size=(width, height), run_before=converse)


def test_the_presets_explain_themselves(snap_compare: Any) -> None:
    async def open_presets(pilot: Pilot[Any]) -> None:
        await converse(pilot)
        await pilot.press("f6", "down")

    assert snap_compare(make_app("seed=7"), terminal_size=(80, 24), run_before=open_presets)
