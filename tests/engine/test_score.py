"""Scores against a teacher-forced pass in a few lines of the test's own, and how two scores compare."""

from __future__ import annotations

import math
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest

from playground.domain.errors import BadInput, PlaygroundError
from playground.domain.events import StopReason
from playground.domain.messages import RawPrompt
from playground.domain.sampling import NEUTRAL
from playground.domain.scoring import Score, ScoreRequest, compare_scores
from playground.domain.what_if import Replay, WatchedReply
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, bare_context, bare_logits, chat, log_softmax, opened, request
from tests.tiny_models import GENERATING

TEXT = "Here is a short story about a river. It went on and on, and nobody knew where it would end."
WORDS = "the water was about to go down and the people could see it from the side of the long way"


class Scored:
    """The answer, and how far it was on the way."""

    def __init__(self) -> None:
        self.answers: list[Score | Replay | WatchedReply | PlaygroundError] = []
        self.progress: list[tuple[int, int]] = []

    def advanced(self, done: int, total: int) -> None:
        self.progress.append((done, total))


def begin(harness: Harness, wanted: ScoreRequest, ticket: int = 1) -> Scored:
    scored = Scored()
    harness.engine.questions.score(ticket, wanted, scored.answers.append, scored.advanced)
    return scored


def score(harness: Harness, prompt: Any, **changes: Any) -> Score:
    wanted = ScoreRequest(prompt=RawPrompt(prompt) if isinstance(prompt, str) else prompt, **changes)
    scored = begin(harness, wanted)
    harness.finish()
    (answer,) = scored.answers
    assert isinstance(answer, Score), answer
    return answer


def test_a_score_is_the_sum_of_raw_log_probabilities(harness: Harness) -> None:
    scored = score(harness, TEXT * 20)
    ids = harness.model.tokenize(TEXT * 20, special=True, begin=True)
    assert [token.id for token in scored.tokens] == ids
    assert len(ids) > 400, "more than fits in one piece"
    total, n_vocab = 0.0, harness.model.info.n_vocab
    with bare_context(harness.model) as context:
        for place, token in enumerate(ids[:-1]):
            expected = log_softmax(bare_logits(context, [token], n_vocab))
            total += expected[ids[place + 1]]
            if place % 50 == 0:
                found = scored.tokens[place + 1]
                assert found.logprob == pytest.approx(expected[ids[place + 1]], abs=5e-2)
                assert found.entropy == pytest.approx(-(np.exp(expected) * expected).sum() / math.log(2), abs=5e-2)
    # One token a batch rounds differently from many: the next test has the same batch.
    assert scored.total_logprob == pytest.approx(total, rel=1e-2)
    assert scored.scored == len(ids) - 1
    assert scored.perplexity == pytest.approx(math.exp(-total / (len(ids) - 1)), rel=1e-2)
    text_bytes = len((TEXT * 20).encode()) - len(scored.tokens[0].piece)
    assert scored.bits_per_byte == pytest.approx(-total / math.log(2) / text_bytes, rel=1e-2)


def test_the_same_batch_gives_the_same_numbers(harness: Harness) -> None:
    """With all rows of one batch, as the library alone computes it, there is nothing left to round differently."""
    ids = harness.model.tokenize(TEXT, special=True, begin=True)
    scored = score(harness, TEXT)
    with bare_context(harness.model) as context:
        batch = lib.llama_batch_init(len(ids), 0, 1)
        for place, token in enumerate(ids[:-1]):
            batch.token[place], batch.pos[place], batch.logits[place] = token, place, 1
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        batch.n_tokens = len(ids) - 1
        assert lib.llama_decode(context, batch) == 0
        shape, total = (harness.model.info.n_vocab,), 0.0
        for place in range(len(ids) - 1):
            raw = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, place), shape=shape).astype(np.float64)
            expected = log_softmax(raw)[ids[place + 1]]
            total += expected
            assert scored.tokens[place + 1].logprob == pytest.approx(expected, abs=1e-4)
            assert scored.tokens[place + 1].rank == 1 + int((raw > raw[ids[place + 1]]).sum())
        lib.llama_batch_free(batch)
    assert scored.total_logprob == pytest.approx(total, abs=1e-3)


