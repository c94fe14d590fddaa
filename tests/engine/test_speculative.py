"""Tokens guessed ahead: the same reply, in fewer steps."""

from __future__ import annotations

import numpy as np
import pytest

from playground.domain.events import Started, StopReason
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.tokens import Token
from playground.engine.libllama import Batch
from playground.engine.model import LoadedModel
from playground.engine.speculative import Guesser
from tests.conftest import TinyModels
from tests.engine.support import GREEDY, ONE_THREAD, Harness, bare_context, bare_logits, log_softmax, opened, request

REPEATING = "one two three four five one two three four five one two three"
CODE = """def area_of_square(side):
    return side * side

def area_of_circle(radius):
    return 3.14159 * radius * radius

# The same two functions again, unchanged:

def area_of_square(side):
"""
TWO_WORDS = {" the": 30.0, " water": 30.0}
"""With so few words the replies of random weights repeat themselves, and not always in the same way."""
STAGES = ["logit_bias", "top_k", "top_p", "min_p", "temperature", "dist"]
STORY = "Here is a short story about a river."


def hairline(token: Token) -> bool:
    """True where the best two are so close that the last bits of the logits decide."""
    first, second = (candidate.logprob or 0.0 for candidate in token.top[:2])
    return first - second < 0.1


def assert_same(plain: list[Token], guessed: list[Token]) -> None:
    """Equal ids, up to the first place where a different batch shape may tip the balance."""
    for one, other in zip(plain, guessed, strict=False):
        if one.id != other.id:
            assert hairline(one), f"they part at {one.index}, where it is not close"
            assert one.index >= 8
            return
    assert len(plain) == len(guessed)


def count_steps(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Collects the size of every batch that is decoded."""
    sizes: list[int] = []
    real = model.context.decode

    def decode(batch: Batch) -> int:
        sizes.append(batch.size)
        return real(batch)

    monkeypatch.setattr(model.context, "decode", decode)
    return sizes


@pytest.mark.parametrize("prompt", [REPEATING, CODE, STORY], ids=["repeating", "code", "story"])
def test_at_temperature_zero_the_reply_is_the_same(harness: Harness, prompt: str) -> None:
    harness.run(request(1, prompt, max_tokens=48))
    harness.run(request(2, prompt, max_tokens=48, speculate=8))
    assert_same(harness.tokens(1), harness.tokens(2))


@pytest.mark.parametrize("kind", ["base", "chat"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_with_a_seed_the_reply_is_the_same(tiny_models: TinyModels, kind: str, seed: int) -> None:
    """Weights of full precision: here a batch's shape changes nothing that could be seen in 60 tokens."""
    params = replace(NEUTRAL, logit_bias=TWO_WORDS, xtc_probability=0.2, xtc_threshold=0.2, repeat_penalty=1.02)
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model)
        harness.run(request(1, "the water the water the water", params, seed=seed, max_tokens=60))
        finished = harness.run(
            request(2, "the water the water the water", params, seed=seed, max_tokens=60, speculate=6)
        )
    assert harness.ids(1) == harness.ids(2)
    assert (finished.usage.drafted_tokens or 0) > (finished.usage.accepted_tokens or 0) > 0


def test_a_text_that_repeats_takes_fewer_steps(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = count_steps(harness.model, monkeypatch)
    finished = harness.run(request(1, REPEATING, max_tokens=40, speculate=8))
    assert len(harness.tokens(1)) == 40
    assert len(sizes) < 20
    usage = finished.usage
    assert usage.drafted_tokens is not None
    assert usage.accepted_tokens is not None
    marked = [token for token in harness.tokens(1) if token.drafted]
    assert 20 < usage.accepted_tokens == len(marked) <= usage.drafted_tokens
    # A step brings the tokens that were right, and one more.
    assert len(sizes) == 40 - len(marked)


def test_without_it_nothing_is_counted(harness: Harness) -> None:
    usage = harness.run(request(1, REPEATING)).usage
    assert (usage.drafted_tokens, usage.accepted_tokens) == (None, None)
    assert not any(token.drafted for token in harness.tokens(1))


def test_wrong_guesses_are_few_where_nothing_repeats(harness: Harness) -> None:
    finished = harness.run(request(1, STORY, replace(NEUTRAL, temperature=1.2), max_tokens=80, seed=3, speculate=16))
    assert (finished.usage.drafted_tokens or 0) - (finished.usage.accepted_tokens or 0) <= 16


@pytest.mark.parametrize("kind", ["base", "chat"])
def test_every_accepted_token_is_captured_as_ever(tiny_models: TinyModels, kind: str) -> None:
    """Against a teacher-forced pass in a context of its own, one token at a time."""
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model)
        prompt = "the water the water the water"
        harness.run(request(1, prompt, SamplingParams(logit_bias=TWO_WORDS), seed=4, max_tokens=40, speculate=6))
        assert any(token.drafted for token in harness.tokens(1))
        with bare_context(model, 512) as context:
            feed = model.tokenize(prompt, special=True, begin=True)
            for token in harness.tokens(1):
                logprobs = log_softmax(bare_logits(context, feed, model.info.n_vocab))
                assert token.logprob == pytest.approx(logprobs[token.id or 0], abs=1e-3)
                assert [c.id for c in token.top[:3]] == np.argsort(-logprobs, kind="stable")[:3].tolist()
                assert [stage.name for stage in token.stages] == STAGES
                assert token.stages[-1].candidates >= 1
                feed = [token.id or 0]


