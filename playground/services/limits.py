"""Before sending: does it fit the context window, and what can be done when it does not. Nothing is cut silently."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

import msgspec

from playground.backends.base import Backend
from playground.domain.counts import count_of
from playground.domain.errors import PromptTooLong
from playground.domain.fitting import (
    Cut,
    Fit,
    cut_beginning,
    cut_middle,
    longest_message,
    marker,
    places_to_begin,
    reply_reserve,
    without_oldest,
)
from playground.domain.messages import ChatPrompt, Message, Prompt, PromptParts, RawPrompt, Role
from playground.domain.models import ModelCard
from playground.domain.sampling import UNLIMITED
from playground.services.counting import TokenCounter

LEAST_REPLY: Final = 16
"""A reply is not shrunk below this many tokens."""
LEAST_KEPT: Final = 64
"""A text is not cut below this many characters."""
_MARGIN: Final = 0.05
"""Share of the window that a cut leaves free where tokens are only estimated."""
_MARKER_TOKENS: Final = 16
_TRIES: Final = 8
_NO_FURTHER: Final = 4
"""How many times the first guess is looked at: of a huge text, the most is never counted."""

_Attempt = Callable[[int], Awaitable[Cut | None]]


class ContextWindow:
    """One model's context window, measured against requests."""

    def __init__(self, counter: TokenCounter, backend: Backend | None, card: ModelCard, begun_tokens: int = 0) -> None:
        self._counter = counter
        self._backend = backend
        self._card = card
        self._begun_tokens = begun_tokens
        """Tokens of a reply that is to be continued."""

    async def check_fit(self, prompt: Prompt, max_tokens: int) -> Fit:
        """Count a request. It fits when `over_by` is 0."""
        counted = await self._counter.count_parts(self._backend, self._card, prompt)
        parts = counted.parts
        return Fit(
            parts=PromptParts(parts.system, parts.history + self._begun_tokens, parts.prompt),
            reply=reply_reserve(max_tokens, self._card.max_output),
            window=self._card.n_ctx,
            exact=counted.exact,
            parts_exact=counted.parts_exact,
            method=counted.method,
        )

    async def ways_out(self, prompt: Prompt, max_tokens: int) -> list[Cut]:
        """Every cut that makes a request fit by itself; failing that, those that do when the reply shrinks too.

        Empty when it fits as it is, and when nothing helps.
        """
        fit = await self.check_fit(prompt, max_tokens)
        if not fit.over_by or fit.window is None:
            return []
        shorter = max(LEAST_REPLY, fit.window // 4)
        if max_tokens == UNLIMITED:  # a reply without a limit takes what is left, and that should be worth the sending
            roomy = await self._ways(prompt, shorter)
            ways = [msgspec.structs.replace(way, max_tokens=max_tokens) for way in roomy if way.kind != "reply"]
            return ways or await self._ways(prompt, max_tokens)
        ways = await self._ways(prompt, max_tokens)
        if ways or fit.reply <= shorter:
            return ways
        also = f"the reply ends after {count_of(shorter, 'token')} instead of {fit.reply:,}"
        return [
            msgspec.structs.replace(way, left_out=f"{way.left_out}, and {also}")
            for way in await self._ways(prompt, shorter)
            if way.kind != "reply" and way.left_out
        ]

    async def cut_oldest_turns(self, prompt: Prompt, max_tokens: int) -> Cut:
        """Leave out the oldest messages, as few as possible; of a raw text, its beginning.

        System messages and the last user message stay, and the conversation begins with a user message. Raises
        PromptTooLong when that is not enough.
        """
        before = await self._before(prompt, max_tokens)
        if not before.over_by:
            return Cut(kind="oldest", prompt=prompt, max_tokens=max_tokens, left_out="", fit=before)
        if isinstance(prompt, RawPrompt):
            return await self._cut_beginning(prompt.text, max_tokens, before)
        messages = prompt.messages
        places = places_to_begin(messages)

        async def with_turns(kept: int) -> Cut | None:
            shorter = ChatPrompt(without_oldest(messages, places[-kept]))
            fit = await self.check_fit(shorter, max_tokens)
            gone = len(messages) - len(shorter.messages)
            what = "the oldest message" if gone == 1 else f"the {gone:,} oldest messages"
            left_out = f"{what}, {_difference(before, fit)} tokens"
            return _if_it_holds(Cut(kind="oldest", prompt=shorter, max_tokens=max_tokens, left_out=left_out, fit=fit))

        found = await _largest(1, len(places), (len(places) + 1) // 2, with_turns)
        if found is None:
            raise PromptTooLong(
                "Leaving out older messages does not make enough room.",
                "Cut the middle of the longest message, or ask for a shorter reply.",
            )
        return found[1]

    async def cut_middle_of_longest(self, prompt: Prompt, max_tokens: int) -> Cut:
        """Leave out the middle of the longest message, system messages excepted, or of a raw text; a marker says so.

        Raises PromptTooLong when that is not enough.
        """
        before = await self._before(prompt, max_tokens)
        if not before.over_by:
            return Cut(kind="middle", prompt=prompt, max_tokens=max_tokens, left_out="", fit=before)
        target = _longest(prompt)
        text = target.text
        guess = _characters_to_keep(text, _characters(prompt), before)

        async def with_marker(kept: int, tokens: int, exact: bool) -> Cut | None:
            head, _, tail = cut_middle(text, kept)
            pieces = (head.rstrip(), marker(tokens, exact=exact), tail.lstrip())
            shorter = target.put_back(" ".join(piece for piece in pieces if piece))
            left_out = f"{'' if exact else '≈'}{count_of(tokens, 'token')} from the middle of {target.name}"
            fit = await self.check_fit(shorter, max_tokens)
            return _if_it_holds(Cut(kind="middle", prompt=shorter, max_tokens=max_tokens, left_out=left_out, fit=fit))

        # While searching, the marker names a number that is too large, so that the true one takes no more room.
        found = await _largest(
            LEAST_KEPT,
            min(len(text) - 1, _NO_FURTHER * guess + LEAST_KEPT),
            guess,
            lambda kept: with_marker(kept, len(text), exact=False),
            among=guess // 128,
        )
        kept = found[0] if found else 0
        for _ in range(_TRIES):
            if kept < LEAST_KEPT:
                break
            removed = await self._counter.count_text(self._backend, self._card, cut_middle(text, kept)[1])
            cut = await with_marker(kept, removed.tokens, removed.exact)
            if cut is not None:
                return cut
            kept -= max(1, kept // 16)
        raise PromptTooLong(
            f"Cutting {target.name} does not make enough room.",
            "Leave out older messages, shorten the system prompt, or ask for a shorter reply.",
        )

    async def shrink_reply(self, prompt: Prompt, max_tokens: int) -> Cut:
        """Let the reply be as long as there is room. Raises PromptTooLong when the prompt leaves too little."""
        before = await self.check_fit(prompt, max_tokens)
        if not before.over_by or before.window is None:
            return Cut(kind="reply", prompt=prompt, max_tokens=max_tokens, left_out="", fit=before)
        room = max(0, before.window - _margin(before) - before.parts.total)
        if room < LEAST_REPLY:
            raise PromptTooLong(
                f"The prompt leaves room for a reply of {count_of(room, 'token')}.",
                "Leave out older messages, or cut the middle of the longest one.",
            )
        left_out = f"the reply ends after {count_of(room, 'token')} instead of {before.reply:,}"
        fit = msgspec.structs.replace(before, reply=room)
        return Cut(kind="reply", prompt=prompt, max_tokens=room, left_out=left_out, fit=fit)

    async def _before(self, prompt: Prompt, max_tokens: int) -> Fit:
        fit = await self.check_fit(prompt, max_tokens)
        if fit.window is not None and fit.reply >= fit.window:
            raise PromptTooLong(
                f"The reply alone is to have {fit.reply:,} tokens, and the context window holds {fit.window:,}.",
                "Ask for a shorter reply.",
            )
        return fit

    async def _ways(self, prompt: Prompt, max_tokens: int) -> list[Cut]:
        ways: list[Cut] = []
        for cut in (self.cut_oldest_turns, self.cut_middle_of_longest, self.shrink_reply):
            try:
                ways.append(await cut(prompt, max_tokens))
            except PromptTooLong:
                continue
        return ways

    async def _cut_beginning(self, text: str, max_tokens: int, before: Fit) -> Cut:
        async def with_end(kept: int) -> Cut | None:
            shorter = RawPrompt(cut_beginning(text, kept)[1])
            fit = await self.check_fit(shorter, max_tokens)
            left_out = f"the first {_difference(before, fit)} tokens of the text"
            return _if_it_holds(Cut(kind="oldest", prompt=shorter, max_tokens=max_tokens, left_out=left_out, fit=fit))

        guess = _characters_to_keep(text, len(text), before)
        high = min(len(text) - 1, _NO_FURTHER * guess + LEAST_KEPT)
        found = await _largest(LEAST_KEPT, high, guess, with_end, among=high // 256)
        if found is None:
            raise PromptTooLong("Cutting the text does not make enough room.", "Ask for a shorter reply.")
        return found[1]


class _Target(NamedTuple):
    """The text that is to lose its middle."""

    text: str
    name: str
    put_back: Callable[[str], Prompt]


def _longest(prompt: Prompt) -> _Target:
    """Raises PromptTooLong where there is nothing but system messages."""
    if isinstance(prompt, RawPrompt):
        return _Target(prompt.text, "the text", RawPrompt)
    messages = prompt.messages
    at = longest_message(messages)
    if at is None:
        raise PromptTooLong("There is nothing but the system prompt.", "Shorten it.")

    def put_back(text: str) -> Prompt:
        return ChatPrompt((*messages[:at], Message(messages[at].role, text), *messages[at + 1 :]))

    last = at == len(messages) - 1 and messages[at].role is Role.USER
    name = "your message" if last else f"message {at + 1}, the longest"
    return _Target(messages[at].content, name, put_back)


async def _largest(low: int, high: int, guess: int, attempt: _Attempt, among: int = 0) -> tuple[int, Cut] | None:
    """The largest number from `low` to `high` whose attempt gives something, found by bisection.

    It may be `among` too small. None when not even `low` gives something; when counts do not grow steadily, another
    number that does give something may be missed, but what is returned was tried.
    """
    best: tuple[int, Cut] | None = None
    probe = min(max(guess, low), high)
    while low <= high:
        cut = await attempt(probe)
        if cut is None:
            high = probe - 1
        else:
            best, low = (probe, cut), probe + 1
            if high - probe <= among:
                break
        probe = (low + high) // 2
    return best


def _characters_to_keep(text: str, characters: int, before: Fit) -> int:
    """Where to begin searching, if every token of the prompt with so many characters were equally long."""
    surplus = before.over_by + _margin(before) + _MARKER_TOKENS
    return max(0, round(len(text) - surplus * characters / max(1, before.parts.total)))


def _characters(prompt: Prompt) -> int:
    if isinstance(prompt, RawPrompt):
        return len(prompt.text)
    return sum(len(message.content) for message in prompt.messages)


def _margin(fit: Fit) -> int:
    return 0 if fit.exact or fit.window is None else round(fit.window * _MARGIN)


def _if_it_holds(cut: Cut) -> Cut | None:
    fit = cut.fit
    return None if fit.over_by or (fit.free is not None and fit.free < _margin(fit)) else cut


def _difference(before: Fit, after: Fit) -> str:
    about = "" if before.exact and after.exact else "≈"
    return f"{about}{max(0, before.parts.total - after.parts.total):,}"