def test_the_first_token_has_nothing_before_it(harness: Harness) -> None:
    scored = score(harness, TEXT)
    assert scored.tokens[0].logprob is None
    assert scored.tokens[0].rank is None
    assert all(token.logprob is not None and token.prob is None and token.top for token in scored.tokens[1:])
    assert b"".join(token.piece for token in scored.tokens).decode() == TEXT
    alone = score(harness, "Hello")
    assert (alone.scored, alone.perplexity, alone.bits_per_byte) == (0, None, None)


def test_a_reply_scores_as_it_was_written(harness: Harness) -> None:
    prompt = chat("Name a colour.", system="Be brief.")
    harness.run(request(1, prompt, NEUTRAL, seed=3, max_tokens=24))
    tokens = harness.tokens(1)
    scored = score(harness, prompt, reply_ids=tuple(harness.ids(1)), only_reply=True)
    assert [token.id for token in scored.tokens] == harness.ids(1)
    assert [token.index for token in scored.tokens] == [token.index for token in tokens]
    assert [one.logprob for one in scored.tokens] == pytest.approx([one.logprob for one in tokens], abs=2e-2)


def test_a_reply_of_another_model_is_scored_behind_its_prompt(harness: Harness) -> None:
    prompt = chat("Name a colour.")
    sensible = score(harness, prompt, reply_text="Blue is a colour.", only_reply=True)
    odd = score(harness, prompt, reply_text="Xylo q 7 hurdle the.", only_reply=True)
    assert b"".join(token.piece for token in sensible.tokens) == b"Blue is a colour."
    assert sensible.perplexity is not None
    assert odd.perplexity is not None
    assert sensible.perplexity < odd.perplexity
    whole = score(harness, prompt, reply_text="Blue is a colour.")
    size = len(harness.engine.view_prompt(prompt).ids)
    assert len(whole.tokens) == size + len(sensible.tokens)
    assert any(token.special for token in whole.tokens)


def test_control_tokens_are_parsed_or_not(harness: Harness) -> None:
    text = "one <|im_end|> two"
    assert any(token.special == "<|im_end|>" for token in score(harness, text).tokens)
    plain = score(harness, text, parse_special=False)
    assert not any(token.special for token in plain.tokens)
    assert b"".join(token.piece for token in plain.tokens).decode() == text


@pytest.mark.parametrize("kind", GENERATING)
def test_every_kind_of_memory_scores_the_same_beside_a_stream(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model, batch=16)
        alone = score(harness, WORDS * 2)
        harness.submit(request(1, WORDS, max_tokens=60, ignore_eos=True))
        harness.step_until(lambda: len(harness.ids(1)) >= 5)
        beside = score(harness, WORDS * 2)
        assert [token.id for token in beside.tokens] == [token.id for token in alone.tokens]
        assert beside.total_logprob == pytest.approx(alone.total_logprob, abs=1e-2)
        together = harness.ids(1)
        harness.engine.forget()
        harness.events.clear()
        harness.run(request(1, WORDS, max_tokens=60, ignore_eos=True))
        assert harness.ids(1) == together
        reply = tuple(together[:20])
        only = score(harness, WORDS, reply_ids=reply, only_reply=True)
        assert only.recomputed == (not model.info.can_cut)
        feed, ids = [*model.tokenize(WORDS, special=True, begin=True), *reply], len(reply)
        with bare_context(model, 512) as context:
            total = 0.0
            raw = bare_logits(context, feed[:-ids], model.info.n_vocab)
            for token in reply:
                total += log_softmax(raw)[token]
                raw = bare_logits(context, [token], model.info.n_vocab)
        assert only.total_logprob == pytest.approx(total, abs=1e-2)


def test_progress_is_told_and_a_withdrawn_score_ends(harness: Harness) -> None:
    slow = Harness(harness.model, batch=32)
    first, second = (begin(slow, ScoreRequest(prompt=RawPrompt(TEXT * 10)), ticket) for ticket in (1, 2))
    slow.engine.step()
    slow.engine.step()
    slow.engine.questions.withdraw(1)
    slow.finish()
    assert not first.answers
    assert first.progress[0][0] == 32
    assert isinstance(second.answers[0], Score)
    done, total = second.progress[-1]
    assert done == total
    assert [done for done, _ in second.progress] == sorted({done for done, _ in second.progress})


