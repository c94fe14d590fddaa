"""What is shown is what llama.cpp computed, compared with a few lines that share nothing with the engine."""

from __future__ import annotations

import ctypes
import math

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest

from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.domain.tokens import Token
from tests.engine.support import GREEDY, Harness, bare_context, bare_logits, log_softmax, request

PROMPT = "Here is a short story about a river."


def test_greedy_ids_and_log_probabilities_agree_with_the_library(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=64, ignore_eos=True))
    tokens = harness.tokens(1)
    assert len(tokens) == 64
    ends = np.array(harness.model.vocabulary.end_tokens)
    with bare_context(harness.model) as context:
        feed = harness.model.tokenize(PROMPT, special=True, begin=True)
        for token in tokens:
            raw = bare_logits(context, feed, harness.model.info.n_vocab)
            expected = log_softmax(raw)
            allowed = raw.copy()
            allowed[ends] = -np.inf
            best = int(allowed.argmax())
            assert token.id == best
            assert token.logprob == pytest.approx(expected[best], abs=1e-4)
            assert token.rank == 1 + int((raw > raw[best]).sum())
            p = np.exp(expected)
            assert token.entropy == pytest.approx(-(p * expected).sum() / math.log(2), abs=1e-3)
            assert [c.id for c in token.top[:10]] == np.argsort(-raw, kind="stable")[:10].tolist()
            for candidate in token.top:
                assert candidate.id is not None
                assert candidate.logprob == pytest.approx(expected[candidate.id], abs=1e-4)
            feed = [best]


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(max_tokens=24),
        NEUTRAL,
        SamplingParams(xtc_probability=0.5, xtc_threshold=0.05, top_k=0, top_p=1.0),
        SamplingParams(mirostat=2),
        SamplingParams(adaptive_target=0.3),
    ],
    ids=["default", "neutral", "xtc", "mirostat", "adaptive"],
)
def test_the_same_seed_gives_the_same_tokens(harness: Harness, params: SamplingParams) -> None:
    first, second, other = (
        request(n, PROMPT, params, seed=seed, max_tokens=24) for n, seed in ((1, 7), (2, 7), (3, 8))
    )
    for one in (first, second, other):
        harness.run(one)
    assert harness.ids(1) == harness.ids(2)
    assert harness.ids(1) != harness.ids(3)


def test_a_run_without_a_seed_reports_the_one_it_took(harness: Harness) -> None:
    from playground.domain.events import Started

    harness.run(request(1, PROMPT, SamplingParams(), max_tokens=16))
    (started,) = harness.of(1, Started)
    harness.run(request(2, PROMPT, SamplingParams(), max_tokens=16, seed=started.seed))
    assert harness.ids(1) == harness.ids(2)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(),
        SamplingParams(temperature=1.5, top_k=100, top_p=0.9),
        SamplingParams(temperature=0.0),
        SamplingParams(top_n_sigma=1.0, top_k=0),
        SamplingParams(mirostat=1),
    ],
    ids=["default", "hot", "greedy", "sigma", "mirostat"],
)
def test_probabilities_of_the_survivors_sum_to_one(harness: Harness, params: SamplingParams) -> None:
    harness.run(request(1, PROMPT, params, max_tokens=16, seed=3, top=100))
    checked = 0
    for token in harness.tokens(1):
        _check_candidates(token)
        if token.stages[-1].candidates <= 100 and all(c.cut_by == -1 for c in token.top[: token.stages[-1].candidates]):
            assert sum(candidate.prob or 0.0 for candidate in token.top) == pytest.approx(1.0, abs=1e-3)
            checked += 1
    assert checked


def _check_candidates(token: Token) -> None:
    chosen = [candidate for candidate in token.top if candidate.id == token.id]
    assert len(chosen) == 1
    assert chosen[0].prob == token.prob
    assert chosen[0].logprob == token.logprob
    assert token.prob is not None
    assert 0.0 < token.prob <= 1.0
    for candidate in token.top:
        assert candidate.prob == 0.0 or candidate.cut_by == -1
        assert candidate.cut_by < len(token.stages)


