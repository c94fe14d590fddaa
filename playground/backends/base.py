"""The contract every source of tokens keeps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from playground.domain.errors import Unsupported
from playground.domain.events import Event
from playground.domain.messages import GenerationRequest, Prompt, PromptView
from playground.domain.models import ModelCard
from playground.domain.sampling import SamplingParams
from playground.domain.scoring import Score, ScoreRequest
from playground.domain.usage import TokenCount
from playground.domain.watching import WatchedWord
from playground.domain.what_if import (
    Continuation,
    Replay,
    ReplayRequest,
    WatchedReply,
    WatchRequest,
    WhatIf,
    WhatIfRequest,
)

EventSink = Callable[[Event], None]
"""Takes events as they come. It must be cheap and must not raise: a deque's `append` is the model of one."""

Progress = Callable[[int, int], None]
"""Takes how many tokens are computed, and of how many."""


def silent(done: int, total: int) -> None:
    """Progress that nobody wants to know about."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a backend can do. The screen is drawn from this: what is missing is disabled with the reason."""

    params: frozenset[str]
    """Sampling parameters it takes."""
    logprobs: Literal["full", "top", "maybe", "none"]
    """"full": over the whole vocabulary, with rank and entropy; "top": the best few; "maybe": the reply will tell."""
    stages: bool = False
    """Reports what each sampler stage removed."""
    live_params: bool = False
    """Parameters can change while tokens stream."""
    exact_count: bool = False
    """Counts tokens with the model's own tokenizer."""
    fork: bool = False
    """Goes on from any token."""
    continue_reply: bool = False
    """Takes the beginning of a reply (`reply_ids` or `reply_text`) and goes on from there."""
    raw: bool = False
    """Takes a `RawPrompt`."""
    view_prompt: bool = False
    """Can show the exact prompt with its special tokens."""
    what_if: bool = False
    """Shows tokens under other parameters: `what_if`, `replay`, and `tokenize_continuation` for a forced text."""
    score: bool = False
    """Scores any text."""
    watch: bool = False
    """Tells the probability of any word at every step (`GenerationRequest.watch`)."""
    effort: tuple[str, ...] = ()
    """Levels of effort that can be asked for; empty: no such control."""
    thinking: tuple[str, ...] = ()
    """Ways of thinking that can be asked for; empty: no such control."""
    cache: tuple[str, ...] = ()
    """How long a prompt can be kept by the provider, "off" included; empty: not under our control."""
    legacy_sampling: frozenset[str] = frozenset()
    """Parameters that can be sent all the same when `CallOptions.legacy_sampling` asks for it."""
    reasons: dict[str, str] = {}
    """Why something is missing, one sentence: by a parameter's name, or by a field of this struct ("logprobs",
    "fork", …); "params" stands for all parameters that have no sentence of their own."""

    def why_not(self, what: str) -> str:
        """The sentence for a parameter or a field that is missing; empty when there is none."""
        if what in SamplingParams.__struct_fields__:
            return "" if what in self.params else self.reasons.get(what, self.reasons.get("params", ""))
        return self.reasons.get(what, "")


