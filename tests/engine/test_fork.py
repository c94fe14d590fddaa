"""Another candidate, or a text of one's own, in the middle of a reply: what follows, and how soon."""

from __future__ import annotations

import msgspec
import pytest

from playground.domain.errors import BadInput
from playground.domain.events import StopReason
from playground.domain.messages import RawPrompt
from playground.domain.what_if import Continuation
from tests.conftest import TinyModels
from tests.engine.support import GREEDY, ONE_THREAD, Harness, chat, opened, request
from tests.tiny_models import GENERATING

PROMPT = "Here is a short story about a river."
WORDS = "the water was about to go down and the people could see it from the side of the long way"


def other_candidate(harness: Harness, stream: int, place: int) -> int:
    """The best candidate that was not taken."""
    token = harness.tokens(stream)[place]
    return next(candidate.id for candidate in token.top if candidate.id not in (None, token.id))


def continuation(harness: Harness, text: str, reply_ids: list[int], prompt: str = PROMPT) -> Continuation:
    found = harness.engine.questions.continuation(RawPrompt(prompt), reply_ids, text)
    assert isinstance(found, Continuation), found
    return found


@pytest.mark.parametrize("place", [0, 1, 9, 19])
def test_a_fork_goes_on_as_a_fresh_run_forced_to_the_same_prefix(harness: Harness, place: int) -> None:
    harness.run(request(1, PROMPT, max_tokens=20, ignore_eos=True))
    start = [*harness.ids(1)[:place], other_candidate(harness, 1, place)]
    harness.run(request(2, PROMPT, reply_ids=start, max_tokens=16, ignore_eos=True))
    harness.engine.forget()
    harness.run(request(3, PROMPT, reply_ids=start, max_tokens=16, ignore_eos=True))
    assert harness.ids(2) == harness.ids(3)
    assert harness.cached(3) == 0
    size = len(harness.engine.view_prompt(request(1, PROMPT).prompt).ids)
    assert harness.cached(2) == size + place
    assert [token.index for token in harness.tokens(2)] == list(range(place + 1, place + 17))


@pytest.mark.parametrize("kind", GENERATING)
def test_forks_on_every_kind_of_memory(tiny_models: TinyModels, kind: str) -> None:
    with opened(tiny_models(kind), context=512, **ONE_THREAD) as model:
        harness = Harness(model, batch=16)
        harness.run(request(1, WORDS, max_tokens=50, ignore_eos=True))
        start = [*harness.ids(1)[:30], other_candidate(harness, 1, 30)]
        harness.run(request(2, WORDS, reply_ids=start, max_tokens=16, ignore_eos=True))
        harness.engine.forget()
        harness.run(request(3, WORDS, reply_ids=start, max_tokens=16, ignore_eos=True))
        assert harness.ids(2) == harness.ids(3)
        if kind != "sliding window":  # it depends on how much of the past the window has kept
            assert (harness.cached(2) > 0) == model.info.can_cut


def test_the_first_token_of_a_fork_comes_with_the_next_step(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=20, ignore_eos=True))
    harness.submit(request(2, PROMPT, reply_ids=[*harness.ids(1)[:12], other_candidate(harness, 1, 12)]))
    harness.engine.step()
    assert len(harness.ids(2)) == 1


def test_four_forks_at_once_share_every_step(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=20, ignore_eos=True))
    token = harness.tokens(1)[12]
    others = [candidate.id for candidate in token.top if candidate.id not in (None, token.id)][:4]
    starts = {n: [*harness.ids(1)[:12], other or 0] for n, other in enumerate(others, start=2)}
    harness.submit(*(request(n, PROMPT, reply_ids=start, max_tokens=8) for n, start in starts.items()))
    for count in range(1, 4):
        harness.engine.step()
        assert [len(harness.ids(n)) for n in starts] == [count] * 4
    harness.finish()
    for stream, start in starts.items():
        harness.run(request(stream + 10, PROMPT, reply_ids=start, max_tokens=8))
        # Batches of another size round differently, which may show at a close call.
        assert harness.ids(stream)[:2] == harness.ids(stream + 10)[:2]


def test_forks_of_one_prefix_that_is_not_cached_compute_it_once(harness: Harness) -> None:
    harness.run(request(1, PROMPT * 8, max_tokens=20, ignore_eos=True))
    ids = harness.ids(1)
    harness.engine.forget()
    harness.submit(*(request(n, PROMPT * 8, reply_ids=[*ids[:12], 300 + n]) for n in range(2, 6)))
    harness.finish()
    size = len(harness.engine.view_prompt(request(1, PROMPT * 8).prompt).ids)
    assert sorted(harness.cached(n) for n in range(2, 6)) == [0, size + 12, size + 12, size + 12]


