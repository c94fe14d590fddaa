from __future__ import annotations

import math

from msgspec import structs

from playground.domain.messages import Role
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Token
from playground.domain.transcript import Mark, Transcript
from playground.domain.what_if import Outcome, Replay, Replayed, Verdict, WhatIf
from playground.domain.what_if_words import (
    as_a_whole,
    counts,
    ids_of,
    next_place,
    params_at,
    ratio_words,
    remarks,
    setting_words,
    shaping,
    short_summary,
    side_by_side,
    verdict_words,
)

COLD, WARM, HOT = (SamplingParams(temperature=one) for one in (0.2, 0.8, 1.4))


def token(index: int, id: int | None = 5, prob: float | None = 0.5, count: int = 8) -> Token:
    top = tuple(Candidate(number, b"x", -1.0, 0.1) for number in range(count))
    return Token(index, id, b"x", -1.0, prob, 1, 2.0, top)


def test_what_has_no_part_in_a_chance_does_not_count_as_another_slider() -> None:
    assert shaping(structs.replace(WARM, seed=3, max_tokens=9, stop=("x",), top=30)) == shaping(WARM)
    assert shaping(HOT) != shaping(WARM)


def test_the_parameters_of_a_token_are_those_of_the_last_change_before_it() -> None:
    tree = Transcript()
    turn = tree.add(Role.ASSISTANT, None, tokens=[token(index) for index in range(10)])
    turn.params = COLD
    turn.marks = [Mark(3, "warm", WARM), Mark(6, "hot", HOT)]
    assert [params_at(tree, turn, index) for index in (0, 2, 3, 5, 6, 9)] == [COLD, COLD, WARM, WARM, HOT, HOT]
    turn.continued_at, turn.params = 8, COLD
    assert params_at(tree, turn, 9) == COLD
    assert params_at(tree, turn, 4) is None, "the run before this one began with others"


def test_a_fork_has_them_from_where_its_beginning_came() -> None:
    tree = Transcript()
    first = tree.add(Role.ASSISTANT, None, tokens=[token(index) for index in range(4)])
    first.params = HOT
    fork = tree.add(Role.ASSISTANT, None, tokens=[token(index) for index in range(6)])
    fork.forked_at, fork.forked_from, fork.continued_at, fork.params = 2, first.id, 3, COLD
    fork.by_hand = {2}
    assert [params_at(tree, fork, index) for index in (0, 2, 4)] == [HOT, None, COLD]
    fork.forked_from = 99
    assert params_at(tree, fork, 0) is None


def test_ids_are_known_for_all_or_not_at_all() -> None:
    assert ids_of([token(0, 4), token(1, 9)]) == (4, 9)
    assert ids_of([token(0, 4), token(1, None)]) is None


def test_the_chosen_one_is_always_in_the_table() -> None:
    assert side_by_side(token(0, id=2), 4) == [0, 1, 2, 3]
    assert side_by_side(token(0, id=7), 4) == [0, 1, 2, 7]
    assert side_by_side(token(0, id=None), 4) == [0, 1, 2, 3]
    assert side_by_side(token(0, id=1, count=2), 4) == [0, 1]


def test_what_must_be_said_about_figures_is_said() -> None:
    plain = WhatIf(token=token(0), params=WARM, columns=())
    assert remarks(plain, 40) == ()
    assert "120 tokens computed again" in remarks(structs.replace(plain, recomputed=True), 120)[0]
    assert "mirostat-v2" in remarks(structs.replace(plain, unsure=("mirostat_v2",)), 0)[0]
    coin = (Outcome(0.3, token(0, prob=0.0)), Outcome(0.7, token(0, prob=0.61)))
    (said,) = remarks(structs.replace(plain, outcomes=coin), 0)
    assert "30.0% of draws" in said
    assert "0% if it acts, 61.0% if it rests" in said


def test_a_replay_in_words() -> None:
    verdicts = (Verdict.CERTAIN, Verdict.POSSIBLE, Verdict.IMPOSSIBLE, Verdict.CERTAIN, Verdict.IMPOSSIBLE)
    told = tuple(Replayed(index, 1, verdict, 0.5, 0.25) for index, verdict in enumerate(verdicts))
    replay = Replay(tokens=told, params=WARM, first_open=1, first_impossible=2)
    assert counts(replay) == {Verdict.CERTAIN: 2, Verdict.POSSIBLE: 1, Verdict.IMPOSSIBLE: 2}
    assert short_summary(replay) == "first at token 2"
    same = Replay(tokens=told[:1], params=WARM, first_open=None, first_impossible=None)
    assert short_summary(same) == "the same"
    impossible = (Verdict.IMPOSSIBLE,)
    assert [next_place(replay, impossible, here) for here in (-1, 2, 4)] == [2, 4, 2]
    assert next_place(replay, (Verdict.UNSURE,), -1) is None


def test_a_token_of_a_replay_in_words() -> None:
    cut = Replayed(0, 1, Verdict.IMPOSSIBLE, 0.467, 0.0, "top_k")
    assert verdict_words(cut) == "cut by top-k: 46.7% → 0%"
    assert verdict_words(structs.replace(cut, stage="greedy")) == "not the likeliest: 46.7% → 0%"
    assert verdict_words(Replayed(0, 1, Verdict.POSSIBLE, None, 0.31)) == "could change: – → 31.0%"
    assert verdict_words(Replayed(0, 1, Verdict.CERTAIN, 0.5, 1.0)) == "would stay: 50.0% → 100%"
    assert "mirostat decides" in verdict_words(Replayed(0, 1, Verdict.UNSURE, 0.5, None, "mirostat"))
    assert verdict_words(Replayed(0, 1, Verdict.POSSIBLE, 0.5, 0.5)) == "could change: 50.0% as it was"


def test_one_figure_for_one_question() -> None:
    """The what-if of a token goes before the replay of the whole, which is computed in larger pieces."""
    told = Replayed(0, 1, Verdict.POSSIBLE, 0.336, 0.475)
    assert verdict_words(told, 0.44) == "could change: 33.6% → 44.0%"
    assert verdict_words(Replayed(0, 1, Verdict.IMPOSSIBLE, 0.013, 0.0, "min_p"), 0.012) == (
        "within rounding of min-p: 1.3% → ≈1.2%"
    )
    assert verdict_words(Replayed(0, 1, Verdict.POSSIBLE, 0.013, 0.01, "min_p", near=True)) == (
        "within rounding of min-p: 1.3% → ≈1.0%"
    )


def test_how_likely_a_whole_reply_is_in_words() -> None:
    assert ratio_words(None) == as_a_whole(None) == ""
    assert [ratio_words(math.log(one)) for one in (1.0, 0.034, 4.26, 88.8)] == ["×1", "×0.034", "×4.3", "×89"]
    assert ratio_words(-131.2) == "×10⁻⁵⁷"
    assert ratio_words(40.0) == "×10¹⁷"
    assert as_a_whole(-math.inf) == "This reply could not come."
    assert as_a_whole(0.0) == "This reply is as likely as it was."
    assert as_a_whole(-131.2) == "This reply is ×10⁻⁵⁷ as likely as it was."


def test_a_setting_in_words() -> None:
    assert setting_words(COLD, COLD) == setting_words(None, COLD) == ""
    assert setting_words(COLD, HOT) == "temperature 1.4"
    assert setting_words(COLD, structs.replace(HOT, top_k=3)) == "temperature 1.4, …"
    assert setting_words(COLD, structs.replace(COLD, logit_bias={"#3": 1.0})) == "another logit-bias"