class Backend(ABC):
    """One loaded model or one model of an endpoint. All methods belong to one event loop."""

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What this backend can do. May grow after `prepare`, or with the first reply."""

    @property
    @abstractmethod
    def card(self) -> ModelCard:
        """Name, context window, limits; what nobody told is None."""

    async def prepare(self) -> None:  # noqa: B027 - most backends have nothing to find out
        """Find out what can be known before the first request: imports, context window, capabilities.

        Raises PlaygroundError (KeyMissing, KeyRefused, ServerUnreachable, …) when it is clear that no request can work.
        """

    @abstractmethod
    async def generate(self, request: GenerationRequest, sink: EventSink) -> None:
        """Run a request; returns after the sink got `Finished` or `Failed`.

        Failures are events, not exceptions: the tokens that came before stay valid.
        """

    @abstractmethod
    async def stop(self, stream: int) -> None:
        """End a stream soon; `Finished` with the reason `cancelled` follows."""

    async def set_params(self, stream: int, params: SamplingParams) -> None:  # noqa: B027 - see the last sentence
        """Put other parameters in force from the stream's next token on; `ParamsChanged` follows.

        Raises BadInput for parameters that cannot be put in force; the stream goes on with the old ones. A backend
        without `live_params` does nothing: the next request has them.
        """

    async def view_prompt(self, prompt: Prompt, reply_ids: Sequence[int] = ()) -> PromptView:
        """The exact prompt a request would send. Raises TemplateError, EngineDied, Unsupported, HostedError."""
        raise Unsupported(
            f"{self.card.short_name} does not show its exact prompt.", self.capabilities.why_not("view_prompt")
        )

    async def count_tokens(self, text: str) -> TokenCount:
        """Number of tokens of a text by itself, by the model's own tokenizer.

        Raises Unsupported, EngineDied, HostedError.
        """
        raise Unsupported(f"{self.card.short_name} does not count tokens.")

    async def count_prompt(self, prompt: Prompt) -> TokenCount:
        """Tokens of a whole prompt with everything the template adds. Raises as `count_tokens` does."""
        raise Unsupported(f"{self.card.short_name} does not count tokens.")

    async def what_if(self, request: WhatIfRequest) -> WhatIf:
        """A position of a reply under other parameters, exactly. Cheap while the position stays the same.

        Raises BadInput, PromptTooLong, TemplateError, RunFailed (no room beside running streams), EngineDied,
        Unsupported, and Superseded when a newer question of the same asker came before this one was answered.
        """
        raise Unsupported(
            f"{self.card.short_name} does not show other outcomes of a token.", self.capabilities.why_not("what_if")
        )

    async def replay(self, request: ReplayRequest, progress: Progress = silent) -> Replay:
        """A whole reply under other parameters, without generating. Cancelling ends the work.

        Raises as `what_if` does, but never Superseded.
        """
        raise Unsupported(
            f"{self.card.short_name} does not show other outcomes of a reply.", self.capabilities.why_not("what_if")
        )

    async def tokenize_continuation(self, prompt: Prompt, reply_ids: Sequence[int], text: str) -> Continuation:
        """The tokens of a text put behind the beginning of a reply. Raises BadInput, TemplateError, EngineDied."""
        raise Unsupported(f"{self.card.short_name} does not tell tokens.", self.capabilities.why_not("what_if"))

    async def watched_words(self, words: Sequence[str]) -> tuple[WatchedWord, ...]:
        """The tokens that would stand for words in `GenerationRequest.watch`, before there is a request.

        Raises BadInput for a word that no token can stand for, EngineDied, Unsupported.
        """
        raise Unsupported(
            f"{self.card.short_name} does not tell how likely a word of your choice is.",
            self.capabilities.why_not("watch")
            or "A server sends its best few candidates at most; the whole vocabulary is known to a local model (F5).",
        )

    async def watch_reply(self, request: WatchRequest, progress: Progress = silent) -> WatchedReply:
        """Words in the course of a reply that was written without watching them. Cancelling ends the work.

        Raises as `replay` does, and BadInput for a word that no token can stand for.
        """
        raise Unsupported(
            f"{self.card.short_name} does not tell how likely a word of your choice is.",
            self.capabilities.why_not("watch"),
        )

    async def score(self, request: ScoreRequest, progress: Progress = silent) -> Score:
        """How likely the model finds each token of a text. Cancelling ends the work.

        Raises BadInput, PromptTooLong, TemplateError, RunFailed, EngineDied, Unsupported.
        """
        raise Unsupported(f"{self.card.short_name} does not score texts.", self.capabilities.why_not("score"))

    @abstractmethod
    async def close(self) -> None:
        """End everything and give memory and connections back."""
