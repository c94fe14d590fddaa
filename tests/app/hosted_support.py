"""The app with hosted models, which the fake plays over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from playground.domain.endpoints import parse_model_ref
from playground.domain.messages import Role
from playground.domain.transcript import Turn
from playground.screens.pane import Pane
from tests.app.support import Player, make_app, playing, settings
from tests.fakes.hosted_api import FakeApi, fake_api

KEY = "sk-planted-0123456789abcdef"
TEXT = "Hello, world! 你好 bye"
"""What the fake writes."""
SO_FAR = "Hello, world"
"""What it writes before a fault in the middle."""
APIS = ("box", "claude")
"""Names of the endpoints: the first speaks OpenAI's API, the second Anthropic's."""
WIDE = (200, 50)


class Desk(Player):
    """Somebody who sits at the app and has keys for servers."""

    fake: FakeApi

    async def choose(self, model: str) -> Pane:
        """Let a hosted model answer in the active pane."""
        pane = self.pane
        self.screen.load_model(pane, parse_model_ref(model, set(self.screen.pool.endpoints)))
        await self.until(lambda: pane.card is not None and pane.card.id == model, f"{model} chosen")
        return pane

    async def choose_all(self, *models: str) -> None:
        """A pane for each of these models."""
        for number, model in enumerate(models):
            if number:
                await self.add_pane()
            await self.choose(model)

    def reply(self, pane: Pane | None = None) -> Turn:
        """The last reply in a pane, the active one if none is named."""
        turn = (pane or self.pane).session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        return turn


def describe(fake: FakeApi, more: str = "") -> None:
    """Put both APIs of the fake into the settings; `more` is TOML behind them, in which BOX_URL is its address."""
    settings(
        f"""
        [endpoints.box]
        base_url = "{fake.openai_url}"
        api_key = "${{BOX_KEY}}"
        [endpoints.claude]
        api = "anthropic"
        base_url = "{fake.anthropic_url}"
        api_key = "${{CLAUDE_KEY}}"
        price_provider = "anthropic"
        {more.replace("BOX_URL", fake.openai_url)}
        """
    )


@asynccontextmanager
async def hosted(
    patch: pytest.MonkeyPatch,
    *models: str,
    first: str = "",
    more: str = "",
    assignments: Sequence[str] = (),
    size: tuple[int, int] = WIDE,
) -> AsyncIterator[Desk]:
    """The app with a pane for each of these models, begun with `first`; at the end no task, no connection is left."""
    before = asyncio.all_tasks()
    async with fake_api() as fake:
        patch.setenv("BOX_KEY", KEY)
        patch.setenv("CLAUDE_KEY", KEY)
        describe(fake, more)
        async with playing(make_app(*assignments, model=first), size) as player:
            desk = Desk(player.app, player.pilot)
            desk.fake = fake
            await desk.until(lambda: desk.pane.model_state == "no model" or desk.pane.runner.backend, "furnished")
            await desk.choose_all(*models)
            yield desk
        await asyncio.wait_for(fake.until_open(0), 10)
        # What is left of the app ends with the next turns of the loop.
        for _ in range(5):
            await asyncio.sleep(0)
        left = {task for task in asyncio.all_tasks() - before if task is not asyncio.current_task()}
        assert not {task for task in left if "fake" not in repr(task.get_coro())}, left
