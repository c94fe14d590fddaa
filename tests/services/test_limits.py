"""What does not fit is said with the counts, and every way out that is offered really fits."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from playground.backends.local import LocalBackend
from playground.domain.errors import PromptTooLong, Unsupported
from playground.domain.fitting import Cut, places_to_begin, without_oldest
from playground.domain.messages import ChatPrompt, Message, Prompt, RawPrompt, Role
from playground.domain.models import LoadOptions, ModelCard
from playground.domain.sampling import UNLIMITED
from playground.services.counting import TokenCounter
from playground.services.limits import LEAST_REPLY, ContextWindow
from tests.services.counted_backend import CountedBackend, thirds

MARKER = re.compile(r"\[… (≈?)([\d,]+) tokens left out …\]")
WORDS = "the river runs down to the sea and carries leaves along with it " * 40


def model(n_ctx: int | None, max_output: int | None = None) -> ModelCard:
    return ModelCard(id="there/m", short_name="m", provider="there", n_ctx=n_ctx, max_output=max_output)


def window(n_ctx: int | None, backend: CountedBackend | None = None) -> ContextWindow:
    return ContextWindow(TokenCounter(), backend or CountedBackend(), model(n_ctx))


def talk(*contents: str, system: str = "") -> ChatPrompt:
    """User and assistant in turns, the user first."""
    head = (Message(Role.SYSTEM, system),) if system else ()
    roles = (Role.USER, Role.ASSISTANT)
    return ChatPrompt((*head, *(Message(roles[at % 2], text) for at, text in enumerate(contents))))


def user_messages(prompt: Prompt) -> list[Message]:
    assert isinstance(prompt, ChatPrompt)
    return [message for message in prompt.messages if message.role is Role.USER]


def check_alternation(prompt: Prompt) -> None:
    assert isinstance(prompt, ChatPrompt)
    spoken = [message.role for message in prompt.messages if message.role is not Role.SYSTEM]
    assert spoken == [(Role.USER, Role.ASSISTANT)[at % 2] for at in range(len(spoken))]


async def test_what_fits_is_left_as_it_is() -> None:
    prompt, room = talk("Hello.", "Hi.", "How are you?"), window(1000)
    fit = await room.check_fit(prompt, 100)
    assert (fit.over_by, fit.sentence, fit.exact) == (0, "", True)
    assert fit.free == 1000 - 100 - fit.parts.total
    assert await room.ways_out(prompt, 100) == []
    for cut in (room.cut_oldest_turns, room.cut_middle_of_longest, room.shrink_reply):
        same = await cut(prompt, 100)
        assert (same.prompt, same.max_tokens, same.left_out) == (prompt, 100, "")


async def test_an_unknown_window_is_never_too_small() -> None:
    fit = await window(None).check_fit(talk(WORDS), 1_000_000)
    assert (fit.over_by, fit.free, fit.window) == (0, None, None)


async def test_the_reply_is_no_longer_than_the_model_writes_and_a_begun_one_counts() -> None:
    backend = CountedBackend()
    room = ContextWindow(TokenCounter(), backend, model(1000, max_output=64), begun_tokens=30)
    fit = await room.check_fit(talk("Hello."), 4096)
    assert fit.reply == 64
    assert fit.parts.history == 30
    assert fit.parts.total == backend.size(talk("Hello.")) + 30


async def test_the_oldest_turns_go_as_few_as_possible() -> None:
    backend = CountedBackend()
    prompt = talk(*(f"{at} " + "x" * 100 for at in range(9)), system="Be brief.")
    total = backend.size(prompt)
    room = window(total + 50 - 60, backend)  # 60 tokens too many, and each turn of two messages has 2 * 39
    cut = await room.cut_oldest_turns(prompt, 50)
    assert cut.left_out == f"the 2 oldest messages, {total - cut.fit.parts.total} tokens"
    assert cut.prompt == ChatPrompt((prompt.messages[0], *prompt.messages[3:]))
    assert (cut.fit.over_by, cut.max_tokens) == (0, 50)


async def test_the_middle_goes_and_a_marker_says_how_much() -> None:
    backend = CountedBackend()
    prompt = talk("Hi.", "Hello.", f"First words. {WORDS} Last words.")
    cut = await window(400, backend).cut_middle_of_longest(prompt, 50)
    (text,) = (message.content for message in user_messages(cut.prompt)[1:])
    assert text.startswith("First words. the river")
    assert text.endswith("with it  Last words.")
    found = MARKER.search(text)
    assert found is not None
    assert cut.left_out == f"{found[2]} tokens from the middle of your message"
    assert thirds(prompt.messages[2].content) - int(found[2]) == pytest.approx(
        thirds(text[: found.start()] + text[found.end() :]), abs=2
    )
    assert 400 - 50 - 30 < cut.fit.parts.total <= 400 - 50, "no more is cut than has to be"
    assert isinstance(cut.prompt, ChatPrompt)
    assert cut.prompt.messages[:2] == prompt.messages[:2]


async def test_the_reply_shrinks_to_the_room_there_is() -> None:
    backend = CountedBackend()
    prompt = talk("x" * 300)
    cut = await window(200, backend).shrink_reply(prompt, 512)
    assert cut.max_tokens == cut.fit.reply == 200 - backend.size(prompt)
    assert cut.left_out == f"the reply ends after {cut.max_tokens} tokens instead of 512"
    assert (cut.fit.over_by, cut.fit.free, cut.prompt) == (0, 0, prompt)
    with pytest.raises(PromptTooLong, match="room for a reply of 3 tokens"):
        await window(backend.size(prompt) + 3, backend).shrink_reply(prompt, 512)


async def test_raw_text_loses_its_beginning_or_its_middle() -> None:
    raw = RawPrompt(f"First words. {WORDS} Last words.")
    room = window(300)
    end = await room.cut_oldest_turns(raw, 50)
    assert isinstance(end.prompt, RawPrompt)
    assert raw.text.endswith(end.prompt.text)
    assert end.left_out == f"the first {thirds(raw.text) - end.fit.parts.total:,} tokens of the text"
    middle = await room.cut_middle_of_longest(raw, 50)
    assert isinstance(middle.prompt, RawPrompt)
    assert MARKER.search(middle.prompt.text)
    assert middle.left_out.endswith("from the middle of the text")
    assert end.fit.over_by == middle.fit.over_by == 0


async def test_where_a_reply_takes_all_the_room_it_shrinks_together_with_a_cut() -> None:
    room = window(400)
    prompt = talk(WORDS)
    with pytest.raises(PromptTooLong, match="reply alone is to have 4,096 tokens"):
        await room.cut_middle_of_longest(prompt, 4096)
    (cut,) = await room.ways_out(prompt, 4096)
    assert cut.kind == "middle"
    assert cut.max_tokens == 100
    assert cut.left_out.endswith(
        "from the middle of your message, and the reply ends after 100 tokens instead of 4,096"
    )


async def test_nothing_helps_against_a_system_prompt_that_is_too_long() -> None:
    prompt, room = talk("Hi.", system=WORDS), window(300)
    assert await room.ways_out(prompt, 50) == []
    with pytest.raises(PromptTooLong, match="older messages does not make enough room"):
        await room.cut_oldest_turns(prompt, 50)
    with pytest.raises(PromptTooLong, match="your message does not make enough room"):
        await room.cut_middle_of_longest(prompt, 50)


async def test_estimates_are_marked_and_leave_a_margin() -> None:
    backend = CountedBackend()
    backend.error = Unsupported("It does not count.")
    room = window(300, backend)
    prompt = talk("x " * 150, "y " * 150, "z " * 300)
    fit = await room.check_fit(prompt, 50)
    assert not fit.exact
    assert "≈" in fit.sentence
    oldest, middle = await room.ways_out(prompt, 50)
    assert oldest.left_out.startswith("the 2 oldest messages, ≈")
    assert middle.left_out.startswith("≈")
    for cut in (oldest, middle):
        assert cut.fit.free is not None
        assert cut.fit.free >= 15


async def test_a_huge_paste_is_searched_with_few_questions() -> None:
    backend = CountedBackend()
    cut = await window(1000, backend).cut_middle_of_longest(talk("word " * 400_000), 50)
    assert cut.fit.over_by == 0
    assert backend.asked < 25


UNITS = st.text(alphabet="ab \n漢", min_size=1, max_size=12)


def texts(longest: int) -> st.SearchStrategy[str]:
    """Texts of all lengths, long ones as often as short ones."""
    return st.builds(lambda unit, size: (unit * size)[:size], UNITS, st.integers(0, longest))


@settings(max_examples=150, deadline=None)
@given(
    contents=st.integers(0, 4).flatmap(lambda turns: st.tuples(*[texts(600)] * (2 * turns + 1))),
    system=texts(200),
    percent=st.integers(10, 110),
    max_tokens=st.sampled_from([-1, 0, 20, 100]),
)
def test_every_way_out_fits_and_keeps_what_must_stay(
    contents: tuple[str, ...], system: str, percent: int, max_tokens: int
) -> None:
    backend = CountedBackend()
    prompt = talk(*contents, system=system)
    n_ctx = backend.size(prompt) * percent // 100 + max(1, max_tokens)

    async def all_ways() -> tuple[int, list[Cut]]:
        room = window(n_ctx, backend)
        return (await room.check_fit(prompt, max_tokens)).over_by, await room.ways_out(prompt, max_tokens)

    over_by, ways = asyncio.run(all_ways())
    assert over_by == max(0, backend.size(prompt) + max(1, max_tokens) - n_ctx)
    assert not ways or over_by
    for cut in ways:
        assert backend.size(cut.prompt) + max(1, cut.max_tokens) <= n_ctx
        assert cut.fit.parts.total == backend.size(cut.prompt)
        assert cut.left_out
        check_alternation(cut.prompt)
        assert isinstance(cut.prompt, ChatPrompt)
        assert [m for m in cut.prompt.messages if m.role is Role.SYSTEM] == [
            m for m in prompt.messages if m.role is Role.SYSTEM
        ]
        if cut.kind == "middle":
            assert len(cut.prompt.messages) == len(prompt.messages)
            changed = [new.content for new, old in zip(cut.prompt.messages, prompt.messages, strict=True) if new != old]
            assert len(changed) == 1
            assert MARKER.search(changed[0])
        else:
            assert cut.prompt.messages[-1] == prompt.messages[-1]
            assert cut.kind == "reply" or len(cut.prompt.messages) < len(prompt.messages)
    room = max(1, max_tokens)
    roomy = max(LEAST_REPLY, n_ctx // 4)
    if max_tokens == -1 and ways and all(backend.size(cut.prompt) + roomy <= n_ctx for cut in ways):
        room = roomy  # a reply without a limit is worth nothing when there is room for one token
    works = [
        begin
        for begin in places_to_begin(prompt.messages)
        if backend.size(ChatPrompt(without_oldest(prompt.messages, begin))) + room <= n_ctx
    ]
    oldest = [cut for cut in ways if cut.kind == "oldest" and cut.max_tokens == max_tokens]
    assert bool(oldest) is bool(over_by and works), "offered whenever it helps"
    if oldest:
        assert oldest[0].prompt == ChatPrompt(without_oldest(prompt.messages, works[0])), "and no more than has to go"


@settings(max_examples=100, deadline=None)
@given(
    text=texts(2000),
    percent=st.integers(10, 110),
    weights=st.lists(st.integers(1, 5), min_size=2, max_size=5),
)
def test_uneven_tokenizers_do_not_fool_the_search(text: str, percent: int, weights: list[int]) -> None:
    def uneven(piece: str) -> int:  # some stretches are dearer than others, and a longer text may be cheaper
        return sum(weights[(ord(char) + at) % len(weights)] for at, char in enumerate(piece)) // 4 + len(piece) % 3

    backend = CountedBackend(length=uneven)
    for prompt in (talk(text), RawPrompt(text)):
        n_ctx = backend.size(prompt) * percent // 100 + 30
        for cut in asyncio.run(window(n_ctx, backend).ways_out(prompt, 29)):
            assert backend.size(cut.prompt) + cut.max_tokens <= n_ctx
            if isinstance(cut.prompt, RawPrompt) and cut.kind != "reply":
                assert cut.prompt.text
                assert cut.prompt.text in text or MARKER.search(cut.prompt.text)


async def test_with_a_real_model_cuts_really_fit(starter_gguf: Path, tmp_path: Path) -> None:
    options = LoadOptions(context=512, threads=1, threads_batch=1)
    backend = await LocalBackend.load(str(starter_gguf), options, tmp_path / "logs")
    try:
        room = ContextWindow(TokenCounter(), backend, backend.card)
        story = "The old harbour lay quiet, and gulls walked between the nets. "
        prompt = talk(story * 8, "Go on.", story * 9, "And then?", story * 20, system="You tell stories.")
        fit = await room.check_fit(prompt, 64)
        assert (fit.exact, fit.parts_exact, fit.window) == (True, True, 512)
        assert fit.over_by == len((await backend.view_prompt(prompt)).ids) + 64 - 512 > 0
        oldest, middle = await room.ways_out(prompt, 64)
        for cut in (oldest, middle):
            view = await backend.view_prompt(cut.prompt)
            assert len(view.ids) == cut.fit.parts.total <= 512 - 64
            assert view.parts == cut.fit.parts
            assert "You tell stories." in view.text
            assert not view.note
        assert user_messages(oldest.prompt)[-1] == user_messages(prompt)[-1]
        found = MARKER.search((await backend.view_prompt(middle.prompt)).text)
        assert found is not None
        assert not found[1], "counted, not estimated"
    finally:
        await backend.close()


async def test_a_reply_without_a_limit_gets_room_worth_the_sending() -> None:
    backend = CountedBackend()
    prompt = talk("word " * 400)
    ways = await window(200, backend).ways_out(prompt, UNLIMITED)
    assert [cut.kind for cut in ways] == ["middle"]
    assert ways[0].max_tokens == UNLIMITED
    assert 200 - backend.size(ways[0].prompt) >= 50
