"""Replies held to a grammar: what was cut and how much it weighed, as llama.cpp's own chain would have it."""

from __future__ import annotations

import ctypes
import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import llama_cpp.llama_cpp as lib
import numpy as np
import pytest
from numpy.typing import NDArray

from playground.domain.errors import BadInput, GrammarError
from playground.domain.events import Finished, ParamsChanged, StopReason, TokenGenerated
from playground.domain.grammars import check_grammar
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from playground.engine.grammar import schema_to_grammar
from playground.engine.model import LoadedModel
from tests.conftest import TinyModels
from tests.engine.support import (
    GREEDY,
    ONE_THREAD,
    Harness,
    bare_context,
    bare_logits,
    chat,
    log_softmax,
    opened,
    request,
)

SCHEMA = json.dumps(
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 500},
            "age": {"type": "integer"},
            "tags": {"type": "array", "items": {"enum": ["cat", "dog", "Ünï"]}, "maxItems": 3},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)
JSON = schema_to_grammar("{}")
LIST = 'root ::= ("- " [^\\n]+ "\\n"){3}\n'
DIGITS = "root ::= [0-9]+\n"
WORD = 'root ::= " yes" | " no" | " maybe, " [a-z ]{0,12} "."\n'
FREE = "root ::= .*\n"
AMBIGUOUS = "".join(f'r{n} ::= r{n + 1} | r{n + 1} "a"\n' for n in range(40)) + 'r40 ::= "x"'
PROMPT = "A list of three animals and what they eat:\n"

_DTYPE = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])


@contextmanager
def own_grammar(model: LoadedModel, text: str) -> Iterator[Any]:
    """llama.cpp's sampler, made without our code."""
    sampler = lib.llama_sampler_init_grammar(lib.llama_model_get_vocab(model.pointer), text.encode(), b"root")
    assert sampler
    try:
        yield sampler
    finally:
        lib.llama_sampler_free(sampler)


def left_by(sampler: Any, logits: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which tokens of the whole vocabulary a sampler leaves."""
    array = np.zeros(len(logits), _DTYPE)
    array["id"], array["logit"] = np.arange(len(logits)), logits
    struct: Any = lib.llama_token_data_array()
    struct.data = array.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
    struct.size, struct.selected, struct.sorted = len(logits), -1, False
    lib.llama_sampler_apply(sampler, ctypes.byref(struct))
    left: NDArray[np.bool_] = array["logit"] > -np.inf
    return left


class Recorder:
    """Keeps a copy of every row of logits that is sampled from."""

    def __init__(self, model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[NDArray[np.float32]] = []
        real = model.context.logits

        def logits(row: int) -> NDArray[np.float32]:
            found = real(row)
            self.rows.append(found.copy())
            return found

        monkeypatch.setattr(model.context, "logits", logits)


def greedy_by_the_library(model: LoadedModel, prompt: str, grammar: str, tokens: int) -> list[int]:
    """llama.cpp's own chain of grammar and greedy, over a context of its own."""
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    vocab = lib.llama_model_get_vocab(model.pointer)
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_grammar(vocab, grammar.encode(), b"root"))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
    found: list[int] = []
    with bare_context(model) as context:
        feed = model.tokenize(prompt, special=True, begin=True)
        for _ in range(tokens):
            bare_logits(context, feed, model.info.n_vocab)
            feed = [lib.llama_sampler_sample(chain, context, -1)]
            found += feed
            if model.is_end(feed[0]):
                break
    lib.llama_sampler_free(chain)
    return found


@pytest.mark.parametrize("grammar", [JSON, LIST, DIGITS, WORD, FREE], ids=["json", "list", "digits", "word", "free"])
@pytest.mark.parametrize("order", [("top_k", "top_p", "min_p"), ()], ids=["stages", "bare"])
def test_greedy_with_a_grammar_takes_what_the_librarys_own_chain_takes(
    harness: Harness, grammar: str, order: tuple[str, ...]
) -> None:
    harness.run(request(1, PROMPT, grammar=grammar, order=order, max_tokens=24))
    assert harness.ids(1) == greedy_by_the_library(harness.model, PROMPT, grammar, 24)


