"""A reply under other parameters, told without generating it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.messages import RawPrompt
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.scoring import Score
from playground.domain.what_if import Known, Replay, ReplayRequest, Verdict, WatchedReply, known_of
from tests.conftest import TinyModels
from tests.engine.support import GREEDY, ONE_THREAD, Harness, opened, request
from tests.tiny_models import GENERATING

PROMPT = "Here is a short story about a river."
WORDS = "the water was about to go down and the people could see it from the side of the long way"


def ask(harness: Harness, ids: Sequence[int], params: SamplingParams, **changes: Any) -> Score | Replay | Any:
    answers: list[Score | Replay | WatchedReply | PlaygroundError] = []
    wanted = ReplayRequest(
        prompt=RawPrompt(changes.pop("prompt", PROMPT)),
        reply_ids=tuple(ids),
        recorded=tuple(changes.pop("recorded", ())),
        known=tuple(changes.pop("known", ())),
        params=replace(params, **changes),
    )
    harness.engine.questions.replay(1, wanted, answers.append, lambda done, total: None)
    harness.finish()
    (answer,) = answers
    return answer


def replay(harness: Harness, ids: Sequence[int], params: SamplingParams, **changes: Any) -> Replay:
    answer = ask(harness, ids, params, **changes)
    assert isinstance(answer, Replay), answer
    return answer


def known(harness: Harness, stream: int = 1) -> list[Known]:
    """What was recorded at each token of a reply."""
    return [known_of(token) for token in harness.tokens(stream)]


@pytest.mark.parametrize(
    "params",
    [SamplingParams(), replace(NEUTRAL, repeat_penalty=1.3), SamplingParams(dry_multiplier=0.8, dry_allowed_length=1)],
    ids=["default", "penalties", "dry"],
)
def test_the_parameters_really_used_repeat_the_recorded_chances(harness: Harness, params: SamplingParams) -> None:
    harness.run(request(1, PROMPT, params, seed=7, max_tokens=40))
    tokens = harness.tokens(1)
    answer = replay(harness, harness.ids(1), params, recorded=[token.prob for token in tokens])
    assert [one.id for one in answer.tokens] == harness.ids(1)
    for one, token in zip(answer.tokens, tokens, strict=True):
        assert one.then == token.prob
        assert one.now == pytest.approx(token.prob, abs=2e-2), "many rows in a batch round differently"
        assert one.verdict is (Verdict.CERTAIN if token.stages[-1].candidates == 1 else Verdict.POSSIBLE)
    assert answer.first_impossible is None
    assert answer.computed == len(tokens), "the prompt was cached but for its last token"


def test_what_was_recorded_holds_however_a_batch_rounds(starter_gguf: Path) -> None:
    """From 512 tokens on llama.cpp sums up otherwise for one token than for many; what was recorded stays."""
    with opened(starter_gguf) as model:
        harness = Harness(model)
        params = SamplingParams(top_k=8, top_p=1.0, min_p=0.05)
        harness.run(request(1, PROMPT, params, seed=7, max_tokens=600, ignore_eos=True))
        ids, recorded = harness.ids(1), [token.prob for token in harness.tokens(1)]
        held = replay(harness, ids, params, known=known(harness), ignore_eos=True)
        free = replay(harness, ids, params, ignore_eos=True)
        assert [one.now for one in held.tokens] == pytest.approx(recorded, abs=1e-5)
        moved = [abs((one.now or 0.0) - (then or 0.0)) for one, then in zip(free.tokens, recorded, strict=True)]
        assert max(moved) > 1e-4, "without the record it is not the same"


def test_a_cut_that_rounding_may_have_made_leaves_a_token_possible(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, temperature=1.5, seed=5, max_tokens=40, top=1))
    answer = replay(harness, harness.ids(1), NEUTRAL, top_k=3, known=known(harness))
    for one, token in zip(answer.tokens, harness.tokens(1), strict=True):
        if (token.rank or 0) <= 3:
            assert one.verdict is Verdict.POSSIBLE
        if one.near:
            assert (one.verdict, one.stage) == (Verdict.POSSIBLE, "top_k")
            assert (one.now or 0.0) > 0.0
        if (token.rank or 0) > 20:
            assert one.verdict is Verdict.IMPOSSIBLE, "far away is no question of rounding"
    assert any(one.near for one in answer.tokens)


def test_a_greedy_reply_stays_as_it_was(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=30, ignore_eos=True))
    answer = replay(harness, harness.ids(1), GREEDY, ignore_eos=True)
    assert {one.verdict for one in answer.tokens} == {Verdict.CERTAIN}
    assert answer.first_open is None
    loose = replay(harness, harness.ids(1), NEUTRAL)
    assert {one.verdict for one in loose.tokens} == {Verdict.POSSIBLE}
    assert loose.first_open == 0


def test_greedy_leaves_a_sampled_reply_where_it_was_not_the_likeliest(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, seed=5, max_tokens=30))
    answer = replay(harness, harness.ids(1), GREEDY, known=known(harness))
    ranks = [token.rank for token in harness.tokens(1)]
    first = next(place for place, rank in enumerate(ranks) if rank != 1)
    assert answer.first_open == answer.first_impossible == first
    assert answer.tokens[first].stage in ("temperature", "greedy", "top_k", "top_p", "min_p")
    assert answer.tokens[first].now == 0.0
    harness.run(request(2, PROMPT, max_tokens=30))
    assert harness.ids(2)[:first] == harness.ids(1)[:first]
    assert harness.ids(2)[first] != harness.ids(1)[first]


def test_an_impossible_token_names_the_stage_that_cuts_it(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, temperature=1.5, seed=5, max_tokens=30))
    tokens = harness.tokens(1)
    answer = replay(harness, harness.ids(1), NEUTRAL, top_k=3, known=known(harness))
    for one, token in zip(answer.tokens, tokens, strict=True):
        assert (one.verdict is Verdict.IMPOSSIBLE) == ((token.rank or 0) > 3)
        assert one.stage == ("top_k" if one.verdict is Verdict.IMPOSSIBLE else "")
    assert answer.first_impossible is not None
    banned = replay(harness, harness.ids(1), NEUTRAL, logit_bias={f"#{harness.ids(1)[4]}": -math.inf})
    assert banned.tokens[4].stage == "logit_bias"


def test_xtc_is_judged_by_both_throws_of_its_coin(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=20, ignore_eos=True))
    ids = harness.ids(1)
    params = replace(NEUTRAL, top_k=10, xtc_threshold=0.05)
    sometimes = replay(harness, ids, params, xtc_probability=0.5)
    always = replay(harness, ids, params, xtc_probability=1.0)
    never = replay(harness, ids, params, xtc_probability=0.0)
    assert any(one.verdict is Verdict.IMPOSSIBLE and one.stage == "xtc" for one in always.tokens)
    assert not any(one.verdict is Verdict.IMPOSSIBLE for one in sometimes.tokens)
    for mean, acts, rests in zip(sometimes.tokens, always.tokens, never.tokens, strict=True):
        assert mean.now == pytest.approx(((acts.now or 0.0) + (rests.now or 0.0)) / 2, abs=1e-6)


def test_stages_with_a_memory_get_no_verdict(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, seed=2, max_tokens=10))
    answer = replay(harness, harness.ids(1), SamplingParams(mirostat=2))
    assert answer.unsure == ("mirostat_v2",)
    assert {one.verdict for one in answer.tokens} == {Verdict.UNSURE}
    assert {one.now for one in answer.tokens} == {None}
    cut = replay(harness, harness.ids(1), SamplingParams(adaptive_target=0.3, top_k=1), known=known(harness))
    ranks = [token.rank for token in harness.tokens(1)]
    assert [one.verdict for one in cut.tokens] == [
        Verdict.UNSURE if rank == 1 else Verdict.IMPOSSIBLE for rank in ranks
    ]


def test_a_grammar_that_the_reply_breaks(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=6, ignore_eos=True))
    ids, first = harness.ids(1), harness.tokens(1)[0].piece.decode()
    answer = replay(harness, ids, SamplingParams(), grammar=f'root ::= "{first}" "never said"')
    assert answer.tokens[0].verdict is Verdict.POSSIBLE
    assert {one.verdict for one in answer.tokens[1:]} == {Verdict.IMPOSSIBLE}
    assert {one.stage for one in answer.tokens[1:]} == {"grammar"}


@pytest.mark.parametrize("kind", GENERATING)
def test_every_kind_of_memory(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model, batch=16)
        harness.run(request(1, WORDS, max_tokens=40, ignore_eos=True))
        answer = replay(harness, harness.ids(1), GREEDY, prompt=WORDS, ignore_eos=True)
        assert answer.first_open is None
        assert answer.recomputed == (not model.info.can_cut)


def test_bad_replays_get_a_sentence(harness: Harness) -> None:
    for ids, changes, words in (
        ((), {}, "no reply"),
        ((10**7,), {}, "other tokens"),
        ((5,), {"logit_bias": {"no one token": 1.0}}, "not one token"),
    ):
        answer = ask(harness, ids, SamplingParams(), **changes)
        assert isinstance(answer, BadInput)
        assert words in answer.message
