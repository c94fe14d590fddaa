"""The tree of turns."""

from __future__ import annotations

from playground.domain.messages import Role
from playground.domain.transcript import Transcript
from tests.domain.support import token


def test_a_character_of_several_tokens_is_put_together() -> None:
    transcript = Transcript()
    halves = [token(0, "a"), token(1, "b")]
    from msgspec.structs import replace

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


def test_long_conversations() -> None:
    transcript = Transcript()
    parent = None
    for number in range(3000):
        parent = transcript.add(Role.USER if number % 2 == 0 else Role.ASSISTANT, parent, text=str(number)).id
    path = transcript.path()
    assert [turn.text for turn in path[:2]] == ["0", "1"]
    assert len(path) == 3000
    assert transcript.newest_leaf(path[0]) is path[-1]
