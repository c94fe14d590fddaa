"""What a record says about a reply under the parameters it was drawn under."""

from __future__ import annotations

import math

import pytest
from msgspec import structs

from playground.domain.messages import Role
from playground.domain.recorded import (
    as_recorded,
    drawn_instead,
    drawn_under,
    in_force,
    known_verdicts,
    log_ratio,
    with_record,
)
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Stage, Token
from playground.domain.transcript import Mark, Transcript, Turn
from playground.domain.what_if import Replay, Replayed, Verdict

COLD, WARM = SamplingParams(temperature=0.2), SamplingParams(temperature=0.8)
COIN = SamplingParams(xtc_probability=0.5)


def token(index: int, prob: float | None = 0.5, stages: tuple[Stage, ...] = (Stage("dist", 3, 0.9),)) -> Token:
    top = tuple(Candidate(id, b"x", -float(id), 0.1 * id) for id in range(3))
    return Token(index, 1, b"x", -1.0, prob, 2, 2.0, top, stages)


def reply(*tokens: Token) -> tuple[Transcript, Turn]:
    tree = Transcript()
    turn = tree.add(Role.ASSISTANT, None, tokens=list(tokens))
    turn.params = COLD
    return tree, turn


def test_what_came_under_these_parameters_can_come_again_with_the_chance_it_had() -> None:
    alone, greedy = (Stage("min_p", 1, 0.5), Stage("dist", 1, 0.5)), (Stage("greedy", 1, 0.4),)
    tree, turn = reply(token(0, 0.013), token(1, 1.0, alone), token(2, 1.0, greedy), token(3), token(4), token(5, None))
    turn.marks, turn.by_hand = [Mark(4, "warm", WARM)], {3}
    drawn = drawn_under(tree, turn)
    assert drawn == [COLD, COLD, COLD, None, WARM, WARM]
    known = known_verdicts(turn.tokens, drawn, structs.replace(COLD, seed=9))
    assert {one.index: (one.verdict, one.then, one.now) for one in known.values()} == {
        0: (Verdict.POSSIBLE, 0.013, 0.013),
        1: (Verdict.CERTAIN, 1.0, 1.0),
        2: (Verdict.CERTAIN, 1.0, 1.0),
    }
    assert list(known_verdicts(turn.tokens, drawn, WARM)) == [4], "what nobody recorded is not known"


def test_under_xtc_only_what_is_alone_before_its_coin_is_certain() -> None:
    before = (Stage("min_p", 1, 0.5), Stage("xtc", 1, 0.5), Stage("dist", 1, 0.5))
    after = (Stage("min_p", 4, 0.5), Stage("xtc", 1, 0.1), Stage("dist", 1, 0.1))
    known = known_verdicts([token(0, 1.0, before), token(1, 1.0, after)], [COIN, COIN], COIN)
    assert [known[0].verdict, known[1].verdict] == [Verdict.CERTAIN, Verdict.POSSIBLE]


def test_the_record_has_the_last_word_and_the_first_places_follow() -> None:
    told = tuple(Replayed(index, 1, Verdict.IMPOSSIBLE, 0.5, 0.0, "min_p") for index in range(3))
    replay = Replay(tokens=told, params=COLD, first_open=0, first_impossible=0)
    known = {0: Replayed(0, 1, Verdict.CERTAIN, 1.0, 1.0), 1: Replayed(1, 1, Verdict.POSSIBLE, 0.5, 0.5)}
    settled = with_record(replay, known)
    assert (settled.first_open, settled.first_impossible) == (1, 2)
    assert [one.now for one in settled.tokens] == [1.0, 0.5, 0.0]


def test_how_much_likelier_a_reply_is() -> None:
    def of(*tokens: Replayed, by_hand: set[int] | None = None) -> float | None:
        return log_ratio(Replay(tokens=tokens, params=COLD, first_open=0, first_impossible=None), by_hand or set())

    half, twice = Replayed(0, 1, Verdict.POSSIBLE, 0.5, 0.25), Replayed(1, 1, Verdict.POSSIBLE, 0.2, 0.8)
    gone = Replayed(2, 1, Verdict.IMPOSSIBLE, 0.5, 0.0)
    unsure = Replayed(3, 1, Verdict.UNSURE, 0.5, None)
    assert of(half, twice) == pytest.approx(math.log(2.0))
    assert of(half, gone) == -math.inf
    assert of(half, gone, by_hand={2}) == pytest.approx(math.log(0.5)), "nobody drew it"
    assert of(half, unsure) is None


def test_the_parameters_in_force_go_by_stretches() -> None:
    tree, turn = reply(*(token(index) for index in range(6)))
    turn.marks, turn.by_hand = [Mark(3, "warm", WARM)], {1}
    assert in_force(tree, turn) == ((0, COLD), (3, WARM))
    turn.continued_at, turn.params = 5, WARM
    assert in_force(tree, turn) == ((0, None), (1, WARM), (2, None), (5, WARM))


def test_a_forced_token_has_what_was_recorded_where_another_was_drawn() -> None:
    recorded = token(2)
    scored = structs.replace(token(2, None), id=2, logprob=-9.9, rank=7, entropy=1.0, stages=())
    found = as_recorded(scored, recorded)
    assert (found.id, found.logprob, found.prob, found.rank) == (2, -2.0, 0.2, 3)
    assert (found.top, found.stages, found.entropy) == (recorded.top, recorded.stages, recorded.entropy)
    own = Candidate(70, b"y", -12.0, None)
    far = as_recorded(structs.replace(scored, id=70, top=(own,)), recorded)
    assert (far.logprob, far.rank, far.prob) == (-9.9, 7, None)
    assert far.top == (*recorded.top, own)


def test_the_token_drawn_instead_stands_behind_the_same_text() -> None:
    tree, source = reply(*(token(index) for index in range(4)))
    fork = tree.add(Role.ASSISTANT, None, tokens=[token(0), token(1), structs.replace(token(2), id=9)])
    fork.forked_at, fork.forked_from = 2, source.id
    assert drawn_instead(tree, fork, 2) is source.tokens[2]
    assert drawn_instead(tree, fork, 1) is None
    fork.tokens[0] = structs.replace(fork.tokens[0], id=8)
    assert drawn_instead(tree, fork, 2) is None
    fork.tokens[0], fork.model = source.tokens[0], "another"
    assert drawn_instead(tree, fork, 2) is None
