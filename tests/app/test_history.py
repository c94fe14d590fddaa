"""The history screen: searching, looking, opening, starring, naming, deleting, and what it all cost."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from playground.domain.sampling import SamplingParams
from playground.domain.session import Session
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.history_screen import HistoryScreen
from playground.screens.text_dialog import TextDialog
from playground.services.history import History
from playground.services.history_recorder import Recorder
from playground.widgets.cost_plot import CostPlot
from playground.widgets.history_list import HistoryList
from playground.widgets.history_preview import HistoryPreview
from tests.app.support import FakeBackend, Player, make_app, playing
from tests.app.test_keeping import entries, open_history, tree_of
from tests.services.history_support import ask
from tests.toy_model import TOY

pytestmark = pytest.mark.usefixtures("no_model")


async def fill(*conversations: tuple[str, str, str, float | None]) -> None:
    """Keep conversations of one exchange: model, prompt, reply and cost; each newer than the one before."""
    from playground.domain.history import Setting

    history = History()
    await history.open()
    for model, prompt, reply, cost in conversations:
        session = Session(SamplingParams(temperature=1.25, seed=3), "Be brief.")
        session.model = model
        ask(session, prompt, *(f" {word}" for word in reply.split(" ")), cost=cost)
        setting = Setting(model_ref=f"/models/{model}.gguf", preset="balanced" if cost == 0 else "precise")
        change = Recorder().take(session, setting)
        assert change is not None
        await history.keep([change])
    await history.close()


SKY = ("Toy", "Why is the sky blue?", "Because of Rayleigh", 0.0)
BREAD = ("claude-x", "How is bread made?", "With flour", 0.25)
MILK = ("claude-x", "And milk?", "By cows", None)


def prompts(player: Player) -> list[str]:
    """What is listed."""
    return [entry.prompt for entry in player.app.screen.query_one(HistoryList).entries]


async def choose(player: Player, key: str, label: str) -> None:
    """Choose an answer of the dialog that a key opens."""
    await player.press(key)
    await player.until(lambda: isinstance(player.app.screen, ChoiceDialog) and label in player.text, "dialog")
    from textual.widgets import OptionList

    options = player.app.screen.query_one(OptionList)
    number = next(n for n, option in enumerate(options.options) if label in str(option.prompt))
    await player.press(*["down"] * number, "enter")
    await player.until(lambda: isinstance(player.app.screen, HistoryScreen), "chosen")


async def test_words_are_found_as_they_are_typed_and_filters_narrow_the_list() -> None:
    await fill(SKY, BREAD, MILK)
    async with playing(make_app()) as player:
        await open_history(player)
        assert prompts(player) == ["And milk?", "How is bread made?", "Why is the sky blue?"]
        await player.press("slash", *"rayl")
        await player.until(lambda: prompts(player) == ["Why is the sky blue?"], "found by a word of the reply")
        await player.until(lambda: "History · 1 of 3 replies" in player.text, "counted")
        await player.press(*"xyz")
        await player.until(lambda: "No reply is like that." in player.text, "nothing")
        await player.until(lambda: "History · 0 of 3 replies" in player.text, "none of them")
        await player.press("down", "a")
        await player.until(lambda: len(prompts(player)) == 3, "all again")
        await player.until(lambda: "History · 3 replies" in player.text, "all counted")
        assert player.app.screen.query_one(Input).value == ""
        await choose(player, "m", "claude-x")
        await player.until(lambda: len(prompts(player)) == 2, "of one model")
        await choose(player, "c", "from $0.10")
        await player.until(lambda: prompts(player) == ["How is bread made?"], "not for less")
        await choose(player, "t", "today")
        await choose(player, "p", "precise")
        await player.until(lambda: "m claude-x  p precise  t today  c from $0.10" in player.text, "told")
        assert prompts(player) == ["How is bread made?"]
        await player.press("s")
        await player.until(lambda: "★" in player.text.replace("★ only", ""), "starred")
        await player.press("a", "f")
        await player.until(lambda: prompts(player) == ["How is bread made?"], "only that with a star")
        await player.press("escape")
        assert not isinstance(player.app.screen, HistoryScreen)


async def test_a_reply_is_shown_with_its_tokens_beside_the_list() -> None:
    await fill(SKY, BREAD)
    async with playing(make_app()) as player:
        await open_history(player)
        view = player.app.screen.query_one(HistoryPreview).view
        await player.until(lambda: "".join(view.store.texts).startswith("You\nHow is bread made?"), "the newest")
        await player.press("down")
        await player.until(lambda: "Because of Rayleigh" in "".join(view.store.texts), "the one below")
        assert len({style for ref, style in zip(view.store.refs, view.store.styles, strict=True) if ref}) > 0
        assert "TTFT 80 ms" in player.text


async def test_a_conversation_is_named_deleted_and_put_back() -> None:
    await fill(SKY, BREAD)
    async with playing(make_app()) as player:
        await open_history(player)
        await player.press("r")
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        await player.press(*"Loaf", "enter")
        await player.until(lambda: "Loaf · How is bread made?" in player.text, "named")
        await player.press("slash", *"loaf")
        await player.until(lambda: prompts(player) == ["How is bread made?"], "found by its name")
        await player.press("down", "a")
        await player.until(lambda: len(prompts(player)) == 2, "all again")
        await player.press("d")
        await player.until(lambda: prompts(player) == ["Why is the sky blue?"], "deleted")
        await player.press("u")
        await player.until(lambda: len(prompts(player)) == 2, "put back")
        await player.press("d")
        await player.until(lambda: len(prompts(player)) == 1, "deleted again")
        await player.press("escape")
        await open_history(player)
        await player.press("x")
        await player.until(lambda: prompts(player) == ["How is bread made?"], "the deleted one")
        assert "deleted ones" in player.text
        await player.press("u")
        await player.until(lambda: "Nothing is deleted." in player.text, "put back later as well")
        await player.press("x")
        await player.until(lambda: len(prompts(player)) == 2, "both")


async def test_one_is_opened_as_it_was_and_another_beside_it() -> None:
    await fill(SKY, BREAD)
    async with playing(make_app(), size=(160, 40)) as player:
        await player.attach(FakeBackend([b"More"]))
        await open_history(player)
        await player.press("down", "enter")
        await player.until(lambda: "Because of Rayleigh" in player.transcript, "opened")
        session = player.pane.session
        assert (session.params.temperature, session.params.seed, session.system) == (1.25, 3, "Be brief.")
        await player.until(lambda: "Opened for reading" in player.notices, "the model is not there")
        await open_history(player)
        await player.press("n")
        await player.until(lambda: len(player.panes) == 2, "beside")
        await player.until(lambda: "With flour" in player.transcripts[1], "opened")
        assert "Because of Rayleigh" in player.transcripts[0]
        assert player.pane.tuning.name == "precise"


async def test_one_that_is_on_screen_already_is_shared_with_its_pane() -> None:
    async with playing(make_app(), size=(160, 40)) as player:
        await player.attach(FakeBackend([b"Hi"]))
        await player.ask("Hello")
        await open_history(player)
        await player.press("n")
        await player.until(lambda: len(player.panes) == 2, "beside")
        await player.until(lambda: "Hello" in player.transcripts[1], "opened")
        first, second = (pane.session.transcript for pane in player.panes)
        assert first.shares_with(second)


async def test_what_is_not_kept_is_not_lost_without_a_question() -> None:
    await fill(SKY)
    async with playing(make_app(), size=(160, 40)) as player:
        await player.attach(FakeBackend([b"Hi"]))
        await player.press("alt+q")
        await player.until(lambda: "private" in player.text, "private")
        await player.ask("Secret")
        await open_history(player)
        await player.press("enter")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked")
        assert "would be lost" in player.text
        await player.press("enter")
        await player.until(lambda: len(player.panes) == 2, "beside")
        await player.until(lambda: "Because of Rayleigh" in player.transcripts[1], "opened")
        assert "Secret" in player.transcripts[0]


async def test_deleted_branches_of_a_conversation_can_be_put_back_after_a_restart() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"Hi"]))
        await player.ask("Hello")
        await player.run("ctrl+r")
        await player.until(lambda: len(entries()) == 2, "both kept")
        tree = player.pane.session.transcript
        tree.delete(tree.turns[3])
        player.pane.sync()
        await player.press("ctrl+q")
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"Ho"]))
        await open_history(player)
        await player.press("end", "enter")
        await player.until(lambda: player.pane.session.transcript.turns, "opened")
        tree = player.pane.session.transcript
        assert (list(tree.turns), tree.deleted) == ([1, 2], 1)
        await player.run("ctrl+r")
        assert list(tree.turns) == [1, 2, 4], "an id is never given twice"
        await player.press("ctrl+q")
    stored = tree_of(entries()[0])
    assert len(stored.turns) == 4
    assert stored.deleted == {3}


async def test_costs_are_shown_by_day_and_by_model() -> None:
    await fill(SKY, BREAD, MILK)
    async with playing(make_app(), size=(160, 40)) as player:
        await open_history(player)
        await player.press("g")
        await player.until(lambda: "by model" in player.text, "plot")
        assert player.app.screen.query_one(CostPlot).display
        line = next(line for line in player.text.splitlines() if line.count("claude-x") == 2 or "│ claude-x" in line)
        assert "$0.25 + ? · 2 replies" in line
        assert player.focus_is(CostPlot), "arrows scroll it"
        await player.press("g")
        assert not player.app.screen.query_one(CostPlot).display


async def test_of_a_long_reply_the_beginning_is_read_and_the_rest_as_somebody_reads_on() -> None:
    await fill(("Toy", "Count", " ".join(map(str, range(3000))), 0.0))
    async with playing(make_app()) as player:
        screen = await open_history(player)
        view = screen.preview.view
        await player.until(lambda: screen.preview.tokens > 0, "the beginning")
        first = screen.preview.tokens
        assert first < 3000
        assert "end of text" not in "".join(view.store.texts)
        view.focus()
        for _ in range(6):
            await player.press("end")
            await player.until(lambda: view.scroll_offset.y >= view.max_scroll_y, "at the end of what is read")
        await player.until(lambda: screen.preview.tokens == 3000, "all of it")
        await player.until(lambda: "end of text" in "".join(view.store.texts), "its end")
        assert "998 999 1000" in "".join(view.store.texts)


async def test_a_conversation_is_written_to_a_file_whose_ending_says_how(tmp_path: Path) -> None:
    await fill(SKY, BREAD)
    (tmp_path / "there.md").write_text("mine")
    async with playing(make_app()) as player:
        await open_history(player)
        for name, begins in (("a.md", "# How is bread made?"), ("b.html", "<!DOCTYPE html>"), ("c.jsonl", "{")):
            await player.press("e")
            await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
            dialog = player.app.screen.query_one(Input)
            refused = (str(tmp_path / "there.md"), str(tmp_path / "nothing.pdf"), f"{'x' * 300}.md")
            for typed in refused:
                dialog.value = typed
                await player.press("enter")
                assert isinstance(player.app.screen, TextDialog)
            dialog.value = str(tmp_path / name)
            await player.press("enter")
            file = tmp_path / name
            await player.until(lambda file=file: file.exists(), "written")  # type: ignore[misc]
            assert file.read_text(encoding="utf-8").startswith(begins)
            assert "With flour" in file.read_text(encoding="utf-8").replace("</span>", "") or name == "b.html"
        await player.until(lambda: "Written to" in player.notices, "told")
    assert (tmp_path / "there.md").read_text() == "mine"


async def test_a_file_may_be_called_by_a_tilde_and_a_name_that_nobody_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await fill(BREAD)
    async with playing(make_app()) as player:
        await open_history(player)
        await player.press("e")
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "dialog")
        player.app.screen.query_one(Input).value = "~nobody-here.md"
        await player.press("enter")
        await player.until(lambda: "Written to" in player.notices, "told")
    assert "With flour" in (tmp_path / "~nobody-here.md").read_text()


async def test_long_lists_are_read_page_by_page() -> None:
    await fill(*(("Toy", f"Prompt {number}", "x", 0.0) for number in range(450)))
    async with playing(make_app()) as player:
        screen = await open_history(player)
        await player.until(lambda: "450 replies" in player.text, "counted")
        assert len(prompts(player)) == 200
        for count in (400, 450):
            await player.press("end")
            await player.until(lambda count=count: len(prompts(player)) == count, "more")  # type: ignore[misc]
        await player.press("end")
        assert screen.rows.entry is not None
        assert screen.rows.entry.prompt == "Prompt 0"
        assert len(set(prompts(player))) == 450
        await player.until(lambda: "Prompt 0 " in player.text, "in sight")


async def test_names_from_elsewhere_are_shown_as_text() -> None:
    await fill(("[b]evil\x1b[31m", "[red]x[/red]\x1b[2J", "a\x07b", 0.0))
    async with playing(make_app()) as player:
        await open_history(player)
        await player.until(lambda: "[red]x[/red]" in player.text, "shown as it is")
        assert "\x1b" not in player.text
        assert TOY.name not in player.text


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)])
async def test_list_text_and_keys_have_room_at_every_size(size: tuple[int, int]) -> None:
    await fill(SKY)
    async with playing(make_app(), size=size) as player:
        await open_history(player)
        await player.until(lambda: "Rayleigh" in "".join(player.text.splitlines()[6:]), "text")
        assert "Why is the sky blue?" in player.text
        assert "Open" in player.text
        assert "Close" in player.text


async def test_the_filters_keys_are_there_while_one_searches() -> None:
    await fill(SKY, BREAD)
    async with playing(make_app()) as player:
        await open_history(player)
        await player.until(lambda: "m any model" in player.text, "the keys of the filters")
        await player.press("slash")
        await player.pilot.resize_terminal(110, 38)
        await player.until(lambda: player.focus_is(Input) and "m any model" in player.text, "drawn anew")
        assert "o from anywhere" in player.text
