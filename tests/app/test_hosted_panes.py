"""Hosted models in panes, as a person sees them: figures, money, thinking, options, keys, second attempts."""

from __future__ import annotations

from pathlib import Path

import pytest

from playground.screens.choice_dialog import ChoiceDialog
from playground.widgets.option_rows import CycleRow
from playground.widgets.slider import ParamSlider
from playground.widgets.status_bar import StatusBar
from tests.app.hosted_support import SO_FAR, TEXT, Desk, hosted
from tests.app.support import make_app, playing
from tests.fakes.hosted_api import fake_api

pytestmark = pytest.mark.usefixtures("no_model")

SONNET = "claude/claude-sonnet-4-5"
COST = "$0.0072"
"""10 tokens of input at $3 a million, 2,000 read from the cache at $0.30, 100 written at $3.75 and 1,000 at $6, and 10
of output at $15 make $0.007155."""
BARE = """
[endpoints.bare]
base_url = "https://bare.invalid/v1"
api_key = "${BARE_KEY}"
"""


def tooltip(desk: Desk, selector: str) -> str:
    """What is told about a widget."""
    return str(desk.screen.query_one(selector).tooltip)


async def asked(desk: Desk) -> ChoiceDialog:
    """Wait for a question."""
    await desk.until(lambda: isinstance(desk.app.screen, ChoiceDialog), "asked")
    screen = desk.app.screen
    assert isinstance(screen, ChoiceDialog)
    return screen


async def test_replies_stream_side_by_side_with_their_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", f"{SONNET}:thinking") as desk:
        await desk.ask_all("Hello?")
        assert all(TEXT in text for text in desk.transcripts)
        box, claude = desk.screen.rows()
        assert (box.prompt_tokens, box.cached_tokens, box.completion_tokens, box.cost) == (10, 8, 6, None)
        assert (claude.prompt_tokens, claude.cached_tokens, claude.completion_tokens) == (3110, 2000, 10)
        assert claude.cost == pytest.approx(0.007155)
        for row in (box, claude):
            assert row.ttft_ms is not None
            assert row.tokens_per_second is not None
            assert not row.tokens_estimate
        assert box.perplexity == pytest.approx(1.105, abs=0.001)
        assert claude.perplexity is None
        await desk.until(lambda: COST in desk.text, "cost shown")
        assert "10 tokens, 4 of them thinking" in desk.transcript
        assert "2,000 of 3,110 prompt tokens from cache" in desk.transcript


async def test_cost_is_an_estimate_while_it_streams_and_exact_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, f"{SONNET}:stall") as desk:
        await desk.say("Hello?")
        await desk.until(lambda: SO_FAR in desk.transcript, "half of it")
        await desk.until(lambda: "≈$0.00" in desk.text, "an estimate")
        assert "≈" in desk.screen.query_one("#status-speed").render_line(0).text
        desk.fake.let_go.set()
        await desk.answered()
        await desk.until(lambda: "$0.0071" in desk.text, "the exact sum")  # no thinking here: 4 tokens less
        assert "≈$" not in desk.screen.query_one(StatusBar).query_one("#status-cost").render_line(0).text


async def test_an_unknown_price_is_called_unknown_and_the_sums_say_what_they_lack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with hosted(monkeypatch, "box/m:ok", f"{SONNET}:thinking") as desk:
        await desk.ask_all("Hello?")
        await desk.press("alt+1")
        await desk.until(lambda: "price ?" in desk.text, "unknown")
        await desk.until(lambda: "· session $0.0072 + ?" in desk.text, "session")
        assert "Price unknown" in tooltip(desk, "#status-cost")
        assert "1 call of unknown price" in tooltip(desk, "#status-session")
        assert "genai-prices" in tooltip(desk, "#status-cost")
        await desk.press("alt+i")
        await desk.until(lambda: "Figures of the session" in desk.text, "figures")
        assert f"{COST} and 1 request of unknown price in this session" in desk.text
        assert "claude-sonnet-4-5:thinking" in desk.text
        await desk.press("escape")
    async with playing(make_app()) as later:
        await later.until(lambda: later.pane.model_state == "no model", "looked")
        assert later.screen.accounts.spending.day.usd == pytest.approx(0.007155)
        assert later.screen.accounts.spending.session.usd == 0


async def test_what_sending_would_cost_stands_beside_the_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", f"{SONNET}:ok", assignments=("max_tokens=1000",)) as desk:
        await desk.write("Hello there, how are you?")
        await desk.until(lambda: "more than ≈" in desk.text, "estimate for both")
        assert "≈$0.0" in desk.text
        await desk.press("alt+a")
        await desk.write("Hello there, how are you doing?")
        await desk.until(lambda: "with reply" in desk.text and "more than" not in desk.text, "estimate for one")
        await desk.press("alt+1")
        await desk.until(lambda: "price unknown" in desk.text, "unknown")
        assert "≈" in desk.text.split("tokens ·")[0].splitlines()[-1]
        assert not desk.fake.bodies


