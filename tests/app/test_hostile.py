"""Whatever a model says, and whatever it is called: nothing of it acts on the terminal, nothing of it is lost."""

from __future__ import annotations

import re
from typing import cast

import pytest
from msgspec import structs
from textual._compositor import CompositorUpdate

from playground.domain.messages import Role
from playground.screens.prompt_view import PromptScreen
from tests.app.support import INFO, FakeBackend, Player, make_app, playing

HOSTILE = (
    b"plain ",
    b"\x1b[2J\x1b[31mred",
    b"\x1b]0;title\x07",
    b"\x1b]52;c;aGk=\x1b\\",
    b"\x9b31m\x85\x00\x08\x7f",
    b"[bold]markup[/nope]",
    b"[@click=app.quit]x[/]",
    "\u202eright to left\u202c".encode(),
    b"\xf0\x9f",
    b"\x98\x80",
    b"\xff\xfe",
    "e\u0301\u0301\u0301 \u200d\ufe0f".encode(),
    b"\r\n\t\x0b\x0c",
    b"x" * 10_000,
    "漢字".encode(),
)
ALLOWED = re.compile(
    "\x1b\\[[0-9;:]*m"  # colours
    "|\x1b\\[[0-9;]*H|\n"  # places
)


def painted(player: Player) -> str:
    """The whole screen as it would go to the terminal."""
    update = player.app.screen._compositor.render_update(full=True)
    return cast(CompositorUpdate, update).render_segments(player.app.console)


@pytest.mark.usefixtures("no_model")
async def test_hostile_text_never_reaches_the_terminal_raw() -> None:
    backend = FakeBackend(HOSTILE)
    output = ""
    async with playing(make_app()) as player:
        await player.attach(backend)
        player.pane.card = structs.replace(INFO.card, short_name="[red]\x1b]0;x\x07")
        await player.ask("[/red] \x1b[2J and \x9b1m")
        view = player.pane.transcript.view
        await player.press("ctrl+t", "ctrl+home")
        output += painted(player)
        for _ in HOSTILE:
            await player.press("right")
            output += painted(player)
        view.scroll_home(animate=False)
        await player.press("f8")
        await player.until(lambda: isinstance(player.app.screen, PromptScreen), "exact prompt")
        output += painted(player)
        await player.press("escape", "ctrl+b")
        output += painted(player)
        turn = player.pane.session.transcript.last(Role.ASSISTANT)
        assert turn is not None
        assert b"".join(token.piece for token in turn.tokens) == b"".join(HOSTILE)
        assert "😀" in player.transcript
        assert "[bold]markup[/nope]" in player.transcript
        assert "x" * 10_000 in player.transcript
    rest = ALLOWED.sub("", output)
    assert "plain" in rest
    assert "␛[31mred" in rest
    assert "[/red]" in rest
    assert not re.findall("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", rest)
    for command in ("\x1b[2J", "\x1b]0", "\x1b]52", "\x07"):
        assert command not in output


@pytest.mark.usefixtures("no_model")
async def test_what_is_copied_is_the_text_without_marks_and_headings() -> None:
    backend = FakeBackend([b"Hello", b" world", b".\n", b"Bye"])
    async with playing(make_app(), size=(120, 30)) as player:
        await player.attach(backend)
        await player.ask("Hi there")
        view = player.pane.transcript.view
        await player.pilot.mouse_down(view, offset=(0, 4))
        await player.pilot.hover(view, offset=(3, 5))
        await player.pilot.mouse_up(view, offset=(3, 5))
        await player.press("ctrl+c")
        assert player.app.clipboard == "Hello world.\nBye"


@pytest.mark.usefixtures("no_model")
async def test_a_run_that_breaks_shows_the_line_of_the_log_that_tells_why() -> None:
    from playground.domain.errors import EngineDied
    from playground.domain.events import Failed

    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two"], hold_after=1))
        await player.say("Hi")
        await player.tokens(1)
        log = "llama_context: n_ctx = 512\nggml.c:120: GGML_ASSERT(a->ne[0] > 0) failed\n"
        error = EngineDied("The model's process ended.", "Reload it.", detail=log)
        player.pane.runner._inbox.append(Failed(stream=player.pane.session.stream, problem=error.problem))
        await player.answered()
        assert "✗ The model's process ended. Reload it.\n  ggml.c:120: GGML_ASSERT" in player.transcript
        assert "one" in player.transcript
        await player.until(lambda: "✗ failed" in player.text, "state")
