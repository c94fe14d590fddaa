"""The fake of both APIs as a person has it: in the settings, with a key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from playground.services.settings import settings_path
from tests.fakes.hosted_api import FakeApi, fake_api

KEY = "sk-planted-0123456789abcdef"


@asynccontextmanager
async def fake_in_settings(
    patch: pytest.MonkeyPatch, more: str = "", *, box: str = "", attempts: int = 1
) -> AsyncIterator[FakeApi]:
    """Run it as the endpoints `box` and `claude`.

    Args:
        patch: Puts the key into the environment.
        more: TOML behind that, in which BOX_URL is the address of `box`.
        box: TOML of the endpoint `box` itself.
        attempts: How often a request is sent at most.
    """
    patch.setenv("BOX_KEY", KEY)
    async with fake_api() as made:
        settings_path().parent.mkdir(parents=True, exist_ok=True)
        settings_path().write_text(
            f"""
            [endpoints.box]
            base_url = "{made.openai_url}"
            api_key = "${{BOX_KEY}}"
            {box}
            [endpoints.claude]
            api = "anthropic"
            base_url = "{made.anthropic_url}"
            api_key = "${{BOX_KEY}}"
            price_provider = "anthropic"
            [hosted]
            attempts = {attempts}
            {more.replace("BOX_URL", made.openai_url)}
            """
        )
        yield made