CASES = {
    "json, default": (JSON, SamplingParams()),
    "list, default": (LIST, SamplingParams()),
    "list, hot": (LIST, SamplingParams(temperature=1.8, top_k=100, min_p=0.0)),
    "list, greedy": (LIST, SamplingParams(temperature=0.0)),
    "list, min-p first": (LIST, SamplingParams(order=("min_p", "temperature"))),
    "list, tiny min-p first": (LIST, SamplingParams(order=("min_p",), min_p=0.0001)),
    "list, whole distribution": (LIST, NEUTRAL),
    "list, penalties": (LIST, SamplingParams(repeat_penalty=1.3)),
    "digits, default": (DIGITS, SamplingParams()),
    "digits, banned": (DIGITS, SamplingParams(logit_bias={"1": float("-inf")})),
    "word, hot": (WORD, replace(NEUTRAL, temperature=2.0)),
    "free, default": (FREE, SamplingParams()),
}


@pytest.mark.parametrize(("grammar", "params"), CASES.values(), ids=list(CASES))
def test_the_record_says_what_the_grammar_left(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, grammar: str, params: SamplingParams
) -> None:
    """Checked over the whole vocabulary, though the run may look at a part of it only."""
    recorder = Recorder(harness.model, monkeypatch)
    harness.run(request(1, PROMPT, params, grammar=grammar, max_tokens=24, seed=4, top=20))
    tokens = harness.tokens(1)
    assert len(tokens) == len(recorder.rows) > 0
    with own_grammar(harness.model, grammar) as sampler:
        for token, logits in zip(tokens, recorder.rows, strict=True):
            allowed = left_by(sampler, logits)
            for banned in harness.model.bias_ids(params.logit_bias):
                allowed[banned] = False
            mass = float(np.exp(log_softmax(logits.astype(np.float64)))[allowed].sum())
            at, stage = next((at, stage) for at, stage in enumerate(token.stages) if stage.name == "grammar")
            assert stage.mass == pytest.approx(mass, abs=1.1e-3 if stage.at_least else 1e-4)
            if stage.at_least:
                assert stage.candidates <= allowed.sum()
            else:
                assert stage.candidates == allowed.sum()
            for candidate in token.top:
                assert (candidate.cut_by in range(at + 1)) == (not allowed[candidate.id or 0])
            assert token.id is not None
            assert allowed[token.id]
            lib.llama_sampler_accept(sampler, token.id)


@pytest.mark.parametrize(("grammar", "params"), CASES.values(), ids=list(CASES))
def test_fewer_candidates_looked_at_choose_the_same_tokens(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, grammar: str, params: SamplingParams
) -> None:
    wanted = {"max_tokens": 24, "seed": 9, "grammar": grammar}
    harness.run(request(1, PROMPT, params, **wanted))
    monkeypatch.setattr("playground.engine.grammar.WHOLE", harness.model.info.n_vocab)
    harness.run(request(2, PROMPT, params, **wanted))
    assert harness.ids(1) == harness.ids(2)
    for few, whole in zip(harness.tokens(1), harness.tokens(2), strict=True):
        assert few.prob == pytest.approx(whole.prob, rel=1e-4)
        assert [(s.name, s.candidates) for s in few.stages[1:]] == [(s.name, s.candidates) for s in whole.stages[1:]]


@pytest.mark.parametrize("kind", ["base", "chat"])
@pytest.mark.parametrize("grammar", ["root ::= [🙂-🙏äöü]+", 'root ::= "é" [^a-z]* "x" [ -~]*', JSON, LIST])
def test_tokens_sorted_by_their_bytes_lose_none(
    tiny_models: TinyModels, monkeypatch: pytest.MonkeyPatch, kind: str, grammar: str
) -> None:
    """Also in the middle of a character, in vocabularies with a token for each byte."""
    monkeypatch.setattr("playground.engine.grammar.WHOLE", 150)
    with opened(tiny_models(kind), context=256, **ONE_THREAD) as model:
        harness = Harness(model)
        recorder = Recorder(model, monkeypatch)
        harness.run(request(1, "the", NEUTRAL, grammar=grammar, max_tokens=40, seed=5))
        with own_grammar(model, grammar) as sampler:
            for token, logits in zip(harness.tokens(1), recorder.rows, strict=True):
                assert token.stages[0].candidates == left_by(sampler, logits).sum()
                assert token.id is not None
                lib.llama_sampler_accept(sampler, token.id)


