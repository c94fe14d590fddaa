"""Walking over the branches of a conversation, and the tree of all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec import structs
from textual.widgets import Static

from playground.domain.branches import branches, likelihood
from playground.domain.forking import branch_at, take
from playground.domain.messages import Role
from playground.domain.scoring import ScoreRequest
from playground.domain.transcript import Begun, Transcript, Turn
from playground.screens.branches_screen import BranchesScreen
from playground.screens.going_on import go_on_from
from playground.screens.pane import Pane
from playground.screens.text_dialog import TextDialog
from playground.widgets.branch_tree import BranchTree
from tests.app.support import FakeBackend, Player, make_app, playing, token

WORDS = (b"One", b" two", b" three", b" four")


def ref(pane: Pane) -> object:
    """What the cursor is on."""
    view = pane.transcript.view
    return view.store.refs[view.cursor] if view.cursor is not None else None


def fork(pane: Pane, turn: Turn, at: int, *pieces: bytes) -> Turn:
    """A branch as it would have been written."""
    made = branch_at(pane.session.transcript, turn, at, [token(at, pieces[0])])
    made.tokens += [token(at + 1 + number, piece) for number, piece in enumerate(pieces[1:])]
    made.finished, made.model = turn.finished, turn.model
    pane.sync()
    return made


async def take_another(player: Player, turn: Turn, at: int) -> Turn:
    """The likeliest other candidate at a token, and what the model writes behind it."""
    old = turn.tokens[at]
    choice = next(number for number, one in enumerate(old.top) if one.id != old.id and not one.special)
    await go_on_from(player.pane, turn, at, [take(old, choice)])
    await player.answered()
    return reply_of(player.pane)


async def open_tree(player: Player) -> BranchTree:
    """Alt+G."""
    await player.press("alt+g")
    await player.until(lambda: isinstance(player.app.screen, BranchesScreen), "tree open")
    tree = player.app.screen.query_one(BranchTree)
    await player.until(lambda: tree.size.height, "tree laid out")
    return tree


async def on_row(player: Player, tree: BranchTree, turn: Turn) -> None:
    """Walk to the row that a turn begins."""
    await player.press("home")
    for _ in range(100):
        if tree.branch is not None and tree.branch.turn is turn:
            return
        await player.press("down")
    raise AssertionError(f"no row of {turn.content!r}\n{player.text}")


def row(player: Player, text: str) -> str:
    """The first line of the tree that has a text in it."""
    tree = player.app.screen.query_one(BranchTree)
    lines = [tree.render_line(y).text for y in range(tree.size.height)]
    return next((line for line in lines if text in line), "")


def facts(player: Player) -> str:
    """What is told of the branch under the cursor."""
    return str(player.app.screen.query_one("#branch-facts", Static).content)


@asynccontextmanager
async def told(size: tuple[int, int] = (120, 40), **how: int) -> AsyncIterator[Player]:
    """The app with a reply of a fake model."""
    async with playing(make_app(), size) as player:
        await player.attach(FakeBackend(WORDS, **how))
        await player.ask("Count.")
        yield player


def reply_of(pane: Pane) -> Turn:
    """The reply on screen."""
    reply = pane.session.transcript.last(Role.ASSISTANT)
    assert reply is not None
    return reply


async def test_a_fork_stands_in_the_tree_with_what_it_was_and_became_and_enter_goes_there(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3")) as player:
        await player.ready()
        await player.ask("Tell me about the moon.")
        pane, first = player.pane, reply_of(player.pane)
        second = await take_another(player, first, 2)
        await player.run("ctrl+r")
        again = reply_of(pane)
        tree = await open_tree(player)
        was, became = (turn.tokens[2].piece.decode().replace(" ", "·") for turn in (first, second))
        line = row(player, f"{was} → {became}")
        assert line, player.text
        total = sum(one.logprob or 0.0 for one in second.tokens[2:])
        whole = sum(one.logprob or 0.0 for one in second.tokens)
        for figure in (total, total / len(second.tokens[2:]), whole, whole / len(second.tokens)):
            assert f" {figure:.2f} " in line
        assert "log-prob, whole reply" in player.text
        assert "from fork" in player.text
        assert "candidate" in line
        assert "length limit" in line
        assert "again" in row(player, "●"), "the branch on screen is marked, and the cursor begins there"
        assert tree.branch is not None
        assert tree.branch.turn is again
        await on_row(player, tree, second)
        await player.until(lambda: "another candidate was taken" in facts(player), "previewed")
        await player.press("enter")
        await player.until(lambda: not isinstance(player.app.screen, BranchesScreen), "tree closed")
        assert reply_of(pane) is second
        assert ref(pane) == (second.id, 2)


async def test_the_log_probability_of_a_branch_is_the_engines_own_score_of_its_tokens(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=8", "seed=4", "temperature=1.2")) as player:
        await player.ready()
        await player.ask("Tell me about the sea.")
        pane = player.pane
        await take_another(player, reply_of(pane), 3)
        backend = pane.need_model()
        rows = [one for one in branches(pane.session.transcript) if one.turn.role is Role.ASSISTANT]
        assert [one.begins_at for one in rows] == [0, 3]
        for one in rows:
            turn = one.turn
            assert turn.prompt is not None
            ids = tuple(each.id for each in turn.tokens if each.id is not None)
            score = await backend.score(ScoreRequest(prompt=turn.prompt, reply_ids=ids, only_reply=True))
            assert [each.id for each in score.tokens] == [each.id for each in turn.tokens]
            own = [each.logprob or 0.0 for each in score.tokens[one.begins_at :]]
            assert likelihood(one).measured == len(own)
            assert likelihood(one).logprob == pytest.approx(sum(own), abs=0.02 * len(own))


async def test_up_and_down_go_to_the_place_where_branches_part(starter_gguf: Path) -> None:
    async with playing(make_app("max_tokens=6", "seed=3")) as player:
        await player.ready()
        await player.ask("Tell me about the moon.")
        pane, first = player.pane, reply_of(player.pane)
        second = await take_another(player, first, 2)
        await player.press("alt+up")
        assert (reply_of(pane), ref(pane)) == (first, (first.id, 2))
        await player.press("alt+up")
        assert "This is the root" in player.notices
        await player.press("alt+down")
        assert (reply_of(pane), ref(pane)) == (second, (second.id, 2))
        await player.press("alt+down")
        assert "Nothing branched off from here" in player.notices
        await player.press("escape")
        assert pane.transcript.view.cursor is None
        await player.run("ctrl+r")
        again = reply_of(pane)
        await player.press("alt+up")
        assert (reply_of(pane), ref(pane)) == (first, (first.id, 0))
        await player.press("alt+down")
        assert (reply_of(pane), ref(pane)) == (again, (again.id, 0))


@pytest.mark.usefixtures("no_model")
async def test_an_edited_message_leads_up_to_what_it_was_before() -> None:
    async with told() as player:
        pane = player.pane
        first = pane.session.transcript.path()
        await player.press("ctrl+b")
        await player.write("Count down.")
        await player.run("enter")
        edited = pane.session.transcript.path()
        await player.press("alt+up")
        assert pane.session.transcript.path() == first
        assert ref(pane) is None
        await player.press("alt+down")
        assert pane.session.transcript.path() == edited
        await open_tree(player)
        assert "edited" in row(player, "› Count down.")
        assert "message" in row(player, "› Count.")


@pytest.mark.usefixtures("no_model")
async def test_nothing_to_show_and_nowhere_to_go() -> None:
    async with playing(make_app()) as player:
        await player.attach(FakeBackend(WORDS))
        await player.press("alt+g")
        assert "There is no branch yet. Write a prompt first." in player.notices.replace("\n", " ")
        await player.press("alt+up", "alt+down")
        assert player.notices.count("There is no branch on screen.") == 2


@pytest.mark.usefixtures("no_model")
async def test_deleting_the_branch_on_screen_shows_the_nearest_and_undo_brings_it_back() -> None:
    async with told() as player:
        pane, first = player.pane, reply_of(player.pane)
        second = fork(pane, first, 1, b" bee", b" sea")
        third = fork(pane, second, 2, b" dee")
        assert "3 of 3" in player.transcript
        tree = await open_tree(player)
        assert "→ ·bee" in player.text
        await on_row(player, tree, second)
        await player.press("d")
        assert set(pane.session.transcript.turns.values()).isdisjoint({second, third})
        assert reply_of(pane) is first
        assert "It was on screen in this pane" in player.notices
        assert "2 branches deleted" in player.notices
        assert "1 deletion to undo" in player.text
        assert " of " not in player.transcript.split("One")[0], "the heading counts what is left"
        await player.press("u")
        assert pane.session.transcript.siblings(first) == [first, second, third]
        assert reply_of(pane) is third, "it is on screen again"
        assert tree.branch is not None
        assert tree.branch.turn is second
        await player.press("u")
        assert "nothing to put back" in player.notices
        await on_row(player, tree, second)
        await player.press("x")
        assert pane.session.transcript.siblings(first) == [first, third], "alone: what forked from it stays"
        assert "·two → ·bee·dee" in player.text, "from where it parts from what is left"


@pytest.mark.usefixtures("no_model")
async def test_a_tree_without_branches_can_still_be_undone() -> None:
    async with told() as player:
        pane = player.pane
        path = pane.session.transcript.path()
        await open_tree(player)
        await player.press("home", "d")
        assert pane.session.transcript.head is None
        assert "u puts back" in player.text
        await player.press("enter", "r", "d", "up", "right", "left", "escape")
        assert "One two" not in player.transcript
        await open_tree(player)
        await player.press("u", "enter")
        assert pane.session.transcript.path() == path


@pytest.mark.usefixtures("no_model")
async def test_panes_that_share_a_tree_are_marked_and_moved() -> None:
    async with told(size=(160, 40)) as player:
        pane, first = player.pane, reply_of(player.pane)
        other = await player.add_pane(FakeBackend(WORDS))
        other.session.transcript = Transcript(pane.session.transcript)
        second = fork(other, first, 1, b" bee")
        await player.press("alt+1")
        tree = await open_tree(player)
        assert "2" in row(player, "→ ·bee")[:6]
        await on_row(player, tree, second)
        await player.until(lambda: "on screen in pane 2" in facts(player), "previewed")
        await player.press("d")
        assert reply_of(other) is first
        assert "in pane 2, which shows" in player.notices
        assert "bee" not in "".join(other.transcript.view.store.texts)
        assert "●2" in player.text
        await player.press("u")
        assert reply_of(other) is second
        assert reply_of(pane) is first


@pytest.mark.usefixtures("no_model")
async def test_nobodys_work_is_deleted() -> None:
    async with told(size=(160, 40)) as player:
        pane, first = player.pane, reply_of(player.pane)
        backend = FakeBackend(WORDS, hold_after=2)
        other = await player.add_pane(backend)
        other.session.transcript = Transcript(pane.session.transcript)
        await player.press("alt+a", "ctrl+r")
        await player.until(lambda: other.session.active and len(other.session.active.tokens) == 2, "two tokens")
        writing = other.session.active
        await player.press("alt+1")
        tree = await open_tree(player)
        await player.until(lambda: "writing" in row(player, "again"), "being written")
        await player.press("home", "d")
        assert "A reply is being written on this branch in pane 2." in player.notices
        assert writing is not None
        assert writing.id in pane.session.transcript.turns
        await on_row(player, tree, first)
        await player.press("x")
        assert first.id not in pane.session.transcript.turns, "the one beside it can be deleted"
        backend.let_go.set()
        await player.until(lambda: not other.session.busy, "written")
        await player.until(lambda: "end of text" in player.text, "seen in the tree")
        assert writing.content == "One two three four"
        await player.press("u")
        assert pane.session.transcript.siblings(first) == [first, writing]


@pytest.mark.usefixtures("no_model")
async def test_a_pane_that_writes_stays_where_it_is() -> None:
    async with playing(make_app()) as player:
        backend = FakeBackend(WORDS, hold_after=2)
        await player.attach(backend)
        await player.say("Count.")
        await player.tokens(2)
        pane, writing = player.pane, reply_of(player.pane)
        other = fork(pane, writing, 1, b" bee")
        pane.session.transcript.head = writing.id
        pane.sync()
        tree = await open_tree(player)
        await on_row(player, tree, other)
        await player.press("enter")
        assert "A reply is still being written." in player.notices
        assert isinstance(player.app.screen, BranchesScreen), "the tree stays open"
        await player.press("escape", "alt+down")
        assert reply_of(pane) is writing
        backend.let_go.set()
        await player.answered()
        await player.press("alt+down")
        assert reply_of(pane) is other


@pytest.mark.usefixtures("no_model")
async def test_a_branch_on_which_a_prompt_waits_is_kept_and_an_edit_of_a_deleted_message_becomes_a_new_one() -> None:
    async with told() as player:
        pane = player.pane
        pane.waiting = ("And then?", 0.0)
        await open_tree(player)
        await player.press("home", "d")
        assert "A prompt waits for its model on this branch." in player.notices
        assert pane.session.transcript.turns
        await player.press("escape")
        pane.waiting = None
        await player.press("ctrl+b")
        await player.write("Count down.")
        await open_tree(player)
        await player.press("home", "d", "escape")
        assert player.screen.editor.text == "Count down."
        await player.run("enter")
        assert [turn.content for turn in pane.session.transcript.path()] == ["Count down.", "One two three four"]


@pytest.mark.usefixtures("no_model")
async def test_names_stand_before_branches_and_hostile_ones_do_nothing() -> None:
    async with told() as player:
        await open_tree(player)
        await player.press("r")
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "asked")
        await player.press(*"best")
        await player.press("enter")
        await player.until(lambda: "best  › Count." in player.text, "named")
        turn = player.pane.session.transcript.path()[0]
        turn.title = "[red]\x1b[2J"
        await player.press("r")
        await player.until(lambda: isinstance(player.app.screen, TextDialog), "asked")
        await player.press(*"x" * 81, "enter")
        assert "too long" in player.text
        await player.press("escape")
        assert turn.title == "[red]\x1b[2J"
        await player.press("escape")
        await open_tree(player)
        assert "[red]␛[2J" in player.text


@pytest.mark.usefixtures("no_model")
async def test_a_branch_is_read_without_its_model_and_a_reply_without_figures_has_dashes() -> None:
    async with told() as player:
        pane, first = player.pane, reply_of(player.pane)
        second = fork(pane, first, 1, b" bee")
        first.tokens[:] = [structs.replace(one, logprob=None, top=(), stages=()) for one in first.tokens]
        first.model = "gone-model"
        pane.detach("model lost")
        tree = await open_tree(player)
        await on_row(player, tree, first)
        assert row(player, "One two three four").count("–") == 2, "of the whole reply; it is no fork"
        await player.until(lambda: "log-probability –" in facts(player), "previewed")
        assert "gone-model" in facts(player)
        await player.press("enter")
        assert reply_of(pane) is first
        assert "One two three four" in player.transcript
        await player.press("alt+down")
        assert reply_of(pane) is second


@pytest.mark.usefixtures("no_model")
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_a_thousand_branches_are_walked_over(size: tuple[int, int]) -> None:
    async with told(size) as player:
        pane, first = player.pane, reply_of(player.pane)
        last = first
        for number in range(1000):
            last = fork(pane, last if number % 3 else first, 1 + number % 3, f" no{number}".encode())
        last.begun = Begun.FAN_OUT
        tree = await open_tree(player)
        assert "1,001 branches" in player.text
        assert "fan-out" in row(player, "→ ·no999")
        assert row(player, "log-prob").index("log-prob") > tree.size.width * 3 // 10, "there is room for the text"
        await player.press("home")
        assert "› Count." in player.text
        await player.press("right")
        assert tree.branch is not None
        assert tree.branch.turn is first
        await player.press("pagedown")
        assert tree.branch.turn is not first
        await player.press("end", "pageup", "left", "left", "left", "left")
        assert tree.cursor == 0
        await player.press("escape")
        assert reply_of(pane) is last


@pytest.mark.usefixtures("no_model")
async def test_a_candidate_taken_twice_is_two_alternatives_of_the_same_token() -> None:
    async with told() as player:
        pane, first = player.pane, reply_of(player.pane)
        made = branch_at(pane.session.transcript, first, 1, [take(first.tokens[1], 1)])
        other = branch_at(pane.session.transcript, made, 1, [take(first.tokens[1], 2)])
        pane.sync()
        await open_tree(player)
        assert row(player, "·two → ·other1").index("·two") == row(player, "·two → ·other2").index("·two")
        await player.press("escape", "alt+up")
        assert ref(pane) == (first.id, 1)
        await player.press("alt+down")
        assert reply_of(pane) is other
