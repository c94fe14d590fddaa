"""Forks in the app: candidates taken, texts forced, replies begun by hand, on the real model."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs
from textual.widgets import Static, TextArea

from playground.domain.messages import Role
from playground.domain.scoring import ScoreRequest
from playground.domain.transcript import Turn
from playground.screens.force_dialog import ForceDialog
from playground.screens.pane import Pane
from playground.widgets.candidates import CandidateList
from playground.widgets.token_view import TokenView
from tests.app.support import FakeBackend, Player, make_app, playing, transcript_of
from tests.engine.support import GREEDY, Harness, opened, request

GREEDILY = ("temperature=0", "ignore_eos=true")


def reply_of(pane: Pane) -> Turn:
    reply = pane.session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    return reply


def replies(player: Player) -> list[Turn]:
    """All versions of the last reply, oldest first."""
    return player.pane.session.transcript.siblings(reply_of(player.pane))


async def go_to(player: Player, index: int) -> Turn:
    """Put the cursor on a token of the last reply."""
    reply, view = reply_of(player.pane), player.pane.transcript.view
    await player.press("ctrl+t")
    view.move_to(view.store.refs.index((reply.id, index)))
    await player.until(
        lambda: (shown := player.screen.inspector.token) and shown.index == index, f"token {index} shown"
    )
    return reply


def digit_of_another(turn: Turn, index: int) -> str:
    """The key of the best candidate that was not taken and is text."""
    token = turn.tokens[index]
    return next(str(n) for n, one in enumerate(token.top[:9], 1) if one.id != token.id and not one.special)


async def type_text(player: Player, key: str, text: str) -> ForceDialog:
    """Open the dialog and put a text into it."""
    await player.press(key)
    await player.until(lambda: isinstance(player.app.screen, ForceDialog), "asked for a text")
    dialog = player.app.screen
    assert isinstance(dialog, ForceDialog)
    dialog.query_one(TextArea).load_text(text)
    return dialog


def said(dialog: ForceDialog) -> str:
    """The tokens and what there is to know about them."""
    return "\n".join(str(dialog.query_one(name, Static).content) for name in ("#force-tokens", "#force-remarks"))


async def known(player: Player, reply: Turn) -> None:
    """Wait until all tokens of a reply have figures."""
    await player.until(lambda: all(token.logprob is not None for token in reply.tokens), "figures found")


async def test_digits_fork_several_times_in_a_row_and_every_branch_stays(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=8", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        old = await go_to(player, 3)
        key = digit_of_another(old, 3)
        await player.run(key)
        first = reply_of(player.pane)
        assert [token.id for token in first.tokens[:3]] == [token.id for token in old.tokens[:3]]
        assert first.tokens[3].id == old.tokens[3].top[int(key) - 1].id
        assert first.by_hand == {3}
        assert (first.tokens[3].rank, first.tokens[3].entropy) == (int(key), old.tokens[3].entropy)
        assert "✎" in player.transcript
        view = player.pane.transcript.view
        assert view.store.refs[view.cursor or 0] == (first.id, 3), "the cursor is where one forks again"
        assert player.focus_is(TokenView)
        await player.run(digit_of_another(first, 3))
        second = reply_of(player.pane)
        await player.press("left")
        await player.run(digit_of_another(second, 2))
        assert [turn.forked_at for turn in replies(player)] == [None, 3, 3, 2]
        assert len(old.tokens) == 8


async def test_a_fork_goes_on_as_a_fresh_run_forced_to_the_same_prefix(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=10", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Tell me about the sea.")
        old = await go_to(player, 4)
        await player.run(digit_of_another(old, 4))
        new = reply_of(player.pane)
        ids = [token.id for token in new.tokens]
        prompt = new.prompt
    assert prompt is not None
    with opened(starter_gguf, context=1024) as model:
        harness = Harness(model)
        harness.run(request(1, prompt, GREEDY, reply_ids=ids[:5], max_tokens=10, ignore_eos=True))
        assert harness.cached(1) == 0
        assert ids[5:] == harness.ids(1)


async def test_a_digit_takes_a_candidate_from_the_list_too_and_enter_takes_the_one_under_its_cursor(
    starter_gguf: Path,
) -> None:
    async with playing(make_app("max_tokens=6", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Name a colour.")
        old = await go_to(player, 2)
        await player.press("enter")
        assert player.focus_is(CandidateList)
        key = digit_of_another(old, 2)
        await player.run(key)
        assert reply_of(player.pane).tokens[2].id == old.tokens[2].top[int(key) - 1].id
        assert player.focus_is(TokenView)
        await player.press("enter", "9", "enter")
        await player.until(lambda: len(replies(player)) >= 3, "forked from the list")
        await player.answered()


async def test_a_what_if_offers_candidates_that_were_not_recorded(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", "top=2", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Name a colour.")
        old = await go_to(player, 1)
        assert len(old.tokens[1].top) == 2
        await player.press("5")
        await player.until(lambda: "only 2 candidates" in player.notices, "refused")
        player.screen.tuning.pending = structs.replace(player.pane.session.params, top=8, temperature=1.0)
        await player.until(lambda: len(player.screen.inspector.token.top) == 8, "more candidates")  # type: ignore[union-attr]
        shown = player.screen.inspector.token
        assert shown is not None
        await player.run("5")
        new = reply_of(player.pane)
        assert new.tokens[1].id == shown.top[4].id
        assert new.tokens[1].logprob == shown.top[4].logprob
        assert new.tokens[1].rank == 5
        assert "◆ temperature 0 → 1" in player.transcript, "what follows is drawn with other parameters"


async def test_a_forced_text_has_its_true_figures_and_is_seen_as_put_there(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        old = await go_to(player, 3)
        dialog = await type_text(player, "f", " green because of algae")
        await player.until(lambda: "·green│·because│·of│·algae│" in said(dialog), "tokens shown")
        await player.until(lambda: said(dialog).count("%") == 4, "how likely each is")
        likely = str(dialog.query_one("#force-likely", Static).content)
        await player.run("enter")
        put_there = reply_of(player.pane).tokens[3:7]
        assert f"log-probability {sum(token.logprob or 0.0 for token in put_there):.2f}" in likely
        new = reply_of(player.pane)
        assert new.content.startswith(old.content[: len("The sky is")] + " green because of algae")
        put = sorted(new.by_hand)
        assert put[0] == 3
        assert len(new.tokens) == len(put) + 3 + 6
        await known(player, new)
        backend, ids = player.pane.runner.backend, tuple(token.id or 0 for token in new.tokens)
        assert backend is not None
        assert new.prompt is not None
        score = await backend.score(ScoreRequest(prompt=new.prompt, reply_ids=ids, only_reply=True))
        for index in put:
            mine, truth = new.tokens[index], score.tokens[index]
            assert mine.index == index
            assert mine.logprob == pytest.approx(truth.logprob, abs=0.05)
            assert mine.entropy == pytest.approx(truth.entropy, abs=0.05)
            assert mine.prob is None, "no sampler had a part in it"
        assert player.transcript.count("✎") == 1
        assert "▏" in player.transcript


async def test_what_the_grammar_forbids_is_told_before_and_leaves_no_branch(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", 'grammar=root ::= "The " [a-z ]+', *GREEDILY)) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        await go_to(player, 1)
        dialog = await type_text(player, "f", " NO")
        await player.press("enter")
        await player.until(lambda: "The grammar in force does not let this stand here." in said(dialog), "refused")
        assert dialog.query_one(TextArea).text == " NO"
        assert len(replies(player)) == 1
        dialog.query_one(TextArea).load_text(" moon ")
        await player.until(lambda: "It ends in a space." in said(dialog), "warned")
        dialog.query_one(TextArea).load_text(" moon")
        await player.run("enter")
        assert reply_of(player.pane).content.startswith("The moon")


async def test_a_reply_that_a_fork_has_ended_says_so(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=300", *GREEDILY)) as player:
        await player.ready()
        await player.say("Tell me a long story.")
        await player.tokens(4)
        first = await go_to(player, 2)
        await player.press(digit_of_another(first, 2))
        await player.until(lambda: len(replies(player)) == 2 and player.pane.session.busy, "forked")
        assert first.finished is not None
        assert first.finished.reason.sentence == "stopped"
        assert first.finished.detail == "a fork went on"
        await player.stop_all()


async def test_a_text_that_would_be_split_otherwise_at_the_seam_says_so_and_shows_both(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        await go_to(player, 1)
        assert reply_of(player.pane).content.startswith("The")
        dialog = await type_text(player, "f", "refore it is")
        await player.until(lambda: "in one go" in said(dialog), "the seam is told")
        assert "split otherwise" in said(dialog)
        assert "given" in said(dialog)
        dialog.query_one(TextArea).load_text(" is")
        await player.until(lambda: "in one go" not in said(dialog) and "1 token " in said(dialog), "no seam")
        await player.press("escape")
        assert len(replies(player)) == 1


async def test_texts_that_cannot_be_forced_get_a_sentence_and_stay_in_the_dialog(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3", *GREEDILY)) as player:
        await player.ready()
        await player.press("alt+p")
        await player.until(lambda: "nothing to answer" in player.notices, "refused")
        await player.ask("Hi")
        await go_to(player, 1)
        dialog = await type_text(player, "f", "")
        await player.press("enter")
        await player.until(lambda: "is empty" in said(dialog), "empty")
        dialog.query_one(TextArea).load_text("word " * 9000)
        await player.press("enter")
        await player.until(lambda: "has room for" in said(dialog), "too long")
        dialog.query_one(TextArea).load_text(" <|im_end|> is text")
        await player.until(lambda: "not as the control token" in said(dialog), "control token")
        await player.run("enter")
        new = reply_of(player.pane)
        assert "<|im_end|> is text" in new.content
        assert not any(token.special for token in new.tokens[: new.continued_at])


async def test_begin_the_reply_yourself(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=5", *GREEDILY)) as player:
        await player.ready()
        await player.write("Why is the sky blue?")
        await type_text(player, "alt+p", "Arr, matey,")
        await player.run("enter")
        first = reply_of(player.pane)
        assert first.content.startswith("Arr, matey,")
        assert len(first.tokens) == len(first.by_hand) + 5
        assert player.screen.editor.text == ""
        await known(player, first)
        assert [token.index for token in first.tokens] == list(range(len(first.tokens)))
        await type_text(player, "alt+p", "No\nidea")
        await player.run("enter")
        assert [turn.content[:7] for turn in replies(player)] == ["Arr, ma", "No\nidea"]
        assert player.pane.session.transcript.path()[0].text == "Why is the sky blue?"


async def test_begin_a_raw_continuation_yourself_and_fork_at_its_first_token(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", *GREEDILY)) as player:
        await player.ready()
        await player.press("f7")
        await player.until(lambda: player.pane.session.mode == "raw", "raw")
        await player.write("Once upon a time")
        await type_text(player, "alt+p", " there lived")
        await player.run("enter")
        assert reply_of(player.pane).content.startswith(" there lived")
        old = await go_to(player, 0)
        await known(player, old)
        await player.run(digit_of_another(old, 0))
        new = reply_of(player.pane)
        assert (new.forked_at, new.by_hand) == (0, {0})
        assert len(new.tokens) == 5


async def test_a_fork_stops_the_reply_in_its_pane_and_leaves_that_of_another_alone(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=400", *GREEDILY), (160, 40)) as player:
        await player.ready()
        await player.add_pane()
        await player.until(lambda: all(pane.runner.backend for pane in player.panes), "both models")
        await player.say("Count to a thousand.")
        await player.until(lambda: all(len(p.session.transcript.path()) == 2 for p in player.panes), "both asked")
        await player.tokens(8)
        other, other_stream = player.panes[0], player.panes[0].session.stream
        old = await go_to(player, 5)
        stream = player.pane.session.stream
        await player.press(digit_of_another(old, 5))
        await player.until(lambda: player.pane.session.stream != stream and player.pane.session.busy, "forked")
        assert old.finished is not None
        assert old.finished.reason == "cancelled"
        assert len(old.tokens) >= 8, "nothing of it is lost"
        assert (other.session.stream, other.session.busy) == (other_stream, True)
        await player.stop_all()


async def test_two_forks_at_once_are_two_branches(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=60", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        old = await go_to(player, 3)
        others = [str(n) for n, one in enumerate(old.tokens[3].top[:9], 1) if one.id != old.tokens[3].id][:2]
        await player.press(*others)
        await player.answered()
        await player.until(lambda: len(replies(player)) == 3 and not player.pane.session.busy, "both forked")
        assert "still being written" not in player.notices
        assert all(turn.finished is not None for turn in replies(player))


async def test_at_the_end_of_the_text_another_candidate_goes_on_and_a_text_is_appended(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "temperature=0", "logit_bias=<|im_end|>:30")) as player:
        await player.ready()
        await player.ask("Say yes.")
        old = reply_of(player.pane)
        end = len(old.tokens) - 1
        assert old.tokens[end].special
        player.screen.tuning.pending = structs.replace(player.pane.session.params, logit_bias={}, ignore_eos=True)
        await go_to(player, end)
        await player.run(digit_of_another(old, end))
        new = reply_of(player.pane)
        assert not any(token.special for token in new.tokens)
        assert len(new.tokens) == end + 1 + 6
        await player.press("alt+left")
        await go_to(player, end)
        await type_text(player, "f", " And no.")
        await player.run("enter")
        assert reply_of(player.pane).content.startswith(old.content + " And no.")


async def test_a_fork_inside_a_character_is_decoded_and_drawn_right(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=3", *GREEDILY)) as player:
        await player.ready()
        await player.write("Greet me.")
        await type_text(player, "alt+p", "Hi 🦜 there")
        await player.run("enter")
        begun = reply_of(player.pane)
        await known(player, begun)
        inside = next(token.index for token in begun.tokens if token.piece and not _is_text(token.piece)) + 1
        await go_to(player, inside)
        await player.run(digit_of_another(begun, inside))
        new = reply_of(player.pane)
        assert new.forked_at == inside
        joined = b"".join(token.piece for token in new.tokens)
        assert new.content == joined.decode("utf-8", "replace")
        text = player.transcript.replace("✎", "").replace("▏", "")
        assert new.content in text
        await player.press("alt+left")
        assert "🦜" in player.transcript
        dialog = await _open_at(player, inside)
        dialog.query_one(TextArea).load_text("!")
        await player.until(lambda: "inside a character" in said(dialog), "told")
        await player.press("escape")


async def _open_at(player: Player, index: int) -> ForceDialog:
    await go_to(player, index)
    return await type_text(player, "f", "")


def _is_text(piece: bytes) -> bool:
    try:
        piece.decode()
    except UnicodeDecodeError:
        return False
    return True


async def test_what_another_model_wrote_goes_by_its_text_and_says_so(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        old = reply_of(player.pane)
        old.model = "another-model"
        foreign = [structs.replace(token, id=(token.id or 0) + 11) for token in old.tokens]
        old.tokens[:] = foreign
        await player.press("ctrl+g")
        await player.until(lambda: "another-model wrote this reply" in player.notices, "refused to go on")
        await go_to(player, 2)
        await player.run(digit_of_another(old, 2))
        new = reply_of(player.pane)
        taken = old.tokens[2].top[int(digit_of_another(old, 2)) - 1].piece.decode()
        assert new.content.startswith(b"".join(token.piece for token in old.tokens[:2]).decode() + taken)
        assert "another-model wrote the beginning" in player.transcript
        await known(player, new)
        assert not {token.id for token in new.tokens[:2]} & {token.id for token in foreign}


async def test_a_reply_whose_prompt_was_shortened_forks_from_the_shortened_one(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=4", *GREEDILY)) as player:
        await player.ready()
        await player.ask("Why is the sky blue?")
        old = reply_of(player.pane)
        assert old.prompt is not None
        player.pane.session.system = "From now on, answer in French."
        await go_to(player, 2)
        await player.run(digit_of_another(old, 2))
        assert reply_of(player.pane).prompt == old.prompt, "what the reply was written to, not what would be sent now"


@pytest.mark.usefixtures("no_model")
async def test_without_a_model_nothing_is_forked_and_the_reason_is_told() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend([b"one", b" two", b" three"]))
        await player.ask("Hi")
        await go_to(player, 1)
        player.pane.detach("no model")
        for key in ("2", "f", "alt+p"):
            player.app.clear_notifications()
            await player.press(key)
            await player.until(lambda: "No model is loaded" in player.notices, "told")
        assert len(replies(player)) == 1
        assert "one two three" in transcript_of(player.pane)