@pytest.mark.parametrize("kind", ["base", "chat"])
def test_the_removed_mass_is_what_the_forbidden_tokens_had(tiny_models: TinyModels, kind: str) -> None:
    """A grammar so simple that a regular expression knows the allowed tokens."""
    with opened(tiny_models(kind), context=256, **ONE_THREAD) as model:
        harness = Harness(model)
        harness.run(request(1, "the water", NEUTRAL, grammar="root ::= [a-f ]+", max_tokens=12, seed=1))
        fits = np.array([bool(re.fullmatch(b"[a-f ]+", model.pieces.read(i))) for i in range(model.info.n_vocab)])
        with bare_context(model, 256) as context:
            feed = model.tokenize("the water", special=True, begin=True)
            for position, token in enumerate(harness.tokens(1)):
                logits = bare_logits(context, feed, model.info.n_vocab)
                allowed = fits.copy()
                if position:
                    allowed[list(model.vocabulary.end_tokens)] = True
                stage = token.stages[0]
                assert (stage.name, stage.candidates) == ("grammar", allowed.sum())
                assert 1 - stage.mass == pytest.approx(np.exp(log_softmax(logits))[~allowed].sum(), abs=1e-3)
                assert token.id is not None
                feed = [token.id]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_reply_held_to_a_schema_is_json_of_that_shape(harness: Harness, seed: int) -> None:
    prompt = chat("Describe a cat as JSON with name, age and tags.")
    finished = harness.run(request(1, prompt, SamplingParams(), json_schema=SCHEMA, max_tokens=200, seed=seed))
    assert finished.reason is StopReason.STOP
    found = json.loads(finished.text)
    assert isinstance(found["name"], str)
    assert isinstance(found["age"], int)
    assert set(found) <= {"name", "age", "tags"}
    assert set(found.get("tags", [])) <= {"cat", "dog", "Ünï"}
    assert all(token.stages[0].name == "grammar" for token in harness.tokens(1))


def test_every_stream_has_a_state_of_its_own(harness: Harness) -> None:
    alone = Harness(harness.model)
    alone.run(request(1, PROMPT, grammar=LIST, max_tokens=20))
    harness.submit(
        request(1, PROMPT, grammar=LIST, max_tokens=20),
        request(2, PROMPT, grammar=DIGITS, max_tokens=20),
        request(3, PROMPT, max_tokens=20),
        request(4, PROMPT, json_schema=SCHEMA, max_tokens=20),
    )
    harness.finish()
    assert harness.ids(1)[:8] == alone.ids(1)[:8]
    assert re.fullmatch("[0-9]+", harness.finished(2).text)
    assert harness.finished(4).text.startswith("{")
    assert not any(stage.name == "grammar" for token in harness.tokens(3) for stage in token.stages)


def test_a_continued_reply_goes_on_inside_the_grammar(harness: Harness) -> None:
    harness.run(request(1, PROMPT, grammar=LIST, max_tokens=30))
    ids = harness.ids(1)
    harness.run(request(2, PROMPT, grammar=LIST, max_tokens=18, reply_ids=ids[:12]))
    assert harness.ids(2) == ids[12:30]


def test_a_beginning_that_does_not_fit_is_refused(harness: Harness) -> None:
    ids = harness.model.tokenize("12x", special=False, begin=False)
    harness.submit(request(1, PROMPT, grammar=DIGITS, reply_ids=ids))
    assert "does not fit the grammar, from token 3 on" in harness.failed(1).problem.message
    assert harness.run(request(2, PROMPT)).usage.completion_tokens == 8


