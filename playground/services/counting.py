"""How many tokens something has: by the model's own tokenizer or server, else by tiktoken, else by its length.

What was counted once is remembered, message by message, so that counting a conversation again costs nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import msgspec

from playground.backends.base import Backend
from playground.domain.endpoints import Endpoint, is_loopback
from playground.domain.errors import HostedError, PlaygroundError
from playground.domain.messages import ChatPrompt, Message, Prompt, PromptParts, Role
from playground.domain.models import ModelCard
from playground.domain.usage import TokenCount
from playground.services.tokenizers import Vocabularies, count_with, yardstick_for

_PER_MESSAGE: Final = 4
"""Tokens a chat format puts around a message, about."""
_PER_CALL: Final = 3
"""Tokens with which a chat format asks for the reply, about."""
_CHARACTERS_PER_TOKEN: Final = 4
_SERVER_LIMIT_S: Final = 5.0
"""A server that takes longer to count is not waited for."""
_PAUSE_S: Final = 30.0
"""How long a server that could not count is left alone."""
_REMEMBERED: Final = 1024

_Value = TypeVar("_Value")


class CountedParts(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt's tokens, by what they belong to."""

    parts: PromptParts
    exact: bool
    """The sum was counted with the model's own tokenizer."""
    parts_exact: bool
    """So was each part; otherwise the sum is divided by estimates."""
    method: str
    """See `TokenCount.method`."""