def test_the_chosen_token_is_listed_even_when_it_is_no_top_candidate(harness: Harness) -> None:
    harness.run(request(1, PROMPT, NEUTRAL, temperature=3.0, max_tokens=24, seed=2, top=1))
    tokens = harness.tokens(1)
    for token in tokens:
        _check_candidates(token)
        assert token.top[0].logprob == max(c.logprob or -99.0 for c in token.top)
    assert any(len(token.top) == 2 and (token.rank or 0) > 1 for token in tokens)


@pytest.mark.parametrize("prompt", ["Smile 🙂🙃", "汉字和日本語、", "é ü ß ∀x∈ℝ", "\x00\x07 \x1b[31m"])
def test_bytes_joined_are_the_detokenised_text(harness: Harness, prompt: str) -> None:
    finished = harness.run(request(1, prompt, NEUTRAL, temperature=2.5, max_tokens=48, seed=5))
    tokens = harness.tokens(1)
    joined = b"".join(token.piece for token in tokens)
    ids = harness.ids(1)
    buffer = ctypes.create_string_buffer(4096)
    array = (lib.llama_token * len(ids))(*ids)
    vocab = lib.llama_model_get_vocab(harness.model.pointer)
    size = lib.llama_detokenize(vocab, array, len(ids), buffer, len(buffer), False, False)
    assert size >= 0
    assert joined == buffer.raw[:size]
    assert finished.text == joined.decode("utf-8", errors="replace")
    view = harness.engine.view_prompt(request(2, prompt).prompt)
    assert b"".join(view.pieces).decode() == prompt


def test_numbers_that_are_none_end_the_run_with_a_sentence(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    real = harness.model.context.logits

    def broken(row: int) -> object:
        logits = real(row).copy()
        logits[5] = np.nan
        return logits

    monkeypatch.setattr(harness.model.context, "logits", broken)
    harness.submit(request(1, PROMPT, GREEDY))
    harness.finish()
    assert "not numbers" in harness.failed(1).problem.message
    monkeypatch.undo()
    assert harness.run(request(2, PROMPT)).usage.completion_tokens == 8


def test_the_best_of_a_flat_distribution_are_found_and_ties_go_by_id() -> None:
    from playground.engine.capture import Distribution

    random = np.random.default_rng(2)
    for size in (50, 1000, 70_000):
        for step in (0.0, 0.5):
            logits = (random.standard_normal(size) * 0.4).astype(np.float32)
            if step:
                logits = np.round(logits / np.float32(step)) * np.float32(step)
            distribution = Distribution(size)
            distribution.read(logits, 20)
            best = np.argsort(-logits, kind="stable")[:20]
            assert distribution.top(20) == (best.tolist(), logits[best].tolist())


def test_logits_of_any_size_have_a_softmax() -> None:
    from playground.engine.capture import Distribution

    random = np.random.default_rng(1)
    for shift in (-5000.0, -60.0, 0.0, 60.0, 5000.0):
        logits = (random.standard_normal(5000) * 3 + shift).astype(np.float32)
        logits[7] = -np.inf
        distribution = Distribution(5000)
        distribution.read(logits, 40)
        expected = log_softmax(logits.astype(np.float64))
        p = np.exp(expected)
        ids, values = distribution.top(20)
        assert ids == np.argsort(-logits, kind="stable")[:20].tolist()
        assert [value - distribution.log_sum for value in values] == pytest.approx(expected[ids].tolist(), abs=1e-3)
        finite = p > 0
        assert distribution.entropy_bits() == pytest.approx(
            -(p[finite] * expected[finite]).sum() / math.log(2), abs=1e-2
        )
        for token in (0, 7, ids[0], ids[19]):
            assert distribution.rank(token) == 1 + int((logits > logits[token]).sum())
        assert distribution.mass(np.array(ids)) == pytest.approx(p[ids].sum(), rel=1e-3)