async def test_a_budget_stops_what_would_overdraw_it_and_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    budget = "[budget]\nper_request_usd = 0.001"
    async with hosted(monkeypatch, f"{SONNET}:thinking", more=budget, assignments=("max_tokens=1000",)) as desk:
        await desk.say("Hello?")
        await asked(desk)
        assert "A budget would be overdrawn" in desk.text
        assert "the budget of one request is $0.0010" in " ".join(desk.text.split())
        await desk.press("escape")
        await desk.until(lambda: desk.screen.editor.text == "Hello?", "given back")
        assert not desk.fake.bodies
        await desk.press("enter")
        await asked(desk)
        await desk.press("enter")
        await desk.until(lambda: TEXT in desk.transcript and not desk.pane.session.busy, "sent all the same")
        sent = len(desk.fake.bodies)
        await desk.press("ctrl+r")
        await asked(desk)
        await desk.press("escape")
        await desk.until(lambda: not isinstance(desk.app.screen, ChoiceDialog), "left")
        assert len(desk.fake.bodies) == sent
        assert "‹" not in desk.transcript


async def test_a_prompt_that_waited_for_its_model_keeps_to_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", more="[budget]\nper_day_usd = 0.0001") as desk:
        pane = desk.pane
        pane.waiting = ("Hello?", 0.0)
        desk.screen.model_ready(pane)
        await asked(desk)
        assert "The price of this model is unknown" in " ".join(desk.text.split())
        await desk.press("escape")
        await desk.until(lambda: desk.screen.editor.text == "Hello?", "given back")
        assert not desk.fake.bodies


async def test_controls_follow_what_the_model_of_the_pane_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:ok", "claude/claude-opus-5:ok", "claude/claude-opus-5:ok") as desk:
        screen = desk.screen
        assert "Claude's API takes no sampling parameters" in tooltip(desk, "#param-temperature")
        assert all(screen.query_one(f"#controls-{name}").display for name in ("effort", "thinking", "cache"))
        screen.query_one("#controls-effort", CycleRow).focus()
        await desk.press("right", "right", "right")
        await desk.press("alt+l")
        screen.query_one("#controls-cache", CycleRow).focus()
        await desk.press("right")
        screen.query_one("#controls-thinking", CycleRow).focus()
        await desk.press("right")
        await desk.press("alt+1")
        assert not screen.query_one("#param-temperature", ParamSlider).reason
        assert not screen.query_one("#controls-effort").display
        assert "box does not take it" in tooltip(desk, "#param-mirostat")
        await desk.ask_all("Hello?")
        bodies = {body.get("output_config", {}).get("effort", body["model"]): body for body in desk.fake.bodies}
        assert set(bodies) == {"m:ok", "claude-opus-5:ok", "high"}
        assert bodies["m:ok"]["temperature"] == 0.8
        assert not {"temperature", "thinking", "output_config"} & (bodies["m:ok"].keys() - {"temperature"})
        for name in ("claude-opus-5:ok", "high"):
            assert "temperature" not in bodies[name]
            assert bodies[name]["messages"][-1]["content"][0]["cache_control"]["ttl"] == "5m"
            assert bodies[name]["thinking"]["type"] == "adaptive"
        await desk.press("alt+3")
        screen.query_one("#controls-legacy_sampling", CycleRow).focus()
        await desk.press("alt+l", "right")
        await desk.until(lambda: not screen.query_one("#param-temperature", ParamSlider).reason, "allowed")