def test_a_grammar_set_in_mid_stream_knows_what_was_written(harness: Harness) -> None:
    running = request(1, PROMPT, grammar="root ::= [0-9]+", max_tokens=12)
    harness.submit(running)
    harness.step_until(lambda: len(harness.tokens(1)) == 4)
    with pytest.raises(BadInput, match="does not fit"):
        harness.engine.set_params(1, replace(running.params, grammar="root ::= [a-z]+"))
    harness.engine.set_params(1, replace(running.params, grammar='root ::= [0-9]{4,9} " is enough"', max_tokens=30))
    harness.finish()
    assert re.fullmatch("[0-9]+ is enough", harness.finished(1).text)
    (changed,) = harness.of(1, ParamsChanged)
    assert "grammar" in changed.changed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"grammar": 'root ::= "a'}, "Line 1, column 10: this quote is never closed."),
        ({"grammar": 'root ::= "a" !<|im_end|>'}, "Line 1, column 14: tokens by name or number are not taken."),
        ({"grammar": 'root ::= root "a" | "b"'}, "can begin with itself"),
        ({"grammar": 'root ::= a\na ::= b a "x" | "y"\nb ::= c\nc ::= ""'}, "Line 2, column 1: the rule 'a' can begin"),
        ({"grammar": 'root ::= "a"{3,1}'}, "at least 3 and at most 1"),
        ({"grammar": "root ::= " + "(" * 50_000 + '"a"' + ")" * 50_000}, "groups are 1000 deep"),
        ({"grammar": 'root ::= "' + "a" * 300_000 + '"'}, "300,011 characters"),
        ({"grammar": 'x ::= "a"'}, "no rule named 'root'"),
        ({"grammar": "   "}, "no rule named 'root'"),
        ({"grammar": "\0"}, "a character that no text may have"),
        (
            {"grammar": f"root ::= r0\n{AMBIGUOUS}"},
            "more than 10,000 ways",
        ),
        ({"json_schema": '{"type": "string", "maxLength": 5000}'}, "becomes a grammar that llama.cpp cannot take"),
        ({"grammar": DIGITS, "json_schema": "{}"}, "both set"),
        ({"json_schema": '{"type": '}, "Line 1, column 10: expecting value."),
        ({"json_schema": '{"properties": {"a": {"type": "text"}}}'}, "at $.properties.a.type: 'text' is no type."),
        ({"json_schema": '{"$ref": "https://example.org/schema"}'}, "only references inside"),
        ({"json_schema": '{"type": "string", "pattern": "^a{x}$"}'}, "cannot turn this JSON schema into a grammar"),
    ],
)
def test_a_mistake_is_named_and_the_engine_lives_on(harness: Harness, changes: dict[str, str], said: str) -> None:
    from msgspec.structs import replace as unchecked

    wanted = request(1, PROMPT)
    harness.submit(unchecked(wanted, params=unchecked(wanted.params, **changes)))
    harness.finish()
    problem = harness.failed(1).problem
    assert said in problem.message
    assert harness.run(request(2, PROMPT)).usage.completion_tokens == 8


@pytest.mark.parametrize(
    ("grammar", "said"),
    [
        ("root ::= [z-a]", "allows no token of this model"),
        ('root ::= " a" [z-a]', "allows no token of this model"),
    ],
)
def test_a_grammar_that_allows_nothing_ends_the_run_with_a_sentence(harness: Harness, grammar: str, said: str) -> None:
    harness.submit(request(1, PROMPT, SamplingParams(), grammar=grammar))
    harness.finish()
    assert said in harness.failed(1).problem.message
    assert harness.run(request(2, PROMPT)).usage.completion_tokens == 8


def test_an_empty_reply_may_be_all_that_is_allowed(harness: Harness) -> None:
    finished = harness.run(request(1, PROMPT, grammar='root ::= ""'))
    assert (finished.reason, finished.text) == (StopReason.STOP, "")


def test_a_finished_grammar_with_the_end_banned_says_so(harness: Harness) -> None:
    harness.submit(request(1, PROMPT, grammar='root ::= " yes"', ignore_eos=True))
    harness.finish()
    assert "the end is banned" in harness.failed(1).problem.message
    assert b"".join(token.piece for token in harness.tokens(1)) == b" yes"


