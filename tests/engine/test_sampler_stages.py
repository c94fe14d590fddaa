"""Every stage leaves what llama.cpp's own sampler leaves, applied in the same order to the whole vocabulary."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, NamedTuple

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest
from numpy.typing import NDArray

from playground.domain.params import replace
from playground.domain.sampling import DEFAULT_ORDER, NEUTRAL, SamplingParams, active_stages
from playground.engine.capture import Distribution
from playground.engine.model import LoadedModel
from playground.engine.samplers import SamplerChain
from tests.engine.support import bare_context, bare_logits, log_softmax

SEED = 11
TEXTS = ("The capital of France is", "Once upon a time, there", "1, 2, 3, 4, 1, 2, 3, 4, 1, 2", "He said: “")

_DTYPE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


class Position(NamedTuple):
    history: list[int]
    logits: NDArray[np.float32]


@pytest.fixture(scope="module")
def positions(loaded_starter: LoadedModel) -> list[Position]:
    """Logits of the real model at places where it is sure and where it is not."""
    found = []
    with bare_context(loaded_starter) as context:
        for text in TEXTS:
            lib.llama_memory_clear(lib.llama_get_memory(context), True)
            ids = loaded_starter.tokenize(text, special=True, begin=True)
            for end in range(len(ids) - 1, len(ids) + 1):
                feed = ids[:end] if end < len(ids) else ids[-1:]
                logits = bare_logits(context, feed, loaded_starter.info.n_vocab)
                found.append(Position(ids[:end], logits.astype(np.float32)))
    return found


def reference_sampler(name: str, p: SamplingParams, model: LoadedModel, bias: dict[int, float]) -> Any:
    """One of llama.cpp's samplers, as its own documentation has it made."""
    size, n_ctx = model.info.n_vocab, model.context.n_ctx
    vocab = lib.llama_model_get_vocab(model.pointer)
    breakers = (ctypes.c_char_p * len(p.dry_breakers))(*(text.encode() for text in p.dry_breakers))
    window = n_ctx if p.dry_last_n < 0 else p.dry_last_n
    array = (lib.llama_logit_bias * len(bias))(*(lib.llama_logit_bias(t, b) for t, b in bias.items()))
    make: dict[str, Callable[[], Any]] = {
        "logit_bias": lambda: lib.llama_sampler_init_logit_bias(size, len(bias), array),
        "penalties": lambda: lib.llama_sampler_init_penalties(
            size, p.penalty_last_n, p.repeat_penalty, p.frequency_penalty, p.presence_penalty
        ),
        "dry": lambda: lib.llama_sampler_init_dry(
            vocab, p.dry_multiplier, p.dry_base, p.dry_allowed_length, window, breakers, len(breakers)
        ),
        "top_n_sigma": lambda: lib.llama_sampler_init_top_n_sigma(p.top_n_sigma),
        "top_k": lambda: lib.llama_sampler_init_top_k(p.top_k),
        "typical_p": lambda: lib.llama_sampler_init_typical(p.typical_p, p.min_keep),
        "top_p": lambda: lib.llama_sampler_init_top_p(p.top_p, p.min_keep),
        "min_p": lambda: lib.llama_sampler_init_min_p(p.min_p, p.min_keep),
        "xtc": lambda: lib.llama_sampler_init_xtc(p.xtc_probability, p.xtc_threshold, p.min_keep, SEED),
        "temperature": lambda: lib.llama_sampler_init_temp_ext(p.temperature, p.dynatemp_range, p.dynatemp_exponent),
        "greedy": lib.llama_sampler_init_greedy,
        "dist": lambda: lib.llama_sampler_init_dist(SEED),
        "mirostat": lambda: lib.llama_sampler_init_mirostat(size, SEED, p.mirostat_tau, p.mirostat_eta, 100),
        "mirostat_v2": lambda: lib.llama_sampler_init_mirostat_v2(SEED, p.mirostat_tau, p.mirostat_eta),
        "adaptive_p": lambda: lib.llama_sampler_init_adaptive_p(p.adaptive_target, p.adaptive_decay, SEED),
    }
    return make[name]()


class Left(NamedTuple):
    name: str
    ids: NDArray[np.int32]
    p: NDArray[np.float32]


