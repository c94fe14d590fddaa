"""A reply held to a grammar by llama.cpp's own sampler.

That sampler looks at every candidate it is given. Over a whole vocabulary this takes as long as a step of a small model
(4 to 20 ms for 49k tokens). So it is given fewer: where little is allowed, only tokens whose first bytes are; where
much is, only the most likely ones, if that proves that the rest could not have changed the outcome.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final

import llama_cpp.llama_cpp as lib
import numpy as np
from numpy.typing import NDArray

from playground.domain.errors import BadInput, GrammarError, RunFailed
from playground.domain.grammars import check_grammar
from playground.domain.json_schemas import check_json_schema
from playground.domain.sampling import SamplingParams
from playground.engine.capture import Distribution
from playground.engine.libllama import pointer_to
from playground.engine.prefixes import Ids, Prefixes

CANDIDATE: Final = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])
"""llama.cpp's `llama_token_data`."""
WHOLE: Final = 4096
"""Vocabularies up to this size are always looked at whole: it takes no time."""
UNSEEN: Final = 1e-3
"""Share of the model's probability that may be left unlooked at."""
SLOWEST_S: Final = 0.3
"""A grammar that takes longer than this for tokens of one length has more readings than can be followed."""
_USUAL_S: Final = 5e-6  # for a token, on a slow machine
_WIDTHS: Final = ((1e-4, 2), (1e-6, 8), (1e-8, 32))
"""Probabilities above which tokens are looked at, and how many times the wanted number it must be at least."""
_KEEP_THE_BEST: Final = ("top_k", "min_p", "greedy", "temperature")


def make_grammar(vocabulary: Any, prefixes: Prefixes, params: SamplingParams, written: Sequence[int]) -> Any:
    """llama.cpp's sampler for the grammar or JSON schema of `params`, told what is written of the reply already.

    Raises GrammarError for one with a mistake in it, BadInput when what is written does not fit it.
    """
    text = _text(params)
    check_grammar(text)
    sampler = lib.llama_sampler_init_grammar(vocabulary, text.encode(), b"root")
    if not sampler:
        raise GrammarError("llama.cpp does not take this grammar.", "The worker's log has its reason.")
    try:
        for count, token in enumerate(written):
            accept(sampler, prefixes, token, count + 1)
    except (BadInput, RunFailed):
        lib.llama_sampler_free(sampler)
        raise
    return sampler


def _text(params: SamplingParams) -> str:
    return params.grammar or schema_to_grammar(params.json_schema)