def test_forking_while_the_stream_it_leaves_runs_on(harness: Harness) -> None:
    harness.submit(request(1, PROMPT, max_tokens=40, ignore_eos=True))
    harness.step_until(lambda: len(harness.ids(1)) >= 12)
    harness.submit(request(2, PROMPT, reply_ids=[*harness.ids(1)[:8], other_candidate(harness, 1, 8)], max_tokens=8))
    seen = len(harness.ids(1))
    harness.engine.step()
    assert len(harness.ids(1)) == seen + 1
    assert len(harness.ids(2)) == 1
    harness.finish()
    assert harness.finished(1).usage.completion_tokens == 40


def test_forking_at_the_end_of_the_text(harness: Harness) -> None:
    """Whatever else could have stood there goes on; the end itself, forced, is followed by something too."""
    prompt = chat("Say yes.")
    harness.run(request(1, prompt, GREEDY, logit_bias={"<|im_end|>": 20.0}, max_tokens=60))
    assert harness.finished(1).reason is StopReason.STOP
    place = len(harness.ids(1)) - 1
    start = [*harness.ids(1)[:place], other_candidate(harness, 1, place)]
    harness.run(request(2, prompt, reply_ids=start, max_tokens=5, ignore_eos=True))
    assert len(harness.ids(2)) == 5
    harness.run(request(3, prompt, reply_ids=harness.ids(1), max_tokens=3, ignore_eos=True))
    assert len(harness.ids(3)) == 3


def test_a_typed_text_becomes_the_tokens_it_would_have_in_the_whole(harness: Harness) -> None:
    harness.run(request(1, PROMPT, max_tokens=8, ignore_eos=True))
    found = continuation(harness, " And then the king said", harness.ids(1))
    assert b"".join(found.pieces) == b" And then the king said"
    assert not found.seam
    harness.run(request(2, PROMPT, reply_ids=[*harness.ids(1), *found.ids], max_tokens=4))
    assert " And then the king said" in harness.finished(2).text


def test_a_text_that_would_be_split_otherwise_at_the_seam_says_so(harness: Harness) -> None:
    model = harness.model
    before = model.tokenize(" the wat", special=False, begin=False)
    found = continuation(harness, "er flows", before)
    assert found.seam
    assert b"".join(found.pieces) == b"er flows"
    assert b" water" in found.whole
    assert b"".join(found.whole).endswith(b" the water flows")
    assert found.split_before >= 2
    assert not continuation(harness, " flows", model.tokenize(" the water", special=False, begin=False)).seam


def test_a_text_behind_half_a_character(harness: Harness) -> None:
    model = harness.model
    pieces = model.tokenize("汉", special=False, begin=False)
    assert len(pieces) > 1
    found = continuation(harness, " and", pieces[:-1])
    assert b"".join(found.pieces) == b" and"
    assert found.seam
    assert not found.whole
    harness.run(request(1, PROMPT, reply_ids=[*pieces[:-1], *found.ids], max_tokens=3))
    assert "\ufffd and" in harness.finished(1).text


def test_names_of_control_tokens_in_a_typed_text_are_text(harness: Harness) -> None:
    found = continuation(harness, "<|im_end|>", [])
    assert len(found.ids) > 1
    assert not any(harness.model.pieces[token][1] for token in found.ids)


def test_a_typed_text_on_a_sentencepiece_vocabulary(tiny_models: TinyModels) -> None:
    with opened(tiny_models("base"), context=256, **ONE_THREAD) as model:
        harness = Harness(model)
        harness.run(request(1, WORDS, max_tokens=5, ignore_eos=True))
        for text in (" the water", "the water", "XYZ", "\n the"):
            found = continuation(harness, text, harness.ids(1), WORDS)
            assert b"".join(found.pieces).decode() == text


def test_nothing_typed_gets_a_sentence(harness: Harness) -> None:
    error = harness.engine.questions.continuation(RawPrompt(PROMPT), [], "")
    assert isinstance(error, BadInput)
    assert "empty" in error.message
    wrong = harness.engine.questions.continuation(RawPrompt(PROMPT), [10**7], "x")
    assert isinstance(wrong, BadInput)


def test_one_token_at_a_time(harness: Harness) -> None:
    """Stepping by hand: each token is a request of its own, at the price of one step."""
    harness.run(request(1, PROMPT, max_tokens=6, ignore_eos=True))
    ids: list[int] = []
    for stream in range(2, 8):
        harness.submit(
            msgspec.structs.replace(request(stream, PROMPT, max_tokens=1, ignore_eos=True), reply_ids=tuple(ids))
        )
        harness.engine.step()
        ids += harness.ids(stream)
    assert ids == harness.ids(1)
