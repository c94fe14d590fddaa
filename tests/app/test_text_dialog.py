"""The dialog for a text: what it says about one that cannot be taken."""

from __future__ import annotations

import asyncio

import pytest
from textual.widgets import Static, TextArea

from playground.domain.errors import BadInput
from playground.screens.text_dialog import TextDialog
from tests.app.support import Player, make_app, playing


def reason(player: Player) -> str:
    """Why the text cannot be taken, as the dialog says."""
    return str(player.app.screen.query_one(".dialog--reason", Static).content)


@pytest.mark.usefixtures("no_model")
async def test_a_refusal_does_not_stand_beside_the_next_text_while_that_is_looked_at() -> None:
    asked: list[str] = []
    answer = asyncio.Event()

    async def confirm(text: str) -> None:
        asked.append(text)
        if text == "bad":
            raise BadInput("That is bad.")
        await answer.wait()

    taken: list[str | None] = []
    async with playing(make_app()) as player:
        player.app.push_screen(TextDialog("A text", "bad", "", confirm=confirm), taken.append)
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        await player.press("ctrl+s")
        await player.until(lambda: "That is bad." in reason(player), "refused")
        player.app.screen.query_one(TextArea).load_text("good")
        await player.press("ctrl+s")
        await player.until(lambda: asked == ["bad", "good"], "asked again")
        assert not reason(player)
        answer.set()
        await player.until(lambda: taken, "taken")
        assert taken == ["good"]
