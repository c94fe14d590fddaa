"""A backend that does nothing but count, in a way a test chooses."""

from __future__ import annotations

import math
from collections.abc import Callable

from playground.backends.base import Backend, Capabilities, EventSink
from playground.domain.errors import PlaygroundError, Unsupported
from playground.domain.messages import ChatPrompt, GenerationRequest, Prompt
from playground.domain.models import ModelCard
from playground.domain.usage import TokenCount

HOSTED = ModelCard(id="there/model-1", short_name="model-1", provider="there", n_ctx=1000)


def thirds(text: str) -> int:
    """A tokenizer of sorts: three characters a token."""
    return math.ceil(len(text) / 3)


class CountedBackend(Backend):
    """Counts with `length`, and raises `error` instead when there is one."""

    def __init__(
        self, card: ModelCard = HOSTED, length: Callable[[str], int] = thirds, around: int = 5, exact: bool = True
    ) -> None:
        self._card = card
        self._length = length
        self._around = around
        self._exact = exact
        self.error: PlaygroundError | None = None
        self.asked = 0

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(params=frozenset(), logprobs="none")

    @property
    def card(self) -> ModelCard:
        return self._card

    async def count_tokens(self, text: str) -> TokenCount:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return TokenCount(self._length(text), self._exact, "server")

    async def count_prompt(self, prompt: Prompt) -> TokenCount:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return TokenCount(self.size(prompt), self._exact, "server")

    def size(self, prompt: Prompt) -> int:
        """What `count_prompt` answers."""
        if isinstance(prompt, ChatPrompt):
            return sum(self._length(message.content) + self._around for message in prompt.messages) + 2
        return self._length(prompt.text)

    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        raise Unsupported("It only counts.")

    async def stop(self, stream: int) -> None:
        raise Unsupported("It only counts.")

    async def close(self) -> None:
        return
