"""Parameters changed while tokens stream."""

from __future__ import annotations

import msgspec
import pytest

from playground.domain.errors import BadInput
from playground.domain.events import ParamsChanged, StopReason
from playground.domain.params import replace
from playground.domain.sampling import NEUTRAL, SamplingParams
from tests.engine.support import Harness, request

STORY = "Here is a short story about a river."


def test_a_change_applies_from_the_next_token_and_says_so(harness: Harness) -> None:
    harness.submit(request(1, STORY, NEUTRAL, seed=4, max_tokens=16))
    harness.step_until(lambda: len(harness.ids(1)) == 6)
    changed = replace(NEUTRAL, seed=4, max_tokens=16, top_k=1)
    harness.engine.set_params(1, changed)
    harness.engine.set_params(1, changed)
    harness.finish()
    (event,) = harness.of(1, ParamsChanged)
    assert (event.index, event.params, event.changed) == (6, changed, ("top_k",))
    tokens = harness.tokens(1)
    assert all(token.rank == 1 for token in tokens[6:])
    assert all(stage.name != "top_k" for token in tokens[:6] for stage in token.stages)
    assert all(token.stages[0].candidates == 1 for token in tokens[6:])


def test_the_tokens_before_a_change_are_those_of_a_run_without_it(harness: Harness) -> None:
    harness.run(request(1, STORY, NEUTRAL, seed=4, max_tokens=12))
    harness.submit(request(2, STORY, NEUTRAL, seed=4, max_tokens=12))
    harness.step_until(lambda: len(harness.ids(2)) == 6)
    # A parameter that bends nothing: the draws go on where they were.
    harness.engine.set_params(2, replace(NEUTRAL, seed=4, max_tokens=12, stop=("never said",), min_p=1e-9))
    harness.finish()
    assert harness.ids(1) == harness.ids(2)


def test_a_continued_reply_counts_its_beginning(harness: Harness) -> None:
    harness.run(request(1, STORY, max_tokens=5))
    harness.submit(request(2, STORY, reply_ids=harness.ids(1), max_tokens=6))
    harness.step_until(lambda: len(harness.ids(2)) == 2)
    harness.engine.set_params(2, SamplingParams(temperature=0.5, max_tokens=4))
    harness.finish()
    (event,) = harness.of(2, ParamsChanged)
    assert event.index == 7
    assert [token.index for token in harness.tokens(2)] == [5, 6, 7, 8]


def test_a_change_that_cannot_be_put_in_force_leaves_the_stream_as_it_was(harness: Harness) -> None:
    harness.submit(request(1, STORY, max_tokens=10))
    harness.step_until(lambda: len(harness.ids(1)) == 3)
    with pytest.raises(BadInput, match="not one token"):
        harness.engine.set_params(1, SamplingParams(logit_bias={"many different tokens": 1.0}))
    harness.finish()
    assert harness.finished(1).reason is StopReason.LENGTH
    assert not harness.of(1, ParamsChanged)
    harness.run(request(2, STORY, max_tokens=10))
    assert harness.ids(1) == harness.ids(2)


def test_limits_and_stop_strings_can_change(harness: Harness) -> None:
    harness.run(request(1, STORY, max_tokens=10))
    pieces = [token.piece.decode() for token in harness.tokens(1)]
    harness.submit(request(2, STORY, max_tokens=10))
    harness.step_until(lambda: len(harness.ids(2)) == 4)
    # What was written before the change does not count; what comes after does.
    harness.engine.set_params(2, request(0, STORY, max_tokens=10, stop=[pieces[1], pieces[6]]).params)
    harness.finish()
    finished = harness.finished(2)
    assert finished.reason is StopReason.STOP_STRING
    assert finished.text == "".join(pieces)[: len(finished.text)]
    assert len(finished.text) >= len("".join(pieces[:4]))
    harness.submit(request(3, STORY, max_tokens=10))
    harness.step_until(lambda: len(harness.ids(3)) == 4)
    harness.engine.set_params(3, request(0, STORY, max_tokens=0).params)
    harness.finish()
    assert harness.finished(3).reason is StopReason.LENGTH
    assert len(harness.ids(3)) == 4


def test_penalties_know_what_was_written_before_they_were_switched_on(harness: Harness) -> None:
    harness.submit(request(1, "one two three one two three one two three one", max_tokens=8))
    harness.step_until(lambda: len(harness.ids(1)) == 1)
    harness.engine.set_params(1, request(0, "", max_tokens=8, repeat_penalty=2.0, presence_penalty=2.0).params)
    harness.finish()
    said = harness.model.tokenize(" one two three", special=False, begin=False)
    assert harness.ids(1)[0] in said
    assert not set(harness.ids(1)[1:]) & set(said)


def test_changes_named_in_the_request_come_at_their_tokens(harness: Harness) -> None:
    changed = replace(NEUTRAL, seed=4, max_tokens=12, temperature=1.5)
    again = replace(changed, top_k=3)
    harness.submit(request(1, STORY, NEUTRAL, seed=4, max_tokens=12))
    for count, params in ((4, changed), (7, again)):
        harness.step_until(lambda count=count: len(harness.ids(1)) == count)  # type: ignore[misc]
        harness.engine.set_params(1, params)
    harness.finish()
    live = harness.of(1, ParamsChanged)
    first = request(2, STORY, NEUTRAL, seed=4, max_tokens=12)
    harness.run(msgspec.structs.replace(first, changes=((4, changed), (7, again))))
    assert harness.ids(2) == harness.ids(1)
    assert [(event.index, event.params) for event in harness.of(2, ParamsChanged)] == [
        (event.index, event.params) for event in live
    ]


def test_changing_a_stream_that_is_gone_does_nothing(harness: Harness) -> None:
    harness.run(request(1, STORY))
    before = len(harness.events)
    harness.engine.set_params(1, NEUTRAL)
    assert len(harness.events) == before


def test_the_number_of_candidates_can_change(harness: Harness) -> None:
    harness.submit(request(1, STORY, max_tokens=6, top=3))
    harness.step_until(lambda: len(harness.ids(1)) == 3)
    harness.engine.set_params(1, request(0, STORY, max_tokens=6, top=100).params)
    harness.finish()
    assert [len(token.top) for token in harness.tokens(1)] == [3, 3, 3, 100, 100, 100]


def test_bias_moves_and_bans_tokens(harness: Harness) -> None:
    harness.run(request(1, STORY, max_tokens=1))
    (first,) = harness.tokens(1)
    text = first.piece.decode()
    harness.run(request(2, STORY, max_tokens=1, logit_bias={text: float("-inf")}))
    harness.run(request(3, STORY, max_tokens=1, logit_bias={f"#{first.top[5].id}": 50.0}))
    assert harness.ids(2) == [first.top[1].id]
    assert harness.ids(3) == [first.top[5].id]
    (banned,) = harness.tokens(2)
    assert banned.top[0].cut_by == 0
    assert banned.stages[0].candidates == harness.model.info.n_vocab - 1
    (moved,) = harness.tokens(3)
    assert moved.logprob == pytest.approx(first.top[5].logprob), "the model's own figure is not touched"
