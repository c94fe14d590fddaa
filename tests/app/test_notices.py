"""Notices come and go without hiding what one writes, or what the status bar tells."""

from __future__ import annotations

import pytest
from textual.geometry import Region

from tests.app.support import Player, make_app, playing


def notices(player: Player) -> list[Region]:
    """Where they are."""
    return [notice.region for notice in player.app.screen.query("Toast")]


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_notices_hide_neither_the_prompt_nor_the_status_however_high_the_prompt_is(size: tuple[int, int]) -> None:
    async with playing(make_app(), size) as player:
        await player.until(lambda: player.pane.model_state == "no model", "search for a model ended")
        for number in range(3):
            text = f"Notice {number}. " + "It says at length what happened and what to do next. " * 3
            player.screen.notify(text, title="Something happened", timeout=100, markup=False)
        await player.until(lambda: len(notices(player)) >= 3, "notices")
        for lines in (1, 12, 3):
            await player.write("\n".join(f"line {number}" for number in range(lines)))
            prompt = player.screen.editor
            await player.until(
                lambda prompt=prompt: all(notice.bottom <= prompt.region.y for notice in notices(player)),  # type: ignore[misc]
                "above the prompt",
            )
            assert max(notice.bottom for notice in notices(player)) >= prompt.region.y - 1, "no higher than it must be"
            bar = player.screen.query_one("StatusBar").region
            assert prompt.region.bottom <= bar.y
