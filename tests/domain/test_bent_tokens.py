from __future__ import annotations

import pytest

from playground.domain.bent_tokens import keep_recorded
from playground.domain.params import replace
from playground.domain.sampling import SamplingParams
from playground.domain.tokens import Candidate, Stage, Token

WAS = SamplingParams()
TOP = (Candidate(5, b"x", -1.0, 0.4),)


def token(*stages: Stage, logprob: float = -1.0, rank: int = 32, entropy: float = 7.27) -> Token:
    return Token(0, 5, b"x", logprob, 0.4, rank, entropy, TOP, stages)


RECORDED = token(Stage("top_k", 40, 0.70), Stage("top_p", 28, 0.66), Stage("temperature", 28, 0.66))


def test_what_is_the_models_own_stays() -> None:
    now = token(Stage("top_k", 40, 0.71), Stage("top_p", 29, 0.68), logprob=-1.01, rank=33, entropy=7.22)
    held = keep_recorded(now, RECORDED, WAS, replace(WAS, temperature=1.2))
    assert (held.logprob, held.rank, held.entropy) == (RECORDED.logprob, RECORDED.rank, RECORDED.entropy)
    assert held.stages == RECORDED.stages[:2], "nothing before the temperature was changed"


@pytest.mark.parametrize(
    ("count", "computed", "shown"),
    [(20, 0.62, 0.62), (27, 0.67, 0.66), (28, 0.67, 0.66), (30, 0.65, 0.66), (39, 0.72, 0.70), (50, 0.69, 0.70)],
)
def test_fewer_tokens_never_have_a_larger_share(count: int, computed: float, shown: float) -> None:
    now = token(Stage("top_k", count, computed))
    held = keep_recorded(now, RECORDED, WAS, replace(WAS, top_k=count))
    assert held.stages == (Stage("top_k", count, shown),)


def test_no_stage_leaves_more_than_the_one_before_it() -> None:
    now = token(Stage("top_k", 40, 0.71), Stage("top_p", 29, 0.68), Stage("temperature", 29, 0.68))
    held = keep_recorded(now, RECORDED, WAS, replace(WAS, temperature=1.2))
    assert held.stages == RECORDED.stages, "28 were left, so 29 cannot be"


def test_behind_a_stage_that_mixes_them_only_the_share_before_is_a_bound() -> None:
    now = token(Stage("penalties", 1000, 1.0), Stage("top_k", 40, 0.5), Stage("top_p", 30, 0.6))
    held = keep_recorded(now, RECORDED, WAS, replace(WAS, repeat_penalty=1.3))
    assert [stage.mass for stage in held.stages] == [1.0, 0.5, 0.5]
