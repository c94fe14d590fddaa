"""What the screen says about the inside of a token, held against what really happened: to the bit where that can be."""

from __future__ import annotations

import math

import pytest

from playground.domain.messages import RawPrompt
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.scoring import Score, ScoreRequest, compare_scores
from playground.domain.tokens import Token
from playground.domain.what_if import WhatIf, WhatIfRequest
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, bare_context, bare_logits, log_softmax, opened, request
from tests.tiny_models import GENERATING

PROMPT = "Here is a short story about a river."
WORDS = "the water was about to go down and the people could see it from the side of the long way"
PARAMS = [
    SamplingParams(),
    NEUTRAL,
    SamplingParams(temperature=0.0),
    SamplingParams(repeat_penalty=1.3, frequency_penalty=0.2, presence_penalty=0.4),
    SamplingParams(dry_multiplier=0.8, dry_allowed_length=1, typical_p=0.8, min_p=0.0),
]
NAMES = ["default", "neutral", "greedy", "penalties", "dry and typical"]


def what_if(harness: Harness, prompt: str, ids: list[int], place: int, params: SamplingParams) -> WhatIf:
    answers: list[object] = []
    wanted = WhatIfRequest(prompt=RawPrompt(prompt), reply_ids=tuple(ids[:place]), chosen=ids[place], params=params)
    harness.engine.questions.what_ifs.ask(wanted, answers.append)
    harness.finish()
    (answer,) = answers
    assert isinstance(answer, WhatIf), answer
    return answer


def score(harness: Harness, prompt: str, ids: list[int]) -> Score:
    answers: list[object] = []
    wanted = ScoreRequest(prompt=RawPrompt(prompt), reply_ids=tuple(ids), only_reply=True)
    harness.engine.questions.score(1, wanted, answers.append, lambda done, total: None)
    harness.finish()
    (answer,) = answers
    assert isinstance(answer, Score), answer
    return answer


def figures(token: Token) -> tuple[object, ...]:
    """Everything that was measured at a token but its time."""
    return (token.id, token.logprob, token.prob, token.rank, token.entropy, tuple(token.top), tuple(token.stages))


@pytest.mark.parametrize("params", PARAMS, ids=NAMES)
def test_a_what_if_at_the_parameters_used_is_the_record_to_the_bit(harness: Harness, params: SamplingParams) -> None:
    """From the second token on both were computed as a batch of one token; the first one's came with the prompt."""
    harness.run(request(1, PROMPT, params, seed=11, max_tokens=24, ignore_eos=True))
    tokens, ids = harness.tokens(1), harness.ids(1)
    used = replace(params, ignore_eos=True)
    for place in (1, 2, 11, 23):
        assert figures(what_if(harness, PROMPT, ids, place, used).token) == figures(tokens[place])
    first = what_if(harness, PROMPT, ids, 0, used).token
    assert first.prob == pytest.approx(tokens[0].prob, abs=1e-3)


@pytest.mark.parametrize("params", PARAMS, ids=NAMES)
def test_a_sampled_fork_is_a_fresh_run_forced_to_its_beginning(harness: Harness, params: SamplingParams) -> None:
    harness.run(request(1, PROMPT, params, seed=5, max_tokens=16, ignore_eos=True))
    other = next(one.id for one in harness.tokens(1)[9].top if one.id not in (None, harness.ids(1)[9]))
    assert other is not None
    start = [*harness.ids(1)[:9], other]
    forced = {"reply_ids": start, "seed": 21, "max_tokens": 16, "ignore_eos": True}
    harness.run(request(2, PROMPT, params, **forced))
    assert harness.cached(2) > 0
    harness.engine.forget()
    harness.run(request(3, PROMPT, params, **forced))
    assert harness.cached(3) == 0
    assert harness.ids(2) == harness.ids(3)


def test_a_score_is_the_sum_of_a_teacher_forced_pass(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, seed=3, max_tokens=32, ignore_eos=True))
    ids = harness.ids(1)
    scored = score(harness, PROMPT, ids)
    feed, total = harness.model.tokenize(PROMPT, special=True, begin=True), 0.0
    with bare_context(harness.model) as context:
        for token in ids:
            total += log_softmax(bare_logits(context, feed, harness.model.info.n_vocab))[token]
            feed = [token]
    assert scored.scored == len(ids)
    # Many rows in a batch round a little differently from one: 0.003 a token.
    assert scored.total_logprob == pytest.approx(total, abs=3e-3 * len(ids))
    assert scored.perplexity == pytest.approx(math.exp(-total / len(ids)), rel=3e-3)


def test_a_model_does_not_diverge_from_itself(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, seed=3, max_tokens=24, ignore_eos=True))
    first = score(harness, PROMPT, harness.ids(1))
    harness.engine.forget()
    for second in (score(harness, PROMPT, harness.ids(1)), first):
        compared = compare_scores(first, second)
        assert compared.mean_kl_kept == pytest.approx(0.0, abs=1e-5)
        assert compared.mean_logprob == pytest.approx(0.0, abs=2e-3)
    assert {one.kl_kept for one in compared.tokens} == {0.0}, "the very same figures do not differ at all"


@pytest.mark.parametrize("kind", GENERATING)
def test_memory_that_cannot_be_cut_gives_the_same_by_computing_again(tiny_models: TinyModels, kind: str) -> None:
    """A model whose memory can be cut is among them: what holds for it has to hold for the others."""
    params = replace(NEUTRAL, top_k=30, repeat_penalty=1.2)
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model, batch=16)
        harness.run(request(1, WORDS, params, seed=1, max_tokens=48, ignore_eos=True))
        tokens, ids = harness.tokens(1), harness.ids(1)
        again = not model.info.can_cut
        for place in (1, 40):  # behind the sliding window's end as well
            answer = what_if(harness, WORDS, ids, place, replace(params, ignore_eos=True))
            assert answer.recomputed == again
            assert answer.token.prob == pytest.approx(tokens[place].prob, abs=1e-3)
            assert answer.token.logprob == pytest.approx(tokens[place].logprob, abs=1e-3)
        start = [*ids[:40], next(one.id or 0 for one in tokens[40].top if one.id != ids[40])]
        forced = {"reply_ids": start, "seed": 9, "max_tokens": 12, "ignore_eos": True}
        harness.run(request(2, WORDS, params, **forced))
        scored = score(harness, WORDS, ids)
        harness.engine.forget()
        harness.run(request(3, WORDS, params, **forced))
        assert harness.ids(2) == harness.ids(3)
        assert scored.recomputed == again
        assert scored.total_logprob == pytest.approx(sum(one.logprob or 0.0 for one in tokens), abs=1e-2)
