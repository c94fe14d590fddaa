"""Streams side by side, stopping, and how replies end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import msgspec
import pytest

from playground.domain.errors import BadInput, Problem
from playground.domain.events import Failed, PromptProgress, Started, StopReason, TokenGenerated
from playground.domain.sampling import SamplingParams
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, chat, opened, request
from tests.tiny_models import GENERATING

STORY = "the water was about to go down and the people could see it"


@pytest.fixture
def tiny(tiny_models: TinyModels) -> Iterator[Harness]:
    with opened(tiny_models("base"), context=256, **ONE_THREAD) as model:
        yield Harness(model, batch=64)


@pytest.mark.parametrize("kind", GENERATING)
def test_streams_do_not_disturb_one_another(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=1024, **ONE_THREAD) as model:
        harness = Harness(model, batch=32)
        texts = {n: f"{STORY} {word} {STORY}"[n * 3 :] for n, word in enumerate(("one", "two", "call", "find"))}
        together = [request(n, text, max_tokens=24, ignore_eos=True) for n, text in texts.items()]
        harness.submit(*together[:2])
        harness.step_until(lambda: len(harness.ids(0)) >= 4)
        harness.submit(*together[2:])
        harness.finish()
        mixed = {n: harness.ids(n) for n in texts}
        for n in texts:
            harness.engine.forget()
            harness.events.clear()
            harness.run(together[n])
            assert harness.ids(n) == mixed[n]


def test_more_streams_than_sequences_wait_for_their_turn(tiny: Harness) -> None:
    harness = Harness(tiny.model, streams=2)
    wanted = [request(n, f"{['one', 'two', 'three', 'four', 'five'][n]} {STORY}") for n in range(5)]
    harness.submit(*wanted)
    harness.finish()
    assert [harness.finished(n).reason for n in range(5)] == [StopReason.LENGTH] * 5


def test_max_tokens(tiny: Harness) -> None:
    assert tiny.run(request(1, STORY, max_tokens=3)).reason is StopReason.LENGTH
    assert len(tiny.ids(1)) == 3
    nothing = tiny.run(request(2, STORY, max_tokens=0))
    assert (nothing.reason, nothing.text, tiny.ids(2)) == (StopReason.LENGTH, "", [])
    assert nothing.timings.ttft_ms is None


def test_the_model_ends_its_reply(harness: Harness) -> None:
    finished = harness.run(request(1, chat("Say hello."), max_tokens=80))
    last = harness.tokens(1)[-1]
    assert finished.reason is StopReason.STOP
    assert (last.special, last.piece) == ("<|im_end|>", b"")
    assert "<|im_end|>" not in finished.text
    assert finished.usage.completion_tokens == len(harness.tokens(1))


def test_ignoring_the_end_goes_on(harness: Harness) -> None:
    finished = harness.run(request(1, chat("Say hello."), max_tokens=80, ignore_eos=True))
    assert finished.reason is StopReason.LENGTH
    assert not any(token.special for token in harness.tokens(1))


def test_a_stop_string_may_span_tokens(harness: Harness) -> None:
    free = harness.run(request(1, STORY, max_tokens=12)).text
    pieces = [token.piece.decode() for token in harness.tokens(1)]
    across = pieces[4][-2:] + pieces[5] + pieces[6][:1]
    finished = harness.run(request(2, STORY, max_tokens=12, stop=["never there", across]))
    assert finished.reason is StopReason.STOP_STRING
    assert finished.stop_string == across
    assert finished.text == free[: free.index(across)]
    everything = b"".join(token.piece for token in harness.tokens(2))
    assert everything[: len(everything) - finished.trimmed_bytes].decode() == finished.text


def test_a_stop_string_may_begin_in_the_reply_that_is_continued(harness: Harness) -> None:
    harness.run(request(1, STORY, max_tokens=8))
    pieces = [token.piece.decode() for token in harness.tokens(1)]
    across = pieces[3] + pieces[4]
    finished = harness.run(request(2, STORY, max_tokens=8, reply_ids=harness.ids(1)[:4], stop=[across]))
    assert finished.reason is StopReason.STOP_STRING
    assert finished.text == "".join(pieces[:3])


def test_the_context_fills_up_in_the_middle_of_a_reply(tiny: Harness) -> None:
    finished = tiny.run(request(1, STORY, max_tokens=-1, ignore_eos=True))
    assert finished.reason is StopReason.CONTEXT
    size = len(tiny.engine.view_prompt(request(1, STORY).prompt).ids)
    assert size + len(tiny.ids(1)) == tiny.model.context.n_ctx
    assert tiny.run(request(2, STORY)).reason is StopReason.LENGTH


def test_streams_that_fill_the_context_together_end_one_by_one(tiny: Harness) -> None:
    words = ("one", "two", "find")
    tiny.submit(*(request(n, f"{words[n]} {STORY}", max_tokens=-1, ignore_eos=True) for n in range(3)))
    tiny.finish()
    assert [tiny.finished(n).reason for n in range(3)] == [StopReason.CONTEXT] * 3
    assert max(len(tiny.ids(n)) for n in range(3)) > min(len(tiny.ids(n)) for n in range(3))


def test_a_prompt_longer_than_the_context_is_refused_with_the_counts(tiny: Harness) -> None:
    tiny.submit(request(1, STORY * 30))
    problem = tiny.failed(1).problem
    size = len(tiny.engine.view_prompt(request(1, STORY * 30).prompt).ids)
    assert problem.kind == "PromptTooLong"
    assert f"{size:,}" in problem.message
    assert "256" in problem.message
    assert f"{size - 256 + 1:,}" in problem.hint
    assert not tiny.engine.busy


def test_an_empty_prompt_is_refused(harness: Harness) -> None:
    harness.submit(request(1, ""))
    assert harness.failed(1).problem.kind == "PromptTooLong"


def test_tokens_of_another_model_are_refused(tiny: Harness) -> None:
    tiny.submit(request(1, STORY, reply_ids=(40_000,)))
    assert tiny.failed(1).problem.kind == "BadInput"
    assert tiny.run(request(2, STORY)).reason is StopReason.LENGTH


def test_stopping(tiny: Harness) -> None:
    tiny.submit(request(1, STORY, max_tokens=-1), request(2, "one two", max_tokens=20, ignore_eos=True))
    tiny.step_until(lambda: len(tiny.ids(1)) >= 3)
    tiny.engine.request_stop(1)
    tiny.engine.request_stop(99)
    tiny.finish()
    stopped = tiny.finished(1)
    assert stopped.reason is StopReason.CANCELLED
    assert stopped.text == b"".join(token.piece for token in tiny.tokens(1)).decode(errors="replace")
    assert len(tiny.ids(2)) == 20


def test_a_stream_that_has_not_begun_can_be_stopped(tiny: Harness) -> None:
    tiny.submit(request(1, STORY))
    tiny.engine.request_stop(1)
    tiny.finish()
    assert tiny.finished(1).reason is StopReason.CANCELLED
    assert not tiny.of(1, Started)


def test_a_stop_breaks_a_long_prompt_off_in_the_middle_of_a_chunk(harness: Harness) -> None:
    """The stop comes from another thread while llama.cpp computes; nothing of the chunk may be finished first."""
    decode = harness.model.context.decode
    inside = threading.Event()

    def announced(batch: object) -> int:
        inside.set()
        return decode(batch)  # type: ignore[arg-type]

    harness.model.context.decode = announced  # type: ignore[method-assign]
    try:
        harness.submit(request(1, STORY * 30))

        def stop() -> None:
            inside.wait()
            harness.engine.request_stop(1)

        stopper = threading.Thread(target=stop)
        stopper.start()
        harness.finish()
        stopper.join()
    finally:
        harness.model.context.decode = decode  # type: ignore[method-assign]
    assert harness.finished(1).reason is StopReason.CANCELLED
    assert not harness.of(1, PromptProgress)
    assert not harness.of(1, TokenGenerated)
    after = harness.run(request(2, STORY))
    assert (after.reason, harness.cached(2)) == (StopReason.LENGTH, 0)


@pytest.mark.parametrize("kind", GENERATING)
def test_a_broken_off_chunk_leaves_the_other_streams_right(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=1024, **ONE_THREAD) as model:
        harness = Harness(model, batch=64)
        harness.run(request(1, STORY, max_tokens=16, ignore_eos=True))
        alone = harness.ids(1)
        harness.events.clear()
        harness.engine.forget()
        harness.submit(request(1, STORY, max_tokens=16, ignore_eos=True))
        harness.step_until(lambda: len(harness.ids(1)) >= 4)
        harness.submit(request(2, "find " + STORY * 6))
        harness.engine.step()
        model.context.abort.raise_()
        harness.engine.step()
        harness.finish()
        assert harness.ids(1) == alone
        mixed = harness.ids(2)
        harness.engine.forget()
        harness.events.clear()
        harness.run(request(2, "find " + STORY * 6))
        assert harness.ids(2) == mixed


def test_times_are_measured(harness: Harness) -> None:
    import time

    from msgspec.structs import replace

    finished = harness.run(replace(request(1, STORY * 3, max_tokens=6), submitted_at=time.monotonic() - 5.0))
    timings, tokens = finished.timings, harness.tokens(1)
    assert timings.ttft_ms == tokens[0].time_ms
    assert timings.ttft_ms is not None
    assert timings.ttft_ms >= 5000
    assert [token.time_ms for token in tokens] == sorted(token.time_ms for token in tokens)
    assert timings.prefill_ms is not None
    assert 0 < timings.prefill_ms < timings.ttft_ms
    for value in (timings.tokens_per_second, timings.prefill_tokens_per_second, timings.memory_bytes):
        assert value
        assert value > 0
    assert (timings.inter_token_p50_ms or 0) <= (timings.inter_token_p95_ms or 0)


def test_a_bias_that_is_no_token_is_refused(tiny: Harness) -> None:
    tiny.submit(request(1, STORY, SamplingParams(logit_bias={"no such token": 1.0})))
    problem: Problem = tiny.failed(1).problem
    assert problem.kind == "BadInput"
    assert "no such token" in problem.message
    assert not tiny.engine.busy


def test_values_out_of_range_never_reach_the_samplers(tiny: Harness) -> None:
    tiny.submit(msgspec.structs.replace(request(1, STORY), params=SamplingParams(top_k=-5, mirostat=9)))
    assert tiny.failed(1).problem.kind == "BadInput"
    tiny.submit(request(2, STORY, max_tokens=6))
    tiny.step_until(lambda: len(tiny.ids(2)) == 2)
    with pytest.raises(BadInput, match="temperature"):
        tiny.engine.set_params(2, SamplingParams(temperature=float("nan")))
    tiny.finish()
    assert len(tiny.ids(2)) == 6


def test_a_failed_batch_fails_the_streams_in_it(tiny: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny.model.context, "decode", lambda batch: -3)
    tiny.submit(request(1, STORY))
    tiny.finish()
    assert isinstance(tiny.events[-1], Failed)
    assert "-3" in tiny.failed(1).problem.message
    monkeypatch.undo()
    assert tiny.run(request(2, STORY)).reason is StopReason.LENGTH
