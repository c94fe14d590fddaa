"""Any text as a local model sees it, a hosted answer among them, and two views of one text."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from llama_cpp import Llama
from textual import events
from textual.widgets import OptionList, TextArea

from playground.domain.endpoints import ModelRef
from playground.domain.scoring import largest_differences
from playground.screens.choice_dialog import ChoiceDialog
from playground.screens.score_dialog import ScoreDialog
from playground.screens.score_screen import OTHER_TOKENS, RECOMPUTED, ScoreScreen
from playground.services.recent_models import remember_model
from playground.widgets.score_figures import ScoreFigures
from playground.widgets.score_list import ScoreList
from playground.widgets.token_view import TokenView
from tests.app.hosted_support import TEXT as HOSTED_TEXT
from tests.app.hosted_support import hosted
from tests.app.support import FakeBackend, Player, make_app, playing, settings
from tests.app.test_pane_models import workers

RIVER = (
    "The river rises in the hills above the old town, where the water is cold and clear. By the time it reaches the "
    "sea it has passed three cities, eleven bridges and a mill. Nobody zyqwv fishes there any more."
)


async def dialog(player: Player) -> ScoreDialog:
    """Ask for a text to be scored."""
    await player.press("alt+e")
    await player.until(
        lambda: isinstance(player.app.screen, ScoreDialog) and "Score a text" in player.text, "asked for a text"
    )
    screen = player.app.screen
    assert isinstance(screen, ScoreDialog)
    return screen


async def scored(player: Player) -> ScoreScreen:
    """Wait for the result."""
    await player.until(
        lambda: isinstance(player.app.screen, ScoreScreen) and player.app.screen.has_class("-scored"), "scored"
    )
    screen = player.app.screen
    assert isinstance(screen, ScoreScreen)
    return screen


async def score_own(player: Player, text: str) -> ScoreScreen:
    """Score a text that is pasted."""
    screen = await dialog(player)
    screen.query_one(TextArea).load_text(text)
    await player.press("ctrl+s")
    return await scored(player)


async def compare_with(player: Player, screen: ScoreScreen, answer: str) -> None:
    """Choose a second view by the beginning of its name."""
    await player.press("c")
    await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked with what")
    names = [str(option.prompt) for option in player.app.screen.query_one(OptionList).options]
    await player.press(*["down"] * next(place for place, name in enumerate(names) if answer in name), "enter")
    await player.until(lambda: screen.second is not None and player.app.screen is screen, "compared")


def teacher_forced(path: Path, text: str) -> tuple[list[int], list[float]]:
    """Ids, and the log-probability of each but the first, by another way than the app's."""
    model = Llama(str(path), n_ctx=512, logits_all=True, flash_attn=True, verbose=False)
    ids = model.tokenize(text.encode(), add_bos=True, special=False)
    model.eval(ids)
    raw = np.asarray(model.scores[: len(ids) - 1], np.float64)
    top = raw.max(axis=1)
    total = top + np.log(np.exp(raw - top[:, None]).sum(axis=1))
    found = raw[np.arange(len(ids) - 1), ids[1:]] - total
    model.close()
    return ids, found.tolist()


async def test_the_score_of_a_text_is_the_sum_of_raw_log_probabilities(starter_gguf: Path) -> None:
    ids, expected = teacher_forced(starter_gguf, RIVER)
    async with playing(make_app()) as player:
        await player.ready()
        screen = await score_own(player, RIVER)
        score = screen.score
        assert score is not None
        assert [token.id for token in score.tokens] == ids
        assert score.tokens[0].logprob is None
        assert [token.logprob for token in score.tokens[1:]] == pytest.approx(expected, abs=1e-3)
        assert score.total_logprob == pytest.approx(math.fsum(expected), abs=1e-2)
        perplexity = math.exp(-math.fsum(expected) / len(expected))
        shown = next(line for line in player.text.splitlines() if line.strip().startswith("perplexity"))
        assert float(shown.split()[1]) == pytest.approx(perplexity, abs=0.02)
        assert "the first has none" in player.text
        bits = -math.fsum(expected) / math.log(2) / (len(RIVER.encode()) - len(score.tokens[0].piece))
        shown = next(line for line in player.text.splitlines() if line.strip().startswith("bits per byte"))
        assert float(shown.split()[3]) == pytest.approx(bits, abs=2e-3)