class TokenCounter:
    """Counts for all models of a session."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint] | None = None, vocabularies: Vocabularies | None = None
    ) -> None:
        self._endpoints = endpoints or {}
        """By name. An endpoint that is not here, or is on this machine, makes nothing be fetched."""
        self._vocabularies = vocabularies or Vocabularies()
        self._counts: _Memory[TokenCount] = _Memory(_REMEMBERED)
        self._lengths: _Memory[float] = _Memory(_REMEMBERED)
        self._parts: _Memory[CountedParts] = _Memory(64)
        self._latest: dict[str, tuple[tuple[Message, ...], int]] = {}
        """By model: the conversation that was counted exactly last, and its tokens."""
        self._left_alone_until: dict[str, float] = {}

    async def count_prompt(self, backend: Backend | None, card: ModelCard, prompt: Prompt) -> TokenCount:
        """Tokens of a whole prompt, with everything the chat format adds. Asks the backend where it can count."""
        known = self._counts.get((card.id, prompt))
        if known is not None:
            return known
        counted = None if backend is None else await self._asked(card, lambda: backend.count_prompt(prompt))
        if counted is None:
            return await self.estimate_prompt(card, prompt)
        if counted.exact and isinstance(prompt, ChatPrompt):
            self._latest[card.id] = prompt.messages, counted.tokens
        return self._counts.put((card.id, prompt), counted)

    async def count_text(self, backend: Backend | None, card: ModelCard, text: str) -> TokenCount:
        """Tokens of a text by itself. Asks the backend where it can count."""
        known = self._counts.get((card.id, text))
        if known is not None:
            return known
        counted = None if backend is None else await self._asked(card, lambda: backend.count_tokens(text))
        if counted is None:
            method, (tokens,) = await self._estimates(card, [text])
            return TokenCount(tokens, False, method)
        return self._counts.put((card.id, text), counted)

    async def estimate_prompt(self, card: ModelCard, prompt: Prompt) -> TokenCount:
        """Tokens of a prompt, about, without asking anybody: cheap enough for each key press.

        Where the beginning of the conversation was counted exactly before, only what came since is estimated.
        """
        if not isinstance(prompt, ChatPrompt):
            method, (tokens,) = await self._estimates(card, [prompt.text])
            return TokenCount(tokens, False, method)
        messages, base = prompt.messages, _PER_CALL
        counted, tokens = self._latest.get(card.id, ((), 0))
        if counted and messages[: len(counted)] == counted:
            messages, base = messages[len(counted) :], tokens
        method, lengths = await self._estimates(card, [message.content for message in messages])
        return TokenCount(base + sum(lengths) + _PER_MESSAGE * len(lengths), False, method)

    async def count_parts(self, backend: Backend | None, card: ModelCard, prompt: Prompt) -> CountedParts:
        """Tokens of a prompt, divided into system, history and prompt."""
        if backend is None or not card.local:
            return await self._divided(card, prompt, await self.count_prompt(backend, card, prompt))
        known = self._parts.get((card.id, prompt))
        if known is not None:
            return known
        try:
            view = await backend.view_prompt(prompt)
        except PlaygroundError:  # the run itself will say what is wrong
            return await self._divided(card, prompt, await self.estimate_prompt(card, prompt))
        self._counts.put((card.id, prompt), TokenCount(len(view.ids), True, "tokenizer"))
        counted = CountedParts(parts=view.parts, exact=True, parts_exact=True, method="tokenizer")
        return self._parts.put((card.id, prompt), counted)

    async def close(self) -> None:
        """End what is under way in the background."""
        await self._vocabularies.close()

    async def _asked(self, card: ModelCard, question: Callable[[], Awaitable[TokenCount]]) -> TokenCount | None:
        """A backend's own count; None when it has none to give."""
        if time.monotonic() < self._left_alone_until.get(card.id, 0.0):
            return None
        try:
            async with asyncio.timeout(None if card.local else _SERVER_LIMIT_S):
                return await question()
        except (HostedError, TimeoutError):
            self._left_alone_until[card.id] = time.monotonic() + _PAUSE_S
        except PlaygroundError:
            pass  # it cannot count, or something is wrong with the prompt: then the run itself will say what
        return None

    async def _estimates(self, card: ModelCard, texts: Sequence[str]) -> tuple[str, list[int]]:
        """Method and tokens of each text, without what a chat format puts around it."""
        vocabulary, factor = yardstick_for(card.id) if not card.local else ("", 1.0)
        fetch = card.provider in self._endpoints and not is_loopback(self._endpoints[card.provider].base_url)
        encoding = await self._vocabularies.encoding(vocabulary, fetch=fetch) if vocabulary else None
        lengths: list[int] = []
        for text in texts:
            key = (vocabulary, encoding is None, text)
            tokens = self._lengths.get(key)
            if tokens is None:
                tokens = None if encoding is None else await count_with(encoding, text)
                tokens = self._lengths.put(key, len(text) / _CHARACTERS_PER_TOKEN if tokens is None else tokens)
            lengths.append(math.ceil(tokens * factor))
        return "characters" if encoding is None else "tiktoken", lengths

    async def _divided(self, card: ModelCard, prompt: Prompt, total: TokenCount) -> CountedParts:
        """A sum divided in the proportions of estimates."""
        if not isinstance(prompt, ChatPrompt):
            parts = PromptParts(prompt=total.tokens)
            return CountedParts(parts=parts, exact=total.exact, parts_exact=total.exact, method=total.method)
        _, lengths = await self._estimates(card, [message.content for message in prompt.messages])
        system = history = 0
        last = len(prompt.messages) - 1
        for at, (message, length) in enumerate(zip(prompt.messages, lengths, strict=True)):
            if message.role is Role.SYSTEM:
                system += length + _PER_MESSAGE
            elif at < last or message.role is Role.ASSISTANT:
                history += length + _PER_MESSAGE
        whole = sum(lengths) + _PER_MESSAGE * len(lengths) + _PER_CALL
        system, history = (round(part * total.tokens / whole) for part in (system, history))
        parts = PromptParts(system, history, max(0, total.tokens - system - history))
        return CountedParts(parts=parts, exact=total.exact, parts_exact=False, method=total.method)


class _Memory(Generic[_Value]):
    """The values asked for last. Only hashes of the keys are kept, so that long texts can go."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[int, _Value] = OrderedDict()

    def get(self, key: Hashable) -> _Value | None:
        value = self._values.get(hash(key))
        if value is not None:
            self._values.move_to_end(hash(key))
        return value

    def put(self, key: Hashable, value: _Value) -> _Value:
        self._values[hash(key)] = value
        if len(self._values) > self._most:
            self._values.popitem(last=False)
        return value
