"""Which branch came from which, where they part, and how likely they were."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from playground.domain.branches import (
    Branch,
    begins_at,
    begun,
    branches,
    likelihood,
    origin,
    parting_of,
    spoken,
    way_down,
    way_up,
    whole_reply,
)
from playground.domain.forking import branch_at, take
from playground.domain.messages import Role
from playground.domain.session import Session
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Begun, Transcript, Turn
from tests.domain.support import end, exchange, start, token, write


def word(index: int, text: str, *others: str, logprob: float | None = -0.5) -> Token:
    """A token with candidates beside it."""
    pieces = [text, *others]
    top = tuple(Candidate(hash(piece) % 1000, piece.encode(), -0.5 - n, 0.5) for n, piece in enumerate(pieces))
    return replace(token(index, text), id=top[0].id, top=top, logprob=logprob)


def moon() -> tuple[Transcript, Turn, Turn]:
    """A question and its reply."""
    tree = Transcript()
    question = tree.add(Role.USER, None, text="What shines?")
    tokens = [word(0, "The"), word(1, " moon", " sun", " star"), word(2, " is", " was"), word(3, " up")]
    return tree, question, tree.add(Role.ASSISTANT, question.id, tokens=tokens)


def fork(tree: Transcript, turn: Turn, at: int, choice: int, *more: str) -> Turn:
    """Take another candidate and go on."""
    made = branch_at(tree, turn, at, [take(turn.tokens[at], choice)])
    made.tokens += [word(at + 1 + n, text, " x") for n, text in enumerate(more)]
    return made


def drawn(tree: Transcript) -> list[str]:
    """The rows as a person would see them."""
    return ["  " * row.depth + "".join(text for _, text in spoken(row, 100)) for row in branches(tree)]


def test_a_conversation_without_a_parting_is_one_row() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    exchange(session, "And?", "two")
    rows = branches(session.transcript)
    assert [len(row.line) for row in rows] == [4]
    assert rows[0].last_reply is session.transcript.path()[-1]
    assert likelihood(rows[0]).tokens == 2


def test_forks_stand_below_what_they_came_from_in_the_order_of_the_text() -> None:
    tree, question, reply = moon()
    fork(tree, reply, 2, 1)
    sun = fork(tree, reply, 1, 1, " sets")
    again = tree.add(Role.ASSISTANT, question.id, tokens=[word(0, "Stars")])
    tree.add(Role.USER, again.id, text="Why?")
    assert drawn(tree) == ["What shines?", "  The moon is up", "     sun sets", "     was", "  StarsWhy?"]
    rows = branches(tree)
    assert [row.number for row in rows] == [1, 2, 2, 2, 2]
    assert [row.last for row in rows] == [True, False, False, True, True]
    assert rows[2].turn is sun


def test_alternatives_of_a_fork_stand_beside_it() -> None:
    tree, _question, reply = moon()
    sun = fork(tree, reply, 1, 1, " sets", " late")
    star = branch_at(tree, sun, 1, [word(1, " star")])
    early = branch_at(tree, sun, 0, [word(0, "A")])
    later = branch_at(tree, sun, 3, [word(3, " early")])
    assert origin(tree, star) is reply
    assert origin(tree, early) is reply
    assert origin(tree, later) is sun
    tree.delete(reply)
    assert origin(tree, star) is sun, "the nearest that is left and shares its beginning"
    assert origin(tree, sun) is None
    assert origin(tree, early) is sun, "another reply to the same message"
    assert [(row.turn.id, row.depth) for row in branches(tree)][1:] == [
        (sun.id, 1),
        (star.id, 2),
        (later.id, 2),
        (early.id, 1),
    ]


def test_forks_of_a_deleted_reply_move_up_and_back_again() -> None:
    tree, _question, reply = moon()
    fork(tree, reply, 1, 1)
    fork(tree, reply, 2, 1)
    before = drawn(tree)
    tree.delete(reply)
    assert drawn(tree) == ["What shines?", "  The moon was", "     sun"], "the later one has more of it"
    tree.undo()
    assert drawn(tree) == before


def test_forks_of_a_deleted_reply_never_hang_on_one_that_they_share_nothing_with() -> None:
    tree, _question, reply = moon()
    late = branch_at(tree, reply, 3, [word(3, " down")])
    starts = [branch_at(tree, late, 0, [word(0, text)]) for text in ("A", "One", "That")]
    again = branch_at(tree, starts[0], 0, [word(0, "Some")])
    assert {origin(tree, turn) for turn in (*starts, again)} == {reply}
    deletion = tree.delete(reply)
    rows = branches(tree)[1:]
    assert [row.turn for row in rows] == [late, *starts, again]
    assert {(row.depth, row.begins_at, parting_of(row)) for row in rows} == {(1, 0, None)}
    assert drawn(tree)[1:] == ["  The moon is down", "  A", "  One", "  That", "  Some"]
    assert [likelihood(row).tokens for row in rows] == [4, 1, 1, 1, 1], "figures are of the whole reply"
    assert {turn.id for turn in deletion.turns.values()} == {reply.id}
    tree.undo()
    assert {origin(tree, turn) for turn in (*starts, again, late)} == {reply}


def test_where_versions_part_does_not_change_when_one_between_them_is_deleted() -> None:
    tree, _question, reply = moon()
    sun = fork(tree, reply, 1, 1, " sets", " late")
    last = branch_at(tree, sun, 3, [word(3, " soon")])
    before = branch_at(tree, sun, 2, [word(2, " rises")])
    tree.delete(sun)
    rows = {row.turn.id: row for row in branches(tree)}
    assert (rows[last.id].source, rows[last.id].begins_at) == (reply, 1)
    assert (rows[before.id].source, rows[before.id].begins_at) == (last, 2)
    parting = parting_of(rows[last.id])
    assert parting is not None
    assert parting.was is reply.tokens[1]
    assert [one.piece for one in parting.became] == [b" sun"]
    tree.delete(last)
    tree.delete(reply)
    assert origin(tree, before) is None
    assert way_up(tree, before) is None
    tree.undo()
    assert (origin(tree, before), begins_at(tree, before)) == (reply, 1)


def test_versions_do_not_come_from_one_another() -> None:
    tree, _question, reply = moon()
    early, late = fork(tree, reply, 1, 1), fork(tree, reply, 2, 1)
    tree.delete(reply)
    assert way_up(tree, early) == (early, late)
    assert way_up(tree, late) is None
    assert way_down(tree, late) is early


def test_what_a_fork_was_and_became() -> None:
    tree, _question, reply = moon()
    sun = fork(tree, reply, 1, 1, " sets")
    forced = branch_at(tree, reply, 1, [word(1, " old"), word(2, " cat")])
    forced.tokens.append(word(3, " sat"))
    behind = branch_at(tree, reply, 4, [word(4, " there")])
    rows = {row.turn.id: row for row in branches(tree)}
    parting = parting_of(rows[sun.id])
    assert parting is not None
    assert parting.was is reply.tokens[1]
    assert [one.piece for one in parting.became] == [b" sun"]
    parting = parting_of(rows[forced.id])
    assert parting is not None
    assert [one.piece for one in parting.became] == [b" old", b" cat"]
    parting = parting_of(rows[behind.id])
    assert parting is not None
    assert parting.ended
    assert parting.was is None
    assert parting_of(rows[reply.id]) is None
    assert begun(tree, sun) is Begun.CANDIDATE
    tree.delete(reply)
    assert begun(tree, sun) is Begun.CANDIDATE, "a deleted reply still tells"


def test_how_a_branch_began() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    tree = session.transcript
    question, reply = tree.path()
    session.regenerate()
    start(session)
    write(session, "two")
    end(session)
    again = tree.path()[-1]
    session.resend(question, "Ho")
    edited = tree.path()[0]
    assert [begun(tree, turn) for turn in (question, reply, again, edited)] == [
        Begun.MESSAGE,
        Begun.REPLY,
        Begun.AGAIN,
        Begun.EDITED,
    ]
    tree.delete(reply)
    assert begun(tree, again) is Begun.AGAIN, "what once happened stays so"
    tree, _question, reply = moon()
    assert begun(tree, fork(tree, reply, 1, 1)) is Begun.CANDIDATE
    assert begun(tree, branch_at(tree, reply, 1, [word(1, " cat")])) is Begun.FORCED
    assert begun(tree, branch_at(tree, reply, 1, [word(1, " sun"), word(2, " set")])) is Begun.FORCED
    fanned = fork(tree, reply, 1, 2)
    fanned.begun = Begun.FAN_OUT
    assert begun(tree, fanned) is Begun.FAN_OUT
    prefilled = tree.add(Role.ASSISTANT, reply.parent, tokens=[word(0, "Sure")])
    prefilled.by_hand = {0}
    assert begun(tree, prefilled) is Begun.PREFILL


def test_likelihood_is_the_sum_over_a_branchs_own_tokens() -> None:
    tree, _question, reply = moon()
    sun = fork(tree, reply, 1, 1, " sets", " late")
    rows = {row.turn.id: likelihood(row) for row in branches(tree)}
    whole = {row.turn.id: whole_reply(row) for row in branches(tree)}
    assert whole[reply.id] == rows[reply.id]
    assert whole[sun.id].tokens == 4
    assert whole[sun.id].logprob == pytest.approx(-3.0)
    assert rows[reply.id].logprob == pytest.approx(-2.0)
    assert (rows[sun.id].tokens, rows[sun.id].measured) == (3, 3)
    assert rows[sun.id].logprob == pytest.approx(-1.5 - 0.5 - 0.5)
    assert rows[sun.id].per_token == pytest.approx(-2.5 / 3)
    sun.tokens.append(word(4, " there", logprob=None))
    unknown = likelihood(Branch([sun], begins_at=1))
    assert (unknown.tokens, unknown.measured, unknown.logprob, unknown.per_token) == (4, 3, None, None)
    assert likelihood(Branch([tree.add(Role.ASSISTANT, None)])).logprob is None, (
        "no tokens are not certain, but unknown"
    )


def test_a_token_that_could_not_come_makes_the_branch_impossible() -> None:
    _tree, _question, reply = moon()
    reply.tokens.append(word(4, "!", logprob=-math.inf))
    assert likelihood(Branch([reply])).logprob == -math.inf


def test_what_is_said_costs_no_more_than_what_is_wanted() -> None:
    _tree, _question, reply = moon()
    reply.tokens += [word(n, " and") for n in range(4, 5000)]
    [(turn, text)] = spoken(Branch([reply]), 10)
    assert (turn, text) == (reply, "The moon i")
    reply.tokens[4:] = [word(4, "END")]
    reply.trimmed_bytes = 3
    assert [text for _, text in spoken(Branch([reply]), 100)] == ["The moon is up"], "a stop string is not said"


def test_up_and_down_again() -> None:
    tree, question, reply = moon()
    sun = fork(tree, reply, 1, 1, " sets")
    follow = tree.add(Role.USER, sun.id, text="When?")
    answer = tree.add(Role.ASSISTANT, follow.id, tokens=[word(0, "Late")])
    again = tree.add(Role.ASSISTANT, follow.id, tokens=[word(0, "Early")])
    third = tree.add(Role.ASSISTANT, follow.id, tokens=[word(0, "Never")])
    assert way_up(tree, third) == (third, answer), "another reply came from the first one"
    assert way_up(tree, answer) == (sun, reply)
    assert way_up(tree, reply) is None
    assert way_down(tree, reply) is sun
    assert way_down(tree, answer) is third
    assert way_down(tree, again) is None
    tree.delete(answer)
    assert way_up(tree, third) == (third, again)
    assert way_down(tree, again) is third
    assert way_down(tree, question) is None


def test_another_conversation_came_from_nowhere_and_an_edited_one_from_what_it_was() -> None:
    session = Session()
    exchange(session, "Hi", "one")
    tree = session.transcript
    question = tree.path()[0]
    session.resend(question, "Ho")
    end(session)
    edited = tree.path()
    session.new_conversation()
    exchange(session, "Else", "three")
    assert way_up(tree, tree.path()[-1]) is None
    assert way_up(tree, edited[-1]) == (edited[0], question)
    assert way_down(tree, tree.siblings(question)[0]) is edited[0]
    assert [row.depth for row in branches(tree)] == [0, 0, 0]


def test_a_thousand_branches_beside_each_other() -> None:
    tree, _question, reply = moon()
    for _ in range(1000):
        branch_at(tree, reply, 1, [word(1, " sun")])
    assert [row.depth for row in branches(tree)] == [0, 1, *[2] * 1000]


def test_a_thousand_branches_each_below_the_other() -> None:
    tree, question, turn = moon()
    turn.tokens = [word(0, "The")]
    for at in range(1, 1001):
        turn = branch_at(tree, turn, at, [word(at, " so")])
    assert [row.depth for row in branches(tree)] == list(range(1002))
    up = way_up(tree, turn)
    assert up is not None
    assert up[1].id == turn.id - 1
    tree.delete(question)
    assert not tree.turns