async def test_surprises_are_listed_and_walked_with_what_was_expected_instead(starter_gguf: Path) -> None:
    async with playing(make_app()) as player:
        await player.ready()
        screen = await score_own(player, RIVER)
        score, view, places = screen.score, screen.query_one(TokenView), screen.query_one(ScoreList)
        assert score is not None
        known = [token for token in score.tokens if token.logprob is not None]
        worst = sorted(known, key=lambda token: token.logprob or 0.0)
        assert [place.at for place in places.places[:5]] == [token.index for token in worst[:5]]
        await player.until(lambda: view.cursor == worst[0].index, "at the worst")
        await player.press("n")
        assert view.cursor == worst[1].index
        await player.press("p", "p")
        assert view.cursor == places.places[-1].at, "from the first to the last"
        await player.press("n")
        best = worst[0].top[0]
        await player.until(lambda: best.piece.decode().strip() in player.text.split("expected here")[1], "expected")
        await player.press("ctrl+home")
        await player.until(lambda: "Nothing stands before this token" in player.text, "the first one")
        await player.press("tab", "down", "enter")
        await player.until(lambda: view.cursor == worst[1].index and view.has_focus, "from the list into the text")
        before = bytes(view.store.styles)
        await player.press("f4")
        assert bytes(view.store.styles) != before
        assert "entropy" in player.text
        await player.press("escape")
        await player.until(lambda: player.app.screen is player.screen, "back")