@pytest.mark.parametrize(
    ("grammar", "prompt"),
    [
        ('root ::= "x" root "a" | "x" root "b" | "y"', "xxxxxxxx xxxxxxxx"),
        ('root ::= " " root "a" | " " root "b" | " " root "c" | "y"', "a\n"),
        ("root ::= r r r r r r r r r r\nr ::= [a-z]* [a-z ]* | [a-z ]*", "Once upon"),
    ],
)
def test_a_grammar_with_ever_more_readings_ends_its_run_and_nothing_else(
    harness: Harness, grammar: str, prompt: str
) -> None:
    """Each further character doubles what llama.cpp has to follow; it would hold the worker until memory ends."""
    harness.submit(request(1, prompt, grammar=grammar, max_tokens=60), request(2, PROMPT, max_tokens=20))
    harness.finish()
    if not harness.of(1, Finished):
        assert "too many ways" in harness.failed(1).problem.message
    assert len(harness.tokens(2)) == 20


def test_an_endless_grammar_ends_by_its_limits(harness: Harness, tiny_models: TinyModels) -> None:
    endless = 'root ::= "ab" root'
    assert harness.run(request(1, PROMPT, grammar=endless, max_tokens=9)).reason is StopReason.LENGTH
    with opened(tiny_models("chat"), context=256, **ONE_THREAD) as model:
        finished = Harness(model).run(request(1, "the", grammar=endless, max_tokens=-1))
    assert finished.reason is StopReason.CONTEXT
    assert set(finished.text.replace("ab", "")) <= {"a"}


def test_characters_cut_into_tokens_stay_whole(tiny_models: TinyModels) -> None:
    """A vocabulary of bytes: each of these characters takes four tokens."""
    with opened(tiny_models("chat"), context=256, **ONE_THREAD) as model:
        finished = Harness(model).run(request(1, "the", NEUTRAL, grammar="root ::= [🙂-🙏]{5}", max_tokens=60, seed=3))
    assert finished.reason is StopReason.STOP
    assert re.fullmatch("[🙂-🙏]{5}", finished.text)


def test_what_is_read_here_is_what_the_library_reads(loaded_starter: LoadedModel) -> None:
    """Bits of grammars in any order: all that pass are taken, and all that are no grammar are refused by both."""
    rng = random.Random(4)
    bits = [
        "root",
        " ::= ",
        "a",
        '"x"',
        "[a-z]",
        "[^",
        "|",
        "(",
        ")",
        "*",
        "+",
        "?",
        "{2,3}",
        "{",
        "\n",
        "#",
        "\\n",
        "汉",
    ]
    vocab = lib.llama_model_get_vocab(loaded_starter.pointer)
    verdicts = Counter[tuple[bool, bool]]()
    for _ in range(2000):
        text = 'root ::= "y"' + "".join(rng.choices(bits, k=rng.randint(1, 9)))
        try:
            check_grammar(text)
            good = True
        except GrammarError as error:
            good = False
            if "expected" not in error.message:
                continue
        sampler = lib.llama_sampler_init_grammar(vocab, text.encode(), b"root")
        verdicts[good, bool(sampler)] += 1
        if sampler:
            lib.llama_sampler_free(sampler)
    assert set(verdicts) == {(True, True), (False, False)}
    assert min(verdicts.values()) > 100


def test_two_biases_of_one_token_are_refused(harness: Harness) -> None:
    (token,) = harness.model.tokenize(" Yes", special=False, begin=False)
    harness.submit(request(1, PROMPT, logit_bias={" Yes": 2.0, f"#{token}": float("-inf")}))
    assert f"#{token} has two logit biases, 2 and -inf" in harness.failed(1).problem.message
    with pytest.raises(BadInput, match="must be a number"):
        request(2, PROMPT, logit_bias={" Yes": float("inf")})
    harness.run(request(3, PROMPT, GREEDY, logit_bias={" Yes": 2.0, f"#{token}": 2.0}))
    assert harness.of(3, TokenGenerated)
