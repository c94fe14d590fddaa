"""The screen as a file."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from playground.services.paths import user_data_dir
from tests.app.support import FakeBackend, make_app, playing

pytestmark = pytest.mark.usefixtures("no_model")


async def test_the_screen_is_kept_as_a_picture_in_which_text_is_text() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"<script>alert(1)</script>", b" fine"]))
        await player.ask("Hi")
        await player.press("alt+x")
        await player.until(lambda: "kept as" in player.notices, "told")
        await player.press("alt+x")
        pictures = user_data_dir() / "pictures"
        await player.until(lambda: len(list(pictures.glob("*.svg"))) == 2, "no picture in place of another")
        for path in pictures.glob("*.svg"):
            root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
            assert not [element for element in root.iter() if element.tag.endswith("script")]
            text = "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
            assert "<script>alert(1)</script>" in text


async def test_a_folder_that_cannot_be_written_is_a_sentence() -> None:
    user_data_dir().mkdir(parents=True, exist_ok=True)
    (user_data_dir() / "pictures").write_text("a file where the folder would be")
    async with playing(make_app()) as player:
        await player.press("alt+x")
        await player.until(lambda: "cannot be written" in player.notices, "told")