@lru_cache(maxsize=32)
def schema_to_grammar(schema: str) -> str:
    """A JSON schema as a grammar, converted by llama-cpp-python. Raises GrammarError where it makes no sense."""
    check_json_schema(schema)
    from playground.engine.schema_grammar import convert

    try:
        text = convert(schema)
    except (AssertionError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        said = (str(error) or type(error).__name__)[:200]
        raise GrammarError(
            f"llama-cpp-python cannot turn this JSON schema into a grammar: {said}.", "Try a simpler schema."
        ) from error
    try:
        check_grammar(text)
    except GrammarError as error:
        raise GrammarError(
            "The JSON schema becomes a grammar that llama.cpp cannot take.",
            "Try a simpler schema; a large maxLength or maxItems takes the most room.",
            error.message,
        ) from error
    return text


def allows(sampler: Any, token: int) -> bool:
    """True when the grammar lets this token follow."""
    one = lib.llama_token_data(token, 0.0, 0.0)
    struct = lib.llama_token_data_array(ctypes.pointer(one), 1, -1, False)
    lib.llama_sampler_apply(sampler, ctypes.byref(struct))
    return bool(one.logit == 0.0)


def accept(sampler: Any, prefixes: Prefixes, token: int, count: int = 0) -> None:
    """Tell a grammar what was written, byte by byte where that is possible.

    With `count`, the token's number in the reply, it is made sure that it fits: llama.cpp ends the process otherwise.
    Raises BadInput when it does not, and RunFailed when the grammar takes too long.
    """
    for letter in prefixes.spell(token):
        began = time.monotonic()
        if count and not allows(sampler, letter):
            raise BadInput(
                f"What is written already does not fit the grammar, from token {count} on.",
                "Start a new reply, or let the grammar allow this beginning.",
            )
        lib.llama_sampler_accept(sampler, letter)
        if time.monotonic() - began > SLOWEST_S:
            raise _too_many_readings()


def _too_many_readings() -> RunFailed:
    return RunFailed(
        "The grammar can be read in too many ways here: it takes ever longer for a token.",
        "Let alternatives differ in their first character, and put what they share before them.",
    )


class Held:
    """A sampler chain's grammar: which candidates it has to look at."""

    def __init__(self, sampler: Any, prefixes: Prefixes, params: SamplingParams, behind: str) -> None:
        self._sampler = sampler
        self._prefixes = prefixes
        self._params = params
        self._behind = behind
        """Name of the stage behind the grammar."""
        self._nests = check_grammar(_text(params)).nests

    def candidates(self, distribution: Distribution, count: int, also: Sequence[int]) -> tuple[Ids | None, bool]:
        """Tokens to look at, ascending, None for all; and whether others might be allowed, which change nothing.

        The `count` most likely ones and those in `also` are reported on: what is allowed of them is found in any case.
        """
        if len(distribution.logits) <= WHOLE:
            return None, False
        possible = self._prefixes.possible(self.allowed)
        if possible is not None and len(possible) <= WHOLE:
            return possible, False
        if self._behind in _KEEP_THE_BEST:
            wanted = max(count, self._params.top_k if self._behind == "top_k" else 1)
            for ids, floor in from_the_top(distribution, wanted):
                kept = ids[self.allowed(ids)]
                best = max(distribution.weights(kept), default=0.0) / distribution.total
                if suffices(self._behind, self._params, len(kept), best, floor):
                    return np.union1d(ids, np.array(also, np.int32)).astype(np.int32), True
        return possible, False

    def allowed(self, ids: Ids) -> NDArray[np.bool_]:
        """Which of these tokens the grammar lets follow.

        Short ones are asked about first: in an ambiguous grammar each further character can double the readings, and a
        call of llama.cpp cannot be ended. Raises RunFailed when it takes too long.
        """
        if not self._nests:
            return self._apply(ids)
        kept = np.empty(len(ids), np.bool_)
        for places in self._prefixes.by_length(ids):
            began = time.monotonic()
            kept[places] = self._apply(ids[places])
            if time.monotonic() - began > SLOWEST_S + _USUAL_S * len(places):
                raise _too_many_readings()
        return kept

    def accept(self, token: int) -> None:
        """Tell the grammar which of the allowed tokens was chosen. Raises RunFailed when it takes too long."""
        accept(self._sampler, self._prefixes, token)

    def nothing_left(self, end_tokens: Sequence[int]) -> RunFailed:
        """The error for a position at which no candidate is left."""
        if any(allows(self._sampler, token) for token in end_tokens):
            return RunFailed(
                "The grammar allows only the end here, and the end is banned.",
                "Turn ignore_eos off, or take the ban of the end-of-text token back.",
            )
        return RunFailed(
            "The grammar allows no token of this model here.",
            "It leads into a dead end, or to characters the model cannot write, or a ban takes what it needs.",
        )

    def _apply(self, ids: Ids) -> NDArray[np.bool_]:
        array = np.zeros(len(ids), CANDIDATE)
        array["id"] = ids
        struct = lib.llama_token_data_array(pointer_to(array, lib.llama_token_data), len(ids), -1, False)
        lib.llama_sampler_apply(self._sampler, ctypes.byref(struct))
        kept: NDArray[np.bool_] = array["logit"] == 0.0
        return kept


def from_the_top(distribution: Distribution, count: int) -> Iterator[tuple[Ids, float]]:
    """Ever wider sets of the most likely tokens, ascending by id, with the probability above which all are in it.

    Each set holds the `count` best and leaves no more than `UNSEEN` of the probability out.
    """
    for cutoff, times in _WIDTHS:
        ids, floor = distribution.above(cutoff).astype(np.int32), cutoff
        if len(ids) < count * times:
            ids = np.sort(np.array(distribution.top(count * times)[0], np.int32))
            floor = min(distribution.weights(ids)) / distribution.total
        if 1.0 - distribution.mass(ids) <= UNSEEN:
            yield ids, floor


def suffices(next_stage: str, params: SamplingParams, kept: int, best: float, floor: float) -> bool:
    """True when the next stage leaves the same of the `kept` candidates as it would of the whole vocabulary.

    Args:
        next_stage: name of the stage behind the grammar.
        params: its parameters.
        kept: how many candidates the grammar has left.
        best: the model's probability of the best of them.
        floor: the probability above which all candidates were looked at.
    """
    match next_stage:
        case "top_k":
            return kept >= params.top_k
        case "min_p":
            return kept > 0 and params.min_keep <= 1 and best * params.min_p > floor * 1.01
        case "greedy":
            return kept > 0
        case "temperature":
            return kept > 0 and params.temperature <= 0.0
        case _:
            return False