def apply_one_by_one(stages: list[tuple[str, Any]], logits: NDArray[np.float32]) -> tuple[list[Left], int]:
    """What is left after each stage (a logit of -inf is not), and the token picked at the end."""
    array = np.zeros(len(logits), _DTYPE)
    array["id"], array["logit"] = np.arange(len(logits)), logits
    struct: Any = lib.llama_token_data_array()
    struct.data = array.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
    struct.size, struct.selected, struct.sorted = len(logits), -1, False
    left = []
    for name, sampler in stages:
        lib.llama_sampler_apply(sampler, ctypes.byref(struct))
        start = (ctypes.cast(struct.data, ctypes.c_void_p).value or 0) - array.ctypes.data
        rows = array[start // _DTYPE.itemsize :][: struct.size]
        live = rows[rows["logit"] > -np.inf]
        left.append(Left(name, live["id"].copy(), live["p"].copy()))
    return left, int(rows["id"][struct.selected])


def _order(*first: str) -> tuple[str, ...]:
    return (*first, *(name for name in DEFAULT_ORDER if name not in first))


CASES = {
    "default": SamplingParams(),
    "neutral": NEUTRAL,
    "top_k wider than what is near": SamplingParams(top_k=1000, top_p=1.0, min_p=0.0),
    "top_k exactly what is near": SamplingParams(top_k=3, top_p=1.0, min_p=0.0),
    "min_p first": SamplingParams(order=_order("min_p"), min_p=0.02),
    "min_p first, tiny": SamplingParams(order=_order("min_p"), min_p=0.0001, top_k=0, top_p=1.0),
    "min_p first, keeps some": SamplingParams(order=_order("min_p"), min_p=0.5, min_keep=4),
    "min_p alone": replace(NEUTRAL, min_p=0.1),
    "min_p of one": replace(NEUTRAL, min_p=1.0),
    "top_p first": SamplingParams(order=_order("top_p"), top_p=0.8),
    "temperature first": SamplingParams(order=_order("temperature"), temperature=1.6),
    "temperature alone": replace(NEUTRAL, temperature=2.0),
    "typical": replace(NEUTRAL, typical_p=0.7),
    "typical, keeps some": SamplingParams(typical_p=0.2, min_keep=5),
    "top_n_sigma": replace(NEUTRAL, top_n_sigma=1.5),
    "top_n_sigma, wide": replace(NEUTRAL, top_n_sigma=4.0, top_p=0.9),
    "xtc": replace(NEUTRAL, xtc_probability=1.0, xtc_threshold=0.02),
    "xtc in the middle": SamplingParams(xtc_probability=0.5, xtc_threshold=0.05, order=_order("top_k", "xtc")),
    "xtc, sigma": SamplingParams(xtc_probability=1.0, xtc_threshold=0.01, top_n_sigma=3.0, top_p=1.0),
    "dry": SamplingParams(dry_multiplier=2.0, dry_breakers=()),
    "dry, breakers": SamplingParams(dry_multiplier=0.8, dry_allowed_length=1, dry_breakers=("\n", ",", "é")),
    "penalties": SamplingParams(repeat_penalty=1.3, frequency_penalty=0.4, presence_penalty=0.2),
    "penalties that lift what was written": SamplingParams(
        repeat_penalty=0.4, frequency_penalty=-1.5, top_k=6, top_p=1.0
    ),
    "penalties and dry, top_k of nearly all": SamplingParams(repeat_penalty=1.2, dry_multiplier=1.0, top_k=49_000),
    "bias, penalties, dry": SamplingParams(
        logit_bias={" Paris": float("-inf"), "#30000": 21.0}, repeat_penalty=1.4, dry_multiplier=1.5, top_k=5
    ),
    "dry over the whole context, before penalties": SamplingParams(
        order=_order("dry", "penalties"), dry_multiplier=3.0, dry_last_n=-1, dry_breakers=(), presence_penalty=0.5
    ),
    "penalties, short window": SamplingParams(repeat_penalty=1.5, penalty_last_n=2, order=_order("top_k")),
    "dynamic temperature": SamplingParams(dynatemp_range=0.5, dynatemp_exponent=1.5, top_k=0),
    "bias": SamplingParams(logit_bias={" Paris": 3.0, "#50": -2.0}),
    "ban": replace(NEUTRAL, logit_bias={" Paris": float("-inf"), "#19": 1.0}),
    "ban, top_k": SamplingParams(logit_bias={" Paris": float("-inf"), "#19": float("-inf"), "#50": 1.0}, top_k=5),
    "bias lifts what nobody expects": SamplingParams(logit_bias={"#30000": 25.0, "#41234": 18.0}, top_k=4, top_p=1.0),
    "bias, top_k wider than what is near": SamplingParams(logit_bias={"#30000": 9.0}, top_k=900, top_p=1.0, min_p=0.0),
    "ignore the end": SamplingParams(ignore_eos=True),
    "ignore the end, penalties": SamplingParams(ignore_eos=True, repeat_penalty=1.3, top_k=7),
    "ignore the end, typical": replace(NEUTRAL, ignore_eos=True, top_p=0.9),
    "mirostat": SamplingParams(mirostat=1),
    "mirostat 2": SamplingParams(mirostat=2, temperature=1.3, mirostat_tau=3.0),
    "adaptive": SamplingParams(adaptive_target=0.3),
    "adaptive, neutral": replace(NEUTRAL, adaptive_target=0.1, adaptive_decay=0.5, min_p=0.01),
    "greedy": SamplingParams(temperature=0.0),
    "greedy, penalties": SamplingParams(temperature=0.0, repeat_penalty=1.8, order=("penalties",)),
    "greedy, temperature first": SamplingParams(temperature=0.0, order=_order("temperature")),
}


@pytest.mark.parametrize("params", CASES.values(), ids=list(CASES))
def test_stages_leave_what_the_library_leaves(
    loaded_starter: LoadedModel, positions: list[Position], params: SamplingParams
) -> None:
    model = loaded_starter
    bias = model.bias_ids(params.logit_bias)
    banned = dict.fromkeys(model.vocabulary.end_tokens, float("-inf")) if params.ignore_eos else {}
    first = positions[0].history
    chain = SamplerChain(model.vocabulary, params, seed=SEED, bias=bias, history=first)
    names = active_stages(params)
    stages = [(name, reference_sampler(name, params, model, {**bias, **banned})) for name in names]
    for _, sampler in stages:
        for token in first:
            lib.llama_sampler_accept(sampler, token)
    distribution = Distribution(model.info.n_vocab)
    for position in positions:
        raw = np.exp(log_softmax(position.logits.astype(np.float64)))
        distribution.read(position.logits, max(10, chain.wanted))
        choice = chain.choose(distribution, 10)
        assert choice.top == np.argsort(-position.logits, kind="stable")[:10].tolist()
        expected, picked = apply_one_by_one(stages, position.logits)
        assert [(s.name, s.candidates) for s in choice.stages] == [(left.name, len(left.ids)) for left in expected]
        for stage, left in zip(choice.stages, expected, strict=True):
            assert stage.mass == pytest.approx(raw[left.ids].sum(), abs=1e-4)
        assert choice.token == picked
        for token in choice.top:
            gone = [index for index, left in enumerate(expected) if token not in left.ids]
            assert choice.cut_by.get(token, -1) == (gone[0] if gone else -1)
        if names[-1] != "greedy":
            final = dict(zip(expected[-1].ids.tolist(), expected[-1].p.tolist(), strict=True))
            for token in {*choice.top, picked}:
                assert choice.prob.get(token, 0.0) == pytest.approx(final.get(token, 0.0), abs=1e-5)
        chain.accept(choice.token)
        for _, sampler in stages:
            lib.llama_sampler_accept(sampler, picked)
    chain.free()
    for _, sampler in stages:
        lib.llama_sampler_free(sampler)


def test_a_change_keeps_the_state_of_the_stages_it_does_not_touch(
    loaded_starter: LoadedModel, positions: list[Position]
) -> None:
    """The random numbers go on: after a change and back, the draws are those of a chain that was left alone."""
    distribution = Distribution(loaded_starter.info.n_vocab)
    kept = SamplerChain(loaded_starter.vocabulary, NEUTRAL, seed=SEED, bias={})
    changed = SamplerChain(loaded_starter.vocabulary, NEUTRAL, seed=SEED, bias={})
    drawn: dict[str, list[int]] = {"kept": [], "changed": []}
    for index, position in enumerate(positions * 2):
        for name, chain in (("kept", kept), ("changed", changed)):
            if name == "changed":
                params = replace(NEUTRAL, top_k=1) if index % 3 == 1 else NEUTRAL
                chain.configure(params, {}, position.history)
            distribution.read(position.logits, 10)
            drawn[name].append(chain.choose(distribution, 1).token)
    untouched = [index for index in range(len(positions) * 2) if index % 3 != 1]
    assert [drawn["kept"][i] for i in untouched] == [drawn["changed"][i] for i in untouched]
    kept.free()
    changed.free()
