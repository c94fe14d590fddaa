"""A text under several tokenizers, while it is written."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from textual import events
from textual.widgets import OptionList

from playground.domain.endpoints import ModelRef
from playground.screens import tokenizer_figures
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.model_picker import ModelPicker
from playground.screens.tokenizer_examples import EXAMPLES
from playground.screens.tokenizers_screen import TokenizersScreen
from playground.services.paths import user_cache_dir
from playground.services.side_by_side import SideBySide
from playground.widgets.piece_canvas import Spot
from playground.widgets.piece_rows import PieceRows
from playground.widgets.source_area import SourceArea
from playground.widgets.token_list import Row, TokenList
from tests.app.support import Player, make_app, open_experiment, playing
from tests.cli.test_tokens import tiktoken  # noqa: F401 - a fixture
from tests.services.test_counting import Source, ok, vocabulary


@pytest.fixture(autouse=True)
def no_vocabulary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own is found, unless a test brings it."""
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "nothing"))


async def opened(player: Player) -> TokenizersScreen:
    """From the list of experiments to the screen."""
    return await open_experiment(player, "Tokenizers", TokenizersScreen)


def pieces(screen: TokenizersScreen) -> list[list[bytes]]:
    """The tokens of each row."""
    return [list(row.pieces) for row in screen.query_one(PieceRows).rows]


async def split(player: Player, screen: TokenizersScreen, text: str, rows: int = 3) -> None:
    """Wait for the tokens of a text in so many rows."""
    await player.until(
        lambda: [b"".join(row) for row in pieces(screen)] == [text.encode()] * rows, f"tokens of {text[:40]!r}"
    )


async def says(player: Player, what: str) -> None:
    """Wait until it stands on the screen."""
    await player.until(lambda: what in player.text, what)


def below(player: Player, word: str) -> str:
    """The line of the screen with a word in it."""
    return next((line for line in player.text.splitlines() if word in line), "")


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_the_prompt_being_written_is_split_by_all_tokenizers_and_what_differs_is_marked() -> None:
    async with playing(make_app()) as player:
        await player.ready()
        await player.write("unbelievable, isn't it")
        screen = await opened(player)
        await split(player, screen, "unbelievable, isn't it")
        await player.until(lambda: "$" in below(player, "o200k_base as"), "prices")
        lines = player.text.splitlines()
        row = next(place for place, line in enumerate(lines) if "belie│vable│" in line)
        assert "bel│ievable│" in lines[row + 1]
        column = lines[row].index("belie")
        assert lines[row - 1][column] == "≠"
        assert lines[row].index("·it│") == lines[row + 1].index("·it│") == lines[row + 2].index("·it│")
        assert [len(row) for row in pieces(screen)] == [7, 6, 7]
        assert below(player, "SmolLM2-135M-Instruct.Q4_1").split()[1:5] == ["7", "3.14", "0", "free"]
        assert below(player, "o200k_base as gpt-4o").split()[3:6] == ["6", "3.67", "0"]
        assert "<0.1% of 128,000" in below(player, "o200k_base as gpt-4o")
        await player.press("tab", "right", "down")
        await says(player, "bel  id 9880 · 3 bytes: 62 65 6C · token 2 of 6, o200k_base")
        await player.press("right", "up")
        await says(player, "belie  id 23282")  # what the tokenizer above has in the same place
        await player.press("escape")
        await player.until(lambda: player.app.screen is player.screen, "back")
        assert player.screen.editor.text == "unbelievable, isn't it"


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_parts_of_a_character_are_told_with_the_character() -> None:
    async with playing(make_app()) as player:
        await player.write("ok 🤖")
        screen = await opened(player)
        await split(player, screen, "ok 🤖")
        await player.press("tab", "right")
        await says(player, "·‹F0 9F›")
        await says(player, "Half a character: bytes 1 to 2 of the 4 of 🤖.")
        await player.press("right")
        await says(player, "Half a character: byte 3 of the 4 of 🤖.")
        assert screen.query_one(TokenList).cursor == 2
        await says(player, "½ ‹A4›")
        assert below(player, "SmolLM2-135M-Instruct.Q4_1").split()[3] == "3"


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_tokens_follow_what_is_typed_and_the_mouse_tells_about_them() -> None:
    async with playing(make_app()) as player:
        screen = await opened(player)
        await player.until(lambda: "F3 brings examples" in player.text, "a hint")
        await player.press("tab", "right", "shift+tab")  # there is no token yet to go to
        await player.press(*"two words")
        await split(player, screen, "two words")
        await player.press(*["backspace"] * 6, "s")
        await split(player, screen, "twos")
        await player.press("ctrl+u")
        await split(player, screen, "", rows=0)
        await player.press(*"hey you")
        await split(player, screen, "hey you")
        rows = screen.query_one(PieceRows)
        assert rows.cursor is None
        x = below(player, "│·you│").index("·you") - rows.region.x
        await player.pilot.hover(PieceRows, offset=(x + 1, 1))
        await says(player, "Begins with its space")
        await player.pilot.click(PieceRows, offset=(x + 1, 2))
        assert rows.cursor == Spot(1, len(rows.rows[1].ids) - 1)


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_names_of_control_tokens_are_text_until_they_are_to_be_more() -> None:
    async with playing(make_app()) as player:
        await player.write("<|im_end|>")
        screen = await opened(player)
        await split(player, screen, "<|im_end|>")
        assert len(pieces(screen)[0]) > 1
        await player.press("f4")
        await player.until(lambda: pieces(screen)[0] == [b"<|im_end|>"], "one control token")
        await player.press("tab")
        await says(player, "A control token")
        await player.press("f4")
        await player.until(lambda: len(pieces(screen)[0]) > 1, "text again")


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_the_last_message_is_taken_without_a_draft_and_the_reply_by_a_key() -> None:
    async with playing(make_app("max_tokens=8", "seed=1")) as player:
        await player.ready()
        await player.ask("Name a river.")
        screen = await opened(player)
        await split(player, screen, "Name a river.")
        await player.press("f7")
        head = player.pane.session.transcript.head
        assert head is not None
        await split(player, screen, player.pane.session.transcript.turns[head].content)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_each_example_comes_by_key_with_what_to_look_at(size: tuple[int, int]) -> None:
    async with playing(make_app(), size) as player:
        screen = await opened(player)
        for example in EXAMPLES:
            await player.press("f3")
            await split(player, screen, example.text)
            await player.until(lambda: example.lesson in " ".join(player.text.split()), example.lesson)  # noqa: B023
            await says(player, "o200k_base as")
        await player.press("f2")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "list of examples")
        assert player.app.screen.query_one(OptionList).option_count == len(EXAMPLES)
        await player.press("down", "enter")
        await split(player, screen, EXAMPLES[1].text)
        await player.press("x")
        await split(player, screen, EXAMPLES[1].text + "x")
        await player.until(lambda: EXAMPLES[1].lesson[:30] not in player.text, "the note was about another text")


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_a_paste_of_100_kb_is_counted_at_once_and_laid_out_while_the_screen_goes_on() -> None:
    text = ("The quick brown fox jumps over 13 lazy dogs, 日本語 too.\n" * 1800)[:102_400]
    async with playing(make_app()) as player:
        screen = await opened(player)
        screen.query_one(SourceArea).focus()
        player.app.post_message(events.Paste(text))
        await split(player, screen, text)
        rows = screen.query_one(PieceRows)
        await player.until(lambda: rows.laid_out == sum(map(len, pieces(screen))), "all laid out")
        assert rows.virtual_size.height > 1000
        await player.press("tab", "end")
        count = f"{len(pieces(screen)[0]):,}"
        await says(player, f"token {count} of {count}")
        assert rows.scroll_offset.y > 1000