async def test_a_reply_scores_as_it_was_written(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=12", "seed=3", "temperature=1.3")) as player:
        await player.ready()
        await player.ask("Name a river.")
        await player.ask("And a hill?")
        first = player.pane.session.transcript.path()[1]
        await player.press("ctrl+t", "ctrl+home")
        await dialog(player)
        assert "The reply under the token cursor" in player.text
        await player.press("enter")
        score = (await scored(player)).score
        assert score is not None
        assert [token.id for token in score.tokens] == [token.id for token in first.tokens]
        recorded = [token.logprob for token in first.tokens]
        assert [token.logprob for token in score.tokens] == pytest.approx(recorded, abs=5e-2)
        assert "view of its own reply" in player.text
        assert "all with a probability" in player.text


async def test_the_whole_prompt_is_scored_with_its_template(starter_gguf: Path) -> None:
    async with playing(make_app()) as player:
        await player.ready()
        await player.write("Name a river.")
        await dialog(player)
        await player.press("down", "enter")
        screen = await scored(player)
        assert screen.score is not None
        specials = [token.special for token in screen.score.tokens if token.special]
        assert specials.count("<|im_start|>") >= 2
        assert "<|im_start|>" in "".join(screen.query_one(TokenView).store.texts)
        assert player.screen.editor.text == "Name a river."


async def test_a_text_that_is_too_long_says_the_number_and_is_not_lost(starter_gguf: Path) -> None:
    settings("[load]\ncontext = 512\n")
    long = (RIVER + "\n") * 530
    assert len(long) > 100_000
    async with playing(make_app()) as player:
        await player.ready()
        screen = await dialog(player)
        screen.query_one(TextArea).load_text(long)
        await player.press("ctrl+s")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked")
        assert "context window holds 512" in player.text
        await player.press("escape")
        await player.until(lambda: "Esc leads back" in player.text, "told")
        assert "context window holds 512" in player.text
        assert "load the model with a larger context" in " ".join(player.text.split())
        await player.press("escape")
        again = await dialog(player)
        assert again.query_one(TextArea).text == long
        await player.press("ctrl+s")
        await player.until(lambda: isinstance(player.app.screen, ChoiceDialog), "asked again")
        await player.press("enter")
        score = (await scored(player)).score
        assert score is not None
        assert len(score.tokens) == 512
        assert "Only the first 512 of" in player.text


async def test_what_is_pasted_goes_into_the_field_from_the_list_too(starter_gguf: Path) -> None:
    async with playing(make_app()) as player:
        await player.ready()
        await player.write("A draft.")
        screen = await dialog(player)
        area = screen.query_one(TextArea)
        assert player.focus_is(OptionList)
        player.app.post_message(events.Paste("The hills are "))
        await player.until(lambda: area.text == "The hills are ", "in the field")
        player.app.post_message(events.Paste("old."))
        await player.until(lambda: area.text == "The hills are old.", "behind it, once")
        await player.press("escape")
        assert player.screen.editor.text == "A draft."


async def test_esc_ends_what_is_being_computed(starter_gguf: Path) -> None:
    settings("[load]\nbatch = 32\n")
    async with playing(make_app("max_tokens=4", "seed=1")) as player:
        await player.ready()
        screen = await dialog(player)
        screen.query_one(TextArea).load_text(RIVER * 80)
        await player.press("ctrl+s")
        await player.until(lambda: " reads: " in player.text, "progress")
        assert "esc ends it" in player.text
        await player.press("escape")
        await player.until(lambda: player.app.screen is player.screen, "back")
        await player.ask("Hello?")
        assert player.pane.has_words
        assert (await score_own(player, "One two three.")).score is not None


async def test_a_hosted_answer_is_seen_by_the_model_used_last_and_called_so(
    monkeypatch: pytest.MonkeyPatch, starter_gguf: Path
) -> None:
    remember_model(starter_gguf)
    async with hosted(monkeypatch, "box/m:ok") as desk:
        await desk.until(lambda: not workers(), "the local model was given up")
        await desk.ask("Hello?")
        await dialog(desk)
        assert "m:ok is hosted and does not score texts" in " ".join(desk.text.split())
        assert f"Scored by {starter_gguf.stem}" in desk.text
        await desk.press("enter")
        screen = await scored(desk)
        assert f"{starter_gguf.stem}'s view of what m:ok wrote" in desk.text
        assert screen.score is not None
        assert b"".join(token.piece for token in screen.score.tokens).decode() == HOSTED_TEXT
        assert all(token.logprob is not None for token in screen.score.tokens)
        await desk.press("escape")
        await desk.until(lambda: not workers(), "given up again")


async def test_a_hosted_answer_is_seen_by_the_model_of_another_pane(
    monkeypatch: pytest.MonkeyPatch, starter_gguf: Path
) -> None:
    async with hosted(monkeypatch, first=str(starter_gguf), assignments=["max_tokens=4"]) as desk:
        await desk.ready()
        await desk.add_pane()
        await desk.choose("claude/claude-sonnet-4-5:ok")
        await desk.ask_all("Hello?")
        await dialog(desk)
        assert f"Scored by {starter_gguf.stem} · pane 1" in desk.text
        before = workers()
        await desk.press("enter")
        await scored(desk)
        assert "view of what claude-sonnet-4-5:ok wrote" in desk.text
        assert workers() == before
        await desk.press("escape")


async def test_two_cache_types_are_compared_token_by_token(starter_gguf: Path) -> None:
    async with playing(make_app(), (160, 50)) as player:
        await player.ready()
        before = workers()
        screen = await score_own(player, RIVER * 2)
        styles = bytes(screen.query_one(TokenView).store.styles)
        await compare_with(player, screen, "KV cache q4_0")
        second = screen.second
        assert second is not None
        assert second.comparison is not None
        assert second.comparison.mean_kl_kept is not None
        assert 0.0 < second.comparison.mean_kl_kept < 0.5
        await player.until(lambda: "KV q4_0" in player.text and "KL divergence" in player.text, "shown")
        assert second.comparison.mean_kl is not None
        assert second.comparison.mean_kl > second.comparison.mean_kl_kept
        assert "≥" not in player.text
        figures = {row.label: row for row in screen.query_one(ScoreFigures).rows}
        assert figures["KL divergence"].values[-1] == f"{second.comparison.mean_kl:.4f}"
        assert figures["KL divergence"].meaning.startswith("bits a token, over the whole vocabulary")
        assert all(f"KL {one.kl:.3f}" in player.text for one in largest_differences(second.comparison, 2))
        assert bytes(screen.query_one(TokenView).store.styles) != styles
        shown = screen.query_one(ScoreList).places
        sizes = [abs(one.logprob or 0.0) for one in second.comparison.tokens]
        assert sizes[shown[0].at] == max(sizes)
        assert workers() == before, "the second worker is given up"
        await player.press("f4")
        assert bytes(screen.query_one(TokenView).store.styles) == styles


async def test_a_model_does_not_differ_from_itself(starter_gguf: Path, tmp_path: Path) -> None:
    other = tmp_path / "itself.gguf"
    other.symlink_to(starter_gguf)
    settings("[load]\ncontext = 1024\n")
    async with playing(make_app(), (160, 50)) as player:
        await player.ready()
        await player.add_pane()
        player.screen.load_model(player.pane, ModelRef("", str(other)))
        await player.until(lambda: player.pane.card and player.pane.card.id == str(other), "the same file again")
        await player.press("alt+1")
        screen = await score_own(player, RIVER)
        await compare_with(player, screen, "itself")
        second = screen.second
        assert second is not None
        assert second.comparison is not None
        assert second.comparison.mean_kl_kept == pytest.approx(0.0, abs=1e-9)
        assert second.comparison.mean_kl == 0.0
        assert second.comparison.mean_logprob == pytest.approx(0.0, abs=1e-9)
        assert second.comparison.same_best == 1.0
        assert {one.rank for one in second.comparison.tokens[1:]} == {0}
        assert len(workers()) == 2


async def test_models_with_other_tokens_are_compared_by_bits_per_byte(
    starter_gguf: Path, tiny_models: Callable[[str], Path]
) -> None:
    async with playing(make_app(), (160, 50)) as player:
        await player.ready()
        await player.add_pane()
        tiny = tiny_models("chat")
        player.screen.load_model(player.pane, ModelRef("", str(tiny)))
        await player.until(lambda: player.pane.card and player.pane.card.id == str(tiny), "another model")
        await player.press("alt+1")
        screen = await score_own(player, RIVER)
        await compare_with(player, screen, tiny.stem)
        assert screen.second is not None
        assert screen.second.comparison is None
        await player.until(lambda: OTHER_TOKENS in " ".join(player.text.split()), "said")
        line = next(line for line in player.text.splitlines() if line.strip().startswith("bits per byte"))
        assert len([word for word in line.split() if word.replace(".", "").isdigit()]) == 2


async def test_a_memory_that_cannot_be_cut_gives_the_same_and_says_that_it_computed_again(
    tiny_models: Callable[[str], Path],
) -> None:
    app = make_app("max_tokens=8", "seed=3", "ignore_eos=true", model=str(tiny_models("recurrent")))
    async with playing(app, (160, 50)) as player:
        await player.ready()
        await player.ask("the water of the people")
        turn = player.pane.session.transcript.path()[1]
        await dialog(player)
        await player.press("enter")
        screen = await scored(player)
        assert screen.score is not None
        recorded = [token.logprob for token in turn.tokens]
        assert [token.logprob for token in screen.score.tokens] == pytest.approx(recorded, abs=1e-2)
        await player.until(lambda: RECOMPUTED in " ".join(player.text.split()), "said")


@pytest.mark.usefixtures("no_model")
async def test_without_a_local_model_it_says_what_to_do() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one"]))
        screen = await dialog(player)
        assert "No local model: F5 chooses one" in player.text
        screen.query_one(TextArea).load_text("Some text.")
        await player.press("ctrl+s")
        await player.until(lambda: "There is no local model to score with." in player.text, "told")
        await player.press("escape")
        assert player.app.screen is player.screen