def test_streams_beside_it_are_not_disturbed(harness: Harness) -> None:
    harness.run(request(1, STORY, max_tokens=30))
    harness.run(request(2, CODE, max_tokens=30))
    harness.submit(
        request(11, STORY, max_tokens=30),
        request(12, CODE, max_tokens=30, speculate=8),
        request(13, REPEATING, max_tokens=40, speculate=8),
    )
    harness.finish()
    assert_same(harness.tokens(1), harness.tokens(11))
    assert_same(harness.tokens(2), harness.tokens(12))
    assert any(token.drafted for token in harness.tokens(13))
    assert not any(token.drafted for token in harness.tokens(11))


def test_a_stop_string_and_a_limit_inside_a_guess_end_the_reply_there(harness: Harness) -> None:
    stopped = harness.run(request(1, REPEATING, max_tokens=60, stop=("e one two three five one two",), speculate=16))
    assert stopped.reason is StopReason.STOP_STRING
    assert stopped.text == " fiv"
    for limit in (1, 2, 7, 13):
        finished = harness.run(request(100 + limit, REPEATING, max_tokens=limit, speculate=16))
        assert (finished.reason, len(harness.tokens(100 + limit))) == (StopReason.LENGTH, limit)


def test_what_stays_in_the_cache_is_only_what_was_written(harness: Harness) -> None:
    """The next turn goes on from a cache in which wrong guesses once were."""
    harness.run(request(1, CODE, max_tokens=30, speculate=16))
    ids = harness.ids(1)
    harness.run(request(2, CODE, max_tokens=20, reply_ids=ids))
    assert harness.cached(2) >= len(harness.model.tokenize(CODE, special=True, begin=True)) + 28
    fresh = Harness(harness.model)
    harness.engine.forget()
    fresh.run(request(3, CODE, max_tokens=20, reply_ids=ids))
    assert_same(fresh.tokens(3), harness.tokens(2))


def test_it_can_be_switched_in_mid_stream(harness: Harness) -> None:
    running = request(1, REPEATING, GREEDY, max_tokens=60)
    harness.submit(running)
    harness.step_until(lambda: len(harness.tokens(1)) >= 10)
    assert not any(token.drafted for token in harness.tokens(1))
    harness.engine.set_params(1, replace(running.params, speculate=8))
    harness.step_until(lambda: len(harness.tokens(1)) >= 30)
    assert any(token.drafted for token in harness.tokens(1))
    harness.engine.set_params(1, replace(running.params, speculate=0))
    before = len(harness.tokens(1))
    harness.finish()
    assert not any(token.drafted for token in harness.tokens(1)[before:])


def test_a_grammar_holds_guessed_tokens_too(harness: Harness) -> None:
    grammar = 'root ::= (" one" " two" " three"){8}'
    plain = harness.run(request(1, REPEATING, grammar=grammar, max_tokens=60))
    guessed = harness.run(request(2, REPEATING, grammar=grammar, max_tokens=60, speculate=8))
    assert plain.text == guessed.text == " one two three" * 8
    assert (guessed.usage.accepted_tokens or 0) > 5
    assert all(token.stages[0].name == "grammar" for token in harness.tokens(2))


@pytest.mark.parametrize("kind", ["sliding window", "recurrent", "hybrid"])
def test_a_model_whose_memory_cannot_be_cut_says_so_and_goes_on(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model)
        finished = harness.run(request(1, "the water the water the", max_tokens=20, speculate=8))
        (started,) = harness.of(1, Started)
    assert kind in started.note
    assert "cannot take a wrong guess back" in started.note
    assert len(harness.tokens(1)) == 20
    assert finished.usage.drafted_tokens is None


def test_the_last_tokens_of_the_context_are_written_as_without_it(tiny_models: TinyModels) -> None:
    with opened(tiny_models("chat"), context=256, **ONE_THREAD) as model:
        harness = Harness(model)
        plain = harness.run(request(1, "the water the water", ignore_eos=True, max_tokens=-1))
        guessed = harness.run(request(2, "the water the water", ignore_eos=True, max_tokens=-1, speculate=8))
    assert plain.reason is guessed.reason is StopReason.CONTEXT
    assert harness.ids(1) == harness.ids(2)


def test_a_full_context_ends_guessing_before_it_ends_a_reply(tiny_models: TinyModels) -> None:
    """Two streams fill what they share; without guesses both would get just as far."""
    lengths = []
    for speculate in (0, 16):
        with opened(tiny_models("chat"), context=256, **ONE_THREAD) as model:
            harness = Harness(model)
            params = replace(GREEDY, ignore_eos=True, max_tokens=120, speculate=speculate)
            harness.submit(request(1, "the water the water", params), request(2, "day day day day", params))
            harness.finish()
            lengths.append((len(harness.tokens(1)), len(harness.tokens(2))))
            assert harness.finished(1)
            assert harness.finished(2)
    assert lengths[0] == lengths[1]


def test_a_guess_goes_on_with_itself_where_the_text_repeats() -> None:
    guesser = Guesser([7, 1, 2, 3, 1, 2, 3, 1, 2])
    assert guesser.guess(3) == [3, 1, 2]
    guesser.learn(3, 3)
    assert guesser.guess(32) == [3, 1, 2, 3, 1, 2, 3]


def test_wrong_guesses_are_followed_by_a_rest_that_grows() -> None:
    guesser = Guesser([1, 2, 3, 1, 2, 3])
    rests = []
    for _ in range(3):
        guesser.learn(len(guesser.guess(32)), 0)
        rests.append(0)
        while not (guess := guesser.guess(32)):
            rests[-1] += 1
        assert len(guess) == 2
    assert rests == [8, 16, 32]