async def test_thinking_is_folded_and_unfolds(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:thinking", "claude/m:thinking") as desk:
        await desk.ask_all("Hello?")
        assert all("▸ thought for 14 characters" in text for text in desk.transcripts)
        assert not any("They greet me." in text for text in desk.transcripts)
        await desk.press("alt+h")
        assert all("They greet me." in text for text in desk.transcripts)
        await desk.press("alt+h")
        assert not any("They greet me." in text for text in desk.transcripts)
        assert all(desk.reply(pane).content == TEXT for pane in desk.panes)


async def test_without_a_key_the_pane_says_where_to_put_one_and_the_others_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("BARE_KEY", raising=False)
    async with hosted(monkeypatch, first="bare/m", more=BARE) as desk:
        await desk.until(lambda: desk.pane.model_state == "no model", "no key")
        assert "There is no key for bare." in desk.transcript
        assert "Set the environment variable BARE_KEY" in desk.transcript
        assert "BARE_KEY" in desk.notices
        await desk.say("Hello?")
        assert desk.screen.editor.text == "Hello?"
        await desk.add_pane()
        await desk.choose("box/m:ok")
        await desk.press("enter")
        await desk.until(lambda: TEXT in desk.transcripts[1], "the other pane answers")
        assert "Pane 1 has no model and got no prompt" in desk.notices
        await desk.press("alt+1")
        await desk.choose("claude/m:ok")
        await desk.ask_all("And you?")
        assert all(TEXT in text for text in desk.transcripts)


async def test_the_countdown_to_the_next_attempt_is_seen_and_ended_by_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:429", "claude/m:429*1") as desk:
        await desk.press("alt+1")
        await desk.say("Hello?")
        await desk.until(lambda: "retry in 7 s · 2 of 4" in desk.text, "countdown")
        await desk.until(lambda: "retry in 6 s" in desk.text, "it counts down")
        assert "↻ attempt 1 of 4: box takes no more requests for now" in desk.transcript
        sent = len(desk.fake.bodies)
        await desk.stop_all()
        assert all("■ stopped" in text for text in desk.transcripts)
        assert len(desk.fake.bodies) == sent


async def test_a_second_attempt_answers_and_leaves_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:529*1", "claude/n:529*1") as desk:
        await desk.ask_all("Hello?")
        for name, text in zip(("box", "claude"), desk.transcripts, strict=True):
            assert TEXT in text
            assert f"↻ attempt 1 of 4: {name} is overloaded at the moment." in text


async def test_a_refused_parameter_is_left_out_visibly_and_its_slider_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "box/m:refuse=temperature") as desk:
        assert not desk.screen.query_one("#param-temperature", ParamSlider).reason
        await desk.ask("Hello?")
        assert TEXT in desk.transcript
        assert "↻ attempt 1 of 2: box refused the request" in desk.transcript
        assert "temperature" in desk.transcript.split("Next:")[1].split("\n")[0]
        await desk.until(lambda: "box does not take it" in tooltip(desk, "#param-temperature"), "said")
        await desk.ask("Again?")
        assert len(desk.fake.bodies) == 3


async def test_another_model_takes_over_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    more = f'[hosted]\nfallback = "{SONNET}:ok"\nattempts = 1'
    async with hosted(monkeypatch, "box/m:529", more=more) as desk:
        await desk.ask("Hello?")
        assert TEXT in desk.transcript
        assert "claude-sonnet-4-5:ok took over: box is overloaded at the moment." in desk.transcript
        assert desk.screen.rows()[0].cost == pytest.approx(0.007095)
        assert desk.reply().model == "claude-sonnet-4-5:ok"


async def test_a_model_on_this_machine_takes_over(monkeypatch: pytest.MonkeyPatch, starter_gguf: Path) -> None:
    more = "[hosted]\nattempts = 1"
    async with hosted(monkeypatch, "box/m:500", more=more, assignments=("max_tokens=3",)) as desk:
        await desk.press("alt+o")
        await desk.until(lambda: "Stand-in" in desk.text, "picker")
        desk.app.screen.query_one("#model-name").value = str(starter_gguf)  # type: ignore[attr-defined]
        await desk.press("enter")
        await desk.until(lambda: desk.pane.slot.stand_in and desk.pane.runner.backend, "chosen")
        await desk.ask("Hello?")
        assert f"{starter_gguf.stem} took over" in desk.transcript
        assert len(desk.reply().tokens) == 3
        assert desk.screen.rows()[0].cost == 0.0


async def test_a_refusal_is_shown_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch, "claude/m:stop=refusal") as desk:
        await desk.ask("Hello?")
        assert "■ refused: " in desk.transcript
        assert "This could enable harm." in desk.transcript


async def test_a_server_is_found_with_its_models_and_chosen_from_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    async with hosted(monkeypatch) as desk:
        await desk.press("f5")
        await desk.until(lambda: desk.text.count("fake-1") >= 2, "both servers listed")
        await desk.press(*"fake-2", "enter")
        await desk.until(lambda: desk.pane.card is not None, "chosen")
        await desk.ask("Hello?")
        assert TEXT in desk.transcript


async def test_a_fake_that_is_gone_is_told_and_one_key_connects_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with fake_api() as gone:
        port = gone.port
    more = f'[endpoints.gone]\nbase_url = "http://127.0.0.1:{port}/v1"'
    async with hosted(monkeypatch, "box/m:ok", more=more) as desk:
        await desk.press("f5", *"gone/m", "enter")
        await desk.until(lambda: desk.pane.model_state == "no model", "not there")
        assert f"No connection to gone at 127.0.0.1:{port}." in desk.notices
        assert "Is the server running" in desk.notices
        await desk.say("Hello?")
        assert "Is the server running" in desk.notices
        assert desk.screen.editor.text == "Hello?"
