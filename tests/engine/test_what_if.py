"""What a position would look like under other parameters, against what was recorded and against bare llama.cpp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from playground.domain.errors import BadInput, PlaygroundError, Superseded
from playground.domain.messages import Prompt, RawPrompt
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.scoring import ScoreRequest
from playground.domain.tokens import Token
from playground.domain.what_if import TEMPERATURES, ReplayRequest, WhatIf, WhatIfRequest, known_of
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, bare_context, bare_logits, chat, log_softmax, opened, request
from tests.tiny_models import GENERATING

PROMPT = "Here is a short story about a river."
WORDS = "the water was about to go down and the people could see it from the side of the long way"


class Asked:
    """Answers as they come."""

    def __init__(self) -> None:
        self.answers: list[WhatIf | PlaygroundError] = []

    def __call__(self, answer: WhatIf | PlaygroundError) -> None:
        self.answers.append(answer)

    @property
    def only(self) -> WhatIf:
        (answer,) = self.answers
        assert isinstance(answer, WhatIf), answer
        return answer


def question(
    prompt: Prompt | str, reply_ids: Sequence[int], params: SamplingParams, chosen: int | None = None, **changes: Any
) -> WhatIfRequest:
    return WhatIfRequest(
        prompt=RawPrompt(prompt) if isinstance(prompt, str) else prompt,
        reply_ids=tuple(reply_ids),
        chosen=chosen,
        params=replace(params, **changes),
    )


def ask(harness: Harness, wanted: WhatIfRequest) -> WhatIf:
    asked = Asked()
    harness.engine.questions.what_ifs.ask(wanted, asked)
    harness.finish()
    return asked.only


def assert_same(now: Token, recorded: Token, tolerance: float = 1e-3) -> None:
    assert (now.index, now.id, now.piece, now.special) == (
        recorded.index,
        recorded.id,
        recorded.piece,
        recorded.special,
    )
    assert now.prob == pytest.approx(recorded.prob, abs=tolerance)
    assert now.logprob == pytest.approx(recorded.logprob, abs=tolerance)
    assert now.entropy == pytest.approx(recorded.entropy, abs=max(tolerance, 1e-5))
    recorded_prob = {candidate.id: candidate.prob for candidate in recorded.top}
    compared = 0
    for candidate in now.top:
        if candidate.id in recorded_prob:
            assert candidate.prob == pytest.approx(recorded_prob[candidate.id], abs=tolerance)
            compared += 1
    assert compared >= len(recorded.top) - 1, "near ties may change places"
    assert [stage.name for stage in now.stages] == [stage.name for stage in recorded.stages]


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(),
        NEUTRAL,
        SamplingParams(temperature=0.0),
        SamplingParams(repeat_penalty=1.3, frequency_penalty=0.2, presence_penalty=0.4, penalty_last_n=16),
        SamplingParams(dry_multiplier=0.8, dry_allowed_length=1, temperature=0.6),
        SamplingParams(top_k=0, typical_p=0.7, dynatemp_range=0.4),
        SamplingParams(top_n_sigma=1.0, top_k=0, logit_bias={" the": -math.inf, "#28": 1.5}, ignore_eos=True),
        SamplingParams(order=("temperature", "top_p", "min_p", "top_k")),
    ],
    ids=["default", "neutral", "greedy", "penalties", "dry", "typical", "sigma and bias", "order"],
)
def test_the_parameters_really_used_give_the_recorded_figures(harness: Harness, params: SamplingParams) -> None:
    harness.run(request(1, PROMPT, params, seed=11, max_tokens=24))
    tokens, ids = harness.tokens(1), harness.ids(1)
    for place in sorted({0, 1, len(ids) // 2, len(ids) - 1}):
        answer = ask(harness, question(PROMPT, ids[:place], params, ids[place]))
        assert_same(answer.token, tokens[place])
        assert not answer.unsure
        assert not answer.recomputed
        assert answer.computed == 1, "everything before the position was cached"


def test_a_position_in_a_conversation(harness: Harness) -> None:
    prompt = chat("Name a colour.", system="Be brief.")
    harness.run(request(1, prompt, SamplingParams(), seed=3, max_tokens=8))
    ids = harness.ids(1)
    answer = ask(harness, question(prompt, ids[:2], SamplingParams(), ids[2]))
    assert_same(answer.token, harness.tokens(1)[2])


def test_other_parameters_give_what_llama_cpp_computes_afresh(harness: Harness) -> None:
    """Against a softmax in double precision: temperature by itself, and temperature behind top-k."""
    harness.run(request(1, PROMPT, SamplingParams(), seed=4, max_tokens=12))
    ids = harness.ids(1)
    prompt_ids = harness.model.tokenize(PROMPT, special=True, begin=True)
    with bare_context(harness.model) as context:
        raw = bare_logits(context, [*prompt_ids, *ids[:7]], harness.model.info.n_vocab)
    for temperature, top_k in ((1.0, 0), (0.6, 0), (1.4, 5)):
        params = replace(NEUTRAL, temperature=temperature, top_k=top_k)
        token = ask(harness, question(PROMPT, ids[:7], params, ids[7])).token
        kept = np.argsort(-raw, kind="stable")[: top_k or None]
        expected = dict(zip(kept.tolist(), np.exp(log_softmax(raw[kept] / temperature)).tolist(), strict=True))
        for candidate in token.top:
            assert candidate.prob == pytest.approx(expected.get(candidate.id or 0, 0.0), abs=1e-3)
            assert (candidate.cut_by == 0) == (candidate.id not in expected)
        assert token.prob == pytest.approx(expected.get(ids[7], 0.0), abs=1e-3)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(top_k=20, repeat_penalty=1.2),
        NEUTRAL,
        SamplingParams(xtc_probability=0.4, xtc_threshold=0.05, top_k=0),
        SamplingParams(order=("temperature", "top_p"), top_p=0.7),
        SamplingParams(order=("top_p",), top_p=0.7),
        SamplingParams(dynatemp_range=0.4, typical_p=0.6),
        SamplingParams(mirostat=2),
    ],
    ids=["default", "neutral", "xtc", "temperature first", "no temperature", "dynamic", "mirostat"],
)
def test_the_table_shows_the_position_at_four_temperatures(harness: Harness, params: SamplingParams) -> None:
    harness.run(request(1, PROMPT, SamplingParams(), seed=4, max_tokens=6))
    ids = harness.ids(1)
    answer = ask(harness, question(PROMPT, ids[:3], params, ids[3]))
    assert [column.temperature for column in answer.columns] == list(TEMPERATURES)
    for column in answer.columns:
        there = ask(harness, question(PROMPT, ids[:3], params, ids[3], temperature=column.temperature))
        alone = there.token
        assert column.probs == pytest.approx([candidate.prob for candidate in alone.top], abs=1e-6)
        tokens = [outcome.token for outcome in there.outcomes] or [alone]
        assert column.candidates == max(token.stages[-1].candidates for token in tokens)
    assert sorted(answer.columns[0].probs)[-1] == 1.0


def test_a_held_position_costs_no_step(harness: Harness) -> None:
    harness.run(request(1, PROMPT, SamplingParams(), seed=4, max_tokens=6))
    ids = harness.ids(1)
    first = ask(harness, question(PROMPT, ids[:3], SamplingParams(), ids[3]))
    asked = Asked()
    for top_p in (0.9, 0.5, 0.95):
        harness.engine.questions.what_ifs.ask(question(PROMPT, ids[:3], SamplingParams(), ids[3], top_p=top_p), asked)
    assert not harness.engine.busy
    last = asked.answers[-1]
    assert isinstance(last, WhatIf)
    assert last.computed == 0
    assert last.token == first.token
    assert asked.answers[1] != last


def test_a_token_that_a_sampler_would_remove_says_which(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, temperature=2.0, seed=5, max_tokens=16))
    place = next(n for n, token in enumerate(harness.tokens(1)) if (token.rank or 0) > 50)
    ids = harness.ids(1)
    answer = ask(harness, question(PROMPT, ids[:place], NEUTRAL, ids[place], top_k=50, top=5))
    assert answer.token.prob == 0.0
    (own,) = [candidate for candidate in answer.token.top if candidate.id == ids[place]]
    assert answer.token.stages[own.cut_by].name == "top_k"
    assert len(answer.token.top) == 6


def test_xtc_shows_both_throws_of_its_coin(harness: Harness) -> None:
    params = SamplingParams(xtc_probability=0.5, xtc_threshold=0.05, top_k=0, top_p=1.0)
    harness.run(request(1, PROMPT, params, seed=9, max_tokens=12))
    tokens, ids = harness.tokens(1), harness.ids(1)
    acted = 0
    for place in range(len(ids)):
        answer = ask(harness, question(PROMPT, ids[:place], params, ids[place]))
        probs = [outcome.token.prob for outcome in answer.outcomes]
        assert [outcome.chance for outcome in answer.outcomes] == [0.5, 0.5]
        assert any(prob == pytest.approx(tokens[place].prob, abs=1e-3) for prob in probs)
        assert answer.token.prob == pytest.approx(sum(prob or 0.0 for prob in probs) / 2)
        assert all(candidate.prob == 0.0 or candidate.cut_by == -1 for candidate in answer.token.top)
        acted += probs[0] != probs[1]
    assert acted


@pytest.mark.parametrize("params", [SamplingParams(mirostat=2), SamplingParams(adaptive_target=0.3)])
def test_stages_with_a_memory_are_named(harness: Harness, params: SamplingParams) -> None:
    harness.run(request(1, PROMPT, params, seed=2, max_tokens=4))
    ids = harness.ids(1)
    first = ask(harness, question(PROMPT, [], params, ids[0]))
    assert first.unsure == ("mirostat_v2" if params.mirostat else "adaptive_p",)
    assert_same(first.token, harness.tokens(1)[0])
    again = ask(harness, question(PROMPT, [], params, ids[0]))
    assert again.token == first.token, "asking leaves no trace in what the stage remembers"


def test_a_position_nobody_has_chosen_at_yet(harness: Harness) -> None:
    answer = ask(harness, question(PROMPT, [], SamplingParams()))
    assert answer.token.id is None
    assert answer.token.prob is None
    assert sum(candidate.prob or 0.0 for candidate in answer.token.top) == pytest.approx(1.0, abs=0.3)
    harness.run(request(1, PROMPT, SamplingParams(temperature=0.0), max_tokens=1))
    assert answer.token.top[0].id == harness.ids(1)[0]


def test_running_streams_are_not_disturbed(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=40, ignore_eos=True))
    alone = harness.ids(1)
    harness.engine.forget()
    harness.submit(request(2, PROMPT, max_tokens=40, ignore_eos=True))
    harness.step_until(lambda: len(harness.ids(2)) >= 10)
    asked = Asked()
    for place in (2, 5, 8):
        harness.engine.questions.what_ifs.ask(question(PROMPT, alone[:place], NEUTRAL, alone[place]), asked)
        seen = len(harness.ids(2))
        harness.step_until(lambda seen=seen: len(harness.ids(2)) > seen)  # type: ignore[misc]
    harness.finish()
    assert harness.ids(2) == alone
    assert [answer.computed for answer in asked.answers if isinstance(answer, WhatIf)] == [1, 1, 1]


def test_what_was_cached_stays_cached(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=20, ignore_eos=True))
    ids = harness.ids(1)
    ask(harness, question(PROMPT, ids[:3], NEUTRAL, ids[3]))
    harness.run(request(2, PROMPT, reply_ids=ids, max_tokens=1, ignore_eos=True))
    size = len(harness.engine.view_prompt(request(1, PROMPT).prompt).ids)
    assert harness.cached(2) == size + len(ids) - 1


def test_every_sequence_may_be_in_use(harness: Harness) -> None:
    harness.submit(*(request(n, PROMPT, NEUTRAL, seed=n, max_tokens=30, ignore_eos=True) for n in range(1, 9)))
    harness.step_until(lambda: all(len(harness.ids(n)) >= 3 for n in range(1, 9)))
    asked, ids = Asked(), harness.ids(4)
    harness.engine.questions.what_ifs.ask(question(PROMPT, ids[:2], NEUTRAL, ids[2], ignore_eos=True), asked)
    harness.engine.step()
    assert_same(asked.only.token, harness.tokens(4)[2])
    harness.finish()


def test_the_newest_question_wins(harness: Harness) -> None:
    asked = [Asked() for _ in range(4)]
    harness.run(request(1, PROMPT, SamplingParams(), seed=4, max_tokens=6))
    ids = harness.ids(1)
    what_ifs = harness.engine.questions.what_ifs
    harness.engine.forget()
    for one, top_p in zip(asked[:2], (0.1, 0.9), strict=True):
        what_ifs.ask(question(PROMPT, ids[:3], NEUTRAL, ids[3], top_p=top_p), one)
    what_ifs.ask(question(PROMPT, ids[:2], NEUTRAL, ids[2]), asked[2])
    other = question(PROMPT, ids[:2], NEUTRAL, ids[2])
    what_ifs.ask(WhatIfRequest(prompt=other.prompt, params=other.params, asker=1), asked[3])
    harness.finish()
    assert all(isinstance(one.answers[0], Superseded) and len(one.answers) == 1 for one in asked[:2])
    assert asked[2].only.token.index == 2
    assert asked[3].only.token.index == 0, "another asker's question"


@pytest.mark.parametrize("kind", GENERATING)
def test_every_kind_of_memory_gives_the_same(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model, batch=16)
        params = replace(NEUTRAL, top_k=30, repeat_penalty=1.2)
        harness.run(request(1, WORDS, params, seed=1, max_tokens=50, ignore_eos=True))
        ids, tokens = harness.ids(1), harness.tokens(1)
        for place in (0, 20, 49):
            answer = ask(harness, question(WORDS, ids[:place], params, ids[place], ignore_eos=True))
            assert_same(answer.token, tokens[place])
            assert answer.recomputed == (not model.info.can_cut)
            assert answer.computed == (
                1 if model.info.can_cut else len(harness.engine.view_prompt(request(1, WORDS).prompt).ids) + place
            )


def test_bad_questions_get_a_sentence(harness: Harness) -> None:
    for wanted, words in (
        (question(PROMPT, [], SamplingParams(), 10**6), "other tokens"),
        (question(PROMPT, [10**6], SamplingParams(), 5), "other tokens"),
        (question("", [], SamplingParams(), 5), "Nothing stands before"),
        (question(PROMPT * 300, [], SamplingParams(), 5), "context window holds"),
        (question(PROMPT, [], SamplingParams(logit_bias={"no one token": 1.0}), 5), "not one token"),
    ):
        asked = Asked()
        harness.engine.questions.what_ifs.ask(wanted, asked)
        harness.finish()
        (error,) = asked.answers
        assert isinstance(error, BadInput)
        assert words in error.message
    assert ask(harness, question(PROMPT, [], SamplingParams(), 5)).token.id == 5


def test_no_room_beside_running_streams_is_said(tiny_models: TinyModels) -> None:
    with opened(tiny_models("base"), context=256, **ONE_THREAD) as model:
        harness = Harness(model)
        harness.submit(request(1, WORDS, max_tokens=200, ignore_eos=True))
        harness.step_until(lambda: len(harness.ids(1)) >= 150)
        asked = Asked()
        harness.engine.questions.what_ifs.ask(question("said " + WORDS * 8, [], NEUTRAL), asked)
        harness.finish()
        (error,) = asked.answers
        assert isinstance(error, PlaygroundError)
        assert "no room" in error.message
        assert len(harness.ids(1)) == 200


def test_a_replay_and_a_score_leave_what_ifs_as_they_were(starter_gguf: Path) -> None:
    """Loaded as it is by default: nothing that was computed in larger pieces is used for a single position."""
    with opened(starter_gguf) as model:
        harness = Harness(model)
        params = SamplingParams(seed=7, max_tokens=40, ignore_eos=True)
        harness.run(request(1, PROMPT, params))
        ids, tokens, questions = harness.ids(1), harness.tokens(1), harness.engine.questions

        def same() -> None:
            for at in range(1, 40, 3):
                now = ask(harness, question(PROMPT, ids[:at], params, ids[at])).token
                assert now.prob == pytest.approx(tokens[at].prob, abs=1e-6)
                assert now.logprob == pytest.approx(tokens[at].logprob, abs=1e-6)

        def forget(answer: object) -> None:
            del answer

        replaying = ReplayRequest(prompt=RawPrompt(PROMPT), reply_ids=tuple(ids), params=params)
        questions.replay(1, replaying, forget, lambda done, total: None)
        harness.finish()
        same()
        questions.score(
            2, ScoreRequest(prompt=RawPrompt(PROMPT), reply_ids=tuple(ids)), forget, lambda done, total: None
        )
        harness.finish()
        same()


def test_a_replay_that_was_given_up_leaves_nothing_behind(starter_gguf: Path) -> None:
    with opened(starter_gguf) as model:
        harness = Harness(model)
        params = SamplingParams(seed=7, max_tokens=200, ignore_eos=True)
        harness.run(request(1, PROMPT, params))
        ids, tokens, questions = harness.ids(1), harness.tokens(1), harness.engine.questions
        replaying = ReplayRequest(prompt=RawPrompt(PROMPT), reply_ids=tuple(ids), params=params)
        questions.replay(1, replaying, lambda answer: None, lambda done, total: None)
        harness.engine.step()
        questions.withdraw(1)
        assert not harness.engine.busy
        now = ask(harness, question(PROMPT, ids[:150], params, ids[150])).token
        assert now.prob == pytest.approx(tokens[150].prob, abs=1e-6)


def test_what_was_recorded_stays_whatever_parameters_it_is_seen_under(starter_gguf: Path) -> None:
    """In a cache that has grown longer llama.cpp sums up otherwise, whoever asks."""
    with opened(starter_gguf) as model:
        harness = Harness(model)
        harness.run(request(1, PROMPT, SamplingParams(seed=7, max_tokens=8, ignore_eos=True)))
        ids, tokens = harness.ids(1), harness.tokens(1)
        harness.run(request(2, PROMPT, SamplingParams(seed=8, max_tokens=560, ignore_eos=True)))
        moved = []
        for at, token in enumerate(tokens):
            plain = question(PROMPT, ids[:at], SamplingParams(), ids[at], temperature=1.3)
            held = ask(harness, structs.replace(plain, known=known_of(token))).token
            assert held.rank == token.rank
            assert held.logprob == pytest.approx(token.logprob, abs=1e-5)
            assert held.entropy == pytest.approx(token.entropy, abs=0.05)
            for now, then in zip(held.top[:9], token.top[:9], strict=True):
                assert now.id == then.id
                assert now.logprob == pytest.approx(then.logprob, abs=1e-5)
            moved.append(abs((ask(harness, plain).token.logprob or 0.0) - (token.logprob or 0.0)))
        assert max(moved) > 1e-3, "there was something to hold"
