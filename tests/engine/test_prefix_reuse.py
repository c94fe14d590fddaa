"""What is cached is computed once, and using it changes nothing."""

from __future__ import annotations

import pytest

from playground.domain.events import PromptProgress, StopReason
from tests.conftest import TinyModels
from tests.engine.support import ONE_THREAD, Harness, chat, opened, request
from tests.tiny_models import GENERATING

FIRST = "the water was about to go down and the people could see it from the side of the long way"
MORE = " and then they would look up at the sound of the water"


@pytest.mark.parametrize("kind", GENERATING)
def test_a_follow_up_is_the_same_with_and_without_the_cache(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model, batch=16)
        harness.run(request(1, FIRST))
        reply = harness.ids(1)
        # A turn that goes on where the last one ended, one that repeats it, and one that leaves it half way.
        texts = {2: (FIRST, reply), 3: (FIRST, []), 4: (FIRST[:40] + MORE, []), 5: (FIRST + MORE, [])}
        for stream, (text, ids) in texts.items():
            harness.run(request(stream, text, reply_ids=ids))
        with_cache = {stream: harness.ids(stream) for stream in texts}
        cached = {stream: harness.cached(stream) for stream in texts}
        alone: dict[int, list[int]] = {}
        for stream, (text, ids) in texts.items():
            harness.engine.forget()
            harness.events.clear()
            harness.run(request(stream, text, reply_ids=ids))
            assert harness.cached(stream) == 0
            alone[stream] = harness.ids(stream)
    assert with_cache == alone
    assert cached[2] > 0, "an exact continuation is reused by every kind of memory"
    if kind in ("base", "chat"):
        assert all(cached.values())


def test_only_what_is_new_is_computed(harness: Harness) -> None:
    first = chat("Name a colour.", system="Be brief.")
    harness.run(request(1, first))
    answer = harness.finished(1).text
    harness.run(request(2, chat("Name a colour.", answer, "Another one.", system="Be brief.")))
    total = len(harness.engine.view_prompt(chat("Name a colour.", answer, "Another one.", system="Be brief.")).ids)
    shared = len(harness.engine.view_prompt(first).ids)
    assert harness.cached(2) >= shared
    (*_, last) = harness.of(2, PromptProgress)
    assert last.done == last.total == total - harness.cached(2)
    assert harness.finished(2).usage.cached_tokens == harness.cached(2)


def test_the_same_prompt_again_computes_one_token(harness: Harness) -> None:
    harness.run(request(1, FIRST))
    harness.run(request(2, FIRST))
    assert harness.cached(2) == len(harness.engine.view_prompt(request(2, FIRST).prompt).ids) - 1
    assert harness.ids(1) == harness.ids(2)


def test_a_continued_reply_goes_on_as_if_it_had_not_ended(harness: Harness) -> None:
    whole = harness.run(request(1, FIRST, max_tokens=12))
    harness.run(request(2, FIRST, max_tokens=5))
    rest = harness.run(request(3, FIRST, max_tokens=7, reply_ids=harness.ids(2)))
    assert harness.ids(2) + harness.ids(3) == harness.ids(1)
    assert [token.index for token in harness.tokens(3)] == list(range(5, 12))
    assert rest.text == whole.text
    assert rest.usage.completion_tokens == 7
    assert harness.cached(3) > 0


def test_streams_with_one_prompt_compute_it_once(harness: Harness) -> None:
    wanted = [request(n, FIRST, temperature=1.5, top_k=0, min_p=0.0, top_p=1.0, seed=n) for n in range(1, 5)]
    harness.submit(*wanted)
    harness.finish()
    size = len(harness.engine.view_prompt(wanted[0].prompt).ids)
    assert sorted(harness.cached(n) for n in range(1, 5)) == [0, size - 1, size - 1, size - 1]
    assert len({tuple(harness.ids(n)) for n in range(1, 5)}) > 1
    together = {n: harness.ids(n) for n in range(1, 5)}
    harness.events.clear()
    for one in wanted:
        harness.run(one)
    # Batches of another size round differently, which may show at a close call: the first tokens are the same.
    assert [harness.ids(n)[0] for n in range(1, 5)] == [together[n][0] for n in range(1, 5)]


def test_a_stream_that_waits_for_a_prefix_starts_when_the_other_is_stopped(harness: Harness) -> None:
    long = FIRST * 20
    slow = Harness(harness.model, batch=32)
    slow.submit(request(1, long), request(2, long))
    slow.engine.step()
    slow.engine.step()
    slow.engine.request_stop(1)
    slow.finish()
    assert slow.finished(1).reason is StopReason.CANCELLED
    assert slow.finished(2).reason is StopReason.LENGTH
    assert 0 < slow.cached(2) < 100, "what the stopped stream had computed is used"


def test_a_fork_of_a_running_stream_shares_its_tokens(harness: Harness) -> None:
    harness.submit(request(1, FIRST, max_tokens=24))
    harness.step_until(lambda: len(harness.ids(1)) >= 8)
    start = harness.ids(1)[:4]
    harness.submit(request(2, FIRST, reply_ids=start, max_tokens=20))
    harness.finish()
    size = len(harness.engine.view_prompt(request(1, FIRST).prompt).ids)
    assert harness.cached(2) == size + len(start) - 1
    assert harness.ids(2)[:8] == harness.ids(1)[4:12]


def test_old_prefixes_make_room_when_the_context_is_full(tiny_models: TinyModels) -> None:
    with opened(tiny_models("base"), context=256, **ONE_THREAD) as model:
        harness = Harness(model)
        texts = [f"{word} {FIRST} {word}" for word in ("one", "two", "there", "number", "people")]
        for stream, text in enumerate(texts):
            harness.run(request(stream, text, max_tokens=40, ignore_eos=True))
        for stream in range(len(texts)):
            assert harness.finished(stream).reason is StopReason.LENGTH
        alone = harness.ids(4)
        harness.engine.forget()
        harness.events.clear()
        harness.run(request(4, texts[4], max_tokens=40, ignore_eos=True))
        assert harness.ids(4) == alone


def test_a_short_prompt_does_not_throw_a_long_history_away(harness: Harness) -> None:
    harness.run(request(1, FIRST * 5))
    harness.run(request(2, FIRST[:20] + " xyz"))
    harness.run(request(3, FIRST * 5))
    assert harness.cached(3) == len(harness.engine.view_prompt(request(3, FIRST * 5).prompt).ids) - 1
