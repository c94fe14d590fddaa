"""The tree of turns: versions, deleting, and putting back."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from playground.domain.errors import BadInput
from playground.domain.forking import branch_at
from playground.domain.messages import Role
from playground.domain.session import Session
from playground.domain.transcript import Transcript, Turn, restored
from tests.domain.support import end, exchange, start, token, write


def reply(tree: Transcript, to: Turn, *texts: str) -> Turn:
    """A reply of these tokens."""
    return tree.add(Role.ASSISTANT, to.id, tokens=[token(index, text) for index, text in enumerate(texts)])


def shape(tree: Transcript) -> list[tuple[int, list[int]]]:
    """Everything that hangs anywhere, in order."""
    return [(turn.id, [child.id for child in tree.children(turn.id)]) for turn in tree.turns.values()]


def test_a_character_of_several_tokens_is_put_together() -> None:
    transcript = Transcript()
    halves = [token(0, "a"), token(1, "b")]
    smile = "🙂".encode()
    turn = transcript.add(
        Role.ASSISTANT, None, tokens=[replace(halves[0], piece=smile[:2]), replace(halves[1], piece=smile[2:])]
    )
    assert turn.content == "🙂"
    turn.trimmed_bytes = 2
    assert turn.content == "\ufffd"
    assert [each.index for each in turn.kept_tokens] == [0]


def test_siblings_answer_the_same_turn() -> None:
    transcript = Transcript()
    root = transcript.add(Role.USER, None, text="root")
    first, second = (transcript.add(Role.ASSISTANT, root.id) for _ in range(2))
    other = transcript.add(Role.USER, None, text="other")
    assert transcript.siblings(first) == transcript.siblings(second) == [first, second]
    assert transcript.siblings(root) == [root, other]
    assert transcript.path(second.id) == [root, second]
    assert transcript.newest_leaf(root) is second
    assert transcript.place(second) == (2, 2)


def test_long_conversations() -> None:
    transcript = Transcript()
    parent = None
    for number in range(3000):
        parent = transcript.add(Role.USER if number % 2 == 0 else Role.ASSISTANT, parent, text=str(number)).id
    path = transcript.path()
    assert [turn.text for turn in path[:2]] == ["0", "1"]
    assert len(path) == 3000
    assert transcript.newest_leaf(path[0]) is path[-1]
    transcript.delete(path[1])
    assert list(transcript.turns) == [path[0].id]
    transcript.undo()
    assert [turn.text for turn in transcript.path(path[-1].id)] == [str(number) for number in range(3000)]


def test_undo_puts_a_branch_back_where_it_was_whatever_happened_meanwhile() -> None:
    tree = Transcript()
    root = tree.add(Role.USER, None, text="root")
    first, second, third = (reply(tree, root, text) for text in "abc")
    question = tree.add(Role.USER, second.id, text="and?")
    answer = reply(tree, question, "d")
    before = shape(tree)
    deletion = tree.delete(second)
    assert list(deletion.turns) == [second.id, question.id, answer.id]
    assert shape(tree) == [(root.id, [first.id, third.id]), (first.id, []), (third.id, [])]
    fourth = reply(tree, root, "e")
    tree.head = first.id
    assert tree.find(answer.id) is answer
    assert tree.undo() is deletion
    assert tree.head == first.id
    assert tree.siblings(first) == [first, second, third, fourth]
    assert shape(tree)[0] == (root.id, [first.id, second.id, third.id, fourth.id])
    tree.delete(fourth)
    assert shape(tree) == before


def test_deletions_are_undone_in_reverse_order() -> None:
    tree = Transcript()
    root = tree.add(Role.USER, None, text="root")
    answers = [reply(tree, root, text) for text in "abc"]
    question = tree.add(Role.USER, answers[1].id, text="and?")
    before = shape(tree)
    for turn in (question, answers[1], answers[2], root):
        tree.delete(turn)
    assert not tree.turns
    assert tree.head is None
    assert tree.deleted == 4
    for _ in range(4):
        tree.undo()
    assert shape(tree) == before
    with pytest.raises(BadInput, match="nothing to put back"):
        tree.undo()


def test_a_turn_that_is_gone_is_not_deleted_twice() -> None:
    tree = Transcript()
    root = tree.add(Role.USER, None, text="root")
    answer = reply(tree, root, "a")
    tree.delete(root)
    with pytest.raises(BadInput, match="not there any more"):
        tree.delete(answer)
    assert tree.deleted == 1


def test_who_looked_at_a_deleted_branch_goes_to_the_nearest_one() -> None:
    tree = Transcript()
    root = tree.add(Role.USER, None, text="root")
    first = reply(tree, root, "The", " moon")
    again = reply(tree, root, "A", " star")
    fork = branch_at(tree, first, 1, [token(1, " sun")])
    beside = Transcript(tree)
    beside.head = first.id
    elsewhere = Transcript()
    elsewhere.head = None
    deletion = tree.delete(fork)
    assert tree.head == first.id, "the version it was made from comes before the version before"
    assert deletion.moved == [(tree, fork.id, first.id)]
    assert beside.head == first.id
    tree.delete(first)
    assert tree.head == beside.head == again.id, "no version before: the one after"
    tree.delete(again)
    assert tree.head == beside.head == root.id, "no version left: what they answered"
    tree.delete(root)
    assert tree.head is beside.head is None


def test_several_heads_in_one_deleted_branch_all_find_a_way_out() -> None:
    tree = Transcript()
    root = tree.add(Role.USER, None, text="root")
    first, second = reply(tree, root, "a"), reply(tree, root, "b")
    question = tree.add(Role.USER, second.id, text="and?")
    leaf = reply(tree, question, "c")
    beside = Transcript(tree)
    beside.head = question.id
    tree.head = leaf.id
    deletion = tree.delete(second)
    assert tree.head == beside.head == first.id
    assert {(before, after) for _, before, after in deletion.moved} == {(leaf.id, first.id), (question.id, first.id)}


def test_a_refused_message_is_taken_back_without_what_was_deleted_behind_it_being_lost() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    tree = session.transcript
    user, first = tree.path()
    tree.delete(first)
    assert tree.head == user.id
    session.regenerate()
    session.active = None
    session.discard_last_exchange()
    assert tree.head == user.id, "a reply to it can still be put back"
    tree.undo()
    assert tree.siblings(first) == [first]


def test_a_reply_goes_on_beside_a_deletion() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    tree = session.transcript
    first = tree.path()[-1]
    session.regenerate()
    start(session)
    write(session, "two")
    tree.delete(first)
    write(session, " three")
    end(session)
    assert session.transcript.path()[-1].content == "two three"
    tree.undo()
    assert [turn.content for turn in tree.siblings(first)] == ["one", "two three"]


def test_an_edited_message_knows_what_it_was_before() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    user = session.transcript.path()[0]
    session.resend(user, "Ho")
    assert session.transcript.path()[0].forked_from == user.id


def test_a_tree_that_was_kept_is_restored_under_the_ids_it_had() -> None:
    session = Session()
    exchange(session, "Hello", "Hi")
    exchange(session, "More", "Yes")
    turns = list(session.transcript.turns.values())
    tree = restored(reversed(turns))
    assert list(tree.turns.values()) == turns
    assert tree.path(turns[-1].id) == turns
    assert tree.head is None
    assert tree.add(Role.USER, turns[-1].id, text="On").id > turns[-1].id
    assert list(restored(turns[1:]).turns) == [], "nothing hangs in the air"
