"""Watched words: their exact probability at every step, before and after the samplers."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from playground.domain.errors import BadInput
from playground.domain.events import Started
from playground.domain.messages import RawPrompt
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.tokens import Token
from playground.domain.what_if import WatchedReply, WatchRequest, known_of
from tests.conftest import TinyModels
from tests.engine.support import (
    GREEDY,
    ONE_THREAD,
    Harness,
    bare_context,
    bare_logits,
    log_softmax,
    opened,
    request,
)

PROMPT = "Here is a short story about a river."


def watching(harness: Harness, stream: int, params: SamplingParams, *words: str) -> Started:
    wanted = msgspec.structs.replace(request(stream, PROMPT, params, seed=4, max_tokens=16), watch=words)
    harness.run(wanted)
    (started,) = harness.of(stream, Started)
    return started


def test_before_the_samplers_it_is_the_models_own_probability(harness: Harness) -> None:
    started = watching(harness, 1, SamplingParams(), " the", " zebra", "#28")
    assert [word.piece for word in started.watching] == [b" the", b" zebra", harness.model.pieces[28][0]]
    assert [word.tokens for word in started.watching] == [1, 1, 1]
    feed = harness.model.tokenize(PROMPT, special=True, begin=True)
    with bare_context(harness.model) as context:
        for token in harness.tokens(1):
            p = np.exp(log_softmax(bare_logits(context, feed, harness.model.info.n_vocab)))
            for word, found in zip(started.watching, token.watched, strict=True):
                assert found.id == word.id
                assert found.before == pytest.approx(p[word.id], rel=2e-2, abs=1e-9)
            feed = [token.id or 0]


@pytest.mark.parametrize(
    "params", [SamplingParams(), NEUTRAL, GREEDY, SamplingParams(top_k=0, min_p=0.0)], ids=["default", "all", "0", "p"]
)
def test_after_the_samplers_it_is_the_chance_to_be_drawn(harness: Harness, params: SamplingParams) -> None:
    watching(harness, 1, params, " the", " and", ".", " zebra")
    seen_in_top = 0
    for token in harness.tokens(1):
        in_top = {candidate.id: candidate for candidate in token.top}
        for found in token.watched:
            assert (found.after == 0.0) or found.cut_by == -1
            if found.cut_by >= 0:
                assert found.after == 0.0
                assert found.cut_by < len(token.stages)
            if found.id in in_top:
                seen_in_top += 1
                assert found.after == in_top[found.id].prob
                assert found.cut_by == in_top[found.id].cut_by
        if token.stages[-1].candidates == harness.model.info.n_vocab:
            assert all(found.after == pytest.approx(found.before, rel=1e-3) for found in token.watched)
    assert seen_in_top


def test_watching_changes_nothing_else(harness: Harness) -> None:
    watching(harness, 1, SamplingParams(), " the", " zebra")
    watching(harness, 2, SamplingParams())
    assert harness.ids(1) == harness.ids(2)
    assert [token.top for token in harness.tokens(1)] == [token.top for token in harness.tokens(2)]
    assert all(token.watched == () for token in harness.tokens(2))


def test_a_word_of_several_tokens_says_that_the_first_is_watched(harness: Harness) -> None:
    started = watching(harness, 1, GREEDY, "hippopotamus!", " the")
    word, single = started.watching
    assert word.tokens > 1
    assert b"hippopotamus!".startswith(word.piece)
    assert "the first one" in word.note
    assert single.note == ""


def test_a_word_is_not_the_same_as_the_word_behind_a_space(tiny_models: TinyModels) -> None:
    """SentencePiece puts a space before what it splits; what was typed is what is watched."""
    with opened(tiny_models("base"), context=256, **ONE_THREAD) as model:
        harness = Harness(model)
        harness.run(msgspec.structs.replace(request(1, "the water"), watch=(" the", "the", "XYZ")))
        (started,) = harness.of(1, Started)
        assert [word.piece for word in started.watching] == [b" the", b"t", b"X"]
        assert [word.tokens for word in started.watching] == [1, 3, 3]


@pytest.mark.parametrize(("word", "sentence"), [("", "empty"), ("#99999999", "not one of this model")])
def test_words_that_cannot_be_watched(harness: Harness, word: str, sentence: str) -> None:
    harness.submit(msgspec.structs.replace(request(1, PROMPT), watch=(word,)))
    assert sentence in harness.failed(1).problem.message


def test_tokens_recorded_before_there_was_a_watch_list_can_be_read() -> None:
    old = msgspec.msgpack.encode([0, 5, b"x", -1.0, 0.5, 1, 2.0])
    assert msgspec.msgpack.decode(old, type=Token).watched == ()


def look_back(harness: Harness, stream: int, params: SamplingParams, *words: str, **changes: Any) -> WatchedReply:
    """Watch words in a reply that is there."""
    answers: list[object] = []
    wanted = WatchRequest(
        prompt=RawPrompt(PROMPT),
        reply_ids=tuple(harness.ids(stream)),
        words=words,
        drawn=changes.get("drawn", ((0, params),)),
        known=tuple(known_of(token) for token in harness.tokens(stream)),
    )
    harness.engine.questions.watch(1, wanted, answers.append, lambda done, total: None)
    harness.finish()
    (answer,) = answers
    assert isinstance(answer, WatchedReply), answer
    return answer


@pytest.mark.parametrize(
    "params", [SamplingParams(), NEUTRAL, GREEDY, replace(SamplingParams(), repeat_penalty=1.3)], ids=repr
)
def test_words_found_afterwards_have_the_figures_they_would_have_had(harness: Harness, params: SamplingParams) -> None:
    started = watching(harness, 1, params, " the", " zebra", ".")
    found = look_back(harness, 1, params, " the", " zebra", ".")
    assert found.words == started.watching
    for token, figures in zip(harness.tokens(1), found.figures, strict=True):
        listed = {candidate.id for candidate in token.top}
        for now, then in zip(figures, token.watched, strict=True):
            assert now.id == then.id
            assert now.before == pytest.approx(then.before, rel=1e-4 if now.id in listed else 0.5, abs=1e-7)
            assert now.after == pytest.approx(then.after, abs=1e-2)


def test_each_token_is_seen_under_the_parameters_it_was_drawn_under(harness: Harness) -> None:
    watching(harness, 1, NEUTRAL, " the")
    found = look_back(
        harness, 1, NEUTRAL, " zebra", drawn=((0, NEUTRAL), (8, GREEDY), (12, SamplingParams(mirostat=2)))
    )
    after = [figures[0].after for figures in found.figures]
    assert all(after[:8])
    assert after[8:12] == [0.0] * 4
    assert after[12:] == [None] * 4, "what mirostat remembers is not known"


def test_behind_what_a_grammar_does_not_allow_nothing_is_known_of_the_samplers(harness: Harness) -> None:
    watching(harness, 1, NEUTRAL)
    strict = replace(NEUTRAL, grammar='root ::= "never said"')
    found = look_back(harness, 1, strict, " the")
    assert [figures[0].after is None for figures in found.figures] == [False] + [True] * 15
    assert all(figures[0].before > 0.0 for figures in found.figures)
    refused: list[object] = []
    wanted = WatchRequest(prompt=RawPrompt(PROMPT), reply_ids=(5,), words=("#99999999",), drawn=((0, NEUTRAL),))
    harness.engine.questions.watch(2, wanted, refused.append, lambda done, total: None)
    assert isinstance(refused[0], BadInput)
