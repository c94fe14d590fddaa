"""A prompt that does not fit a hosted model's window: the counts, the choices, and nothing cut unasked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from textual.widgets import OptionList, Static

from playground.screens.choice_dialog import ChoiceDialog
from tests.app.hosted_support import TEXT, Desk, hosted
from tests.fakes import anthropic_events

pytestmark = pytest.mark.usefixtures("no_model")

WINDOW = 300
TURNS = ("alpha " * 60, "beta " * 60)
LAST = "gamma " * 30


@pytest.fixture(autouse=True)
def small_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the servers say that their models have a small context window."""

    def models(names: Sequence[str]) -> dict[str, object]:
        return {"object": "list", "data": [{"id": "m:ok", "object": "model", "max_model_len": WINDOW}]}

    big = anthropic_events.model
    monkeypatch.setattr("tests.fakes.openai_events.models", models)
    monkeypatch.setattr(anthropic_events, "model", lambda name: {**big(name), "max_input_tokens": 40})


async def converse(desk: Desk) -> None:
    """Two turns that fit, and a third that does not, up to the question."""
    for text in TURNS:
        await desk.ask(text.strip())
    await desk.say(LAST.strip())
    await asked(desk)


async def asked(desk: Desk) -> list[str]:
    """Wait for the question; returns its answers."""
    await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog), "asked")
    options = desk.app.screen.query_one(OptionList)
    return [str(option.prompt) for option in options.options]


def question(desk: Desk) -> str:
    """What is asked, whole."""
    return str(desk.app.screen.query_one(Static).content)


def sent(desk: Desk) -> list[dict[str, Any]]:
    """The messages of the last request."""
    messages: list[dict[str, Any]] = desk.fake.bodies[-1]["messages"]
    return messages


async def choose(desk: Desk, answer: str) -> None:
    """Take the answer that begins so."""
    options = desk.app.screen.query_one(OptionList)
    number = next(n for n, option in enumerate(options.options) if str(option.prompt).startswith(answer))
    await desk.press("home", *["down"] * number, "enter")
    await desk.until(lambda: len(desk.fake.bodies) == 3 and not desk.pane.session.busy, "answered")


async def test_what_does_not_fit_is_said_with_estimated_counts_and_leaving_sends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hosted(monkeypatch, "box/m:ok", assignments=("max_tokens=100",)) as desk:
        await converse(desk)
        assert "It does not fit" in desk.text
        text = question(desk)
        assert "≈" in text
        assert f"context window of {WINDOW}" in text
        assert "100 are set aside for the reply" in text
        before = desk.transcript
        await desk.press("escape")
        await desk.until(lambda: desk.screen.editor.text == LAST.strip(), "given back")
        assert desk.transcript == before
        assert len(desk.fake.bodies) == 2


async def test_the_oldest_turns_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", assignments=("max_tokens=100",)) as desk:
        await converse(desk)
        await choose(desk, "Leave out the oldest turns")
        contents = [message["content"] for message in sent(desk)]
        assert contents == [TURNS[1].strip(), TEXT, LAST.strip()]
        assert "Left out, so that the rest fits the context window: the 2 oldest messages" in desk.transcript
        assert TURNS[0].strip() in desk.transcript, "the transcript keeps everything"


async def test_the_middle_of_the_longest_message_can_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", assignments=("max_tokens=100",)) as desk:
        await converse(desk)
        await choose(desk, "Cut from the middle")
        first, *_, last = (message["content"] for message in sent(desk))
        assert "tokens left out …]" in first
        assert len(first) < len(TURNS[0])
        assert first.startswith("alpha")
        assert first.endswith("alpha")
        assert last == LAST.strip()
        assert "Left out, so that the rest fits" in desk.transcript


async def test_the_reply_can_be_made_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", assignments=("max_tokens=100",)) as desk:
        await converse(desk)
        await choose(desk, "Make the reply shorter")
        limit = desk.fake.bodies[-1]["max_tokens"]
        assert 16 <= limit < 100
        assert len(sent(desk)) == 5
        assert f"The reply was limited to {limit} tokens" in desk.transcript
        assert desk.pane.session.params.max_tokens == 100, "only this once"


async def test_an_estimate_may_be_wrong_so_it_can_be_sent_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", assignments=("max_tokens=100",)) as desk:
        await converse(desk)
        await choose(desk, "Send it as it is")
        assert [message["content"] for message in sent(desk)][::2] == [*(t.strip() for t in TURNS), LAST.strip()]
        assert "Left out" not in desk.transcript


async def test_a_server_that_counts_is_asked_and_its_count_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "claude/m:ok", assignments=("max_tokens=100",)) as desk:
        await desk.say("Hello there, how are you?")
        answers = await asked(desk)
        text = question(desk)
        assert "The prompt has 42 tokens" in text
        assert "context window of 40" in text
        assert not any(answer.startswith("Send it as it is") for answer in answers)
        counted = [request for request in desk.fake.requests if request.path.endswith("count_tokens")]
        assert counted
        assert counted[0].body["messages"][-1]["content"] == "Hello there, how are you?"
        await desk.press("enter")
        await desk.until(lambda: desk.screen.editor.text == "Hello there, how are you?", "back at the prompt")
        assert not [request for request in desk.fake.requests if request.path.endswith("/messages")]


async def test_only_the_pane_it_does_not_fit_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", "box/n:ok", assignments=("max_tokens=100",)) as desk:
        for text in TURNS:
            await desk.ask_all(text.strip())
        await desk.say(LAST.strip())
        await asked(desk)
        assert "m:ok" in desk.text
        await choose_oldest(desk)
        lengths = {body["model"]: len(body["messages"]) for body in desk.fake.bodies[-2:]}
        assert lengths == {"m:ok": 3, "n:ok": 5}


async def choose_oldest(desk: Desk) -> None:
    """Leave the oldest turns out in one pane; the other has room."""
    await desk.press("enter")
    await desk.until(lambda: len(desk.fake.bodies) == 6, "both sent")
    await desk.all_answered()


async def test_too_long_is_seen_while_one_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok") as desk:
        await desk.write("word " * 400)
        await desk.until(lambda: "too long by" in desk.text, "said before sending")
        assert "≈" in desk.text.split("too long by")[0].splitlines()[-1]
        assert desk.screen.editor.has_class("-over")
        await desk.write("word")
        await desk.until(lambda: "too long by" not in desk.text, "short again")
