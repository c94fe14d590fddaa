"""Forks of hosted models: a prefill where the API takes one, a reason where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import TextArea

from playground.domain.transcript import Turn
from playground.screens.force_dialog import ForceDialog
from tests.app.hosted_support import TEXT, Desk, hosted
from tests.app.support import make_app, playing, settings

pytestmark = pytest.mark.usefixtures("no_model")


async def go_to(desk: Desk, index: int) -> Turn:
    """Put the cursor on a token of the last reply."""
    reply, view = desk.reply(), desk.pane.transcript.view
    await desk.press("ctrl+t")
    view.move_to(view.store.refs.index((reply.id, index)))
    await desk.pilot.pause()
    return reply


async def type_text(desk: Desk, key: str, text: str) -> ForceDialog:
    """Open the dialog and put a text into it."""
    await desk.press(key)
    await desk.until(lambda: isinstance(desk.app.screen, ForceDialog), "asked for a text")
    dialog = desk.app.screen
    assert isinstance(dialog, ForceDialog)
    dialog.query_one(TextArea).load_text(text)
    return dialog


async def test_a_text_is_a_prefill_where_the_api_takes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "claude/claude-3-opus:ok") as desk:
        await desk.ask("Hi")
        old = await go_to(desk, 2)
        await desk.press("1")
        await desk.until(lambda: "No candidates are known" in desk.notices, "no candidates")
        await type_text(desk, "f", " dear")
        await desk.until(lambda: "goes as text" in desk.text, "said")
        await desk.run("enter")
        new = desk.reply()
        assert desk.fake.bodies[-1]["messages"][-1] == {"role": "assistant", "content": "Hello, dear"}
        assert new.content == f"Hello, dear{TEXT}"
        assert [token.index for token in new.tokens] == list(range(len(new.tokens)))
        assert (new.forked_at, new.by_hand) == (2, {2})
        assert old.content == TEXT
        await go_to(desk, 5)
        token = desk.screen.inspector.token
        assert token is not None
        assert token.index == 5, "tokens behind a beginning are counted from the reply's start"


async def test_the_beginning_of_a_reply_is_sent_and_white_space_that_is_not_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hosted(monkeypatch, "claude/claude-3-opus:ok") as desk:
        await desk.write("Hi")
        await type_text(desk, "alt+p", "Well, ")
        await desk.run("enter")
        messages = desk.fake.bodies[-1]["messages"]
        assert [message["role"] for message in messages] == ["user", "assistant"]
        assert messages[-1]["content"] == "Well,"
        await desk.until(lambda: "was not sent" in desk.notices, "told")
        assert desk.reply().content == f"Well, {TEXT}"


@pytest.mark.parametrize(
    ("model", "reason"),
    [("claude/claude-opus-4-8:ok", "the last message must be the person's"), ("box/m:ok", "begins every reply anew")],
)
async def test_where_the_api_takes_no_prefill_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch, model: str, reason: str
) -> None:
    async with hosted(monkeypatch, model) as desk:
        await desk.ask("Hi")
        asked = len(desk.fake.bodies)
        await go_to(desk, 1)
        keys = ("2", "f", "alt+p") if model.startswith("box") else ("f", "alt+p")
        for key in keys:
            desk.app.clear_notifications()
            await desk.press(key)
            await desk.until(lambda: reason in desk.notices, f"{key}: told")
        assert len(desk.fake.bodies) == asked
        assert len(desk.pane.session.transcript.siblings(desk.reply())) == 1


async def test_a_candidate_of_a_raw_text_goes_on_as_a_longer_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok") as desk:
        await desk.press("f7")
        await desk.until(lambda: desk.pane.session.mode == "raw", "raw")
        await desk.ask("Once")
        old = await go_to(desk, 2)
        taken = next(n for n, one in enumerate(old.tokens[2].top, 1) if one.piece != old.tokens[2].piece)
        await desk.run(str(taken))
        assert desk.fake.bodies[-1]["prompt"] == "OnceHello,x"
        assert desk.reply().content == f"Hello,x{TEXT}"


async def test_a_fork_of_a_reply_by_a_real_server_goes_on_from_its_prefix(starter_gguf: Path) -> None:
    pytest.importorskip("xllamacpp")
    from tests.engine.test_server_truth import serving

    with serving(starter_gguf) as address:
        settings(f'[endpoints.own]\nbase_url = "{address}/v1"\n')
        async with playing(make_app("temperature=0", "max_tokens=8", model="own/")) as player:
            desk = Desk(player.app, player.pilot)
            await desk.ready()
            await desk.ask("Why is the sky blue?")
            old = await go_to(desk, 3)
            await desk.run("2" if old.tokens[3].top[0].piece == old.tokens[3].piece else "1")
            new = desk.reply()
            assert [token.piece for token in new.tokens[:3]] == [token.piece for token in old.tokens[:3]]
            assert new.tokens[3].piece != old.tokens[3].piece
            assert len(new.tokens) == 4 + 8
            assert new.content == "".join(token.piece.decode() for token in new.tokens)
