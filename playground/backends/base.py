"""The contract every source of tokens keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from playground.domain.events import Event
from playground.domain.messages import GenerationRequest, Prompt, PromptView
from playground.domain.sampling import SamplingParams

EventSink = Callable[[Event], None]
"""Takes events as they come. It must be cheap and must not raise: a deque's `append` is the model of one."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend can do. The screen is drawn from this: what is missing is disabled with the reason."""

    params: frozenset[str]
    """Sampling parameters it takes."""
    logprobs: Literal["full", "top", "none"]
    """"full": over the whole vocabulary, with rank and entropy; "top": the best few."""
    stages: bool
    """Reports what each sampler stage removed."""
    live_params: bool
    """Parameters can change while tokens stream."""
    exact_count: bool
    """Counts tokens with the model's own tokenizer."""
    fork: bool
    """Goes on from any token."""


class Backend(ABC):
    """One loaded model or one endpoint. All methods belong to one event loop."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this backend can do."""

    @abstractmethod
    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """Run a request; returns after the sink got `Finished` or `Failed`.

        Failures are events, not exceptions: the tokens that came before stay valid.
        """

    @abstractmethod
    async def stop(self, stream: int) -> None:
        """End a stream soon; `Finished` with the reason `cancelled` follows."""

    @abstractmethod
    async def set_params(self, stream: int, params: SamplingParams) -> None:
        """Put other parameters in force from the stream's next token on; `ParamsChanged` follows.

        Raises BadInput for parameters that cannot be put in force; the stream goes on with the old ones.
        """

    @abstractmethod
    async def view_prompt(self, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
        """The exact prompt a request would send. Raises TemplateError, EngineDied."""

    @abstractmethod
    async def count_tokens(self, text: str) -> int:
        """Number of tokens of a text by itself. Raises EngineDied."""

    @abstractmethod
    async def close(self) -> None:
        """End everything and give memory and connections back."""