def test_a_text_longer_than_the_context_says_by_how_much(harness: Harness) -> None:
    scored = begin(harness, ScoreRequest(prompt=RawPrompt(TEXT * 100)))
    (error,) = scored.answers
    assert isinstance(error, BadInput)
    assert "context window holds 1,024" in error.message
    nothing = begin(harness, ScoreRequest(prompt=RawPrompt("")))
    assert isinstance(nothing.answers[0], BadInput)


def test_a_stream_that_needs_the_room_gets_it(tiny_models: TinyModels) -> None:
    with opened(tiny_models("base"), context=256, **ONE_THREAD) as model:
        harness = Harness(model, batch=8)
        harness.submit(request(1, WORDS, max_tokens=-1, ignore_eos=True))
        harness.step_until(lambda: len(harness.ids(1)) >= 100)
        scored = begin(harness, ScoreRequest(prompt=RawPrompt(WORDS * 9)))
        harness.finish()
        (error,) = scored.answers
        assert isinstance(error, PlaygroundError)
        assert "no room" in error.message
        assert harness.finished(1).reason is StopReason.CONTEXT
        assert harness.finished(1).usage.completion_tokens > 220
        assert score(harness, WORDS).scored


def test_a_model_compared_with_itself_does_not_differ(harness: Harness) -> None:
    first = score(harness, TEXT)
    same = compare_scores(first, score(harness, TEXT))
    assert same.mean_kl_kept == 0.0
    assert same.mean_logprob == 0.0
    assert same.same_best == 1.0
    assert {one.rank for one in same.tokens[1:]} == {0}
    assert same.tokens[0].kl_kept is None


def test_kv_cache_types_compared(harness: Harness, starter_gguf: Any) -> None:
    f16 = score(harness, TEXT * 3)
    with opened(starter_gguf, context=1024, kv_type="q4_0", **ONE_THREAD) as model:
        q4 = score(Harness(model), TEXT * 3)
    compared = compare_scores(f16, q4)
    assert compared.mean_kl_kept is not None
    assert 0.0 < compared.mean_kl_kept < 0.5
    assert compared.same_best is not None
    assert 0.5 < compared.same_best < 1.0 + 1e-9
    assert any(one.logprob for one in compared.tokens)


def test_the_kept_divergence_is_a_lower_bound_of_the_whole(harness: Harness, starter_gguf: Any) -> None:
    """Against the divergence over the whole vocabulary, from two rows of logits."""
    ids, n_vocab = harness.model.tokenize(TEXT, special=True, begin=True), harness.model.info.n_vocab
    with bare_context(harness.model) as context:
        p = log_softmax(bare_logits(context, ids[:-1], n_vocab))
    with opened(starter_gguf, context=1024, kv_type="q4_0", **ONE_THREAD) as model:
        theirs = score(Harness(model), TEXT)
        q = log_softmax(bare_logits_of(Harness(model), ids[:-1]))
    whole = float((np.exp(p) * (p - q)).sum() / math.log(2))
    few = compare_scores(score(harness, TEXT), theirs).tokens[-1]
    assert few.kl_kept is not None
    assert few.kept_mass is not None
    assert few.kl_kept <= whole + 2e-2
    assert 0.0 < few.kept_mass <= 1.0


def bare_logits_of(harness: Harness, ids: list[int]) -> Any:
    """Logits behind some tokens in a model's own context, whose KV type is what matters."""
    context = harness.model.context
    context.remove(0, 0)
    result = bare_logits(context.pointer, ids, harness.model.info.n_vocab)
    context.remove(0, 0)
    return result


def test_scores_of_different_tokens_cannot_be_compared(harness: Harness) -> None:
    with pytest.raises(BadInput, match="not of the same tokens"):
        compare_scores(score(harness, TEXT), score(harness, TEXT + " No."))