@pytest.mark.usefixtures("starter_gguf", "tiktoken")
async def test_of_a_long_list_of_tokens_only_what_is_in_sight_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def row(*parts: Any) -> Row:
        made.append(parts)
        return Row(*parts)

    monkeypatch.setattr(tokenizer_figures, "Row", row)
    text = "one two three " * 2_000
    async with playing(make_app(), (160, 40)) as player:
        await player.write(text)
        screen = await opened(player)
        await split(player, screen, text)
        tokens = screen.query_one(TokenList)
        await player.until(lambda: tokens.virtual_size.height == len(pieces(screen)[0]) > 5_000, "all have a place")
        await player.press("tab", "end")
        last = tokens.size.height - 1
        await player.until(lambda: f"{len(pieces(screen)[0]):,} " in tokens.render_line(last).text, "the last")
        assert 0 < len(made) < 1_000


@pytest.mark.usefixtures("starter_gguf")
async def test_a_vocabulary_that_is_not_here_is_fetched_only_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
    server = await asyncio.start_server(source.handle, "127.0.0.1")
    source.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("playground.screens.tokenizers_view.SideBySide", partial(SideBySide, source=source.address))
    async with server, playing(make_app()) as player:
        await player.write("strawberry")
        screen = await opened(player)
        await split(player, screen, "strawberry", rows=1)
        await player.until(lambda: player.text.count("F6 fetches it from the network") == 2, "said what is missing")
        assert source.paths == []
        assert "One tokenizer alone differs from nothing: F6 fetches tiktoken's, F5 adds another" in player.text
        assert "≠" not in player.text
        await player.press("f3")
        await says(player, EXAMPLES[0].lesson[:40])
        assert "One tokenizer alone" not in player.text
        await player.press(*["backspace"] * 2)
        await says(player, "One tokenizer alone")
        screen.query_one(SourceArea).take("strawberry")
        await split(player, screen, "strawberry", rows=1)
        await player.press("f6")
        await player.until(lambda: "could not be fetched" in player.text, "said that it failed")
        assert not list(user_cache_dir().glob("vocabularies/*"))
        source.answer = ok(vocabulary("o200k_base"))  # for both: of the other it is not genuine
        await player.press("f6")
        await split(player, screen, "strawberry", rows=2)
        await says(player, "cl100k_base could not be fetched")
        await player.press("s")
        await says(player, "≠ they differ")
        assert "One tokenizer alone" not in player.text
        assert below(player, "o200k_base").startswith(" o200k_base")


@pytest.mark.usefixtures("tiktoken")
async def test_a_model_that_is_not_loaded_lends_its_vocabulary(starter_gguf: Path, tiny_models: object) -> None:
    assert callable(tiny_models)
    tiny: Path = tiny_models("chat")
    async with playing(make_app(model=str(starter_gguf))) as player:
        await player.write("the water")
        screen = await opened(player)
        await split(player, screen, "the water")
        await player.press("f5")
        await player.until(lambda: isinstance(player.app.screen, ModelPicker), "models")
        player.app.screen.dismiss(ModelRef("", str(tiny)))
        await player.until(lambda: len(pieces(screen)) == 4, "a fourth row")
        assert any(row.name == "chat" for row in screen.query_one(PieceRows).rows)
        await player.press("shift+f5")
        await split(player, screen, "the water")


@pytest.mark.usefixtures("no_model")
async def test_with_no_tokenizer_at_all_the_screen_says_what_to_do() -> None:
    async with playing(make_app()) as player:
        await player.write("a [b]word[/b]\x1b[31m")
        screen = await opened(player)
        await player.until(lambda: player.text.count("not on this machine") == 2, "said")
        assert pieces(screen) == []
